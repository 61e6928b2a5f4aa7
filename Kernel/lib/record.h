/* Putting a record together and handing it over, and counting what became of it. */
#ifndef APUS_RECORD_H
#define APUS_RECORD_H

/* Positions in struct apus_counters. */
enum { COUNT_EMITTED, COUNT_LOST, COUNT_FILTERED, COUNT_UNSPILLED };

static __always_inline void count(u32 index, u32 what)
{
	struct apus_counters *c = bpf_map_lookup_elem(&counters, &index);

	if (!c)
		return;
	/* Locked, though the counter is this CPU's: one probe may interrupt another on the same CPU,
	 * and `emitted = delivered + lost` has to hold to the digit. */
	__sync_fetch_and_add(&((u64 *)c)[what], 1);
}

static __always_inline struct scratch *scratch_of_this_cpu(void)
{
	u32 cpu = bpf_get_smp_processor_id();

	return bpf_map_lookup_elem(&scratches, &cpu);
}

static __always_inline void *bulk_ring(void)
{
	u32 ring = bpf_get_smp_processor_id() & ring_mask;

	return bpf_map_lookup_elem(&bulk, &ring);
}

/* Hands over the scratch record, `length` bytes of data behind its header. Never wakes the reader:
 * it drains on a tick, and a wake-up costs several times what the record does. */
static __always_inline void submit(void *ring, struct scratch *s, u32 index, u32 length)
{
	u32 size = sizeof(s->record) + (length & 0x7fff);

	s->record.size = size;
	if (ring && bpf_ringbuf_output(ring, &s->record, size, BPF_RB_NO_WAKEUP) == 0)
		count(index, COUNT_EMITTED);
	else
		count(index, COUNT_LOST);
}

/* ---- Events that are no system calls -------------------------------------------------------- */

/* Starts a record of a catalogue event in the scratch. `fields` values follow the header; returns
 * null when nobody wants it. */
static __always_inline struct scratch *begin(struct task_struct *task, u32 event, u32 index, u32 fields,
					     bool for_state, bool executing)
{
	u64 policies = wanted[index];
	struct scratch *s;

	if (policies) {
		policies = in_scope(task, policies, executing);
		if (!policies)
			count(index, COUNT_FILTERED);
	}
	if (!policies && !for_state)
		return NULL;
	s = scratch_of_this_cpu();
	if (!s)
		return NULL;
	fill_identity(&s->record, task, current_syscall(task), in_compat_syscall(task));
	s->record.event = event;
	s->record.policies = policies;
	s->record.value_count = fields;
	return s;
}

static __always_inline void set_value(struct scratch *s, u32 field, u64 value)
{
	((u64 *)s->data)[field & (APUS_MAX_VALUES - 1)] = value;
}

#define PAD8(n) (((n) + 7) & ~7u)
#define OFFSET(o) ((o) & 0x7ff8u)

/* One byte more than a whole string has, to tell a whole one from a longer one. */
#define STRING_READ (APUS_MAX_STRING + 1)

/* Writes a blob's header at `offset` and returns the offset behind its data. */
static __always_inline u32 close_blob(struct scratch *s, u32 offset, u32 field, u32 flags, u32 elements,
				      u32 length)
{
	struct apus_blob *blob = (void *)&s->data[OFFSET(offset)];

	blob->field = field;
	blob->flags = flags;
	blob->count = elements > 0xffff ? 0xffff : elements;
	blob->length = length;
	return OFFSET(offset) + sizeof(*blob) + PAD8(length & 0x3fff);
}

/* Appends a NUL-terminated string of the kernel's as a blob; returns the new offset. */
static __always_inline u32 append_kernel_string(struct scratch *s, u32 offset, u32 field, const void *from)
{
	long n;

	if (offset > APUS_RECORD_DATA - 16)
		return offset;
	n = bpf_probe_read_kernel_str(&s->data[OFFSET(offset) + sizeof(struct apus_blob)], STRING_READ, from);
	if (n < 0)
		return offset;
	if (n == 0)
		n = 1;
	if (n == STRING_READ)
		return close_blob(s, offset, field, APUS_BLOB_TRUNCATED, 1, APUS_MAX_STRING - 1);
	return close_blob(s, offset, field, 0, 1, n - 1);
}

#endif
