/* System calls that were given one thing and acted on another: the process (another thread of it, or one
 * that shares the memory) changed the path or address between the call and the kernel's own copy. Who
 * looks at arguments when the call enters is shown what the kernel does not do.
 *
 * What the call is given is read when it enters, by its own perf tracepoint, which 32-bit callers do not
 * pass; it is compared with the kernel's copy when that is made. */
#ifndef APUS_MISMATCH_H
#define APUS_MISMATCH_H

#define SYS_OPEN 2
#define SYS_CONNECT 42
#define SYS_RENAME 82
#define SYS_CREAT 85
#define SYS_UNLINK 87
#define SYS_OPENAT 257
#define SYS_UNLINKAT 263
#define SYS_RENAMEAT 264
#define SYS_RENAMEAT2 316
#define SYS_OPENAT2 437

struct asked_key {
	u64 task;
	u64 which; /* rename has two paths */
};

struct asked {
	u32 waits;  /* to be compared */
	u32 number; /* of the system call */
	u32 length; /* with the NUL */
	u32 reserved;
	char data[APUS_MAX_STRING];
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1024);
	__type(key, struct asked_key);
	__type(value, struct asked);
} asked_of_calls SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct asked);
} asked_nothing SEC(".maps");

/* This task's, in which it is filled in place: a value is too long to be copied each time. */
static __always_inline struct asked *asked_of_current(u64 which, bool create)
{
	struct asked_key key = {.task = bpf_get_current_task(), .which = which};
	struct asked *asked = bpf_map_lookup_elem(&asked_of_calls, &key);
	u32 zero = 0;

	if (asked || !create)
		return asked;
	asked = bpf_map_lookup_elem(&asked_nothing, &zero);
	if (!asked)
		return NULL;
	bpf_map_update_elem(&asked_of_calls, &key, asked, BPF_NOEXIST);
	return bpf_map_lookup_elem(&asked_of_calls, &key);
}

/* Keeps the path at `pointer`; nothing where it is not resident, as then nobody is shown anything. */
static __always_inline void keep_path(u64 which, u64 pointer, u32 number)
{
	struct asked *asked = asked_of_current(which, true);
	long n;

	if (!asked)
		return;
	asked->waits = 0;
	n = bpf_probe_read_user_str(asked->data, sizeof(asked->data), (void *)pointer);
	if (n <= 0)
		return;
	asked->number = number;
	asked->length = n;
	asked->waits = 1;
}

static __always_inline void keep_address(u64 pointer, s32 length, u32 number)
{
	struct asked *asked = asked_of_current(0, true);

	if (!asked)
		return;
	asked->waits = 0;
	if (length <= 0 || length > SOCKADDR_STORAGE)
		return;
	barrier_var(length);
	length &= 2 * SOCKADDR_STORAGE - 1;
	if (bpf_probe_read_user(asked->data, length, (void *)pointer))
		return;
	asked->number = number;
	asked->length = length;
	asked->waits = 1;
}

ON_CALLS(mismatch_asked)
{
	u64 first = REGISTER(regs, di), second = REGISTER(regs, si);

	switch (number) {
	case SYS_CONNECT:
		keep_address(second, REGISTER(regs, dx), number);
		return 0;
	case SYS_OPEN:
	case SYS_CREAT:
	case SYS_EXECVE:
	case SYS_UNLINK:
		keep_path(0, first, number);
		return 0;
	case SYS_RENAME:
		keep_path(0, first, number);
		keep_path(1, second, number);
		return 0;
	case SYS_RENAMEAT:
	case SYS_RENAMEAT2:
		keep_path(1, REGISTER(regs, r10), number);
		break;
	}
	keep_path(0, second, number);
	return 0;
}

/* ---- The comparison: what was asked lies at the beginning of a scratch's data, the kernel's copy here */

#define ACTED_AT 8192
#define COMPARE_STEP 64

__noinline long differ_from(u32 self, u32 from, u32 length)
{
	struct scratch *s = scratch_at(self);
	u64 difference = 0;

	if (!s)
		return 0;
	for (u32 i = 0; i < COMPARE_STEP; i += 8) {
		u32 at = (from + i) & 0xff8;

		if (at < length)
			difference |= *(u64 *)&s->data[at] ^ *(u64 *)&s->data[ACTED_AT + at];
	}
	return difference != 0;
}

/* Whether the first `length` bytes of the two differ. */
__noinline long differ(u32 self, u32 length)
{
	struct scratch *s = scratch_at(self);

	if (!s || length > APUS_MAX_STRING)
		return 0;
	/* The last word is compared whole. */
	*(u64 *)&s->data[length] = 0;
	*(u64 *)&s->data[ACTED_AT + length] = 0;
	for (u32 from = 0; from < APUS_MAX_STRING; from += COMPARE_STEP) {
		if (from >= length)
			break;
		if (differ_from(self, from, length))
			return 1;
	}
	return 0;
}

/* Takes what was asked of this task's call to a scratch; null where there is nothing. */
static __always_inline struct scratch *take_asked(u64 which, u32 number, u32 *asked_length)
{
	struct asked *asked = asked_of_current(which, false);
	struct scratch *s;
	u32 length;

	if (!asked || !asked->waits || asked->number != number)
		return NULL;
	asked->waits = 0;
	s = claim_scratch();
	if (!s)
		return NULL;
	length = asked->length;
	*asked_length = length;
	if (length > APUS_MAX_STRING)
		length = APUS_MAX_STRING;
	barrier_var(length);
	length &= 2 * APUS_MAX_STRING - 1;
	bpf_probe_read_kernel(s->data, length, asked->data);
	return s;
}

static __always_inline int compare_path(u64 which, struct filename *name)
{
	struct task_struct *task = current_task();
	struct scratch *kept, *s;
	u32 asked_length = 0;
	s32 number;
	long n;

	if (!name || IS_ERROR(name) || in_compat_syscall(task))
		return 0;
	number = current_syscall();
	kept = take_asked(which, number, &asked_length);
	if (!kept)
		return 0;
	n = bpf_probe_read_kernel_str(&kept->data[ACTED_AT], APUS_MAX_STRING, READ(name, name));
	if (n > 0 && (n != asked_length || differ(kept->self, n))) {
		s = BEGIN(SYSCALL_MISMATCH);
		if (s) {
			set_value(s, FIELD_SYSCALL_MISMATCH_SYSCALL, number);
			append_string(s, FIELD_SYSCALL_MISMATCH_ASKED, kept->data);
			append_string(s, FIELD_SYSCALL_MISMATCH_ACTED, &kept->data[ACTED_AT]);
			FINISH(s);
		}
	}
	return abandon(kept);
}

/* Where a call acts on its path; getname, which makes the copy, is compiled into some of them. */

/* struct file *do_filp_open(int dfd, struct filename *pathname, const struct open_flags *op), fs/namei.c,
 * 5.10 to 6.18; do_file_open in 7.2. An execve opens its program first, then what that asks for. */
ON_ENTRY(mismatch_open, do_filp_open, s32 directory, struct filename *name)
{
	return compare_path(0, name);
}

ON_ENTRY(mismatch_file_open, do_file_open, s32 directory, struct filename *name)
{
	return compare_path(0, name);
}

/* long do_unlinkat(int dfd, struct filename *name), fs/namei.c, 5.10; int in 6.1 and 6.12; filename_unlinkat
 * in 7.2 */
ON_ENTRY(mismatch_unlink, do_unlinkat, s32 directory, struct filename *name)
{
	return compare_path(0, name);
}

ON_ENTRY(mismatch_filename_unlink, filename_unlinkat, s32 directory, struct filename *name)
{
	return compare_path(0, name);
}

/* int do_renameat2(int olddfd, struct filename *from, int newdfd, struct filename *to, unsigned int flags),
 * fs/namei.c, 5.10 to 6.18; filename_renameat2 in 7.2 */
ON_ENTRY(mismatch_rename, do_renameat2, s32 directory, struct filename *from, s32 new_directory,
	 struct filename *to)
{
	compare_path(0, from);
	return compare_path(1, to);
}

ON_ENTRY(mismatch_filename_rename, filename_renameat2, s32 directory, struct filename *from,
	 s32 new_directory, struct filename *to)
{
	compare_path(0, from);
	return compare_path(1, to);
}

/* int security_socket_connect(struct socket *sock, struct sockaddr *address, int addrlen),
 * security/security.c, 5.10 to 7.2. The address is the kernel's copy. */
ON_ENTRY(mismatch_connect, security_socket_connect, struct socket *socket, void *address, s32 length)
{
	struct task_struct *task = current_task();
	struct scratch *kept, *s;
	u32 asked_length = 0;

	if (current_syscall() != SYS_CONNECT || in_compat_syscall(task))
		return 0;
	kept = take_asked(0, SYS_CONNECT, &asked_length);
	if (!kept)
		return 0;
	if (length != asked_length || length <= 0 || length > SOCKADDR_STORAGE)
		return abandon(kept);
	barrier_var(length);
	length &= 2 * SOCKADDR_STORAGE - 1;
	if (bpf_probe_read_kernel(&kept->data[ACTED_AT], length, address) == 0 && differ(kept->self, length)) {
		s = BEGIN(SYSCALL_MISMATCH);
		if (s) {
			set_value(s, FIELD_SYSCALL_MISMATCH_SYSCALL, SYS_CONNECT);
			append_bytes(s, FIELD_SYSCALL_MISMATCH_ASKED_ADDRESS, kept->data, length);
			append_bytes(s, FIELD_SYSCALL_MISMATCH_ACTED_ADDRESS, &kept->data[ACTED_AT], length);
			FINISH(s);
		}
	}
	return abandon(kept);
}

#endif
