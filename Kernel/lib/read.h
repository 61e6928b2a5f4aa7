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
		/* The product may overflow: both factors are the caller's. */
		if (elements > APUS_MAX_STRING)
			length = APUS_MAX_STRING;
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

/* ---- Pointers in structures ---- */

#define MAX_FOLLOWED 64   /* of one record */
#define FOLLOWED_ELEMENTS 32 /* of one array */
#define ALL_GIVEN (~0ULL) /* the room was filled by the caller */
#define NOTHING_GIVEN (~0ULL - 1)
#define WHICH_ELEMENT 2 /* bits from here on: see follow_pointer */
#define WHICH_LEVEL 8
#define WHICH_STRUCTURE 16
#define WHICH(structure, level, element, pointer) \
	((structure) << WHICH_STRUCTURE | (level) << WHICH_LEVEL | (element) << WHICH_ELEMENT | (pointer))

/* A number of a structure that was read to `at` in the scratch's data. */
static __always_inline u64 number_at(struct scratch *s, u32 at, u32 bytes)
{
	u64 bits = *(u64 *)&s->data[OFFSET(at)] >> (at & 7) * 8;

	/* One that lies across two words. */
	if ((at & 7) + bytes > 8)
		bits |= *(u64 *)&s->data[OFFSET(at + 8)] << (8 - (at & 7)) * 8;
	return bytes == 8 ? bits : bytes == 4 ? (u32)bits : (u16)bits;
}

/* How many elements of a structure with pointers the blob at `blob` has, at most FOLLOWED_ELEMENTS; the last may be cut.
 * These functions are global, and small, so that the verifier takes each once: as one they are too much for it. */
__noinline u32 elements_of(u32 self, u32 number, u32 blob)
{
	struct scratch *s = scratch_at(self);
	struct apus_structure *structure = bpf_map_lookup_elem(&structures, &number);
	u32 length, count = 0;

	if (!follows_pointers || !s || !structure || !structure->size)
		return 0;
	length = ((struct apus_blob *)&s->data[OFFSET(blob)])->length;
	for (u32 at = 0; count < FOLLOWED_ELEMENTS && at < length; at += structure->size)
		count++;
	return count;
}

/* Whether a pointer of the structure at `from` and what tells of it lie in what was read. */
static __always_inline bool lies_within(struct apus_follow *follow, u32 from, u32 length)
{
	u32 end = follow->offset + 8, other = follow->count_bytes ? follow->count_at + follow->count_bytes : 0;

	if (other > end)
		end = other;
	other = follow->flags & APUS_FOLLOW_FILLS ? follow->given_at + 4 : 0;
	if (other > end)
		end = other;
	return from + end <= length;
}

/* How many bytes of room, or elements, a pointer of the structure at `at` in the scratch's data leads to. */
static __always_inline u64 follow_elements(struct scratch *s, struct apus_follow *follow, u32 at)
{
	u64 elements = follow->count_bytes ? number_at(s, at + follow->count_at, follow->count_bytes) : follow->count_at;

	if (follow->flags & APUS_FOLLOW_FILLS && s->given < NOTHING_GIVEN)
		s->given = number_at(s, at + follow->given_at, 4);
	if (!(follow->flags & APUS_FOLLOW_FILLED) || s->given >= NOTHING_GIVEN)
		return elements;
	if (elements > s->given)
		elements = s->given;
	s->given -= elements;
	return elements;
}

/* Reads what one pointer of a structure leads to, in the blob that begins at `blob`. `which` is, from the lowest bits, the
 * number of the pointer, of the element, the level of what is read, and the structure. Returns the new offset, the same
 * one where nothing was read. */
__noinline u32 follow_pointer(u32 self, u32 which, u32 blob, u32 offset)
{
	struct scratch *s = scratch_at(self);
	u32 number = which >> WHICH_STRUCTURE, from, at;
	struct apus_structure *structure = bpf_map_lookup_elem(&structures, &number);
	union packed_reader packed;
	struct apus_follow *follow;
	struct apus_blob *read;
	u64 address, elements;
	long next;

	if (!follows_pointers || !s || !structure || s->followed >= MAX_FOLLOWED || offset > APUS_RECORD_DATA - 16)
		return offset;
	if (which % APUS_FOLLOWS >= structure->count)
		return offset;
	follow = &structure->follows[which % APUS_FOLLOWS];
	from = (which >> WHICH_ELEMENT) % FOLLOWED_ELEMENTS * structure->size;
	if (!lies_within(follow, from, ((struct apus_blob *)&s->data[OFFSET(blob)])->length))
		return offset;
	at = blob + sizeof(struct apus_blob) + from;
	address = number_at(s, at + follow->offset, 8);
	if (!address || (follow->flags & APUS_FOLLOW_FILLED && s->given == NOTHING_GIVEN))
		return offset;
	elements = follow_elements(s, follow, at);
	packed.reader = follow->reader;
	next = read_memory(address, packed.bits, elements, offset, s->follow_flags);
	if (next < 0) {
		s->missed = 1;
		return offset;
	}
	/* Room in which nothing is. */
	if (next == offset && !elements)
		next = close_blob(s, offset, s->follow_flags & 0xff,
				  s->follow_flags & READ_RESULT ? APUS_BLOB_RESULT : 0, 0, 0);
	if (next == offset)
		return offset;
	read = (void *)&s->data[OFFSET(offset)];
	read->flags |= (which >> WHICH_LEVEL & 3) << APUS_BLOB_LEVEL_SHIFT;
	read->count = from + follow->offset;
	s->followed++;
	return next;
}

/* The number in the table of the structure that a pointer leads to; 0: none, or one that leads nowhere. */
__noinline u32 behind_pointer(u32 number, u32 which)
{
	struct apus_structure *structure = bpf_map_lookup_elem(&structures, &number);

	return structure ? structure->follows[which % APUS_FOLLOWS].reader.structure : 0;
}

/* Follows the pointers of the structures in the blob at `blob`, which is of level 1. */
__noinline u32 follow_further(u32 self, u32 number, u32 blob, u32 offset)
{
	u32 count = elements_of(self, number, blob);

	for (u32 i = 0; i < FOLLOWED_ELEMENTS; i++) {
		if (i >= count)
			break;
		for (u32 j = 0; j < APUS_FOLLOWS; j++)
			offset = follow_pointer(self, WHICH(number, 2, i, j), blob, offset);
	}
	return offset;
}

/* Follows the pointers of the structures in the blob of an argument, which is at `blob`, and once more. Returns the new
 * offset. */
__noinline u32 follow_argument(u32 self, u32 blob, u32 offset)
{
	struct scratch *s = scratch_at(self);
	u32 number = s ? s->following : 0, count = elements_of(self, number, blob);

	for (u32 i = 0; i < FOLLOWED_ELEMENTS; i++) {
		if (i >= count)
			break;
		for (u32 j = 0; j < APUS_FOLLOWS; j++) {
			u32 next = follow_pointer(self, WHICH(number, 1, i, j), blob, offset);

			if (next > offset)
				next = follow_further(self, behind_pointer(number, j), offset, next);
			offset = next;
		}
	}
	return offset;
}

#endif
