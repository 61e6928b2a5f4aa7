/* Processes at work: what they run and how they end. Their birth and death is in lifecycle.bpf.h. */
#ifndef APUS_PROCESSES_H
#define APUS_PROCESSES_H

/* TP_PROTO(bool preempt, struct task_struct *prev, struct task_struct *next), since 5.18 also unsigned int
 * prev_state: include/trace/events/sched.h, 5.10 to 7.2. The first 5.18 had prev_state before prev; there
 * `next` is the current task, and nothing is reported rather than something wrong. */
ON_TRACEPOINT(sched_switch, sched_switch, bool preempt, struct task_struct *previous, struct task_struct *next)
{
	struct task_struct *task = current_task();
	struct scratch *s;

	if ((u64)next == bpf_get_current_task())
		return 0;
	s = BEGIN(SCHED_SWITCH);
	if (!s)
		return 0;
	next = readable(next);
	set_value(s, FIELD_SCHED_SWITCH_CPU, bpf_get_smp_processor_id());
	set_value(s, FIELD_SCHED_SWITCH_PREV_TID, TASK(task, pid));
	append_string(s, FIELD_SCHED_SWITCH_PREV_COMM, &task->comm);
	set_value(s, FIELD_SCHED_SWITCH_NEXT_TID, TASK(next, pid));
	append_string(s, FIELD_SCHED_SWITCH_NEXT_COMM, &next->comm);
	return FINISH_BULK(s);
}

/* void do_exit(long code), kernel/exit.c, 5.10 to 7.2 */
ON_ENTRY(do_exit, do_exit, long code)
{
	struct scratch *s = BEGIN(DO_EXIT);

	if (!s)
		return 0;
	set_value(s, FIELD_DO_EXIT_RETURNVALUE, code);
	return FINISH(s);
}

/* ---- Namespaces: void switch_task_namespaces(struct task_struct *p, struct nsproxy *new),
 * kernel/nsproxy.c, 5.10 to 7.2. From setns and unshare; a new process gets its own otherwise. A task that
 * ends has no new ones. */

#define CHANGED_NS(member)                                                                                 \
	(READ(new, member, ns.inum) == READ(old, member, ns.inum) ? 0 : READ(new, member, ns.inum))

ON_ENTRY(switch_task_ns, switch_task_namespaces, struct task_struct *task, struct nsproxy *new)
{
	u32 mnt, pid, uts, ipc, net, cgroup;
	struct nsproxy *old;
	struct scratch *s;

	if (!new)
		return 0;
	old = READ(task, nsproxy);
	mnt = CHANGED_NS(mnt_ns);
	pid = CHANGED_NS(pid_ns_for_children);
	uts = CHANGED_NS(uts_ns);
	ipc = CHANGED_NS(ipc_ns);
	net = CHANGED_NS(net_ns);
	cgroup = CHANGED_NS(cgroup_ns);
	if (!(mnt | pid | uts | ipc | net | cgroup))
		return 0;
	s = BEGIN(SWITCH_TASK_NS);
	if (!s)
		return 0;
	set_value(s, FIELD_SWITCH_TASK_NS_PID, READ(task, pid));
	set_value(s, FIELD_SWITCH_TASK_NS_NEW_MNT, mnt);
	set_value(s, FIELD_SWITCH_TASK_NS_NEW_PID, pid);
	set_value(s, FIELD_SWITCH_TASK_NS_NEW_UTS, uts);
	set_value(s, FIELD_SWITCH_TASK_NS_NEW_IPC, ipc);
	set_value(s, FIELD_SWITCH_TASK_NS_NEW_NET, net);
	set_value(s, FIELD_SWITCH_TASK_NS_NEW_CGROUP, cgroup);
	return FINISH(s);
}

/* ---- Signal handlers: int do_sigaction(int sig, struct k_sigaction *act, struct k_sigaction *oact),
 * kernel/signal.c, 5.10 to 7.2. `act` is the kernel's copy. */

#define SIG_IGN 1 /* SIG_DFL is 0, anything else an address */

static __always_inline void set_sigaction(struct scratch *s, u32 flags, struct k_sigaction *action)
{
	u64 handler = (u64)READ(action, sa.sa_handler);

	set_value(s, flags, READ(action, sa.sa_flags));
	set_value(s, flags + 1, READ(action, sa.sa_mask.sig[0]));
	set_value(s, flags + 2, handler > SIG_IGN ? 2 : handler);
	set_value(s, flags + 3, handler > SIG_IGN ? handler : 0);
}

ON_ENTRY(do_sigaction, do_sigaction, int sig, struct k_sigaction *new, struct k_sigaction *old)
{
	struct task_struct *task = current_task();
	struct scratch *s = BEGIN(DO_SIGACTION);
	struct k_sigaction *present;

	if (!s)
		return 0;
	set_value(s, FIELD_DO_SIGACTION_SIG, sig);
	set_value(s, FIELD_DO_SIGACTION_IS_SA_INITIALIZED, new != NULL);
	if (new)
		set_sigaction(s, FIELD_DO_SIGACTION_SA_FLAGS, new);
	set_value(s, FIELD_DO_SIGACTION_IS_OLD_SA_INITIALIZED, old != NULL);
	if (sig >= 1 && sig <= 64) {
		/* Read as a number: a typed pointer takes no variable offset before 6.2. */
		present = (void *)BPF_CORE_READ(task, sighand) + bpf_core_field_offset(struct sighand_struct, action) +
			  (sig - 1) * bpf_core_type_size(struct k_sigaction);
		set_sigaction(s, FIELD_DO_SIGACTION_OLD_SA_FLAGS, present);
	}
	return FINISH(s);
}

/* int security_task_setrlimit(struct task_struct *p, unsigned int resource, struct rlimit *new_rlim),
 * security/security.c, 5.10 to 7.2 */
ON_ENTRY(security_task_setrlimit, security_task_setrlimit, struct task_struct *task, u32 resource,
	 struct rlimit *limit)
{
	struct scratch *s = BEGIN(SECURITY_TASK_SETRLIMIT);

	if (!s)
		return 0;
	set_value(s, FIELD_SECURITY_TASK_SETRLIMIT_TARGET_HOST_PID, READ(task, tgid));
	set_value(s, FIELD_SECURITY_TASK_SETRLIMIT_RESOURCE, resource);
	set_value(s, FIELD_SECURITY_TASK_SETRLIMIT_NEW_RLIM_CUR, READ(limit, rlim_cur));
	set_value(s, FIELD_SECURITY_TASK_SETRLIMIT_NEW_RLIM_MAX, READ(limit, rlim_max));
	return FINISH(s);
}

/* int security_settime64(const struct timespec64 *ts, const struct timezone *tz), security/security.c,
 * 5.10 to 7.2. Either may be null. */
ON_ENTRY(security_settime64, security_settime64, struct timespec64 *time, struct timezone *zone)
{
	struct scratch *s = BEGIN(SECURITY_SETTIME64);

	if (!s)
		return 0;
	if (time) {
		set_value(s, FIELD_SECURITY_SETTIME64_TV_SEC, READ(time, tv_sec));
		set_value(s, FIELD_SECURITY_SETTIME64_TV_NSEC, READ(time, tv_nsec));
	}
	if (zone) {
		set_value(s, FIELD_SECURITY_SETTIME64_TZ_MINUTESWEST, READ(zone, tz_minuteswest));
		set_value(s, FIELD_SECURITY_SETTIME64_TZ_DSTTIME, READ(zone, tz_dsttime));
	}
	return FINISH(s);
}

/* ---- Programs that are run ---- */

/* int security_bprm_check(struct linux_binprm *bprm), security/security.c, 5.10 to 7.2. The copied
 * arguments lie in pages of the new memory, which is not in use yet: they are read where the caller has
 * them. */
ON_ENTRY(security_bprm_check, security_bprm_check, struct linux_binprm *bprm)
{
	struct scratch *s = BEGIN(SECURITY_BPRM_CHECK);
	struct exec_call call;
	struct file *file;

	if (!s)
		return 0;
	file = READ(bprm, file);
	append_path(s, FIELD_SECURITY_BPRM_CHECK_PATHNAME, &file->f_path);
	set_value(s, FIELD_SECURITY_BPRM_CHECK_DEV, inode_device(READ(file, f_inode)));
	set_value(s, FIELD_SECURITY_BPRM_CHECK_INODE, READ(file, f_inode, i_ino));
	if (exec_in_progress(s, &call)) {
		append_user_strings(s, FIELD_SECURITY_BPRM_CHECK_ARGV, call.argv);
		append_user_strings(s, FIELD_SECURITY_BPRM_CHECK_ENVP, call.envp);
	}
	return FINISH(s);
}

/* struct elf_phdr *load_elf_phdrs(const struct elfhdr *elf_ex, struct file *elf_file), fs/binfmt_elf.c, and
 * again for 32-bit programs, included by fs/compat_binfmt_elf.c: 5.10 to 7.2, since 6.12 without BTF. */
ON_ENTRY(load_elf_phdrs, load_elf_phdrs, void *header, struct file *file)
{
	struct scratch *s = BEGIN(LOAD_ELF_PHDRS);

	if (!s)
		return 0;
	append_path(s, FIELD_LOAD_ELF_PHDRS_PATHNAME, &file->f_path);
	set_value(s, FIELD_LOAD_ELF_PHDRS_DEV, inode_device(READ(file, f_inode)));
	set_value(s, FIELD_LOAD_ELF_PHDRS_INODE, READ(file, f_inode, i_ino));
	return FINISH(s);
}

/* int call_usermodehelper_exec(struct subprocess_info *sub_info, int wait), kernel/umh.c, 5.10 to 7.2.
 * call_usermodehelper() ends here too, as does who prepares the call with call_usermodehelper_setup(). */
ON_ENTRY(call_usermodehelper, call_usermodehelper_exec, struct subprocess_info *info, int wait)
{
	struct scratch *s = BEGIN(CALL_USERMODEHELPER);

	if (!s)
		return 0;
	append_string(s, FIELD_CALL_USERMODEHELPER_PATHNAME, READ(info, path));
	append_kernel_strings(s, FIELD_CALL_USERMODEHELPER_ARGV, READ(info, argv));
	append_kernel_strings(s, FIELD_CALL_USERMODEHELPER_ENVP, READ(info, envp));
	set_value(s, FIELD_CALL_USERMODEHELPER_WAIT, wait);
	return FINISH(s);
}

/* ---- Failed executions ---- */

/* The file that an execve in progress is for. When it fails, a script's has given way to its
 * interpreter's; the kernel releases it on the way back to user space at the earliest. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1024);
	__type(key, u64); /* task */
	__type(value, u64);
} executables SEC(".maps");

/* int security_bprm_creds_for_exec(struct linux_binprm *bprm), security/security.c, 5.10 to 7.2. Once for
 * each execve, after its file was opened. */
ON_ENTRY(exec_identified, security_bprm_creds_for_exec, struct linux_binprm *bprm)
{
	u64 task = bpf_get_current_task(), file = (u64)READ(bprm, file);

	bpf_map_update_elem(&executables, &task, &file, BPF_ANY);
	return 0;
}

static __always_inline int execute_failed(struct linux_binprm *bprm, s64 ret)
{
	struct exec_call call = {.dirfd = AT_FDCWD};
	struct task_struct *task = current_task();
	u64 key = bpf_get_current_task(), *kept;
	struct file *file;
	struct scratch *s;
	bool kernel;

	kept = bpf_map_lookup_elem(&executables, &key);
	file = kept ? (struct file *)*kept : NULL;
	if (kept)
		bpf_map_delete_elem(&executables, &key);
	if ((s32)ret >= 0)
		return 0;
	if (!file)
		file = READ(bprm, file); /* null where it was not even opened */
	if (!file)
		return 0;
	s = BEGIN(PROCESS_EXECUTE_FAILED);
	if (!s)
		return 0;
	exec_in_progress(s, &call);
	set_value(s, FIELD_PROCESS_EXECUTE_FAILED_DIRFD, call.dirfd);
	set_value(s, FIELD_PROCESS_EXECUTE_FAILED_FLAGS, call.flags);
	append_string(s, FIELD_PROCESS_EXECUTE_FAILED_PATHNAME, READ(bprm, filename));
	append_path(s, FIELD_PROCESS_EXECUTE_FAILED_BINARY_PATH, &file->f_path);
	set_inode(s, FIELD_PROCESS_EXECUTE_FAILED_BINARY_DEVICE_ID, READ(file, f_inode));
	set_value(s, FIELD_PROCESS_EXECUTE_FAILED_BINARY_INODE_MODE, READ(file, f_inode, i_mode));
	append_string(s, FIELD_PROCESS_EXECUTE_FAILED_INTERPRETER_PATH, READ(bprm, interp));
	append_standard_input(s, task, FIELD_PROCESS_EXECUTE_FAILED_STDIN_TYPE,
			      FIELD_PROCESS_EXECUTE_FAILED_STDIN_PATH);
	/* A helper that has run nothing yet is a kernel thread itself before 5.19. */
	kernel = (TASK(task, flags) | TASK(task, real_parent, flags)) & PF_KTHREAD;
	set_value(s, FIELD_PROCESS_EXECUTE_FAILED_KERNEL_INVOKED, kernel);
	if (READ(bprm, mm)) { /* else it is in use, and the caller's memory gone */
		append_user_strings(s, FIELD_PROCESS_EXECUTE_FAILED_ARGV, call.argv);
		append_user_strings(s, FIELD_PROCESS_EXECUTE_FAILED_ENVP, call.envp);
	}
	set_value(s, FIELD_PROCESS_EXECUTE_FAILED_RETURNVALUE, (s32)ret);
	return FINISH(s);
}

/* int bprm_execve(struct linux_binprm *bprm), fs/exec.c, 6.8 to 7.2 */
ON_EXIT(process_execute_failed, bprm_execve, struct linux_binprm *bprm, s64 ret)
{
	return execute_failed(bprm, ret);
}

/* int bprm_execve(struct linux_binprm *bprm, int fd, struct filename *filename, int flags), fs/exec.c,
 * 5.10 to 6.7 */
ON_EXIT(process_execute_failed_5_10, bprm_execve, struct linux_binprm *bprm, int fd, void *filename, int flags,
	s64 ret)
{
	return execute_failed(bprm, ret);
}

#endif
