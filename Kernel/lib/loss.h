/* Losses: records that were to be handed over and could not. All of them are counted by event and cause; those that
 * a policy asked for by policy besides, with the processes concerned. What gives way is told once more by the
 * reader, in the stream. */
#ifndef APUS_LOSS_H
#define APUS_LOSS_H

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

/* Counts a record of the current task as lost. Global, so that what happens seldom is verified once and is not in the
 * way of what happens often. */
__noinline int lose(u32 index, u64 policies, u32 cause, u32 plan)
{
	struct apus_loss_key key = {.plan = plan, .index = index, .cause = cause};
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
	for (u32 i = 0; i < APUS_MAX_POLICIES; i++) {
		if (!(policies >> i))
			break;
		if (!(policies >> i & 1))
			continue;
		key.policy = i;
		add_to(&loss_policies, &key);
	}
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
