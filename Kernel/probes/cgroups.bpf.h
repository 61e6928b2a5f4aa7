/* Control groups: include/trace/events/cgroup.h, 5.10 to 7.2. The path is the tracepoint's own copy. */
#ifndef APUS_CGROUPS_H
#define APUS_CGROUPS_H

static __always_inline int emit_cgroup(struct scratch *s, struct cgroup *cgroup, const char *path)
{
	if (!s)
		return 0;
	set_value(s, FIELD_CGROUP_MKDIR_CGROUP_ID, READ(cgroup, kn, id));
	set_value(s, FIELD_CGROUP_MKDIR_HIERARCHY_ID, READ(cgroup, root, hierarchy_id));
	append_string(s, FIELD_CGROUP_MKDIR_CGROUP_PATH, path);
	return FINISH_LIFECYCLE(s);
}

/* TP_PROTO(struct cgroup *cgrp, const char *path) */
ON_TRACEPOINT(cgroup_mkdir, cgroup_mkdir, struct cgroup *cgroup, const char *path)
{
	return emit_cgroup(BEGIN(CGROUP_MKDIR), cgroup, path);
}

/* TP_PROTO(struct cgroup *cgrp, const char *path) */
ON_TRACEPOINT(cgroup_rmdir, cgroup_rmdir, struct cgroup *cgroup, const char *path)
{
	return emit_cgroup(BEGIN(CGROUP_RMDIR), cgroup, path);
}

/* TP_PROTO(struct cgroup *dst_cgrp, const char *path, struct task_struct *task, bool threadgroup) */
ON_TRACEPOINT(cgroup_attach_task, cgroup_attach_task, struct cgroup *cgroup, const char *path, struct task_struct *task)
{
	struct scratch *s = BEGIN(CGROUP_ATTACH_TASK);

	if (!s)
		return 0;
	set_value(s, FIELD_CGROUP_ATTACH_TASK_PID, READ(task, pid));
	append_string(s, FIELD_CGROUP_ATTACH_TASK_CGROUP_PATH, path);
	append_string(s, FIELD_CGROUP_ATTACH_TASK_COMM, &task->comm);
	return FINISH_LIFECYCLE(s);
}

#endif
