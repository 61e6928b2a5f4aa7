/* System calls: two handlers, entered and returned, and the ways into them. */
#ifndef APUS_SYSCALLS_H
#define APUS_SYSCALLS_H

/* The kernel takes the low half of the register for the number, so that is what counts here too. */
static __always_inline u32 syscall_slot(u32 number, bool compat)
{
	if (!compat)
		number &= ~X32_BIT;
	if (number >= APUS_SYSCALL_SLOTS)
		return 2 * APUS_SYSCALL_SLOTS;
	return compat ? number + APUS_SYSCALL_SLOTS : number;
}

/* Whether a slot is execve's or execveat's. A successful one that changes between 64 and 32 bits
 * returns as the other kind's execve (set_personality_ia32, arch/x86/kernel/process_64.c). */
static __always_inline bool is_execve(u32 slot)
{
	return slot == 59 || slot == 322 || slot == APUS_SYSCALL_SLOTS + 11 || slot == APUS_SYSCALL_SLOTS + 358;
}

static __always_inline void read_registers(u64 *args, struct pt_regs *regs, bool compat)
{
	/* The i386 convention is bx, cx, dx, si, di, bp; user space may leave anything above 32 bits. */
	args[0] = compat ? (u32)regs->bx : regs->di;
	args[1] = compat ? (u32)regs->cx : regs->si;
	args[2] = compat ? (u32)regs->dx : regs->dx;
	args[3] = compat ? (u32)regs->si : regs->r10;
	args[4] = compat ? (u32)regs->di : regs->r8;
	args[5] = compat ? (u32)regs->bp : regs->r9;
}

/* How many elements a reader is to read. */
static __always_inline u64 reader_elements(struct apus_reader *reader, u64 *args)
{
	u64 value = args[reader->length & 7];
	u32 pointed = 0;

	if (reader->length < APUS_LENGTH_POINTED)
		return value;
	bpf_probe_read_user(&pointed, sizeof(pointed), (void *)value);
	return pointed;
}

/* Appends what the arguments chosen by `phase`, or by the bits of `retry`, point at. Adds to
 * `*faults` the arguments whose memory was not resident. */
static __always_inline u32 append_arguments(struct apus_syscall_row *row, u64 *args, u32 phase, u32 retry, u32 offset,
					    bool compat, u32 *faults)
{
	for (u32 i = 0; i < APUS_SYSCALL_ARGS; i++) {
		struct apus_reader *reader = &row->readers[i];
		union packed_reader packed;
		bool again = retry & (1u << i);
		long next;

		if (reader->kind == APUS_READ_NONE || !args[i])
			continue;
		if (reader->phase != phase && !again)
			continue;
		packed.reader = *reader;
		next = read_argument(args[i], packed.bits, reader_elements(reader, args), offset,
				     i | (compat ? READ_COMPAT : 0) | (again ? READ_LATE : 0));
		if (next >= 0)
			offset = next;
		else
			*faults |= 1u << i;
	}
	return offset;
}

/* Keeps the inputs of a call until it returns. */
static __always_inline void stash_call(struct apus_syscall_row *row, struct scratch *s,
				       u32 slot, u64 policies, bool compat)
{
	struct stash *stash = bpf_task_storage_get(&stashes, CURRENT, 0, BPF_LOCAL_STORAGE_GET_F_CREATE);
	u64 key = bpf_get_current_task();
	u32 length, faults = 0;

	if (!stash)
		return;
	if (stash->spilled)
		bpf_map_delete_elem(&spills, &key); /* of a call whose return was not seen */
	for (u32 i = 0; i < APUS_SYSCALL_ARGS; i++)
		stash->args[i] = s->args[i];
	length = append_arguments(row, s->args, APUS_AT_ENTRY, 0, 0, compat, &faults);
	stash->policies = policies;
	stash->spilled = 0;
	if (length <= STASH_DATA) {
		bpf_probe_read_kernel(stash->data, length, s->data);
	} else {
		if (length <= SPILL_DATA && bpf_map_update_elem(&spills, &key, s->data, BPF_ANY) == 0) {
			stash->spilled = 1;
		} else {
			length = 0;
			count(row->index, COUNT_UNSPILLED);
		}
	}
	stash->length = length;
	stash->retry = faults;
	stash->slot = slot + 1;
}

/* Emits a call nothing was read for: the whole record is registers. */
static __always_inline void emit_plain(struct task_struct *task, struct apus_syscall_row *row, struct scratch *s,
				       s32 number, u64 policies, bool compat)
{
	struct plain {
		struct apus_record record;
		u64 values[APUS_SYSCALL_ARGS + 1];
	} *p;
	void *ring = bulk_ring();
	u32 n = row->arg_count;

	p = ring ? bpf_ringbuf_reserve(ring, sizeof(*p), 0) : NULL;
	if (!p) {
		count(row->index, COUNT_LOST);
		return;
	}
	fill_identity(&p->record, task, number, compat);
	p->record.event = row->event;
	p->record.size = sizeof(*p);
	p->record.policies = policies;
	p->record.value_count = n + 1;
	for (u32 i = 0; i < APUS_SYSCALL_ARGS; i++)
		p->values[i] = s->args[i];
	p->values[APUS_SYSCALL_ARGS] = 0;
	if (n <= APUS_SYSCALL_ARGS)
		p->values[n] = s->args[APUS_LENGTH_RETURN_VALUE];
	bpf_ringbuf_submit(p, BPF_RB_NO_WAKEUP);
	count(row->index, COUNT_EMITTED);
}

/* Emits a call with what its pointers led to, at entry (kept in the stash) and now. */
static __always_inline void emit_full(struct task_struct *task, struct apus_syscall_row *row, struct scratch *s,
				      struct stash *stash, s32 number, u64 policies, bool compat)
{
	u32 n = row->arg_count, values, offset, faults = 0, retry = 0, phase;
	bool failed = (s64)s->args[APUS_LENGTH_RETURN_VALUE] < 0;

	if (n > APUS_SYSCALL_ARGS)
		return;
	fill_identity(&s->record, task, number, compat);
	s->record.event = row->event;
	s->record.policies = policies;
	s->record.value_count = n + 1;
	values = offset = (n + 1) * 8;
	if (stash) {
		u32 length = stash->length;
		if (stash->spilled) {
			u64 key = bpf_get_current_task();
			struct spill *spill = bpf_map_lookup_elem(&spills, &key);
			if (spill && length <= SPILL_DATA)
				bpf_probe_read_kernel(&s->data[OFFSET(values)], length, spill->data);
			else
				length = 0;
			bpf_map_delete_elem(&spills, &key);
			stash->spilled = 0;
		} else if (length <= STASH_DATA) {
			bpf_probe_read_kernel(&s->data[OFFSET(values)], length, stash->data);
		}
		offset += length;
		retry = stash->retry;
		stash->slot = 0;
	} else {
		/* In progress when the hook was attached, or entered outside the scope. */
		for (u32 i = 0; i < APUS_SYSCALL_ARGS; i++)
			if (row->readers[i].kind != APUS_READ_NONE && row->readers[i].phase == APUS_AT_ENTRY)
				retry |= 1u << i;
	}
	if ((row->flags & APUS_ROW_REPLACES_MEMORY) && !failed)
		retry = 0;
	phase = failed ? APUS_AT_EXIT_FAILED : APUS_AT_EXIT;
	if (retry || (row->flags & APUS_ROW_READS_AT_EXIT))
		offset = append_arguments(row, s->args, phase, retry, offset, compat, &faults);
	for (u32 i = 0; i < APUS_SYSCALL_ARGS; i++)
		if (i < n)
			((u64 *)s->data)[i] = s->args[i];
	((u64 *)s->data)[n] = s->args[APUS_LENGTH_RETURN_VALUE];
	submit(bulk_ring(), s, row->index, offset);
}

static __always_inline void syscall_entered(struct task_struct *task, struct pt_regs *regs, u32 number)
{
	bool compat = in_compat_syscall(task);
	u32 slot = syscall_slot(number, compat);
	struct apus_syscall_row *row = bpf_map_lookup_elem(&syscalls, &slot);
	struct scratch *s = scratch_of_this_cpu();
	u64 policies;

	if (!s || !row || !row->policies || !(row->flags & (APUS_ROW_NEEDS_ENTRY | APUS_ROW_EMIT_AT_ENTRY)))
		return;
	policies = in_scope(task, row->policies, row->flags & APUS_ROW_REPLACES_MEMORY);
	if (!policies) {
		if (row->flags & APUS_ROW_EMIT_AT_ENTRY)
			count(row->index, COUNT_FILTERED);
		return;
	}
	read_registers(s->args, regs, compat);
	s->args[APUS_LENGTH_RETURN_VALUE] = 0;
	s->args[APUS_LENGTH_ONE] = 1;
	if (row->flags & APUS_ROW_EMIT_AT_ENTRY)
		emit_plain(task, row, s, number, policies, compat);
	else
		stash_call(row, s, slot, policies, compat);
}

static __always_inline void syscall_returned(struct task_struct *task, struct pt_regs *regs, s64 ret)
{
	bool compat = in_compat_syscall(task);
	u32 number = regs->orig_ax, slot = syscall_slot(number, compat);
	struct scratch *s = scratch_of_this_cpu();
	struct apus_syscall_row *row;
	struct stash *stash = NULL;
	u64 policies;

	if (is_execve(slot) && ret == 0) {
		stash = bpf_task_storage_get(&stashes, CURRENT, 0, 0);
		if (stash && stash->slot && is_execve(stash->slot - 1)) {
			slot = stash->slot - 1;
			compat = slot >= APUS_SYSCALL_SLOTS;
			number = slot & (APUS_SYSCALL_SLOTS - 1);
		}
		stash = NULL;
	}
	row = bpf_map_lookup_elem(&syscalls, &slot);
	if (!s || !row || !row->policies || (row->flags & APUS_ROW_EMIT_AT_ENTRY))
		return;
	if ((row->flags & APUS_ROW_RETURNS_TWICE) && ret == 0)
		return;
	if (compat)
		ret = (s32)ret;
	if (row->flags & APUS_ROW_NEEDS_ENTRY) {
		stash = bpf_task_storage_get(&stashes, CURRENT, 0, 0);
		if (stash && stash->slot != slot + 1)
			stash = NULL;
	}
	if (stash) {
		policies = stash->policies;
		for (u32 i = 0; i < APUS_SYSCALL_ARGS; i++)
			s->args[i] = stash->args[i];
	} else {
		policies = in_scope(task, row->policies, row->flags & APUS_ROW_REPLACES_MEMORY);
		if (!policies) {
			count(row->index, COUNT_FILTERED);
			return;
		}
		read_registers(s->args, regs, compat);
	}
	s->args[APUS_LENGTH_RETURN_VALUE] = ret;
	s->args[APUS_LENGTH_ONE] = 1;
	if (row->flags & (APUS_ROW_NEEDS_ENTRY | APUS_ROW_READS_AT_EXIT))
		emit_full(task, row, s, stash, number, policies, compat);
	else
		emit_plain(task, row, s, number, policies, compat);
}

/* ---- All system calls: one pair of tracepoints and the table --------------------------------
 * TP_PROTO(struct pt_regs *regs, long id), TP_PROTO(struct pt_regs *regs, long ret):
 * include/trace/events/syscalls.h, 5.10 to 6.18. */

SEC("tp_btf/sys_enter")
int BPF_PROG(all_syscalls_enter, struct pt_regs *regs, long id)
{
	syscall_entered(current_task(), regs, id);
	return 0;
}

SEC("tp_btf/sys_exit")
int BPF_PROG(all_syscalls_exit, struct pt_regs *regs, long ret)
{
	syscall_returned(current_task(), regs, ret);
	return 0;
}

/* ---- One system call: its own perf tracepoints -----------------------------------------------
 * Attached once for each system call asked for. They cost other system calls less than half of what
 * the pair above does, and do not see 32-bit callers (trace_get_syscall_nr, kernel/trace/trace_syscalls.c). */

/* What perf hands to BPF (struct syscall_tp_t). Behind the number there are four bytes of nothing. */
struct syscall_enter_context {
	u64 common;
	int number;
};

struct syscall_exit_context {
	u64 common;
	int number;
	long ret;
};

SEC("tracepoint/syscalls/sys_enter")
int one_syscall_enter(struct syscall_enter_context *context)
{
	struct task_struct *task = current_task();

	syscall_entered(task, (struct pt_regs *)bpf_task_pt_regs(CURRENT), context->number);
	return 0;
}

SEC("tracepoint/syscalls/sys_exit")
int one_syscall_exit(struct syscall_exit_context *context)
{
	struct task_struct *task = current_task();

	syscall_returned(task, (struct pt_regs *)bpf_task_pt_regs(CURRENT), context->ret);
	return 0;
}

/* ---- sys_enter and sys_exit as events -------------------------------------------------------- */

static __always_inline void emit_generic(u32 number, u32 event, u32 index)
{
	struct task_struct *task = current_task();
	struct generic {
		struct apus_record record;
		u64 number;
	} *g;
	u64 policies = in_scope(task, wanted[index], false);
	void *ring;

	if (!policies) {
		count(index, COUNT_FILTERED);
		return;
	}
	ring = bulk_ring();
	g = ring ? bpf_ringbuf_reserve(ring, sizeof(*g), 0) : NULL;
	if (!g) {
		count(index, COUNT_LOST);
		return;
	}
	fill_identity(&g->record, task, number, in_compat_syscall(task));
	g->record.event = event;
	g->record.size = sizeof(*g);
	g->record.policies = policies;
	g->record.value_count = 1;
	g->number = number;
	bpf_ringbuf_submit(g, BPF_RB_NO_WAKEUP);
	count(index, COUNT_EMITTED);
}

SEC("tp_btf/sys_enter")
int BPF_PROG(event_sys_enter, struct pt_regs *regs, long id)
{
	emit_generic(id, EVENT_SYS_ENTER, INDEX_SYS_ENTER);
	return 0;
}

SEC("tp_btf/sys_exit")
int BPF_PROG(event_sys_exit, struct pt_regs *regs, long ret)
{
	emit_generic(regs->orig_ax, EVENT_SYS_EXIT, INDEX_SYS_EXIT);
	return 0;
}

#endif
