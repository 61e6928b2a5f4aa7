/* The generic encoder: reads one argument of a system call as the catalogue describes it. */
#ifndef APUS_READ_H
#define APUS_READ_H

/* A reader as one number, since a global function takes no structs. */
union packed_reader {
	struct apus_reader reader;
	u64 bits;
};

/* In `field_and_flags`, above the number of the field. */
#define READ_COMPAT 0x100 /* pointers of 4 bytes */
#define READ_LATE 0x200   /* an input that was not resident at entry */
#define READ_RESULT 0x400 /* what the call left of what it was given */
#define READ_SCRATCH 16   /* bits from here on: the number of the scratch */
#define READ_FAULT (-1)
#define READ_END (-2)

/* Puts an ellipsis (U+2026) and its NUL where a string could not be read, and returns how long they are. */
static __always_inline u32 put_ellipsis(u8 *to)
{
	to[0] = 0xe2;
	to[1] = 0x80;
	to[2] = 0xa6;
	to[3] = 0;
	return 4;
}

/* Reads one string of an array: the pointer at `address`, then what it points at, to `at` in the
 * scratch. Returns the position behind it, READ_END at the array's end, READ_FAULT where the array
 * itself is not resident. Global, and the loop below keeps nothing else, so that the verifier sees
 * each once and not each combination. */
__noinline long read_element(u32 self, u64 address, u32 at, u32 compat)
{
	struct scratch *s = scratch_at(self);
	u64 string = 0;
	u8 *to;
	long n;

	if (!s)
		return READ_FAULT;
	if (bpf_probe_read_user(&string, compat ? 4 : 8, (void *)address))
		return READ_FAULT;
	if (!string)
		return READ_END;
	if (at > APUS_RECORD_DATA) {
		s->array_flags |= APUS_BLOB_TRUNCATED;
		return READ_END;
	}
	to = &s->data[at & 0x7fff];
	n = bpf_probe_read_user_str(to, STRING_READ, (void *)string);
	if (n == 0)
		n = 1; /* an empty string: older kernels do not count its NUL */
	if (n < 0) {
		n = put_ellipsis(to);
		s->array_flags |= APUS_BLOB_GAPS;
	} else if (n == STRING_READ) {
		s->array_flags |= APUS_BLOB_TRUNCATED;
		n--; /* keep what a whole string may have, and its NUL */
		to[APUS_MAX_STRING - 1] = 0;
	}
	return at + n;
}

/* Reads up to 16 strings of the array whose state is in the scratch's walk. Returns 1 while there may be
 * more, 0 at the end, READ_FAULT where the array itself is not resident. */
__noinline long read_elements(u32 self, u32 compat)
{
	struct scratch *s = scratch_at(self);
	u32 size = compat ? 4 : 8;

	if (!s)
		return 0;
	for (u32 i = 0; i < 16; i++) {
		long next = read_element(self, s->walk.address + s->walk.depth * size, s->walk.at, compat);

		if (next == READ_FAULT && s->walk.depth == 0)
			return READ_FAULT;
		if (next == READ_END)
			return 0;
		if (next == READ_FAULT || s->walk.depth == APUS_MAX_ELEMENTS ||
		    next - s->walk.start > APUS_MAX_ARRAY) {
			s->array_flags |= APUS_BLOB_TRUNCATED;
			return 0;
		}
		s->walk.at = next;
		s->walk.depth++;
	}
	return 1;
}

/* Appends the strings of a NULL-terminated array. */
static __noinline long read_string_array(struct scratch *s, u64 address, u32 offset, u32 field_and_flags, u32 late)
{
	u32 compat = field_and_flags & READ_COMPAT;
	long more = 1;

	s->array_flags = 0;
	s->walk.address = address;
	s->walk.start = s->walk.at = OFFSET(offset) + sizeof(struct apus_blob);
	s->walk.depth = 0;
	/* Two loops, so that the verifier sees 17 + 16 steps and not 257. */
	for (u32 i = 0; i <= APUS_MAX_ELEMENTS / 16 && more > 0; i++)
		more = read_elements(s->self, compat);
	if (more == READ_FAULT)
		return READ_FAULT;
	if (s->array_flags & APUS_BLOB_GAPS)
		s->gaps |= 1u << (field_and_flags & 7);
	return close_blob(s, offset, field_and_flags & 0xff, late | s->array_flags, s->walk.depth,
			  s->walk.at - s->walk.start);
}

/* Reads a text or bytes at `address` and appends them at `offset`. Returns the new offset, the same one
 * where there is no room, or READ_FAULT where the memory is not resident. Global, so that it is
 * verified once, not for each of six arguments in each program. */
__noinline long read_memory(u64 address, u64 reader_bits, u64 elements, u32 offset, u32 field_and_flags)
{
	union packed_reader packed = {.bits = reader_bits};
	struct apus_reader reader = packed.reader;
	struct scratch *s = scratch_at(field_and_flags >> READ_SCRATCH);
	u32 field = field_and_flags & 0xff;
	u32 flags = (field_and_flags & READ_LATE ? APUS_BLOB_AT_EXIT : 0) |
		    (field_and_flags & READ_RESULT ? APUS_BLOB_RESULT : 0);
	u8 *to;
	long n;

	if (!s || offset > APUS_RECORD_DATA - 16)
		return offset;
	to = &s->data[OFFSET(offset) + sizeof(struct apus_blob)];
	if (reader.kind == APUS_READ_STRING) {
		n = bpf_probe_read_user_str(to, STRING_READ, (void *)address);
		if (n < 0)
			return READ_FAULT;
		if (n == 0)
			n = 1;
		if (n == STRING_READ) {
			flags |= APUS_BLOB_TRUNCATED;
			n = APUS_MAX_STRING;
		}
		return close_blob(s, offset, field, flags, 1, n - 1);
	}
	if (reader.kind == APUS_READ_BYTES || reader.kind == APUS_READ_BITS) {
		u32 limit = reader.limit;
		u64 length;

		if (reader.kind == APUS_READ_BITS)
			elements = (elements >> 3) + !!(elements & 7);
		length = elements * reader.element;
		/* The product may overflow: both factors are the caller's. More than any limit, so that it is cut. */
		if (elements > APUS_MAX_STRING)
			length = APUS_MAX_STRING + 1;
		if (limit > APUS_MAX_STRING)
			limit = APUS_MAX_STRING;
		if (length > limit) {
			length = limit;
			flags |= APUS_BLOB_TRUNCATED;
		}
		if (length == 0)
			return offset;
		/* Bounded above, but the 6.1 verifier loses that on the way to another register. */
		barrier_var(length);
		length &= 2 * APUS_MAX_STRING - 1;
		if (bpf_probe_read_user(to, length, (void *)address))
			return READ_FAULT;
		return close_blob(s, offset, field, flags, 1, length);
	}
	return offset;
}

/* The same for all that a reader may read. */
static __always_inline long read_argument(u64 address, u64 reader_bits, u64 elements, u32 offset, u32 field_and_flags)
{
	union packed_reader packed = {.bits = reader_bits};
	struct scratch *s;

	if (packed.reader.kind != APUS_READ_STRING_ARRAY)
		return read_memory(address, reader_bits, elements, offset, field_and_flags);
	s = scratch_at(field_and_flags >> READ_SCRATCH);
	if (!s || offset > APUS_RECORD_DATA - 16)
		return offset;
	return read_string_array(s, address, offset, field_and_flags,
				 field_and_flags & READ_LATE ? APUS_BLOB_AT_EXIT : 0);
}

#endif
