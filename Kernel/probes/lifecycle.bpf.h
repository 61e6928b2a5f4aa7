/* Processes: fork, exec, exit, rename. These feed the state stores too, so fork, exec and exit are
 * always attached, and go to the lifecycle ring; a record that no policy asked for carries none. */
#ifndef APUS_LIFECYCLE_H
#define APUS_LIFECYCLE_H

/* ---- sched_process_fork: TP_PROTO(struct task_struct *parent, struct task_struct *child),
 * include/trace/events/sched.h, 5.10 to 6.18. The child does not run yet. */

static __always_inline void set_task(struct scratch *s, u32 first, struct task_struct *task)
{
	u32 tid, pid, ns, host_tid = READ1(task, pid), host_pid = READ1(task, tgid);

	namespaced(task, host_tid, &tid, &ns);
	namespaced(READ1(task, group_leader), host_pid, &pid, &ns);
	set_value(s, first, host_tid);
	set_value(s, first + 1, tid);
	set_value(s, first + 2, host_pid);
	set_value(s, first + 3, pid);
	set_value(s, first + 4, READ1(task, start_boottime));
}

static __always_inline void inherit_tree(u32 parent, u32 child, u64 start)
{
	struct apus_tree_value *value;

	if (!tree_used || parent == child)
		return;
	value = bpf_map_lookup_elem(&scope_tree, &parent);
	if (value) {
		struct apus_tree_value copy = *value;
		copy.pending = 0;
		copy.start = start;
		if (bpf_map_update_elem(&scope_tree, &child, &copy, BPF_ANY))
			count(APUS_COUNTER_TREE_FULL, COUNT_LOST);
	}
}

SEC("tp_btf/sched_process_fork")
int BPF_PROG(sched_process_fork, struct task_struct *parent, struct task_struct *child)
{
	struct scratch *s;

	inherit_tree(READ1(parent, tgid), READ1(child, tgid), READ1(child, start_boottime));
	s = begin(current_task(), EVENT_SCHED_PROCESS_FORK, INDEX_SCHED_PROCESS_FORK, FIELDS_SCHED_PROCESS_FORK, true,
		  false);
	if (!s)
		return 0;
	parent = readable(parent);
	child = readable(child);
	set_task(s, FIELD_SCHED_PROCESS_FORK_PARENT_TID, parent);
	set_task(s, FIELD_SCHED_PROCESS_FORK_CHILD_TID, child);
	set_task(s, FIELD_SCHED_PROCESS_FORK_PARENT_PROCESS_TID, READ2(child, real_parent, group_leader));
	set_task(s, FIELD_SCHED_PROCESS_FORK_LEADER_TID, READ1(child, group_leader));
	submit(&lifecycle, s, INDEX_SCHED_PROCESS_FORK, FIELDS_SCHED_PROCESS_FORK * 8);
	return 0;
}

/* ---- sched_process_exec: TP_PROTO(struct task_struct *p, pid_t old_pid, struct linux_binprm *bprm),
 * include/trace/events/sched.h, 5.10 to 6.18. The new image is mapped; nothing of it has run. */

#define S_IFMT 0170000
#define AT_NULL 0
#define AT_BASE 7 /* include/uapi/linux/auxvec.h: where the ELF interpreter was mapped */

struct interpreter {
	struct file *file;
};

static long take_file(struct task_struct *task, struct vm_area_struct *vma, struct interpreter *found)
{
	found->file = BPF_CORE_READ(vma, vm_file);
	return 0;
}

/* The ELF interpreter is what is mapped at AT_BASE: the kernel keeps no other trace of it. */
static __always_inline struct file *elf_interpreter(struct task_struct *task)
{
	struct interpreter found = {};
	u64 base = 0;

	if (!bpf_core_enum_value_exists(enum bpf_func_id, BPF_FUNC_find_vma))
		return NULL;
	for (u32 i = 0; i < 26; i++) {
		unsigned long entry[2] = {};
		bpf_core_read(entry, sizeof(entry), &task->mm->saved_auxv[i * 2]);
		if (entry[0] == AT_NULL)
			break;
		if (entry[0] == AT_BASE) {
			base = entry[1];
			break;
		}
	}
	if (base)
		bpf_find_vma(CURRENT, base, take_file, &found, 0);
	return found.file;
}

static __always_inline void set_inode(struct scratch *s, u32 dev, struct inode *inode)
{
	set_value(s, dev, BPF_CORE_READ(inode, i_sb, s_dev));
	set_value(s, dev + 1, BPF_CORE_READ(inode, i_ino));
	set_value(s, dev + 2, inode_ctime(inode));
}

/* Appends a run of NUL-terminated strings of the new image: its arguments or its environment. */
static __always_inline u32 append_strings(struct scratch *s, u32 offset, u32 field, u64 from, u64 to, u32 elements)
{
	u64 length = to - from;
	u32 flags = 0;

	/* Barriers keep the bounds on the registers that are used, for the 6.1 verifier. */
	offset = OFFSET(offset);
	barrier_var(offset);
	if (offset > APUS_RECORD_DATA - APUS_MAX_ARRAY - 16 || to <= from)
		return offset;
	if (length >= APUS_MAX_ARRAY) {
		length = APUS_MAX_ARRAY - 1;
		flags = APUS_BLOB_TRUNCATED;
	}
	barrier_var(length);
	length &= APUS_MAX_ARRAY - 1;
	if (bpf_probe_read_user(&s->data[offset + sizeof(struct apus_blob)], length, (void *)from))
		return offset;
	return close_blob(s, offset, field, flags, elements, length);
}

SEC("tp_btf/sched_process_exec")
int BPF_PROG(sched_process_exec, struct task_struct *task, s32 old_pid, struct linux_binprm *bprm)
{
	u32 offset = FIELDS_SCHED_PROCESS_EXEC * 8, pid = bpf_get_current_pid_tgid() >> 32;
	struct file *file = BPF_CORE_READ(bprm, file), *interpreter, *standard_input = NULL;
	struct mm_struct *mm = BPF_CORE_READ(task, mm);
	struct apus_tree_value *tree;
	struct stash *stash;
	struct scratch *s;
	struct file **fds;

	task = readable(task);
	if (tree_used && (tree = bpf_map_lookup_elem(&scope_tree, &pid)))
		tree->pending = 0;
	s = begin(current_task(), EVENT_SCHED_PROCESS_EXEC, INDEX_SCHED_PROCESS_EXEC, FIELDS_SCHED_PROCESS_EXEC, true,
		  true);
	if (!s)
		return 0;
	for (u32 i = 0; i < FIELDS_SCHED_PROCESS_EXEC; i++)
		set_value(s, i, 0);
	offset = append_path((u64)&file->f_path, offset, FIELD_SCHED_PROCESS_EXEC_PATHNAME);
	if (offset > APUS_RECORD_DATA)
		return 0;
	if (!s->record.policies)
		goto submit; /* the state stores need no more */
	offset = append_kernel_string(s, offset, FIELD_SCHED_PROCESS_EXEC_CMDPATH, BPF_CORE_READ(bprm, filename));
	set_inode(s, FIELD_SCHED_PROCESS_EXEC_DEV, BPF_CORE_READ(file, f_inode));
	set_value(s, FIELD_SCHED_PROCESS_EXEC_INODE_MODE, BPF_CORE_READ(file, f_inode, i_mode));
	interpreter = elf_interpreter(task);
	if (interpreter) {
		offset = append_path((u64)&interpreter->f_path, offset,
				     FIELD_SCHED_PROCESS_EXEC_INTERPRETER_PATHNAME);
		set_inode(s, FIELD_SCHED_PROCESS_EXEC_INTERPRETER_DEV, BPF_CORE_READ(interpreter, f_inode));
	}
	offset = append_strings(s, offset, FIELD_SCHED_PROCESS_EXEC_ARGV, BPF_CORE_READ(mm, arg_start),
				BPF_CORE_READ(mm, arg_end), BPF_CORE_READ(bprm, argc));
	offset = append_kernel_string(s, offset, FIELD_SCHED_PROCESS_EXEC_INTERP, BPF_CORE_READ(bprm, interp));
	fds = BPF_CORE_READ(task, files, fdt, fd);
	bpf_probe_read_kernel(&standard_input, sizeof(standard_input), fds);
	if (standard_input) {
		set_value(s, FIELD_SCHED_PROCESS_EXEC_STDIN_TYPE, BPF_CORE_READ(standard_input, f_inode, i_mode) & S_IFMT);
		offset = append_path((u64)&standard_input->f_path, offset,
				     FIELD_SCHED_PROCESS_EXEC_STDIN_PATH);
	}
	set_value(s, FIELD_SCHED_PROCESS_EXEC_INVOKED_FROM_KERNEL, !!(READ2(task, real_parent, flags) & PF_KTHREAD));
	stash = bpf_task_storage_get(&stashes, CURRENT, 0, 0);
	if (stash)
		offset = append_kernel_string(s, offset, FIELD_SCHED_PROCESS_EXEC_PREV_COMM, stash->previous_comm);
	if (want_environment)
		offset = append_strings(s, offset, FIELD_SCHED_PROCESS_EXEC_ENV, BPF_CORE_READ(mm, env_start),
					BPF_CORE_READ(mm, env_end), BPF_CORE_READ(bprm, envc));
	offset = append_path((u64)&BPF_CORE_READ(task, fs)->pwd, offset, FIELD_SCHED_PROCESS_EXEC_PWD);
submit:
	submit(&lifecycle, s, INDEX_SCHED_PROCESS_EXEC, offset);
	return 0;
}

/* ---- sched_process_exit: TP_PROTO(struct task_struct *p), since 6.16 also bool group_dead,
 * include/trace/events/sched.h. Without it the last thread is told by the number of live ones, which
 * has been counted down already: two that end at the same moment may both be told to be the last. */

SEC("tp_btf/sched_process_exit")
int sched_process_exit(u64 *context)
{
	struct task_struct *task = current_task();
	u64 key = bpf_get_current_task();
	struct stash *stash;
	struct scratch *s;
	bool last;
	u32 code;

	if (has_group_dead)
		last = context[1] & 1;
	else
		last = READ2(task, signal, live.counter) == 0;
	code = READ1(task, exit_code);
	s = begin(task, EVENT_SCHED_PROCESS_EXIT, INDEX_SCHED_PROCESS_EXIT, FIELDS_SCHED_PROCESS_EXIT, last, false);
	stash = bpf_task_storage_get(&stashes, CURRENT, 0, 0);
	if (stash && stash->spilled)
		bpf_map_delete_elem(&spills, &key); /* it died in a call */
	if (!s)
		return 0;
	set_value(s, FIELD_SCHED_PROCESS_EXIT_EXIT_CODE, (code >> 8) & 0xff);
	set_value(s, FIELD_SCHED_PROCESS_EXIT_SIGNAL_CODE, code & 0x7f);
	set_value(s, FIELD_SCHED_PROCESS_EXIT_PROCESS_GROUP_EXIT, last);
	submit(&lifecycle, s, INDEX_SCHED_PROCESS_EXIT, FIELDS_SCHED_PROCESS_EXIT * 8);
	return 0;
}

/* ---- sched_process_free: TP_PROTO(struct task_struct *p), include/trace/events/sched.h, 5.10 to
 * 6.18. No event: a process leaves its trees here, when nothing of it can happen any more. At its exit
 * another of its threads may still have to report its own. Its number may be in use again. */

SEC("tp_btf/sched_process_free")
int BPF_PROG(sched_process_free, struct task_struct *task)
{
	struct apus_tree_value *value;
	u32 pid;

	task = readable(task);
	pid = READ1(task, tgid);
	if (READ1(task, pid) != pid)
		return 0;
	value = bpf_map_lookup_elem(&scope_tree, &pid);
	if (value && (!value->start || value->start == READ1(task, start_boottime)))
		bpf_map_delete_elem(&scope_tree, &pid);
	return 0;
}

/* ---- task_rename: TP_PROTO(struct task_struct *task, const char *comm),
 * include/trace/events/task.h, 5.10 to 6.18. task->comm is still the old name. An exec renames too,
 * which is how sched_process_exec knows the name before. */

SEC("tp_btf/task_rename")
int BPF_PROG(task_rename, struct task_struct *task, const char *comm)
{
	u32 offset = FIELDS_TASK_RENAME * 8;
	struct scratch *s;

	if (wanted[INDEX_SCHED_PROCESS_EXEC] && READ1(task, pid) == (s32)bpf_get_current_pid_tgid()) {
		struct stash *stash = bpf_task_storage_get(&stashes, CURRENT, 0, BPF_LOCAL_STORAGE_GET_F_CREATE);
		if (stash)
			bpf_core_read_str(stash->previous_comm, sizeof(stash->previous_comm), &task->comm);
	}
	if (!wanted[INDEX_TASK_RENAME])
		return 0;
	s = begin(current_task(), EVENT_TASK_RENAME, INDEX_TASK_RENAME, FIELDS_TASK_RENAME, false, false);
	if (!s)
		return 0;
	set_value(s, 0, 0);
	set_value(s, 1, 0);
	offset = append_kernel_string(s, offset, FIELD_TASK_RENAME_OLD_NAME, &task->comm);
	offset = append_kernel_string(s, offset, FIELD_TASK_RENAME_NEW_NAME, comm);
	submit(bulk_ring(), s, INDEX_TASK_RENAME, offset);
	return 0;
}

#endif
