/* System calls: two handlers, entered and returned, and the ways into them. */
#ifndef APUS_SYSCALLS_H
#define APUS_SYSCALLS_H

/* Whether it is decided at a call's entry what becomes of it: its return asks nobody again. */
static __always_inline bool is_decided_at_entry(struct apus_syscall_row *row, bool simple)
{
	return row->flags & APUS_ROW_EMIT_AT_ENTRY ||
	       (is_planned(simple) && row->tests.inputs && row->flags & APUS_ROW_NEEDS_ENTRY);
}

/* The policies that want a call of the current task. */
static __always_inline u64 policies_for_call(struct task_struct *task, struct apus_syscall_row *row, u32 plan, bool simple)
{
	u32 moment = row->flags & APUS_ROW_REPLACES_MEMORY ? EXECUTING : 0;

	return simple ? in_constant_scope(task, row->policies, moment) : in_scope(task, row->policies, moment, plan);
}

static __always_inline void call_entered(struct task_struct *task, struct pt_regs *regs, u32 number, bool simple)
{
	bool compat = in_compat_syscall(task);
	u32 slot = syscall_slot(number, compat), plan = simple ? 0 : judging_plan();
	struct apus_syscall_row *row = syscall_row(slot, plan);
	struct scratch *s;
	u64 policies;

	if (!row || !row->policies || !(row->flags & (APUS_ROW_NEEDS_ENTRY | APUS_ROW_EMIT_AT_ENTRY)))
		return;
	policies = policies_for_call(task, row, plan, simple);
	if (!policies) {
		if (is_decided_at_entry(row, simple))
			count(row->index, COUNT_FILTERED);
		return;
	}
	s = claim_scratch();
	if (!s) {
		if (is_decided_at_entry(row, simple))
			lose(row->index, policies, APUS_LOSS_SCRATCH, plan);
		return;
	}
	read_call(row, s->args, regs, compat);
	s->args[APUS_LENGTH_RETURN_VALUE] = 0;
	s->args[APUS_LENGTH_ONE] = 1;
	s->room = ROOM_UNKNOWN;
	if (row->flags & APUS_ROW_EMIT_AT_ENTRY)
		emit(task, row, s, NULL, number, policies, compat, plan, simple);
	else
		stash_call(row, s, slot, policies, compat, plan, simple);
	release_scratch(s);
}

static __always_inline void call_returned(struct task_struct *task, struct pt_regs *regs, s64 ret, bool simple)
{
	bool compat = in_compat_syscall(task);
	u32 number = REGISTER(regs, orig_ax), slot = syscall_slot(number, compat), plan = simple ? 0 : judging_plan();
	struct apus_syscall_row *row;
	struct stash *stash = NULL;
	struct scratch *s;
	u64 policies;

	if (is_execve(slot) && ret == 0) {
		stash = stash_of_current(false);
		if (stash && stash->slot && is_execve(stash->slot - 1)) {
			slot = stash->slot - 1;
			compat = slot >= APUS_SYSCALL_SLOTS;
			number = slot & (APUS_SYSCALL_SLOTS - 1);
		}
		stash = NULL;
	}
	row = syscall_row(slot, plan);
	if (!row || !row->policies || (row->flags & APUS_ROW_EMIT_AT_ENTRY))
		return;
	if ((row->flags & APUS_ROW_RETURNS_TWICE) && ret == 0)
		return;
	/* An address may have the highest of 32 bits. */
	if (compat)
		ret = (s32)ret < 0 && (s32)ret >= -4095 ? (s64)(s32)ret : (s64)(u32)ret;
	if (row->flags & APUS_ROW_NEEDS_ENTRY) {
		stash = stash_of_current(false);
		if (stash && stash->slot != slot + 1)
			stash = NULL;
	}
	/* Rejected at its entry, or begun before these policies were in force. */
	if (!stash && is_decided_at_entry(row, simple))
		return;
	/* Others took over meanwhile: they judge the whole call. */
	if (stash && is_planned(simple) && stash->plan != plan) {
		stash->policies = policies_for_call(task, row, plan, simple);
		stash->judged = false;
		if (!stash->policies) {
			stash->slot = 0;
			count(row->index, COUNT_FILTERED);
			return;
		}
	}
	if (stash) {
		policies = stash->policies;
	} else {
		policies = policies_for_call(task, row, plan, simple);
		if (!policies) {
			count(row->index, COUNT_FILTERED);
			return;
		}
	}
	s = claim_scratch();
	if (!s) {
		lose(row->index, policies, APUS_LOSS_SCRATCH, plan);
		return;
	}
	if (stash) {
		for (u32 i = 0; i < APUS_SYSCALL_ARGS; i++)
			s->args[i] = stash->args[i];
	} else {
		read_call(row, s->args, regs, compat);
	}
	s->args[APUS_LENGTH_RETURN_VALUE] = row->flags & APUS_ROW_INT_RESULT ? (s32)ret : ret;
	s->args[APUS_LENGTH_ONE] = 1;
	s->room = stash ? stash->room : ROOM_UNKNOWN;
	emit(task, row, s, stash, number, policies, compat, plan, simple);
	release_scratch(s);
}

static __always_inline void syscall_entered(struct task_struct *task, struct pt_regs *regs, u32 number)
{
	if (is_simple())
		call_entered(task, regs, number, true);
	else
		call_entered(task, regs, number, false);
}

static __always_inline void syscall_returned(struct task_struct *task, struct pt_regs *regs, s64 ret)
{
	if (is_simple())
		call_returned(task, regs, ret, true);
	else
		call_returned(task, regs, ret, false);
}

/* ---- All system calls: one pair of tracepoints and the table --------------------------------
 * TP_PROTO(struct pt_regs *regs, long id), TP_PROTO(struct pt_regs *regs, long ret):
 * include/trace/events/syscalls.h, 5.10 to 6.18. */

ON_TRACEPOINT(all_syscalls_enter, sys_enter, struct pt_regs *regs, long id)
{
	syscall_entered(own_task(), regs, id);
	return 0;
}

ON_TRACEPOINT(all_syscalls_exit, sys_exit, struct pt_regs *regs, long ret)
{
	syscall_returned(own_task(), regs, ret);
	return 0;
}

/* The same by perf tracepoints, which cost more, for preemptible kernels: they may let another task run
 * in the middle of a program, and then refuse to run the program for that task. Those of perf are never
 * preempted (trace_event_raw_sys_enter and _exit of include/trace/events/syscalls.h). */
struct all_syscalls_enter_context {
	u64 common;
	long number;
	u64 args[APUS_SYSCALL_ARGS];
};

struct all_syscalls_exit_context {
	u64 common;
	long number;
	long ret;
};

SEC("tracepoint/raw_syscalls/sys_enter")
int all_syscalls_enter__perf(struct all_syscalls_enter_context *context)
{
	struct task_struct *task = own_task();

	syscall_entered(task, user_registers(task), context->number);
	return 0;
}

SEC("tracepoint/raw_syscalls/sys_exit")
int all_syscalls_exit__perf(struct all_syscalls_exit_context *context)
{
	struct task_struct *task = own_task();

	syscall_returned(task, user_registers(task), context->ret);
	return 0;
}

/* ---- One system call: its own perf tracepoints -----------------------------------------------
 * Attached once for each system call asked for. They cost other system calls less than half of what
 * the pair above does, and do not see 32-bit callers (trace_get_syscall_nr, kernel/trace/trace_syscalls.c). */

SEC("tracepoint/syscalls/sys_enter")
int one_syscall_enter(struct syscall_enter_context *context)
{
	struct task_struct *task = own_task();

	syscall_entered(task, user_registers(task), context->number);
	return 0;
}

SEC("tracepoint/syscalls/sys_exit")
int one_syscall_exit(struct syscall_exit_context *context)
{
	struct task_struct *task = own_task();

	syscall_returned(task, user_registers(task), context->ret);
	return 0;
}

/* ---- sys_enter and sys_exit as events: by the pair, in either way ----------------------------- */

static __always_inline int event_entered(long number)
{
	struct scratch *s = BEGIN(SYS_ENTER);

	if (!s)
		return 0;
	set_value(s, FIELD_SYS_ENTER_SYSCALL, number);
	return FINISH_BULK(s);
}

static __always_inline int event_returned(long number)
{
	struct scratch *s = BEGIN(SYS_EXIT);

	if (!s)
		return 0;
	set_value(s, FIELD_SYS_EXIT_SYSCALL, number);
	return FINISH_BULK(s);
}

ON_TRACEPOINT(event_sys_enter, sys_enter, struct pt_regs *regs, long id) { return event_entered(id); }

ON_TRACEPOINT(event_sys_exit, sys_exit, struct pt_regs *regs, long ret) { return event_returned(regs->orig_ax); }

SEC("tracepoint/raw_syscalls/sys_enter")
int event_sys_enter__perf(struct all_syscalls_enter_context *context)
{
	return event_entered(context->number);
}

SEC("tracepoint/raw_syscalls/sys_exit")
int event_sys_exit__perf(struct all_syscalls_exit_context *context)
{
	return event_returned(context->number);
}

#endif
