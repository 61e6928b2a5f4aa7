/* Losses: records that were to be handed over and could not. All of them are counted by event and cause; those that
 * a policy asked for by policy besides, with the processes concerned. The agent tells of them in the stream. */
#ifndef APUS_LOSS_H
#define APUS_LOSS_H

/* What happens seldom goes out of the way of what happens often; but it is not to be so seldom that the compiler makes
 * another function of it, which libbpf does not take. */
#define UNLIKELY(condition) __builtin_expect_with_probability(!!(condition), 0, 0.9)

/* ---- Giving way ----
 *
 * When a ring is nearly full, events of which there are very many (class `bulk`: system calls, reads, writes) are not
 * emitted any more, so that the others find room; those of the lifecycle have a ring of their own and never give way.
 * To ask a ring how full it is costs a call. So it is asked with one in 64 records of the class, and with each
 * while it is found nearly full, or since it was found full. Where nobody wants events of both kinds there is nothing to
 * decide, and nothing of this in the programs. */

static __always_inline u32 ring_number(void)
{
	return bpf_get_smp_processor_id() & ring_mask;
}

static __always_inline void *bulk_ring(void)
{
	u32 ring = ring_number();

	return bpf_map_lookup_elem(&bulk, &ring);
}

/* Global, as it is seldom asked. */
__noinline u32 is_ring_tight(void)
{
	u32 number = ring_number();
	void *ring = bpf_map_lookup_elem(&bulk, &number);
	bool is_tight = ring && bpf_ringbuf_query(ring, BPF_RB_AVAIL_DATA) > tight_above;

	tight_rings[number % MAX_RINGS] = is_tight;
	return is_tight;
}

static __always_inline bool gives_way(void)
{
	return sheds && UNLIKELY(tight_rings[ring_number() % MAX_RINGS]) && is_ring_tight();
}

/* The last digits of the time are as good as chance. */
static __always_inline void look_at_ring(u64 time)
{
	if (sheds && UNLIKELY(!(time & 63)))
		is_ring_tight();
}

/* ---- Counting ---- */

static __always_inline void add_to(void *map, const void *key)
{
	u64 none = 0, *value = bpf_map_lookup_elem(map, key);

	if (!value) {
		/* Another may be first. */
		bpf_map_update_elem(map, key, &none, BPF_NOEXIST);
		value = bpf_map_lookup_elem(map, key);
	}
	if (value)
		atomic_add(value, 1);
	else if (map == &loss_policies)
		count(APUS_COUNTER_NAMELESS, COUNT_LOST);
}

static __always_inline void count_by_policy(u32 index, u64 policies, u32 cause, u32 plan)
{
	struct apus_loss_key key = {.plan = plan, .index = index, .cause = cause};

	for (u32 i = 0; i < APUS_MAX_POLICIES; i++) {
		if (!(policies >> i))
			break;
		if (!(policies >> i & 1))
			continue;
		key.policy = i;
		add_to(&loss_policies, &key);
	}
}

/* Counts what some policies lose of an event that others have. */
__noinline int lose_for(u32 index, u64 policies, u32 cause, u32 plan)
{
	count_by_policy(index, policies, cause, plan);
	return 0;
}

/* Counts a record of the current task as lost. Global, so that it is verified once, and not in the way either. */
__noinline int lose(u32 index, u64 policies, u32 cause, u32 plan)
{
	struct apus_loser loser = {.pid = bpf_get_current_pid_tgid() >> 32};
	struct task_struct *task = current_task();
	struct apus_loss_total *total;
	u64 now = bpf_ktime_get_boot_ns();
	u32 row = 0;

	if (cause >= APUS_LOSS_CAUSES)
		return 0;
	if (!policies) {
		count(index, COUNT_STATE_LOST);
		return 0;
	}
	count(index, COUNT_LOST + cause);
	if (sheds && cause == APUS_LOSS_RING)
		tight_rings[ring_number() % MAX_RINGS] = true;
	count_by_policy(index, policies, cause, plan);
	loser.start = TASK(task, group_leader, start_boottime);
	add_to(&losers, &loser);
	row = 1;
	total = bpf_map_lookup_elem(&loss_totals, &row);
	if (total && !total->time)
		total->time = now;
	row = 0;
	total = bpf_map_lookup_elem(&loss_totals, &row);
	if (total) {
		total->time = now;
		/* Last, so that who sees it sees the others. */
		atomic_add(&total->count, 1);
	}
	return 0;
}

#endif
