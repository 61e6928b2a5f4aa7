/* The processes that are there when tracing begins: the kernel's own iterator over tasks (kernel/bpf/task_iter.c, since
 * 5.8). Read after the hooks are attached, so that nobody falls between. */
#ifndef APUS_SNAPSHOT_H
#define APUS_SNAPSHOT_H

SEC("iter/task")
int snapshot(struct bpf_iter__task *ctx)
{
	struct task_struct *task = ctx->task, *parent;
	struct apus_task row = {};
	u32 number;

	if (!task || TASK(task, pid) != TASK(task, tgid))
		return 0;
	task = readable(task);
	parent = TASK(task, real_parent, group_leader);
	row.start = TASK(task, start_boottime);
	row.parent_start = TASK(parent, start_boottime);
	row.cgroup_id = control_group(task);
	row.pid = TASK(task, tgid);
	row.ppid = TASK(parent, tgid);
	row.uid = TASK(task, cred, uid.val);
	namespaced(task, row.pid, &number, &row.pid_ns);
	bpf_core_read_str(row.comm, sizeof(row.comm), &task->comm);
	bpf_seq_write(ctx->meta->seq, &row, sizeof(row));
	return 0;
}

#endif
