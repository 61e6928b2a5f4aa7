/* What user space gave the system call in progress. */
#ifndef APUS_USER_H
#define APUS_USER_H

/* An argument of a hooked function, numbered from 0, that points at no struct. Read by a helper: the
 * verifier takes loads of pointers to integers only since 5.13, of `const void *` later than 6.12. */
static __always_inline u64 pointer_argument(u64 *ctx, u32 number)
{
	u64 value = 0;

	bpf_probe_read_kernel(&value, sizeof(value), ctx + number);
	return value;
}

/* The first or the second argument of the system call in progress. */
static __always_inline u64 syscall_argument(u32 which, bool compat)
{
	struct pt_regs *regs = user_registers(current_task());

	if (compat)
		return which == 1 ? (u32)REGISTER(regs, bx) : (u32)REGISTER(regs, cx);
	return which == 1 ? REGISTER(regs, di) : REGISTER(regs, si);
}

__noinline int append_user_string_from(u32 self, u32 field, u64 address)
{
	struct scratch *s = scratch_at(self);
	u32 flags = 0;
	u8 *to;
	long n;

	if (!s || !address || s->offset > APUS_RECORD_DATA - 16)
		return 0;
	to = &s->data[OFFSET(s->offset) + sizeof(struct apus_blob)];
	n = bpf_probe_read_user_str(to, STRING_READ, (void *)address);
	if (n < 0)
		return 0;
	if (n == 0)
		n = 1;
	if (n == STRING_READ) {
		flags = APUS_BLOB_TRUNCATED;
		n = APUS_MAX_STRING;
	}
	s->offset = close_blob(s, s->offset, field, flags, 1, n - 1);
	return 0;
}

/* Appends a NUL-terminated string of user space; nothing where it is not resident. */
static __always_inline void append_user_string(struct scratch *s, u32 field, u64 address)
{
	if (want_paths)
		append_user_string_from(s->self, field, address);
}

#define USER_BYTES 128

__noinline int append_user_bytes_from(u32 self, u32 field, u64 address, u32 length)
{
	struct scratch *s = scratch_at(self);
	u32 offset;

	if (!s || !length || length > USER_BYTES)
		return 0;
	offset = s->offset;
	if (offset > APUS_RECORD_DATA - 16)
		return 0;
	barrier_var(length);
	length &= 2 * USER_BYTES - 1;
	if (bpf_probe_read_user(&s->data[OFFSET(offset) + sizeof(struct apus_blob)], length, (void *)address))
		return 0;
	s->offset = close_blob(s, offset, field, 0, 1, length);
	return 0;
}

/* Appends up to 128 bytes of user space; nothing where they are not resident. */
static __always_inline void append_user_bytes(struct scratch *s, u32 field, u64 address, u32 length)
{
	append_user_bytes_from(s->self, field, address, length);
}

/* Appends what a reader of the generic encoder finds at an address of user space, if anything. */
static __always_inline void append_user(struct scratch *s, u32 field, u32 kind, u64 address, u64 length)
{
	union packed_reader packed = {.reader = {.kind = kind, .element = 1, .limit = APUS_MAX_STRING}};
	u32 compat = s->record.flags & APUS_RECORD_COMPAT ? READ_COMPAT : 0;
	long next = READ_FAULT;

	if (address)
		next = read_argument(address, packed.bits, length, s->offset,
				     field | compat | s->self << READ_SCRATCH);
	if (next >= 0)
		s->offset = next;
}

/* Which argument of a system call that opens a file is its path: 1, 2, or 0 for another call.
 * arch/x86/entry/syscalls: open creat execve uselib acct swapon mq_open, openat openat2 execveat. */
static __always_inline u32 path_argument(s32 number, bool compat)
{
	if (compat) {
		switch (number) {
		case 5: case 8: case 11: case 51: case 86: case 87: case 277:
			return 1;
		case 295: case 358: case 437:
			return 2;
		}
		return 0;
	}
	if (number < 0)
		return 0;
	switch (number & ~X32_BIT) {
	case 2: case 59: case 85: case 134: case 163: case 167: case 240: case 520:
		return 1;
	case 257: case 322: case 437: case 545:
		return 2;
	}
	return 0;
}

#endif
