/* Control groups: include/trace/events/cgroup.h, 5.10 to 6.18. The path is the tracepoint's own copy. */
#ifndef APUS_CGROUPS_H
#define APUS_CGROUPS_H

static __always_inline void emit_cgroup(u32 event, u32 index, struct cgroup *cgroup, const char *path)
{
	u32 offset = FIELDS_CGROUP_MKDIR * 8;
	struct scratch *s = begin(current_task(), event, index, FIELDS_CGROUP_MKDIR, false, false);

	if (!s)
		return;
	set_value(s, FIELD_CGROUP_MKDIR_CGROUP_ID, BPF_CORE_READ(cgroup, kn, id));
	set_value(s, FIELD_CGROUP_MKDIR_CGROUP_PATH, 0);
	set_value(s, FIELD_CGROUP_MKDIR_HIERARCHY_ID, BPF_CORE_READ(cgroup, root, hierarchy_id));
	offset = append_kernel_string(s, offset, FIELD_CGROUP_MKDIR_CGROUP_PATH, path);
	submit(&lifecycle, s, index, offset);
}

/* TP_PROTO(struct cgroup *cgrp, const char *path) */
SEC("tp_btf/cgroup_mkdir")
int BPF_PROG(cgroup_mkdir, struct cgroup *cgroup, const char *path)
{
	emit_cgroup(EVENT_CGROUP_MKDIR, INDEX_CGROUP_MKDIR, cgroup, path);
	return 0;
}

/* TP_PROTO(struct cgroup *cgrp, const char *path) */
SEC("tp_btf/cgroup_rmdir")
int BPF_PROG(cgroup_rmdir, struct cgroup *cgroup, const char *path)
{
	emit_cgroup(EVENT_CGROUP_RMDIR, INDEX_CGROUP_RMDIR, cgroup, path);
	return 0;
}

/* TP_PROTO(struct cgroup *dst_cgrp, const char *path, struct task_struct *task, bool threadgroup) */
SEC("tp_btf/cgroup_attach_task")
int BPF_PROG(cgroup_attach_task, struct cgroup *cgroup, const char *path, struct task_struct *task)
{
	u32 offset = FIELDS_CGROUP_ATTACH_TASK * 8;
	struct scratch *s = begin(current_task(), EVENT_CGROUP_ATTACH_TASK, INDEX_CGROUP_ATTACH_TASK,
				  FIELDS_CGROUP_ATTACH_TASK, false, false);

	if (!s)
		return 0;
	set_value(s, FIELD_CGROUP_ATTACH_TASK_CGROUP_PATH, 0);
	set_value(s, FIELD_CGROUP_ATTACH_TASK_COMM, 0);
	set_value(s, FIELD_CGROUP_ATTACH_TASK_PID, READ1(task, pid));
	offset = append_kernel_string(s, offset, FIELD_CGROUP_ATTACH_TASK_CGROUP_PATH, path);
	offset = append_kernel_string(s, offset, FIELD_CGROUP_ATTACH_TASK_COMM, &task->comm);
	submit(&lifecycle, s, INDEX_CGROUP_ATTACH_TASK, offset);
	return 0;
}

#endif
