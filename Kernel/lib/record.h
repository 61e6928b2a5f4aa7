/* Putting a record together and handing it over, and counting what became of it. */
#ifndef APUS_RECORD_H
#define APUS_RECORD_H

/* ---- Handing over ---- */

/* Hands over the scratch's record, whose data ends at `offset`. Never wakes the reader: it drains on a
 * tick, and a wake-up costs several times what the record does. */
static __always_inline void submit(void *ring, struct scratch *s)
{
	u32 length = s->offset, size;

	if (length > sizeof(s->data))
		length = sizeof(s->data);
	size = sizeof(s->record) + length;
	s->record.size = size;
	/* The agent takes the rings away when it has heard enough. */
	if (!ring)
		return;
	if (UNLIKELY(bpf_ringbuf_output(ring, &s->record, size, BPF_RB_NO_WAKEUP))) {
		lose(s->index, s->record.policies, APUS_LOSS_RING, s->record.plan);
		return;
	}
	count(s->index, COUNT_EMITTED);
}

/* The same for an event of the class `bulk`, to this CPU's ring, unless it gives way. Global, to be out of the way
 * where nothing has to. */
__noinline int submit_bulk(u32 self)
{
	struct scratch *s = scratch_at(self);

	if (!s)
		return 0;
	if (gives_way())
		lose(s->index, s->record.policies, APUS_LOSS_SHED, s->record.plan);
	else
		submit(bulk_ring(), s);
	look_at_ring(s->record.time);
	return 0;
}

/* ---- Events that are no system calls ----
 *
 *	struct scratch *s = BEGIN(SECURITY_FILE_OPEN);
 *	if (!s)
 *		return 0;
 *	set_value(s, FIELD_SECURITY_FILE_OPEN_FLAGS, flags);
 *	append_path(s, FIELD_SECURITY_FILE_OPEN_PATHNAME, &file->f_path);
 *	return FINISH(s);
 *
 * Values that are not set are 0. Who begins must finish, or abandon. */

/* Of an event that is no system call, in the plan that judges. */
static __always_inline struct apus_event_plan *event_plan(u32 index, u32 plan)
{
	u32 key = plan % APUS_PLANS * APUS_MAX_EVENTS + index;

	return bpf_map_lookup_elem(&event_plans, &key);
}

/* The policies that want an event, whoever causes it. */
static __always_inline u64 policies_for(u32 index)
{
	struct apus_event_plan *plan;

	if (!has_plan)
		return wanted[index];
	plan = event_plan(index, judging_plan());
	return plan ? plan->policies : 0;
}

/* Starts a record in a scratch. Returns the scratch's number + 1, or 0 where it is nobody's or none is free. */
static __always_inline u32 start_record(struct task_struct *own, u32 event, u32 index, u32 fields, u32 options,
					u64 policies, u32 plan, struct apus_event_plan *tests)
{
	struct scratch *s;

	if (!policies && !(options & FOR_STATE))
		return 0;
	s = claim_scratch();
	if (!s) {
		lose(index, policies, APUS_LOSS_SCRATCH, plan);
		return 0;
	}
	fill_identity(&s->record, own, own_syscall(own), in_compat_syscall(own));
	s->record.event = event;
	s->record.policies = policies;
	s->record.value_count = fields;
	if (tests) {
		s->record.plan = plan;
		s->tests = tests->tests;
	}
	s->index = index;
	s->offset = fields * 8;
	return s->self + 1;
}

/* Starts a record of a catalogue event, whose `fields` values follow the header. Global, as it is in every program. */
__noinline u32 begin_record(u32 event, u32 index, u32 fields, u32 options)
{
	struct task_struct *own;
	u64 policies;

	if (index >= INDEX_FIRST_SYSCALL)
		return 0;
	own = own_task();
	policies = wanted[index];
	if (policies) {
		policies = in_constant_scope(own, policies, options);
		if (!policies)
			count(index, COUNT_FILTERED);
	}
	return start_record(own, event, index, fields, options, policies, 0, NULL);
}

/* The same where plans judge. Apart, as both in one would have to keep more than there are registers. */
__noinline u32 begin_planned_record(u32 event, u32 index, u32 fields, u32 options)
{
	struct task_struct *own;
	struct apus_event_plan *plan;
	u32 number;
	u64 policies;

	if (!has_plan || index >= INDEX_FIRST_SYSCALL)
		return 0;
	own = own_task();
	number = judging_plan();
	plan = event_plan(index, number);
	if (!plan)
		return 0;
	policies = plan->policies;
	if (policies) {
		policies = in_scope(own, policies, options, number);
		if (!policies)
			count(index, COUNT_FILTERED);
	}
	return start_record(own, event, index, fields, options, policies, number, plan);
}

static __always_inline struct scratch *begin(u32 event, u32 index, u32 fields, u32 options)
{
	u32 number = has_plan ? begin_planned_record(event, index, fields, options) :
				begin_record(event, index, fields, options);
	struct scratch *s = number ? scratch_at(number - 1) : NULL;

	if (s)
		for (u32 i = 0; i < fields && i < APUS_MAX_VALUES; i++)
			((u64 *)s->data)[i] = 0;
	return s;
}

#define BEGIN(NAME) begin(EVENT_##NAME, INDEX_##NAME, FIELDS_##NAME, 0)
#define BEGIN_FOR_STATE(NAME, options) begin(EVENT_##NAME, INDEX_##NAME, FIELDS_##NAME, FOR_STATE | (options))
#define IS_WANTED(NAME) (policies_for(INDEX_##NAME) != 0)

/* To which ring a record goes, and how. */
enum {
	TO_RING,      /* of this CPU */
	TO_LIFECYCLE, /* the ring of the processes' lives, which nothing else fills */
	AS_BULK,      /* of this CPU, but it gives way when that is nearly full */
};

/* Hands over the record of scratch `self`. */
__noinline int finish_record(u32 self, u32 to_lifecycle)
{
	struct scratch *s = scratch_at(self);

	if (!s)
		return 0;
	if (to_lifecycle)
		submit(&lifecycle, s);
	else
		submit(bulk_ring(), s);
	release_scratch(s);
	return 0;
}

/* The same where plans judge, or where it may have to give way. */
__noinline int finish_judged_record(u32 self, u32 where)
{
	struct scratch *s = scratch_at(self);

	if (!s)
		return 0;
	if (has_plan && s->record.policies) {
		if (s->tests.all) {
			apply_tests(s->self, 0, s->tests.all);
			if (!s->record.policies)
				count(s->index, COUNT_FILTERED);
		}
		if (has_limits)
			s->record.policies = limited(s->index, s->record.policies, s->record.plan);
	}
	/* The state stores want those of the lifecycle even without policies. */
	if (where == TO_LIFECYCLE) {
		submit(&lifecycle, s);
	} else if (s->record.policies) {
		if (sheds && where == AS_BULK)
			submit_bulk(s->self);
		else
			submit(bulk_ring(), s);
	}
	release_scratch(s);
	return 0;
}

static __always_inline int finish(struct scratch *s, u32 where)
{
	if (has_plan || (sheds && where == AS_BULK))
		return finish_judged_record(s->self, where);
	return finish_record(s->self, where == TO_LIFECYCLE);
}

#define FINISH(s) finish(s, TO_RING)
#define FINISH_LIFECYCLE(s) finish(s, TO_LIFECYCLE)
/* For events of which there are very many, which the catalogue says to be of the class `bulk`. */
#define FINISH_BULK(s) finish(s, AS_BULK)

/* For a record that turns out not to be one. */
static __always_inline int abandon(struct scratch *s)
{
	release_scratch(s);
	return 0;
}

static __always_inline void set_value(struct scratch *s, u32 field, u64 value)
{
	((u64 *)s->data)[field & (APUS_MAX_VALUES - 1)] = value;
}

/* Says which of an event's fields have no value in this record, a bit for each; before anything is appended. */
#define SET_ABSENT(s, NAME, absent) set_absent(s, FIELDS_##NAME, absent)
static __always_inline void set_absent(struct scratch *s, u32 fields, u64 absent)
{
	set_value(s, fields, absent);
	s->record.value_count = fields + 1;
	s->record.flags |= APUS_RECORD_ABSENT;
	s->offset = (fields + 1) * 8;
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

/* What is to be appended goes to a global function through the scratch: it takes no typed pointers. */

__noinline int append_string_from(u32 self, u32 field)
{
	struct scratch *s = scratch_at(self);
	u32 offset;
	long n;

	if (!s || !s->from)
		return 0;
	offset = s->offset;
	if (offset > APUS_RECORD_DATA - 16)
		return 0;
	n = bpf_probe_read_kernel_str(&s->data[OFFSET(offset) + sizeof(struct apus_blob)], STRING_READ, (void *)s->from);
	if (n < 0)
		return 0;
	if (n == 0)
		n = 1;
	if (n == STRING_READ)
		s->offset = close_blob(s, offset, field, APUS_BLOB_TRUNCATED, 1, APUS_MAX_STRING - 1);
	else
		s->offset = close_blob(s, offset, field, 0, 1, n - 1);
	return 0;
}

/* Appends a NUL-terminated string of the kernel's; nothing where the pointer is null. */
static __always_inline void append_string(struct scratch *s, u32 field, const void *string)
{
	s->from = (u64)string;
	append_string_from(s->self, field);
}

__noinline int append_bytes_from(u32 self, u32 field)
{
	struct scratch *s = scratch_at(self);
	u32 offset, length, flags = 0;

	if (!s || !s->from)
		return 0;
	offset = s->offset;
	length = s->length;
	if (offset > APUS_RECORD_DATA - 16 || !length)
		return 0;
	if (length > APUS_MAX_STRING) {
		length = APUS_MAX_STRING;
		flags = APUS_BLOB_TRUNCATED;
	}
	barrier_var(length);
	length &= 2 * APUS_MAX_STRING - 1;
	if (bpf_probe_read_kernel(&s->data[OFFSET(offset) + sizeof(struct apus_blob)], length, (void *)s->from))
		return 0;
	s->offset = close_blob(s, offset, field, flags, 1, length);
	return 0;
}

/* Appends bytes of kernel memory, 4096 at most. */
static __always_inline void append_bytes(struct scratch *s, u32 field, const void *bytes, u32 length)
{
	s->from = (u64)bytes;
	s->length = length;
	append_bytes_from(s->self, field);
}

#endif
