/* What structures lead to: pointers in them, and descriptors. */
#ifndef APUS_STRUCTURES_H
#define APUS_STRUCTURES_H

#define MAX_FOLLOWED 64   /* of one record */
#define FOLLOWED_ELEMENTS 32 /* of one array */
#define SET_BYTES 128 /* of a set of descriptors, as in the catalogue */
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

static __always_inline u32 length_of(struct scratch *s, u32 blob)
{
	return ((struct apus_blob *)&s->data[OFFSET(blob)])->length;
}

/* ---- Descriptors: noted while what holds them is read, and looked up behind all that is read ----
 *
 * Each step is a global function, so that the verifier takes it once, and not by all ways that led to it. */

#define SOCKET_RIGHTS (1 | 1ULL << 32) /* SOL_SOCKET, and above it SCM_RIGHTS: include/linux/socket.h */
#define MESSAGE_HEAD 16		       /* struct cmsghdr, include/linux/socket.h */
#define MESSAGES 256		       /* bytes of them, as in the catalogue */

/* Notes a descriptor. What is negative is none. */
__noinline u32 hold(u32 self, u32 number)
{
	struct scratch *s = scratch_at(self);
	u32 held;

	if (!want_fd_paths || !s)
		return 0;
	held = s->held;
	if ((s32)number < 0 || held > MAX_HELD)
		return 0;
	s->holds[held] = (u64)(s->follow_flags & 0xff) << 32 | number;
	s->held = held + 1;
	return 0;
}

/* Notes the descriptors in the members of element `index` of a blob. */
__noinline u32 hold_members(u32 self, u32 number, u32 blob, u32 index)
{
	struct scratch *s = scratch_at(self);
	struct apus_structure *structure = bpf_map_lookup_elem(&structures, &number);

	if (!want_fd_paths || !s || !structure)
		return 0;
	for (u32 i = 0; i < APUS_HELD; i++) {
		u32 at = index % FOLLOWED_ELEMENTS * structure->size + structure->held[i];

		if (i < structure->held_count && at + 4 <= length_of(s, blob))
			hold(self, number_at(s, blob + sizeof(struct apus_blob) + at, 4));
	}
	return 0;
}

/* Notes the bits that are set in a byte of a blob. */
__noinline u32 hold_bits(u32 self, u32 blob, u32 at)
{
	struct scratch *s = scratch_at(self);
	u32 bits;

	if (!want_fd_paths || !s || at >= length_of(s, blob))
		return 0;
	bits = number_at(s, blob + sizeof(struct apus_blob) + at, 2) & 0xff;
	for (u32 i = 0; i < 8; i++)
		if (bits >> i & 1)
			hold(self, at * 8 + i);
	return 0;
}

/* Notes the descriptors in eight bytes of the messages in a blob: of one whose data are from `walk.depth` to `walk.start`,
 * up to the next head, at `walk.at`. */
__noinline u32 hold_messages(u32 self, u32 blob, u32 at)
{
	struct scratch *s = scratch_at(self);
	u32 from = blob + sizeof(struct apus_blob) + at, rest;
	u64 bytes;

	if (!want_fd_paths || !s || at >= length_of(s, blob))
		return 0;
	rest = length_of(s, blob) - at;
	if (at != s->walk.at) {
		if (at >= s->walk.depth && at + 4 <= s->walk.start)
			hold(self, number_at(s, from, 4));
		if (at >= s->walk.depth && at + 8 <= s->walk.start)
			hold(self, number_at(s, from + 4, 4));
		return 0;
	}
	bytes = number_at(s, from, 8);
	s->walk.start = s->walk.at = 0;
	if (rest < MESSAGE_HEAD || bytes < MESSAGE_HEAD)
		return 0;
	if (bytes > rest)
		bytes = rest;
	s->walk.at = at + PAD8(bytes);
	s->walk.depth = at + MESSAGE_HEAD;
	if (number_at(s, from + 8, 8) == SOCKET_RIGHTS)
		s->walk.start = at + bytes;
	return 0;
}

/* Notes the descriptors in what was read to a blob, if that is a structure which has some: of what a call changes, as it
 * was given; of messages that it fills, as they are then. */
__noinline u32 hold_descriptors(u32 self, u32 number, u32 blob)
{
	struct apus_structure *structure = bpf_map_lookup_elem(&structures, &number);
	struct scratch *s = scratch_at(self);

	if (!want_fd_paths || !s || !structure)
		return 0;
	if (structure->held_count == APUS_HELD_MESSAGES) {
		if (s->given == NOTHING_GIVEN)
			return 0;
		s->walk.start = s->walk.at = 0;
		for (u32 at = 0; at < MESSAGES; at += 8)
			hold_messages(self, blob, at);
		return 0;
	}
	if ((s->follow_flags & (READ_RESULT | READ_LATE)) == READ_RESULT)
		return 0;
	if (structure->held_count == APUS_HELD_BITS) {
		for (u32 at = 0; at < SET_BYTES; at++)
			hold_bits(self, blob, at);
		return 0;
	}
	for (u32 i = 0; i < FOLLOWED_ELEMENTS; i++)
		if (i * structure->size < length_of(s, blob))
			hold_members(self, number, blob, i);
	return 0;
}

/* Appends what the descriptors are open on that were noted. Returns the new offset. */
__noinline u32 append_held(u32 self, u32 offset)
{
	struct scratch *s = scratch_at(self);

	if (!want_fd_paths || !follows_pointers || !s)
		return offset;
	s->offset = offset;
	for (u32 i = 0; i <= MAX_HELD; i++) {
		u64 held = s->holds[i];

		if (i >= s->held)
			break;
		if (i == MAX_HELD || s->offset > SPILL_DATA - DESCRIPTOR_ROOM) {
			s->offset = close_blob(s, s->offset, held >> 32, APUS_BLOB_DESCRIPTOR | APUS_BLOB_TRUNCATED, 0, 0);
			break;
		}
		append_descriptor(self, held >> 32 | DESCRIPTOR_HELD, held);
	}
	return s->offset;
}

/* ---- Pointers ---- */

/* How many elements of a structure with pointers the blob at `blob` has, at most FOLLOWED_ELEMENTS; the last may be cut.
 * These functions are global, and small, so that the verifier takes each once: as one they are too much for it. */
__noinline u32 elements_of(u32 self, u32 number, u32 blob)
{
	struct scratch *s = scratch_at(self);
	struct apus_structure *structure = bpf_map_lookup_elem(&structures, &number);
	u32 length, count = 0;

	if (!follows_pointers || !s || !structure || !structure->size || !structure->count)
		return 0;
	length = length_of(s, blob);
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

/* Whether a pointer is followed now, when the call was entered or when it has returned. What is the caller's is all there. */
static __always_inline bool is_followed_now(struct scratch *s, bool is_given, u32 flags)
{
	if (is_given) {
		s->given = ALL_GIVEN;
		return (s->follow_flags & (READ_RESULT | READ_LATE)) != READ_RESULT;
	}
	return !(flags & (APUS_FOLLOW_FILLED | APUS_FOLLOW_LEFT)) || s->given != NOTHING_GIVEN;
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
	if (!lies_within(follow, from, length_of(s, blob)))
		return offset;
	at = blob + sizeof(struct apus_blob) + from;
	address = number_at(s, at + follow->offset, 8);
	if (!address || !is_followed_now(s, structure->is_given, follow->flags))
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

/* Follows the pointers of the structures in the blob at `blob`, which is of level 1, and notes their descriptors. */
__noinline u32 follow_further(u32 self, u32 number, u32 blob, u32 offset)
{
	u32 count = elements_of(self, number, blob);

	if (want_fd_paths)
		hold_descriptors(self, number, blob);
	for (u32 i = 0; i < FOLLOWED_ELEMENTS; i++) {
		if (i >= count)
			break;
		for (u32 j = 0; j < APUS_FOLLOWS; j++)
			offset = follow_pointer(self, WHICH(number, 2, i, j), blob, offset);
	}
	return offset;
}

/* Follows the pointers of the structures in the blob of an argument, which is at `blob`, and once more, and notes all
 * descriptors. Returns the new offset. */
__noinline u32 follow_argument(u32 self, u32 blob, u32 offset)
{
	struct scratch *s = scratch_at(self);
	u32 number = s ? s->following : 0, count = elements_of(self, number, blob);

	if (want_fd_paths)
		hold_descriptors(self, number, blob);
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
