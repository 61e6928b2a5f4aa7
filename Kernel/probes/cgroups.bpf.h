/* Control groups: include/trace/events/cgroup.h, 5.10 to 7.2. The path is the tracepoint's own copy. Where they come and
 * go is always told, as the store of containers lives on it. */
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

/* A group in a container's is the same container's; whose another is the agent finds out. */
static __always_inline void mark_new_group(struct cgroup *cgroup)
{
	struct apus_container group = {.is_new = true}, *outer;
	u64 id = READ(cgroup, kn, id), parent = READ(cgroup, self.parent, cgroup, kn, id);

	outer = bpf_map_lookup_elem(&containers, &parent);
	if (outer)
		group = *outer;
	/* Where there is no room its events are for the agent to judge by itself, which it does not know: it counts. */
	if (bpf_map_update_elem(&containers, &id, &group, BPF_ANY))
		count(APUS_COUNTER_CONTAINERS_FULL, COUNT_LOST);
}

/* TP_PROTO(struct cgroup *cgrp, const char *path) */
ON_TRACEPOINT(cgroup_mkdir, cgroup_mkdir, struct cgroup *cgroup, const char *path)
{
	if (has_containers && READ(cgroup, root, hierarchy_id) == group_hierarchy)
		mark_new_group(cgroup);
	return emit_cgroup(BEGIN_FOR_STATE(CGROUP_MKDIR, 0), cgroup, path);
}

/* TP_PROTO(struct cgroup *cgrp, const char *path) */
ON_TRACEPOINT(cgroup_rmdir, cgroup_rmdir, struct cgroup *cgroup, const char *path)
{
	u64 id = READ(cgroup, kn, id);

	if (has_containers && READ(cgroup, root, hierarchy_id) == group_hierarchy) {
		bpf_map_delete_elem(&containers, &id);
		bpf_map_delete_elem(&started_containers, &id);
	}
	return emit_cgroup(BEGIN_FOR_STATE(CGROUP_RMDIR, 0), cgroup, path);
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
