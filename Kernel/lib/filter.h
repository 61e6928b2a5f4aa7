/* Filters: which policies take a record, by what is in it. All policies' tests of one field are one test, whose cost
 * does not grow with their number: numbers are searched for among bounds, strings are followed through a trie. */
#ifndef APUS_FILTER_H
#define APUS_FILTER_H

#define MAX_TESTS 48        /* of one event */
#define MAX_BOUNDS_LOG2 16  /* of one test */
#define MAX_BLOBS 80        /* of one record: of its fields, and MAX_FOLLOWED */
#define FOLLOW_STRIDE 64
#define SIGN_BIT (1ULL << 63)

/* A record's bytes at an offset from its beginning. Masked, as a bounded offset is what the verifier wants; no
 * record that the filters decide is longer. */
#define RECORD_MASK 0x7fff
static __always_inline u8 *record_bytes(struct scratch *s, u32 at)
{
	return (u8 *)&s->record + (at & RECORD_MASK);
}

/* Whether this record has no value for a field, though others of its event have one. */
static __always_inline bool is_absent(struct scratch *s, u32 field)
{
	u32 last = s->record.value_count - 1;

	return s->record.flags & APUS_RECORD_ABSENT && ((u64 *)s->data)[last & (APUS_MAX_VALUES - 1)] >> field & 1;
}

/* The 64 bits that a test is about, before conversion; false where the record has no such field. */
static __always_inline bool field_bits(struct scratch *s, u32 field, u64 *bits)
{
	if (!(field & APUS_FIELD_HEADER)) {
		if (field >= s->record.value_count || field >= APUS_MAX_VALUES || is_absent(s, field))
			return false;
		*bits = ((u64 *)s->data)[field];
		return true;
	}
	field &= ~APUS_FIELD_HEADER;
	if (field > sizeof(struct apus_record) - sizeof(u64))
		return false;
	*bits = *(u64 *)record_bytes(s, field & 0x78) >> (field & 4 ? 32 : 0);
	return true;
}

static __always_inline u64 convert(struct scratch *s, u64 bits, u32 how)
{
	switch (how) {
	case APUS_CONVERT_CALL:
		bits = (s64)(s32)bits;
		return (s->record.flags & APUS_RECORD_COMPAT && (s64)bits >= 0 ? bits + (1ULL << 32) : bits) ^ SIGN_BIT;
	case APUS_CONVERT_S64:
		return bits ^ SIGN_BIT;
	case APUS_CONVERT_S32:
		return (u64)(s64)(s32)bits ^ SIGN_BIT;
	case APUS_CONVERT_U32:
		return (u32)bits;
	case APUS_CONVERT_U16:
		return (u16)bits;
	case APUS_CONVERT_BOOL:
		return bits != 0;
	}
	return bits;
}

/* The policies that want a number, by the last of some bounds that is not above it. */
static __always_inline u64 policies_in_bounds(u32 first, u32 count, u64 value)
{
	struct apus_bound *bound;

	for (u32 i = 0; i < MAX_BOUNDS_LOG2 && count > 1; i++) {
		u32 half = count / 2, middle = first + half;

		bound = bpf_map_lookup_elem(&bounds, &middle);
		if (!bound)
			return 0;
		if (bound->low <= value) {
			first = middle;
			count -= half;
		} else {
			count = half;
		}
	}
	bound = bpf_map_lookup_elem(&bounds, &first);
	return bound ? bound->policies : 0;
}

/* Where the blob of a field begins, from the beginning of the record; 0 where it has none. Global, so that its
 * loop is verified once. */
__noinline u32 find_blob(u32 self, u32 field)
{
	struct scratch *s = scratch_at(self);
	u32 at, end;

	if (!s)
		return 0;
	at = s->record.value_count * 8;
	end = s->offset;
	for (u32 i = 0; i < MAX_BLOBS; i++) {
		struct apus_blob *blob;

		if (at + sizeof(*blob) > end)
			return 0;
		blob = (void *)record_bytes(s, sizeof(s->record) + at);
		if (blob->field == field)
			return sizeof(s->record) + at;
		at += sizeof(*blob) + ((blob->length + 7) & 0x7ff8);
	}
	return 0;
}

#define AT_DEAD_END 0x80000000

/* Follows up to FOLLOW_STRIDE bytes of the record from state `state`, forwards, or backwards from before `at`.
 * Returns the last state, with AT_DEAD_END where the next byte leads nowhere. */
__noinline u32 follow(u32 self, u32 at, u32 left, u32 state, u32 backwards)
{
	struct scratch *s = scratch_at(self);
	u32 zero = 0, base;
	struct apus_state *all = bpf_map_lookup_elem(&states, &zero);

	if (!s || !all)
		return state | AT_DEAD_END;
	base = all[state & state_mask].base;
	for (u32 i = 0; i < FOLLOW_STRIDE; i++) {
		struct apus_state *next;
		u32 byte, to;

		if (i >= left)
			return state;
		byte = *record_bytes(s, backwards ? at - 1 - i : at + i);
		to = (base + byte) & state_mask;
		next = &all[to];
		if (next->check != state)
			return state | AT_DEAD_END;
		base = next->base;
		state = to;
	}
	return state;
}

/* The policies that want a string, by one of the two tries. */
__noinline u64 policies_of_string(u32 self, u32 at, u32 length, u32 state, u32 backwards)
{
	struct apus_state *all;
	struct apus_hits *hit;
	u32 zero = 0, index;

	for (u32 i = 0; i <= APUS_MAX_STRING / FOLLOW_STRIDE; i++) {
		u32 done = i * FOLLOW_STRIDE;

		if (done >= length || state & AT_DEAD_END)
			break;
		state = follow(self, backwards ? at + length - done : at + done, length - done, state, backwards);
	}
	all = bpf_map_lookup_elem(&states, &zero);
	if (!all)
		return 0;
	index = all[state & state_mask].hits;
	hit = bpf_map_lookup_elem(&hits, &index);
	if (!hit)
		return 0;
	return hit->beginning | (state & AT_DEAD_END ? 0 : hit->whole);
}

/* Where a string begins in the record, and its length in the upper half; 0 where it is missing. */
static __always_inline u64 find_string(struct scratch *s, u32 field)
{
	u32 at, length = 0;

	if (field & APUS_FIELD_HEADER) {
		for (; length < APUS_COMM_BYTES && s->record.comm[length]; length++)
			;
		return __builtin_offsetof(struct apus_record, comm) | (u64)length << 32;
	}
	at = find_blob(s->self, field);
	if (!at)
		return 0;
	length = ((struct apus_blob *)record_bytes(s, at))->length;
	at += sizeof(struct apus_blob);
	if (length > APUS_MAX_STRING)
		length = APUS_MAX_STRING;
	/* What a call filled may count the NUL. */
	if (length && *record_bytes(s, at + length - 1) == 0)
		length--;
	return at | (u64)length << 32;
}

/* The policies that the record passes one test of, or that do not have it. Global, so that it is verified once. */
__noinline u64 pass_test(u32 self, u32 index)
{
	struct apus_test *test = bpf_map_lookup_elem(&tests, &index);
	struct scratch *s = scratch_at(self);
	u64 bits = 0, hit = 0, string;

	if (!test || !s)
		return 0;
	if (test->kind == APUS_TEST_STRING) {
		string = find_string(s, test->field);
		if (!string)
			return ~test->used;
		if (test->first)
			hit = policies_of_string(self, string, string >> 32, test->first, false);
		if (test->endings)
			hit |= policies_of_string(self, string, string >> 32, test->endings, true);
	} else {
		if (!field_bits(s, test->field, &bits))
			return ~test->used;
		bits = convert(s, bits, test->convert);
		if (test->kind == APUS_TEST_BITS)
			hit = (bits & test->mask) == test->value ? ~0ULL : 0;
		else
			hit = policies_in_bounds(test->first, test->count, bits);
	}
	return ~test->used | ((hit ^ test->negated) & test->used);
}

/* Takes the policies out of the record whose tests, from `from` to before `to`, it does not pass. */
__noinline int apply_tests(u32 self, u32 from, u32 to)
{
	struct scratch *s = scratch_at(self);
	u64 policies;

	if (!s)
		return 0;
	policies = s->record.policies;
	if (s->offset + sizeof(s->record) > RECORD_MASK) {
		s->record.flags |= APUS_RECORD_UNDECIDED;
		return 0;
	}
	for (u32 i = 0; i < MAX_TESTS && policies; i++) {
		if (from + i >= to)
			break;
		policies &= pass_test(self, s->tests.first + from + i);
	}
	s->record.policies = policies;
	return 0;
}

#endif
