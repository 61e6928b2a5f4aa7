/* Whom to trace: which of the wanted policies take an action of the current task.
 *
 * Each policy may restrict each key once. For one key and one policy: a value named with `=` matches;
 * else a value named with `!=` does not; else a range decides where there is one; else the policy
 * matches if it used `!=` only. The keys of a policy must all match. */
#ifndef APUS_SCOPE_H
#define APUS_SCOPE_H

static __always_inline u64 in_ranges(u32 which, u32 value)
{
	u64 in = 0;

	if (!scope.ranged[which])
		return 0;
	for (u32 i = 0; i < APUS_MAX_POLICIES; i++)
		if (value >= scope.ranges[which][i].min && value <= scope.ranges[which][i].max)
			in |= 1ULL << i;
	return in & scope.ranged[which];
}

/* The policies that a key lets through, given what its map says of the value. */
static __always_inline u64 allowed(u32 key, struct apus_scope_value *value, u64 in_range)
{
	u64 equals = value ? value->equals : 0;
	u64 mentioned = value ? value->mentioned : 0;

	return equals | (~mentioned & (scope.otherwise[key] | in_range)) | ~scope.used[key];
}

/* Whether the current task is the agent's. In a pid namespace of its own the agent does not know its
 * host number; it must not trace its own writing all the same. */
static __always_inline bool is_self(struct task_struct *task, u32 pid)
{
	u32 number, ns;

	if (self_pid_ns == INITIAL_PID_NS)
		return pid == self_pid;
	namespaced(TASK(task, group_leader), pid, &number, &ns);
	return number == self_pid && ns == self_pid_ns;
}

/* `own` is from own_task(). */
static __always_inline u64 in_scope(struct task_struct *own, u64 policies, bool executing)
{
	struct task_struct *task = HAS_HELPER(get_current_task_btf) ? readable(own) : own;
	u32 pid = TASK(own, tgid), tid = TASK(own, pid);

	if (is_self(task, pid))
		return 0;
	if (!has_scope)
		return policies;
	if (scope.used[APUS_SCOPE_TREE]) {
		struct apus_tree_value *value = bpf_map_lookup_elem(&scope_tree, &pid);
		if (value && value->pending && !executing)
			return 0;
		policies &= allowed(APUS_SCOPE_TREE, (struct apus_scope_value *)value, 0);
	}
	if (scope.used[APUS_SCOPE_PID]) {
		struct apus_scope_value both = {}, *value = bpf_map_lookup_elem(&scope_pid, &pid);
		if (value)
			both = *value;
		if (tid != pid) {
			value = bpf_map_lookup_elem(&scope_pid, &tid);
			if (value) {
				both.equals |= value->equals;
				both.mentioned |= value->mentioned;
			}
		}
		policies &= allowed(APUS_SCOPE_PID, &both, in_ranges(0, pid) | in_ranges(0, tid));
	}
	if (scope.used[APUS_SCOPE_UID]) {
		u32 uid = TASK(task, cred, uid.val);
		policies &= allowed(APUS_SCOPE_UID, bpf_map_lookup_elem(&scope_uid, &uid), in_ranges(1, uid));
	}
	if (scope.used[APUS_SCOPE_COMM]) {
		struct comm comm = {};
		bpf_get_current_comm(comm.bytes, sizeof(comm.bytes));
		policies &= allowed(APUS_SCOPE_COMM, bpf_map_lookup_elem(&scope_comm, &comm), 0);
	}
	if (scope.used[APUS_SCOPE_MNTNS]) {
		u32 ns = TASK(task, nsproxy, mnt_ns, ns.inum);
		policies &= allowed(APUS_SCOPE_MNTNS, bpf_map_lookup_elem(&scope_mntns, &ns), 0);
	}
	if (scope.used[APUS_SCOPE_PIDNS]) {
		u32 number, ns;
		namespaced(task, 0, &number, &ns);
		policies &= allowed(APUS_SCOPE_PIDNS, bpf_map_lookup_elem(&scope_pidns, &ns), 0);
	}
	if (scope.used[APUS_SCOPE_UTS]) {
		struct uts_name name = {};
		struct uts_namespace *uts = TASK(task, nsproxy, uts_ns);
		bpf_core_read_str(name.bytes, sizeof(name.bytes), &uts->name.nodename);
		policies &= allowed(APUS_SCOPE_UTS, bpf_map_lookup_elem(&scope_uts, &name), 0);
	}
	if (scope.used[APUS_SCOPE_CGROUP]) {
		u64 cgroup = control_group(task);
		policies &= allowed(APUS_SCOPE_CGROUP, bpf_map_lookup_elem(&scope_cgroup, &cgroup), 0);
	}
	return policies;
}

#endif
