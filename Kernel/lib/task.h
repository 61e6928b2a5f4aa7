/* Who is acting: the identity of the current task, and the system call it is in. */
#ifndef APUS_TASK_H
#define APUS_TASK_H

#define PF_KTHREAD 0x00200000      /* include/linux/sched.h */
#define PF_USER_WORKER 0x00004000  /* a thread that the kernel made, with a process's memory (since 6.4) */
#define PF_IO_WORKER 0x00000010    /* a thread of io_uring, whose registers are its creator's */
#define TS_COMPAT 0x0002           /* arch/x86/include/asm/thread_info.h */
#define THREAD_SIZE 16384          /* arch/x86/include/asm/page_64_types.h, without KASAN */
#define X32_BIT 0x40000000         /* __X32_SYSCALL_BIT */
/* Numbers of execve and execveat: arch/x86/entry/syscalls/syscall_{64,32}.tbl */
#define SYS_EXECVE 59
#define SYS_EXECVEAT 322
#define SYS_EXECVE_COMPAT 11
#define SYS_EXECVEAT_COMPAT 358
#define INITIAL_PID_NS 0xEFFFFFFCU /* PROC_PID_INIT_INO, include/linux/proc_ns.h */

/* Whether a function returned an error: a negative number, also in place of a pointer or an address
 * (IS_ERR_VALUE and MAX_ERRNO, include/linux/err.h). */
#define IS_ERROR(value) ((u64)(value) >= (u64)-4095)

#define HAS_HELPER(name) bpf_core_enum_value_exists(enum bpf_func_id, BPF_FUNC_##name)

extern void *bpf_rdonly_cast(const void *object, u32 type) __ksym __weak; /* since 6.2 */

/* READ(object, a, b) is object->a->b for any kernel object. Since 6.2 each step is one load that
 * cannot fault; before, it is a helper call. */
#define AS_READABLE(p) ((__typeof__(p))bpf_rdonly_cast((p), bpf_core_type_id_kernel(__typeof__(*(p)))))
#define READ(p, ...)                                                                                       \
	(has_rdonly_cast ? ___arrow(AS_READABLE(p), __VA_ARGS__) : BPF_CORE_READ(p, __VA_ARGS__))

/* TASK(task, a, b) is the same for a task from current_task(), which takes plain loads since 5.11. */
#define TASK(p, ...)                                                                                       \
	(HAS_HELPER(get_current_task_btf) ? ___arrow(p, __VA_ARGS__) : BPF_CORE_READ(p, __VA_ARGS__))

/* A task to read from. Since 6.2 the verifier searches all kernel types, a millisecond each time, for
 * every step from a trusted pointer, to learn whether the next is trusted too. Nobody needs that
 * here, and it would be most of the time that loading takes, so the trust is cast away. */
static __always_inline struct task_struct *readable(struct task_struct *task)
{
	return has_rdonly_cast ? AS_READABLE(task) : task;
}

/* The current task, for the helpers that want a trusted one. */
#define CURRENT ((void *)bpf_get_current_task_btf())

/* The current task, trusted where it can be. A load through a pointer that may fault takes the processor
 * some ten instructions, one through this pointer one; so it is for what every record needs. */
static __always_inline struct task_struct *own_task(void)
{
	if (HAS_HELPER(get_current_task_btf))
		return (struct task_struct *)bpf_get_current_task_btf();
	return (struct task_struct *)bpf_get_current_task();
}

/* The current task, to read from. */
static __always_inline struct task_struct *current_task(void)
{
	return HAS_HELPER(get_current_task_btf) ? readable(own_task()) : own_task();
}

/* The number of a task in its own pid namespace, and that namespace. */
static __always_inline void namespaced(struct task_struct *task, u32 host_number, u32 *number, u32 *ns)
{
	u32 level = TASK(task, thread_pid, level);
	struct pid *pid;
	struct upid own = {};

	*number = host_number;
	*ns = INITIAL_PID_NS;
	if (level == 0)
		return;
	/* Read as a number: a typed pointer takes no variable offset before 6.2. */
	pid = BPF_CORE_READ(task, thread_pid);
	bpf_probe_read_kernel(&own, sizeof(own), (void *)&pid->numbers + level * bpf_core_type_size(struct upid));
	*number = own.nr;
	*ns = BPF_CORE_READ(own.ns, ns.inum);
}

static __always_inline bool in_compat_syscall(struct task_struct *task)
{
	return TASK(task, thread_info.status) & TS_COMPAT;
}

/* The registers with which the current task left user space. Before 5.15 they are found as
 * task_pt_regs() does (arch/x86/include/asm/processor.h), and only readable by a helper. */
static __always_inline struct pt_regs *user_registers(struct task_struct *task)
{
	if (HAS_HELPER(task_pt_regs))
		return (struct pt_regs *)bpf_task_pt_regs(CURRENT);
	return (struct pt_regs *)(BPF_CORE_READ(task, stack) + THREAD_SIZE) - 1;
}

/* One of them. */
#define REGISTER(regs, name) (HAS_HELPER(task_pt_regs) ? (regs)->name : BPF_CORE_READ(regs, name))

/* The system call that the current task is in, or -1. `own` is from own_task(). */
static __always_inline s32 own_syscall(struct task_struct *own)
{
	struct pt_regs *regs;

	if (TASK(own, flags) & (PF_KTHREAD | PF_IO_WORKER))
		return -1;
	regs = HAS_HELPER(task_pt_regs) ? (struct pt_regs *)bpf_task_pt_regs(own) : user_registers(own);
	return (s32)REGISTER(regs, orig_ax);
}

static __always_inline s32 current_syscall(void)
{
	return own_syscall(own_task());
}

/* Which of css_set's states is the controller's: the kernel's configuration numbers them (include/linux/cgroup_subsys.h). */
static __always_inline u32 legacy_subsystem(void)
{
	switch (legacy_controller) {
	case APUS_LEGACY_MEMORY:
		return bpf_core_enum_value(enum cgroup_subsys_id, memory_cgrp_id);
	case APUS_LEGACY_CPU:
		return bpf_core_enum_value(enum cgroup_subsys_id, cpu_cgrp_id);
	default:
		return bpf_core_enum_value(enum cgroup_subsys_id, pids_cgrp_id);
	}
}

static __always_inline u64 legacy_control_group(struct task_struct *task)
{
	struct css_set *set = BPF_CORE_READ(task, cgroups);
	struct cgroup_subsys_state *state = NULL;

	/* Read as a number: a typed pointer takes no variable offset. */
	bpf_probe_read_kernel(&state, sizeof(state), (void *)&set->subsys + legacy_subsystem() * sizeof(state));
	return BPF_CORE_READ(state, cgroup, kn, id);
}

/* The id of a task's control group: in version 2's hierarchy, or in the one of version 1 that stands for it. */
static __always_inline u64 control_group(struct task_struct *task)
{
	return legacy_controller ? legacy_control_group(task) : TASK(task, cgroups, dfl_cgrp, kn, id);
}

static __always_inline u64 current_control_group(void)
{
	if (HAS_HELPER(get_current_task_btf) && !legacy_controller)
		return bpf_get_current_cgroup_id();
	return control_group(own_task());
}

/* `own` is from own_task(). */
static __always_inline void fill_identity(struct apus_record *r, struct task_struct *own, s32 syscall, bool compat)
{
	struct task_struct *task = HAS_HELPER(get_current_task_btf) ? readable(own) : own;
	struct task_struct *leader = TASK(task, group_leader);
	struct task_struct *parent = TASK(task, real_parent, group_leader);
	u32 tid = TASK(own, pid), pid = TASK(own, tgid), ppid = TASK(parent, tgid), ignored;
	u64 start = TASK(own, start_boottime);

	r->time = bpf_ktime_get_boot_ns();
	r->cgroup_id = current_control_group();
	r->thread_start = start;
	r->process_start = tid == pid ? start : TASK(leader, start_boottime);
	r->parent_start = TASK(parent, start_boottime);
	r->host_tid = r->tid = tid;
	r->host_pid = r->pid = pid;
	r->host_ppid = r->ppid = ppid;
	r->uid = TASK(task, cred, uid.val);
	r->mount_ns = TASK(task, nsproxy, mnt_ns, ns.inum);
	r->pid_ns = INITIAL_PID_NS;
	/* In the initial pid namespace, so is its parent, and the numbers are the host's. */
	if (TASK(task, thread_pid, level)) {
		namespaced(task, tid, &r->tid, &r->pid_ns);
		namespaced(leader, pid, &r->pid, &ignored);
		namespaced(parent, ppid, &r->ppid, &ignored);
	}
	r->syscall = syscall;
	r->cpu = bpf_get_smp_processor_id();
	r->flags = compat ? APUS_RECORD_COMPAT : 0;
	if (HAS_HELPER(get_current_task_btf)) {
		((u64 *)r->comm)[0] = ((u64 *)own->comm)[0];
		((u64 *)r->comm)[1] = ((u64 *)own->comm)[1];
	} else {
		bpf_get_current_comm(r->comm, sizeof(r->comm));
	}
}

/* ---- The stash: what the current task's system call in progress was given ---- */

/* The current task's, or null where it has none; `create` makes one. */
static __always_inline struct stash *stash_of_current(bool create)
{
	u64 key = bpf_get_current_task();
	struct stash *stash;
	u32 zero = 0;

	if (HAS_HELPER(task_storage_get))
		return bpf_task_storage_get(&stashes, CURRENT, 0, create ? BPF_LOCAL_STORAGE_GET_F_CREATE : 0);
	stash = bpf_map_lookup_elem(&stash_table, &key);
	if (stash || !create)
		return stash;
	/* The kernel copies a whole value in; that of no task is always there and always empty. */
	stash = bpf_map_lookup_elem(&empty_stash, &zero);
	if (!stash)
		return NULL;
	bpf_map_update_elem(&stash_table, &key, stash, BPF_NOEXIST);
	return bpf_map_lookup_elem(&stash_table, &key);
}

#endif
