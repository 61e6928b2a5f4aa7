/* What a successful execution was given, where it was not resident when the call was entered: as the kernel copied it to
 * the stack of the new program. From the stack's pointer upwards there are the number of arguments, pointers, the arguments,
 * the environment, and the path (create_elf_tables, fs/binfmt_elf.c, and bprm->exec, fs/exec.c, 5.10 to 7.2). */
#ifndef APUS_EXECUTION_H
#define APUS_EXECUTION_H

/* Arguments that formats put before those that a script is given: at most two for each of five interpreters. */
#define MAX_SKIPPED 11

/* Appends a run of NUL-terminated strings, which lie one behind the other in user space. Global, for those that have
 * several. */
__noinline int append_run(u32 self, u32 field, u64 from, u64 to, u32 elements)
{
	struct scratch *s = scratch_at(self);
	u64 length = to - from;
	u32 offset, flags = 0;

	if (!s)
		return 0;
	offset = OFFSET(s->offset);
	/* Barriers keep the bounds on the registers that are used, for the 6.1 verifier. */
	barrier_var(offset);
	if (offset > APUS_RECORD_DATA - APUS_MAX_ARRAY - 16 || to <= from)
		return 0;
	if (length >= APUS_MAX_ARRAY) {
		length = APUS_MAX_ARRAY - 1;
		flags = APUS_BLOB_TRUNCATED;
	}
	barrier_var(length);
	length &= APUS_MAX_ARRAY - 1;
	if (bpf_probe_read_user(&s->data[offset + sizeof(struct apus_blob)], length, (void *)from))
		return 0;
	s->offset = close_blob(s, offset, field, flags, elements, length);
	return 0;
}

/* Where the strings behind the first `count` begin, from `from` on; 0 where they cannot be told. */
__noinline u64 skip_strings(u32 self, u64 from, u32 count)
{
	struct scratch *s = scratch_at(self);

	if (!s || count > MAX_SKIPPED || s->offset > APUS_RECORD_DATA - 16)
		return 0;
	for (u32 i = 0; i < MAX_SKIPPED; i++) {
		long n;

		if (i >= count)
			break;
		n = bpf_probe_read_user_str(&s->data[OFFSET(s->offset)], STRING_READ, (void *)from);
		if (n <= 0 || n == STRING_READ)
			return 0;
		from += n;
	}
	return from;
}

/* Appends the arguments of the new program that the call gave: `given` of them. A script has its interpreters in place of
 * the first, which is lost then. */
__noinline int append_new_arguments(u32 self, u32 field, u32 given)
{
	struct scratch *s = scratch_at(self);
	struct task_struct *task = current_task();
	struct mm_struct *mm = TASK(task, mm);
	u64 from = READ(mm, arg_start), first;
	u32 count = 0, at;

	if (!s || !given || bpf_probe_read_user(&count, sizeof(count), (void *)READ(mm, start_stack)))
		return 0;
	if (count == given)
		return append_run(self, field, from, READ(mm, arg_end), given);
	if (count < given)
		return 0;
	first = skip_strings(self, from, count - given + 1);
	/* The ellipsis takes the place of the end of what is left out. */
	if (!first || first - from < 4)
		return 0;
	at = s->offset;
	append_run(self, field, first - 4, READ(mm, arg_end), given);
	if (s->offset != at) {
		struct apus_blob *blob = (void *)&s->data[OFFSET(at)];

		put_ellipsis((u8 *)(blob + 1));
		blob->flags |= APUS_BLOB_GAPS;
	}
	return 0;
}

/* How many strings there are in the array that a field is, of which some were not resident; 0 where that is not known. */
static __always_inline u32 strings_given(struct scratch *s, u32 field)
{
	u32 at = find_blob(s->self, field);
	struct apus_blob *blob;

	if (!at)
		return 0;
	blob = (void *)record_bytes(s, at);
	return blob->flags & APUS_BLOB_TRUNCATED ? 0 : blob->count;
}

/* Appends what `missed` has bits for, of the arguments of an execution that has succeeded. Returns the new offset. Global, as
 * few calls come here. */
__noinline u32 append_executed(u32 self, u32 missed, u32 is_at, u32 offset)
{
	struct scratch *s = scratch_at(self);
	struct task_struct *task = current_task();
	struct mm_struct *mm = TASK(task, mm);
	u32 path = is_at ? 1 : 0, given;

	if (!s)
		return offset;
	s->offset = offset;
	/* Of a path that is relative to a descriptor the kernel makes another. */
	if (missed >> path & 1 && (!is_at || (s32)s->args[0] == AT_FDCWD))
		append_user_string_from(self, path, READ(mm, env_end));
	missed >>= path + 1;
	if (missed & 1)
		append_new_arguments(self, path + 1, strings_given(s, path + 1));
	given = missed & 2 ? strings_given(s, path + 2) : 0;
	if (given)
		append_run(self, path + 2, READ(mm, env_start), READ(mm, env_end), given);
	return s->offset;
}

#endif
