/* Counters, and the scratches in which records are put together. */
#ifndef APUS_SCRATCH_H
#define APUS_SCRATCH_H

/* Positions in struct apus_counters. The last is that of the first cause. */
enum { COUNT_EMITTED, COUNT_FILTERED, COUNT_UNSPILLED, COUNT_STATE_LOST, COUNT_LOST };

/* Locked, as one probe may interrupt another on the same CPU. Relaxed and without a result, as that is
 * the only atomic instruction that kernels before 5.12 take. */
static __always_inline void atomic_add(u64 *to, u64 value)
{
	__atomic_fetch_add(to, value, __ATOMIC_RELAXED);
}

static __always_inline void count(u32 index, u32 what)
{
	struct apus_counters *c = bpf_map_lookup_elem(&counters, &index);

	/* `emitted = delivered + lost` has to hold to the digit. */
	if (c)
		atomic_add(&((u64 *)c)[what], 1);
}

/* For global functions, which take numbers only: the scratch whose number is `self`. */
static __always_inline struct scratch *scratch_at(u32 self)
{
	return bpf_map_lookup_elem(&scratches, &self);
}

/* A free scratch of this CPU, or null. Two that ask at the same moment may both miss the same one and
 * take the next, but never take the same. */
static __always_inline struct scratch *claim_scratch(void)
{
	u32 first = bpf_get_smp_processor_id() * APUS_SCRATCHES;

	for (u32 i = 0; i < APUS_SCRATCHES; i++) {
		struct scratch *s = scratch_at(first + i);

		if (!s)
			return NULL;
		atomic_add(&s->claims, 1);
		if (*(volatile u64 *)&s->claims == 1) {
			s->self = first + i;
			return s;
		}
		atomic_add(&s->claims, -1);
	}
	return NULL;
}

static __always_inline void release_scratch(struct scratch *s)
{
	atomic_add(&s->claims, -1);
}

#endif
