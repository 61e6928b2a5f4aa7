/* Rate limits: a policy that takes more than it may is taken out of a record. What no other takes is lost, by a cause of
 * its own. A limit is kept without locks, which programs cannot take on all kernels: where several CPUs come at once
 * after a pause, each may take an event more than the limit says. */
#ifndef APUS_LIMIT_H
#define APUS_LIMIT_H

static __always_inline bool takes(struct apus_limit *limit, struct apus_bucket *bucket, u64 now)
{
	u64 until = *(volatile u64 *)&bucket->until;

	if (!limit->interval)
		return true;
	if (until < now)
		bucket->until = until = now;
	if (until - now + limit->interval > limit->burst) {
		atomic_add(&bucket->refused, 1);
		return false;
	}
	atomic_add(&bucket->until, limit->interval);
	return true;
}

static __always_inline struct apus_bucket *group_bucket(u32 policy, u32 plan)
{
	struct apus_group_key key = {.plan = plan, .policy = policy};
	struct apus_bucket none = {}, *bucket;

	key.cgroup = current_control_group();
	bucket = bpf_map_lookup_elem(&group_buckets, &key);
	if (bucket)
		return bucket;
	bpf_map_update_elem(&group_buckets, &key, &none, BPF_NOEXIST);
	return bpf_map_lookup_elem(&group_buckets, &key);
}

/* Whether a policy may have no more of the current task. Global, so that the loop below is short for the verifier. */
__noinline u32 is_over_limit(u32 policy, u32 plan, u64 limited)
{
	u32 row = plan % APUS_PLANS * APUS_MAX_POLICIES + policy;
	struct apus_limits *limit = bpf_map_lookup_elem(&limits, &row);
	struct apus_bucket *bucket = bpf_map_lookup_elem(&buckets, &row);
	u64 now = bpf_ktime_get_boot_ns();

	if (!limit || !bucket || !(limited >> (policy & 63) & 1))
		return 0;
	if (limit->cgroup.interval) {
		struct apus_bucket *group = group_bucket(policy, plan);

		if (group && !takes(&limit->cgroup, group, now))
			return 1;
	}
	return !takes(&limit->policy, bucket, now);
}

/* Of policies that want a record of the current task, those that may have it. Counts what the others lose. */
__noinline u64 within_limits(u32 index, u64 policies, u32 plan)
{
	u64 limited = policies & limited_policies[plan % APUS_PLANS], over = 0;

	for (u32 i = 0; i < APUS_MAX_POLICIES; i++) {
		if (!(limited >> i))
			break;
		/* Without a branch, as the verifier would follow all sets of policies. */
		over |= (u64)(is_over_limit(i, plan, limited) & 1) << i;
	}
	if (!over)
		return policies;
	if (policies & ~over)
		lose_for(index, over, APUS_LOSS_LIMIT, plan);
	else
		lose(index, over, APUS_LOSS_LIMIT, plan);
	return policies & ~over;
}

static __always_inline u64 limited(u32 index, u64 policies, u32 plan)
{
	return policies & limited_policies[plan % APUS_PLANS] ? within_limits(index, policies, plan) : policies;
}

#endif
