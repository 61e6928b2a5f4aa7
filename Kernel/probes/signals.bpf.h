/* Signals. */
#ifndef APUS_SIGNALS_H
#define APUS_SIGNALS_H

/* What the kernel keeps of a signal begins with what programs get of it, siginfo_t of x86-64, and so cannot change
 * (include/uapi/asm-generic/siginfo.h; copy_siginfo_to_user() copies it whole). */
struct signal_origin {
	s32 signo, error, code, padding;
	union {
		struct {
			s32 pid;
			u32 uid;
			union {
				u64 value;
				s32 status;
			};
			s64 user_time, system_time;
		} sender;
		struct {
			s32 id, overrun;
		} timer; /* and its value where the sender's is */
		u64 fault;
		struct {
			s64 band;
			s32 fd;
		} poll;
		struct {
			u64 address;
			s32 number;
			u32 arch;
		} call;
	};
};

/* Codes for all signals: from where one came (include/uapi/asm-generic/siginfo.h). */
#define SI_USER 0
#define SI_KERNEL 128
#define SI_TIMER (-2)
#define SI_SIGIO (-5)
#define SI_TKILL (-6)

#define SIGILL 4
#define SIGTRAP 5
#define SIGBUS 7
#define SIGFPE 8
#define SIGKILL 9
#define SIGSEGV 11
#define SIGCHLD 17
#define SIGIO 29
#define SIGSYS 31

#define SIGNAL_FIELD(NAME) (1ULL << FIELD_SIGNAL_DELIVER_##NAME)
#define SIGNAL_SENDER (SIGNAL_FIELD(SENDER_PID) | SIGNAL_FIELD(SENDER_UID))
#define SIGNAL_CHILD (SIGNAL_FIELD(STATUS) | SIGNAL_FIELD(USER_TIME) | SIGNAL_FIELD(SYSTEM_TIME))
#define SIGNAL_TIMER (SIGNAL_FIELD(TIMER) | SIGNAL_FIELD(OVERRUN))
#define SIGNAL_POLL (SIGNAL_FIELD(BAND) | SIGNAL_FIELD(FD))
#define SIGNAL_CALL (SIGNAL_FIELD(CALL_ADDRESS) | SIGNAL_FIELD(SYSCALL) | SIGNAL_FIELD(ARCH))

/* Which fields beside code and error a signal has, as siginfo_layout() says (kernel/signal.c, 5.10 to 7.2). What the
 * kernel sends by itself has nobody who sent it. */
static __always_inline u64 signal_fields(s32 sig, s32 code)
{
	if (code == SI_USER || code == SI_TKILL)
		return SIGNAL_SENDER;
	if (code == SI_TIMER)
		return SIGNAL_TIMER | SIGNAL_FIELD(VALUE);
	if (code == SI_SIGIO)
		return SIGNAL_POLL;
	if (code < 0)
		return SIGNAL_SENDER | SIGNAL_FIELD(VALUE);
	if (code >= SI_KERNEL)
		return 0;
	switch (sig) {
	case SIGILL:
	case SIGTRAP:
	case SIGBUS:
	case SIGFPE:
	case SIGSEGV:
		return SIGNAL_FIELD(ADDRESS);
	case SIGCHLD:
		return SIGNAL_SENDER | SIGNAL_CHILD;
	case SIGSYS:
		return SIGNAL_CALL;
	}
	return SIGNAL_POLL; /* SIGIO, or the signal that stands for it (F_SETSIG) */
}

static __always_inline void set_signal_fields(struct scratch *s, struct signal_origin *o, u64 fields)
{
	set_value(s, FIELD_SIGNAL_DELIVER_CODE, o->code);
	set_value(s, FIELD_SIGNAL_DELIVER_ERROR, o->error);
	if (fields & SIGNAL_SENDER) {
		set_value(s, FIELD_SIGNAL_DELIVER_SENDER_PID, o->sender.pid);
		set_value(s, FIELD_SIGNAL_DELIVER_SENDER_UID, o->sender.uid);
	}
	if (fields & SIGNAL_FIELD(VALUE))
		set_value(s, FIELD_SIGNAL_DELIVER_VALUE, o->sender.value);
	if (fields & SIGNAL_CHILD) {
		set_value(s, FIELD_SIGNAL_DELIVER_STATUS, o->sender.status);
		set_value(s, FIELD_SIGNAL_DELIVER_USER_TIME, o->sender.user_time);
		set_value(s, FIELD_SIGNAL_DELIVER_SYSTEM_TIME, o->sender.system_time);
	}
	if (fields & SIGNAL_TIMER) {
		set_value(s, FIELD_SIGNAL_DELIVER_TIMER, o->timer.id);
		set_value(s, FIELD_SIGNAL_DELIVER_OVERRUN, o->timer.overrun);
	}
	if (fields & SIGNAL_FIELD(ADDRESS))
		set_value(s, FIELD_SIGNAL_DELIVER_ADDRESS, o->fault);
	if (fields & SIGNAL_POLL) {
		set_value(s, FIELD_SIGNAL_DELIVER_BAND, o->poll.band);
		set_value(s, FIELD_SIGNAL_DELIVER_FD, o->poll.fd);
	}
	if (fields & SIGNAL_CALL) {
		set_value(s, FIELD_SIGNAL_DELIVER_CALL_ADDRESS, o->call.address);
		set_value(s, FIELD_SIGNAL_DELIVER_SYSCALL, o->call.number);
		set_value(s, FIELD_SIGNAL_DELIVER_ARCH, o->call.arch);
	}
}

/* Where the kernel keeps a signal of this number that waits in the queue whose head is at `head`; 0 where none does. */
static __always_inline u64 queued_signal(u64 head, s32 sig)
{
	u64 at = head;
	s32 number;

	for (u32 i = 0; i < 16; i++) {
		u64 info;

		if (bpf_probe_read_kernel(&at, sizeof(at), (void *)at) || at == head)
			return 0;
		info = at - bpf_core_field_offset(struct sigqueue, list) + bpf_core_field_offset(struct sigqueue, info);
		if (bpf_probe_read_kernel(&number, sizeof(number), (void *)info))
			return 0;
		if (number == sig)
			return info;
	}
	return 0;
}

/* A signal that ends a process at once is handed to its threads as SIGKILL, of which nothing else is known; what was sent
 * waits in its queue for ever (complete_signal(), kernel/signal.c, 5.10 to 7.2). The thread that it was for tells it, or
 * the leader where it was for the process. Returns where it is, or 0. */
static __always_inline u64 fatal_signal(struct task_struct *task)
{
	s32 sig = BPF_CORE_READ(task, signal, group_exit_code); /* an exit status is above the signals */
	u64 head, found;

	if (sig < 1 || sig > 64)
		return 0;
	head = (u64)task + bpf_core_field_offset(struct task_struct, pending) +
	       bpf_core_field_offset(struct sigpending, list);
	found = queued_signal(head, sig);
	if (found || BPF_CORE_READ(task, pid) != BPF_CORE_READ(task, tgid))
		return found;
	head = (u64)BPF_CORE_READ(task, signal) + bpf_core_field_offset(struct signal_struct, shared_pending) +
	       bpf_core_field_offset(struct sigpending, list);
	return queued_signal(head, sig);
}

/* TP_PROTO(int sig, struct kernel_siginfo *info, struct k_sigaction *ka), include/trace/events/signal.h, 5.10 to 7.2.
 * `info` is NULL or 1 where the kernel has none (SEND_SIG_NOINFO, SEND_SIG_PRIV): then it cannot be read. */
ON_TRACEPOINT(signal_deliver, signal_deliver, int sig, void *info, struct k_sigaction *action)
{
	struct scratch *s = BEGIN(SIGNAL_DELIVER);
	struct signal_origin origin = {};
	u64 handler, fields, present = ~0ULL >> (64 - FIELD_SIGNAL_DELIVER_CODE);
	bool is_known;

	if (!s)
		return 0;
	is_known = !bpf_probe_read_kernel(&origin, sizeof(origin), info);
	if (!is_known && sig == SIGKILL) {
		u64 fatal = fatal_signal((struct task_struct *)bpf_get_current_task());

		is_known = fatal && !bpf_probe_read_kernel(&origin, sizeof(origin), (void *)fatal);
		if (is_known)
			sig = origin.signo; /* its handler is the default as SIGKILL's is */
	}
	handler = (u64)READ(action, sa.sa_handler);
	set_value(s, FIELD_SIGNAL_DELIVER_SIG, sig);
	set_value(s, FIELD_SIGNAL_DELIVER_HANDLE_METHOD, handler > SIG_IGN ? 2 : handler);
	set_value(s, FIELD_SIGNAL_DELIVER_HANDLER, handler);
	set_value(s, FIELD_SIGNAL_DELIVER_FLAGS, READ(action, sa.sa_flags));
	if (handler <= SIG_IGN)
		present &= ~SIGNAL_FIELD(HANDLER);
	if (is_known) {
		fields = signal_fields(sig, origin.code);
		set_signal_fields(s, &origin, fields);
		present |= fields | SIGNAL_FIELD(CODE) | SIGNAL_FIELD(ERROR);
	}
	SET_ABSENT(s, SIGNAL_DELIVER, ~present);
	return FINISH_BULK(s);
}

#endif
