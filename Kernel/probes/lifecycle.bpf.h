/* Processes: fork, exec, exit, rename. These feed the state stores too, so fork, exec and exit are
 * always attached, and go to the lifecycle ring; a record that no policy asked for carries none. */
#ifndef APUS_LIFECYCLE_H
#define APUS_LIFECYCLE_H

/* ---- sched_process_fork: TP_PROTO(struct task_struct *parent, struct task_struct *child),
 * include/trace/events/sched.h, 5.10 to 6.18. The child does not run yet. */

static __always_inline void set_task(struct scratch *s, u32 first, struct task_struct *task)
{
	u32 tid, pid, ns, host_tid = TASK(task, pid), host_pid = TASK(task, tgid);

	namespaced(task, host_tid, &tid, &ns);
	namespaced(TASK(task, group_leader), host_pid, &pid, &ns);
	set_value(s, first, host_tid);
	set_value(s, first + 1, tid);
	set_value(s, first + 2, host_pid);
	set_value(s, first + 3, pid);
	set_value(s, first + 4, TASK(task, start_boottime));
}

/* A thread that the kernel made for itself, with the memory of a process. */
static __always_inline bool is_kernel_made(struct task_struct *task)
{
	return READ(task, flags) & (PF_IO_WORKER | PF_USER_WORKER);
}

/* A child is in the trees of its parent, runs its program, and is followed where that was taken. */
static __always_inline void inherit(u32 parent, u32 child, u64 start)
{
	struct apus_process copy = {}, *process, *former;
	u32 number = judging_plan(), slot = number % APUS_PLANS;
	scope_plan plan = scope_of(number);
	u64 taken;

	if (!plan || parent == child || (!has_plan && !scope.used[APUS_SCOPE_TREE]))
		return;
	process = bpf_map_lookup_elem(&scope_processes, &parent);
	former = bpf_map_lookup_elem(&scope_processes, &child);
	taken = has_plan && plan->follow ? restrict_scope(plan->follow, 0, number) : 0;
	if (!process && !taken) {
		if (former)
			bpf_map_delete_elem(&scope_processes, &child);
		return;
	}
	if (process)
		copy = *process;
	copy.follows[slot % APUS_PLANS] |= taken;
	copy.pending = 0;
	copy.start = start;
	if (former)
		bpf_map_update_elem(&scope_heirs, &child, &copy, BPF_ANY);
	if (bpf_map_update_elem(&scope_processes, &child, &copy, BPF_ANY))
		count(APUS_COUNTER_TREE_FULL, COUNT_LOST);
}

ON_TRACEPOINT(sched_process_fork, sched_process_fork, struct task_struct *parent, struct task_struct *child)
{
	struct scratch *s;

	parent = readable(parent);
	child = readable(child);
	inherit(TASK(parent, tgid), TASK(child, tgid), TASK(child, start_boottime));
	s = BEGIN_FOR_STATE(SCHED_PROCESS_FORK, 0);
	if (!s)
		return 0;
	set_task(s, FIELD_SCHED_PROCESS_FORK_PARENT_TID, parent);
	set_task(s, FIELD_SCHED_PROCESS_FORK_CHILD_TID, child);
	set_task(s, FIELD_SCHED_PROCESS_FORK_PARENT_PROCESS_TID, TASK(child, real_parent, group_leader));
	set_task(s, FIELD_SCHED_PROCESS_FORK_LEADER_TID, TASK(child, group_leader));
	return FINISH_LIFECYCLE(s);
}

/* wake_up_new_task(struct task_struct *p), kernel/sched/core.c, 5.10 to 7.2, follows in kernel_clone(). Threads that the
 * kernel makes for io_uring and vhost come there too, without the tracepoint (create_io_thread(), kernel/fork.c). */
OR_ON_ENTRY(sched_process_fork, wake_up_new_task, struct task_struct *child)
{
	if (is_kernel_made(child))
		return 0;
	return sched_process_fork_body(ctx, own_task(), child);
}

/* ---- sched_process_exec: TP_PROTO(struct task_struct *p, pid_t old_pid, struct linux_binprm *bprm),
 * include/trace/events/sched.h, 5.10 to 6.18. The new image is mapped; nothing of it has run. */

#define AT_NULL 0
#define AT_BASE 7 /* include/uapi/linux/auxvec.h: where the ELF interpreter was mapped */

/* The ELF interpreter is what is mapped at AT_BASE: the kernel keeps no other trace of it. */
static __always_inline struct file *elf_interpreter(struct scratch *s, struct mm_struct *mm)
{
	struct vm_area_struct *vma;

	for (u32 i = 0; i < 26; i++) {
		unsigned long entry[2] = {};
		bpf_core_read(entry, sizeof(entry), &mm->saved_auxv[i * 2]);
		if (entry[0] == AT_NULL)
			break;
		if (entry[0] == AT_BASE) {
			vma = find_vma(s, mm, entry[1]);
			return vma ? READ(vma, vm_file) : NULL;
		}
	}
	return NULL;
}

/* The policies of the plan in `slot` that take the program whose path is in the record. */
static __always_inline u64 policies_of_program(struct scratch *s, u32 slot)
{
	scope_plan plan = bpf_map_lookup_elem(&scope_plans, &slot);
	u64 named = 0;

	if (!plan || !plan->programs_used)
		return ~0ULL;
	for (u32 i = 0; i < APUS_MAX_PROGRAM_TESTS; i++) {
		if (i >= plan->program_count)
			break;
		if (!plan->programs[i].mount_ns || plan->programs[i].mount_ns == s->record.mount_ns)
			named |= pass_test(s->self, plan->programs[i].test);
	}
	return ~plan->programs_used | (named ^ plan->programs_negated);
}

/* The first program that runs in a container starts it. Global, for the room in the frame. */
__noinline int start_container(void)
{
	u64 cgroup = current_control_group();
	u8 yes = 1;

	if (bpf_map_lookup_elem(&containers, &cgroup))
		bpf_map_update_elem(&started_containers, &cgroup, &yes, BPF_ANY);
	return 0;
}

/* Another program runs from now on: of the record's policies those are left that take it. Global for the same. */
__noinline int take_new_program(u32 self, u32 pid)
{
	struct scratch *s = scratch_at(self);
	struct apus_process empty = {}, *process;
	u64 programs[APUS_PLANS], now;

	if (!s)
		return 0;
	programs[0] = policies_of_program(s, 0);
	programs[1] = policies_of_program(s, 1);
	now = programs[s->record.plan % APUS_PLANS];
	process = bpf_map_lookup_elem(&scope_processes, &pid);
	if (process)
		now |= process->follows[s->record.plan % APUS_PLANS];
	s->record.policies &= now;
	if (!process) {
		if (programs[0] == ~0ULL && programs[1] == ~0ULL)
			return 0;
		if (bpf_map_update_elem(&scope_processes, &pid, &empty, BPF_NOEXIST))
			count(APUS_COUNTER_TREE_FULL, COUNT_LOST);
		process = bpf_map_lookup_elem(&scope_processes, &pid);
		if (!process)
			return 0;
	}
	process->programs[0] = programs[0];
	process->programs[1] = programs[1];
	process->knows_program = 1;
	return 0;
}

ON_TRACEPOINT(sched_process_exec, sched_process_exec, struct task_struct *task, s32 old_pid, struct linux_binprm *bprm)
{
	u32 pid = bpf_get_current_pid_tgid() >> 32;
	struct file *file = READ(bprm, file), *interpreter;
	const struct cred *cred;
	struct apus_process *process;
	struct mm_struct *mm;
	struct stash *stash;
	struct scratch *s;
	u64 capabilities = 0;

	task = readable(task);
	mm = TASK(task, mm);
	if ((has_plan || scope.used[APUS_SCOPE_TREE]) && (process = bpf_map_lookup_elem(&scope_processes, &pid)))
		process->pending = 0;
	if (has_containers)
		start_container();
	s = BEGIN_FOR_STATE(SCHED_PROCESS_EXEC, EXECUTING | PROGRAM_COMES);
	if (!s)
		return 0;
	append_path(s, FIELD_SCHED_PROCESS_EXEC_PATHNAME, &file->f_path);
	if (has_plan)
		take_new_program(s->self, pid);
	if (want_arguments || s->record.policies)
		append_run(s->self, FIELD_SCHED_PROCESS_EXEC_ARGV, READ(mm, arg_start), READ(mm, arg_end),
			   READ(bprm, argc));
	if (!s->record.policies)
		return FINISH_LIFECYCLE(s); /* the state stores need no more */
	append_string(s, FIELD_SCHED_PROCESS_EXEC_CMDPATH, READ(bprm, filename));
	set_inode(s, FIELD_SCHED_PROCESS_EXEC_DEV, READ(file, f_inode));
	set_value(s, FIELD_SCHED_PROCESS_EXEC_INODE_MODE, READ(file, f_inode, i_mode));
	interpreter = elf_interpreter(s, mm);
	if (interpreter) {
		append_path(s, FIELD_SCHED_PROCESS_EXEC_INTERPRETER_PATHNAME, &interpreter->f_path);
		set_inode(s, FIELD_SCHED_PROCESS_EXEC_INTERPRETER_DEV, READ(interpreter, f_inode));
	}
	append_string(s, FIELD_SCHED_PROCESS_EXEC_INTERP, READ(bprm, interp));
	append_standard_input(s, task, FIELD_SCHED_PROCESS_EXEC_STDIN_TYPE, FIELD_SCHED_PROCESS_EXEC_STDIN_PATH);
	set_value(s, FIELD_SCHED_PROCESS_EXEC_INVOKED_FROM_KERNEL, !!(TASK(task, real_parent, flags) & PF_KTHREAD));
	stash = stash_of_current(false);
	if (stash)
		append_string(s, FIELD_SCHED_PROCESS_EXEC_PREV_COMM, stash->previous_comm);
	if (want_environment)
		append_run(s->self, FIELD_SCHED_PROCESS_EXEC_ENV, READ(mm, env_start), READ(mm, env_end),
			   READ(bprm, envc));
	append_path(s, FIELD_SCHED_PROCESS_EXEC_PWD, &TASK(task, fs)->pwd);
	cred = TASK(task, cred);
	bpf_core_read(&capabilities, sizeof(capabilities), &cred->cap_permitted);
	set_value(s, FIELD_SCHED_PROCESS_EXEC_CAPABILITIES, capabilities);
	set_value(s, FIELD_SCHED_PROCESS_EXEC_LINKS, READ(file, f_inode, i_nlink));
	return FINISH_LIFECYCLE(s);
}

/* finalize_exec(struct linux_binprm *bprm), fs/exec.c, 5.10 to 7.2: the last that the loader of a format does before
 * the new image starts; nothing fails behind it. */
OR_ON_ENTRY(sched_process_exec, finalize_exec, struct linux_binprm *bprm)
{
	return sched_process_exec_body(ctx, own_task(), 0, bprm);
}

/* ---- sched_process_exit: TP_PROTO(struct task_struct *p), since 6.16 also bool group_dead,
 * include/trace/events/sched.h. Without it the last thread is told by the number of live ones, which
 * has been counted down already: two that end at the same moment may both be told to be the last. */

ON_TRACEPOINT(sched_process_exit, sched_process_exit, struct task_struct *ending)
{
	struct task_struct *task = current_task();
	u64 key = bpf_get_current_task();
	struct stash *stash;
	struct scratch *s;
	bool last;
	u32 code;

	if (has_group_dead)
		last = ctx[1] & 1;
	else
		last = TASK(task, signal, live.counter) == 0;
	code = TASK(task, exit_code);
	s = last ? BEGIN_FOR_STATE(SCHED_PROCESS_EXIT, 0) : BEGIN(SCHED_PROCESS_EXIT);
	stash = stash_of_current(false);
	if (stash && stash->spilled)
		bpf_map_delete_elem(&spills, &key); /* it died in a call */
	if (!HAS_HELPER(task_storage_get))
		bpf_map_delete_elem(&stash_table, &key);
	if (!s)
		return 0;
	set_value(s, FIELD_SCHED_PROCESS_EXIT_EXIT_CODE, (code >> 8) & 0xff);
	set_value(s, FIELD_SCHED_PROCESS_EXIT_SIGNAL_CODE, code & 0x7f);
	set_value(s, FIELD_SCHED_PROCESS_EXIT_PROCESS_GROUP_EXIT, last);
	return FINISH_LIFECYCLE(s);
}

/* taskstats_exit(struct task_struct *tsk, int group_dead), kernel/taskstats.c, 5.10 to 7.2: do_exit() calls it in front of
 * the tracepoint, with the same arguments. */
OR_ON_ENTRY(sched_process_exit, taskstats_exit, struct task_struct *ending)
{
	return sched_process_exit_body(ctx, ending);
}

/* ---- sched_process_free: TP_PROTO(struct task_struct *p), include/trace/events/sched.h, 5.10 to
 * 6.18. No event: a process leaves its trees here, when nothing of it can happen any more. At its exit
 * another of its threads may still have to report its own. Its number may be in use again, and be given out between the
 * look and the deletion: then what was deleted is the new one's, and is put back. */

ON_TRACEPOINT(sched_process_free, sched_process_free, struct task_struct *task)
{
	struct apus_process *process, *heir;
	u64 start;
	u32 pid;

	task = readable(task);
	pid = TASK(task, tgid);
	if (TASK(task, pid) != pid)
		return 0;
	start = TASK(task, start_boottime);
	process = bpf_map_lookup_elem(&scope_processes, &pid);
	if (process && (!process->start || process->start == start)) {
		bpf_map_delete_elem(&scope_processes, &pid);
		heir = bpf_map_lookup_elem(&scope_heirs, &pid);
		if (heir && heir->start != start)
			bpf_map_update_elem(&scope_processes, &pid, heir, BPF_NOEXIST);
	}
	bpf_map_delete_elem(&scope_heirs, &pid);
	return 0;
}

/* ---- task_rename: TP_PROTO(struct task_struct *task, const char *comm),
 * include/trace/events/task.h, 5.10 to 6.18. task->comm is still the old name. An exec renames too,
 * which is how sched_process_exec knows the name before. */

ON_TRACEPOINT(task_rename, task_rename, struct task_struct *task, const char *comm)
{
	struct scratch *s;

	if (IS_WANTED(SCHED_PROCESS_EXEC) && TASK(task, pid) == (s32)bpf_get_current_pid_tgid()) {
		struct stash *stash = stash_of_current(true);
		if (stash)
			bpf_core_read_str(stash->previous_comm, sizeof(stash->previous_comm), &task->comm);
	}
	if (!IS_WANTED(TASK_RENAME))
		return 0;
	s = BEGIN(TASK_RENAME);
	if (!s)
		return 0;
	append_string(s, FIELD_TASK_RENAME_OLD_NAME, &task->comm);
	append_string(s, FIELD_TASK_RENAME_NEW_NAME, comm);
	return FINISH(s);
}

/* __set_task_comm(struct task_struct *tsk, const char *buf, bool exec), fs/exec.c, 5.10 to 7.2, begins with the
 * tracepoint. */
OR_ON_ENTRY(task_rename, __set_task_comm, struct task_struct *task, const char *comm)
{
	return task_rename_body(ctx, readable(task), comm);
}

#endif
