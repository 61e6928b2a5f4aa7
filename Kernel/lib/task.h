/* Who is acting: the identity of the current task, and the system call it is in. */
#ifndef APUS_TASK_H
#define APUS_TASK_H

#define PF_KTHREAD 0x00200000      /* include/linux/sched.h */
#define TS_COMPAT 0x0002           /* arch/x86/include/asm/thread_info.h */
#define X32_BIT 0x40000000         /* __X32_SYSCALL_BIT */
#define INITIAL_PID_NS 0xEFFFFFFCU /* PROC_PID_INIT_INO, include/linux/proc_ns.h */

/* With bpf_get_current_task_btf a field is one load; without it, a helper call for each step. */
#define DIRECT_TASK bpf_core_enum_value_exists(enum bpf_func_id, BPF_FUNC_get_current_task_btf)
#define READ1(p, a) (DIRECT_TASK ? (p)->a : BPF_CORE_READ(p, a))
#define READ2(p, a, b) (DIRECT_TASK ? (p)->a->b : BPF_CORE_READ(p, a, b))
#define READ3(p, a, b, c) (DIRECT_TASK ? (p)->a->b->c : BPF_CORE_READ(p, a, b, c))

extern void *bpf_rdonly_cast(const void *object, u32 type) __ksym __weak; /* since 6.2 */

/* A task to read from. Since 6.2 the verifier searches all kernel types, a millisecond each time, for
 * every step from a trusted pointer, to learn whether the next is trusted too. Nobody needs that
 * here, and it would be most of the time that loading takes, so the trust is cast away. */
static __always_inline struct task_struct *readable(struct task_struct *task)
{
	if (has_rdonly_cast)
		return bpf_rdonly_cast(task, bpf_core_type_id_kernel(struct task_struct));
	return task;
}

/* The current task, to read from. */
static __always_inline struct task_struct *current_task(void)
{
	if (DIRECT_TASK)
		return readable((struct task_struct *)bpf_get_current_task_btf());
	return (struct task_struct *)bpf_get_current_task();
}

/* The current task, for the helpers that want a trusted one. */
#define CURRENT ((void *)bpf_get_current_task_btf())

/* The number of a task in its own pid namespace, and that namespace. */
static __always_inline void namespaced(struct task_struct *task, u32 host_number, u32 *number, u32 *ns)
{
	u32 level = READ2(task, thread_pid, level);
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
	return READ1(task, thread_info.status) & TS_COMPAT;
}

/* The system call that the current task is in, or -1. */
static __always_inline s32 current_syscall(struct task_struct *task)
{
	if (READ1(task, flags) & PF_KTHREAD)
		return -1;
	if (bpf_core_enum_value_exists(enum bpf_func_id, BPF_FUNC_task_pt_regs)) {
		struct pt_regs *regs = (struct pt_regs *)bpf_task_pt_regs(CURRENT);
		return (s32)regs->orig_ax;
	}
	return -1;
}

static __always_inline void fill_identity(struct apus_record *r, struct task_struct *task, s32 syscall, bool compat)
{
	struct task_struct *leader = READ1(task, group_leader);
	struct task_struct *parent = READ2(task, real_parent, group_leader);
	u32 ignored;

	r->time = bpf_ktime_get_boot_ns();
	r->cgroup_id = DIRECT_TASK ? task->cgroups->dfl_cgrp->kn->id : BPF_CORE_READ(task, cgroups, dfl_cgrp, kn, id);
	r->thread_start = READ1(task, start_boottime);
	r->process_start = READ1(leader, start_boottime);
	r->parent_start = READ1(parent, start_boottime);
	r->host_tid = READ1(task, pid);
	r->host_pid = READ1(task, tgid);
	r->host_ppid = READ1(parent, tgid);
	r->uid = READ2(task, cred, uid.val);
	r->mount_ns = READ3(task, nsproxy, mnt_ns, ns.inum);
	namespaced(task, r->host_tid, &r->tid, &r->pid_ns);
	if (r->host_tid == r->host_pid)
		r->pid = r->tid;
	else
		namespaced(leader, r->host_pid, &r->pid, &ignored);
	namespaced(parent, r->host_ppid, &r->ppid, &ignored);
	r->syscall = syscall;
	r->cpu = bpf_get_smp_processor_id();
	r->flags = compat ? APUS_RECORD_COMPAT : 0;
	r->reserved = 0;
	bpf_get_current_comm(r->comm, sizeof(r->comm));
}

#endif
