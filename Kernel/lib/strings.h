/* String arrays: of the execve in progress, and of the kernel's own. */
#ifndef APUS_STRINGS_H
#define APUS_STRINGS_H

#ifndef AT_FDCWD
#define AT_FDCWD (-100)
#endif

/* What the execve or execveat in progress was given. */
struct exec_call {
	u64 argv, envp;
	s32 dirfd, flags;
};

static __always_inline bool exec_in_progress(struct scratch *s, struct exec_call *to)
{
	bool compat = s->record.flags & APUS_RECORD_COMPAT;
	s32 call = s->record.syscall;
	struct pt_regs *regs;

	if (call == (compat ? SYS_EXECVE_COMPAT : SYS_EXECVE)) {
		regs = user_registers(current_task());
		to->argv = compat ? (u32)REGISTER(regs, cx) : REGISTER(regs, si);
		to->envp = compat ? (u32)REGISTER(regs, dx) : REGISTER(regs, dx);
		to->dirfd = AT_FDCWD;
		to->flags = 0;
		return true;
	}
	if (call == (compat ? SYS_EXECVEAT_COMPAT : SYS_EXECVEAT)) {
		regs = user_registers(current_task());
		to->argv = compat ? (u32)REGISTER(regs, dx) : REGISTER(regs, dx);
		to->envp = compat ? (u32)REGISTER(regs, si) : REGISTER(regs, r10);
		to->dirfd = compat ? REGISTER(regs, bx) : REGISTER(regs, di);
		to->flags = compat ? REGISTER(regs, di) : REGISTER(regs, r8);
		return true;
	}
	return false;
}

static __always_inline void append_user_strings(struct scratch *s, u32 field, u64 address)
{
	append_user(s, field, APUS_READ_STRING_ARRAY, address, 0);
}

/* Appends one string of the kernel's array at `from`. Its state is in the scratch: `length` is the number
 * of the string, `walk.at` where it goes. Returns 0 when it was the last. */
__noinline long append_kernel_element(u32 self)
{
	struct scratch *s = scratch_at(self);
	const char *string = NULL;
	u32 at;
	u8 *to;
	long n;

	if (!s || !s->from)
		return 0;
	at = s->walk.at;
	bpf_probe_read_kernel(&string, sizeof(string), (void *)(s->from + s->length * sizeof(string)));
	if (!string)
		return 0;
	s->walk.truncated = 1;
	if (s->length == APUS_MAX_ELEMENTS || at - s->walk.start >= APUS_MAX_ARRAY - APUS_MAX_STRING)
		return 0;
	s->walk.truncated = 0;
	to = &s->data[at & 0x7fff];
	n = bpf_probe_read_kernel_str(to, APUS_MAX_STRING, string);
	if (n <= 0) {
		to[0] = 0; /* keeps the positions of the others */
		n = 1;
	}
	s->walk.at = at + n;
	s->length++;
	return 1;
}

__noinline long append_kernel_elements(u32 self)
{
	for (u32 i = 0; i < 17; i++)
		if (!append_kernel_element(self))
			return 0;
	return 1;
}

__noinline int append_kernel_strings_from(u32 self, u32 field)
{
	struct scratch *s = scratch_at(self);

	if (!s || !s->from || s->offset > APUS_RECORD_DATA - APUS_MAX_ARRAY - 16)
		return 0;
	s->walk.start = s->walk.at = OFFSET(s->offset) + sizeof(struct apus_blob);
	s->length = 0;
	s->walk.truncated = 0;
	for (u32 i = 0; i < 17; i++) /* in two loops, so that the verifier sees 17 + 17 steps */
		if (!append_kernel_elements(self))
			break;
	s->offset = close_blob(s, s->offset, field, s->walk.truncated ? APUS_BLOB_TRUNCATED : 0, s->length,
			       s->walk.at - s->walk.start);
	return 0;
}

/* Appends a NULL-terminated array of the kernel's strings; nothing where the pointer is null. */
static __always_inline void append_kernel_strings(struct scratch *s, u32 field, char **strings)
{
	s->from = (u64)strings;
	append_kernel_strings_from(s->self, field);
}

/* Sets a type and appends a path: of the standard input of the current task. */
static __always_inline void append_standard_input(struct scratch *s, struct task_struct *task, u32 type,
						  u32 path)
{
	struct file *file = file_of(task, 0);

	if (!file)
		return;
	set_value(s, type, file_type(file));
	append_path(s, path, &file->f_path);
}

#endif
