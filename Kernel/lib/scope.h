/* Whom to trace: which of the wanted policies take an action of the current task.
 *
 * Each policy may restrict each key once. For one key and one policy: a value named with `=` matches;
 * else a value named with `!=` does not; else a range decides where there is one; else the policy
 * matches if it used `!=` only. The keys of a policy must all match. */
#ifndef APUS_SCOPE_H
#define APUS_SCOPE_H

typedef const volatile struct apus_scope_plan *scope_plan;

/* The number of the plan that judges. A program asks once, as another may take over at any moment. */
static __always_inline u32 judging_plan(void)
{
	return has_plan ? current_plan : 0;
}

static __always_inline scope_plan scope_of(u32 plan)
{
	u32 slot = plan % APUS_PLANS;

	return has_plan ? bpf_map_lookup_elem(&scope_plans, &slot) : &scope;
}

/* Global, as the verifier would follow the loop once for each way to it. */
__noinline u64 policies_in_range(u32 which, u32 value, u32 plan)
{
	scope_plan scope = scope_of(plan);
	u64 in = 0;

	if (!scope || which > 1)
		return 0;
	for (u32 i = 0; i < APUS_MAX_POLICIES; i++)
		if (value >= scope->ranges[which][i].min && value <= scope->ranges[which][i].max)
			in |= 1ULL << i;
	return in & scope->ranged[which];
}

static __always_inline u64 in_ranges(scope_plan scope, u32 which, u32 value, u32 plan)
{
	return scope->ranged[which] ? policies_in_range(which, value, plan) : 0;
}

/* The policies that a key lets through, given what its map says of the value. */
static __always_inline u64 allowed(scope_plan scope, u32 key, struct apus_scope_marks *marks, u64 in_range)
{
	u64 equals = marks ? marks->equals : 0;
	u64 mentioned = marks ? marks->mentioned : 0;

	return equals | (~mentioned & (scope->otherwise[key] | in_range)) | ~scope->used[key];
}

/* What a scope map says of a value, for the plan in `slot`. */
#define MARKS(value, slot) ((value) ? &(value)->marks[(slot) % APUS_PLANS] : NULL)
#define FIND_MARKS(map, key, slot)                                                                         \
	({                                                                                                 \
		struct apus_scope_value *found = bpf_map_lookup_elem(&(map), &(key));                      \
		MARKS(found, slot);                                                                        \
	})

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

/* What is special about a moment. */
enum {
	FOR_STATE = 1,     /* the state stores want it too, whatever the policies say */
	EXECUTING = 2,     /* an execve, with which a traced command begins */
	PROGRAM_COMES = 4, /* another program takes over, and is judged later */
};

/* The policies that take a process for the program that it runs. */
static __always_inline u64 take_program(scope_plan restrictions, struct apus_process *process, u32 slot)
{
	if (process && process->knows_program)
		return process->programs[slot % APUS_PLANS];
	return ~restrictions->programs_used | restrictions->programs_negated;
}

#define BIT(n) (1ULL << (n))

/* The policies that the name of the current task lets through. These are global as names take room in a frame, and the
 * frames of all callers together have 512 bytes. */
__noinline u64 allowed_task_name(u32 plan)
{
	struct comm comm = {};
	struct apus_scope_marks *marks;
	scope_plan restrictions;

	bpf_get_current_comm(comm.bytes, sizeof(comm.bytes));
	marks = FIND_MARKS(scope_comm, comm, plan % APUS_PLANS);
	restrictions = scope_of(plan);
	return restrictions ? allowed(restrictions, APUS_SCOPE_COMM, marks, 0) : 0;
}

/* The same of its host's name, which is put together in a scratch. Without one, whatever is begun is lost and counted. */
__noinline u64 allowed_host_name(u32 plan)
{
	struct uts_namespace *uts = TASK(current_task(), nsproxy, uts_ns);
	struct scratch *s = claim_scratch();
	struct apus_scope_value *value;
	scope_plan restrictions;
	u64 policies = ~0ULL;

	if (!s)
		return policies;
	__builtin_memset(s->data, 0, sizeof(struct uts_name));
	bpf_core_read_str(s->data, sizeof(struct uts_name), &uts->name.nodename);
	value = bpf_map_lookup_elem(&scope_uts, s->data);
	restrictions = scope_of(plan);
	if (restrictions)
		policies = allowed(restrictions, APUS_SCOPE_UTS, MARKS(value, plan % APUS_PLANS), 0);
	release_scratch(s);
	return policies;
}

/* Of some policies, those that take the control group of the current task. Of a group that is new the agent does not know
 * yet what it is: all take it, and the agent asks again. Global, to be out of the way. */
__noinline u64 restrict_containers(u64 policies, u32 plan)
{
	u64 cgroup = current_control_group();
	struct apus_container *container = bpf_map_lookup_elem(&containers, &cgroup);
	scope_plan scope = scope_of(plan);
	u64 taken;

	if (!scope)
		return 0;
	if (!container)
		return policies & ~scope->in_container;
	if (!container->is_known)
		return policies;
	taken = ~scope->in_none & ~(container->is_new ? scope->in_old : scope->in_new);
	taken &= bpf_map_lookup_elem(&started_containers, &cgroup) ? ~scope->in_unstarted : ~scope->in_started;
	taken &= ~scope->in_named | container->named[plan % APUS_PLANS];
	return policies & taken & ~container->excluded[plan % APUS_PLANS];
}

/* Of some policies, those whose rarer restrictions the current task meets. Global, to be out of the way. */
__noinline u64 restrict_further(u64 policies, u32 plan)
{
	struct task_struct *task = current_task();
	scope_plan restrictions = scope_of(plan);
	u32 slot = plan % APUS_PLANS;
	u64 keys;

	if (!restrictions)
		return 0;
	keys = restrictions->keys;
	if (keys & BIT(APUS_SCOPE_AGE)) {
		bool is_new = TASK(task, group_leader, start_boottime) > restrictions->since;

		policies &= is_new ? ~restrictions->only_old : ~restrictions->only_new;
	}
	if (keys & BIT(APUS_SCOPE_MNTNS)) {
		u32 ns = TASK(task, nsproxy, mnt_ns, ns.inum);
		policies &= allowed(restrictions, APUS_SCOPE_MNTNS, FIND_MARKS(scope_mntns, ns, slot), 0);
	}
	if (keys & BIT(APUS_SCOPE_PIDNS)) {
		u32 number, ns;
		namespaced(task, 0, &number, &ns);
		policies &= allowed(restrictions, APUS_SCOPE_PIDNS, FIND_MARKS(scope_pidns, ns, slot), 0);
	}
	return policies;
}

#define RARE_KEYS (BIT(APUS_SCOPE_AGE) | BIT(APUS_SCOPE_MNTNS) | BIT(APUS_SCOPE_PIDNS))
#define LATER_KEYS                                                                                         \
	(RARE_KEYS | BIT(APUS_SCOPE_CGROUP) | BIT(APUS_SCOPE_COMM) | BIT(APUS_SCOPE_UTS) | BIT(APUS_SCOPE_CONTAINER))
#define KEYS_OF_PROCESSES (BIT(APUS_SCOPE_TREE) | BIT(APUS_SCOPE_PROGRAM) | BIT(APUS_SCOPE_FOLLOW))

/* Of some policies, those in whose scope the current task is. */
static __always_inline u64 restrict_to(scope_plan restrictions, struct task_struct *own, u64 policies, u32 moment,
				       u32 plan)
{
	struct task_struct *task = HAS_HELPER(get_current_task_btf) ? readable(own) : own;
	struct apus_process *process = NULL;
	u32 slot = plan % APUS_PLANS, pid = TASK(own, tgid);
	u64 followed = 0, keys = restrictions->keys;

	if (keys & KEYS_OF_PROCESSES) {
		process = bpf_map_lookup_elem(&scope_processes, &pid);
		if (process && process->pending && !(moment & EXECUTING))
			return 0;
		if (process)
			followed = process->follows[slot] & policies;
		if (keys & BIT(APUS_SCOPE_TREE))
			policies &= allowed(restrictions, APUS_SCOPE_TREE, process ? &process->tree[slot] : NULL, 0);
		if (keys & BIT(APUS_SCOPE_PROGRAM) && !(moment & PROGRAM_COMES))
			policies &= take_program(restrictions, process, slot);
	}
	if (keys & BIT(APUS_SCOPE_PID)) {
		struct apus_scope_marks both = {}, *marks = FIND_MARKS(scope_pid, pid, slot);
		u32 tid = TASK(own, pid);

		if (marks)
			both = *marks;
		if (tid != pid) {
			marks = FIND_MARKS(scope_pid, tid, slot);
			if (marks) {
				both.equals |= marks->equals;
				both.mentioned |= marks->mentioned;
			}
		}
		policies &= allowed(restrictions, APUS_SCOPE_PID, &both,
				    in_ranges(restrictions, 0, pid, plan) | in_ranges(restrictions, 0, tid, plan));
	}
	if (keys & BIT(APUS_SCOPE_UID)) {
		u32 uid = TASK(task, cred, uid.val);
		policies &= allowed(restrictions, APUS_SCOPE_UID, FIND_MARKS(scope_uid, uid, slot),
				    in_ranges(restrictions, 1, uid, plan));
	}
	if (keys & LATER_KEYS) {
		if (keys & BIT(APUS_SCOPE_CGROUP)) {
			u64 cgroup = control_group(task);
			policies &= allowed(restrictions, APUS_SCOPE_CGROUP, FIND_MARKS(scope_cgroup, cgroup, slot), 0);
		}
		if (keys & BIT(APUS_SCOPE_COMM))
			policies &= allowed_task_name(plan);
		if (keys & BIT(APUS_SCOPE_UTS))
			policies &= allowed_host_name(plan);
		if (keys & RARE_KEYS)
			policies = restrict_further(policies, plan);
		if (has_containers && keys & BIT(APUS_SCOPE_CONTAINER))
			policies = restrict_containers(policies, plan);
	}
	return policies | followed;
}

/* The same for a plan. Global, as the verifier does not know its keys, and would follow all ways once for each place that
 * asks. */
__noinline u64 restrict_scope(u64 policies, u32 moment, u32 plan)
{
	scope_plan restrictions = scope_of(plan);

	if (!restrictions)
		return 0;
	return restrictions->keys ? restrict_to(restrictions, own_task(), policies, moment, plan) : policies;
}

/* Of some policies, those in whose scope the current task is, where constants judge: the verifier takes only the keys that
 * are used. `own` is from own_task(). */
static __always_inline u64 in_constant_scope(struct task_struct *own, u64 policies, u32 moment)
{
	struct task_struct *task = HAS_HELPER(get_current_task_btf) ? readable(own) : own;

	if (is_self(task, TASK(own, tgid)))
		return 0;
	return has_scope ? restrict_to(&scope, own, policies, moment, 0) : policies;
}

/* The same, whatever judges. */
static __always_inline u64 in_scope(struct task_struct *own, u64 policies, u32 moment, u32 plan)
{
	struct task_struct *task = HAS_HELPER(get_current_task_btf) ? readable(own) : own;

	if (!has_plan)
		return in_constant_scope(own, policies, moment);
	return is_self(task, TASK(own, tgid)) ? 0 : restrict_scope(policies, moment, plan);
}

#endif
