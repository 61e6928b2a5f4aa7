/* Hooks: one body, attached in several ways.
 *
 *	ON_ENTRY(security_file_open, security_file_open, struct file *file)
 *	{
 *		...
 *	}
 *
 * makes the programs NAME__fentry (a trampoline) and NAME__kprobe, of which the loader takes the best
 * that the kernel offers. ON_EXIT makes NAME__fexit, and NAME__kprobe with NAME__kretprobe; its
 * last argument is what the function returned. The catalogue says which functions with which
 * parameters a program is for; the loader sees to it that the running kernel's are the same. */
#ifndef APUS_HOOK_H
#define APUS_HOOK_H

/* Calls a body, whose typed arguments the kernel hands over as 64-bit words, and returns what it does. */
#define RETURN_BODY(call)                                                                                  \
	_Pragma("GCC diagnostic push") _Pragma("GCC diagnostic ignored \"-Wint-conversion\"")              \
		long result = call;                                                                        \
	_Pragma("GCC diagnostic pop") return result;

/* What a function is given in registers, at its entry. */
#define REGISTER_ARGUMENTS(regs) {regs->di, regs->si, regs->dx, regs->cx, regs->r8, regs->r9}

/* A tracepoint with typed arguments. */
#define ON_TRACEPOINT(name, tracepoint, args...)                                                           \
	static __always_inline int name##_body(u64 *ctx, ##args);                                          \
	SEC("tp_btf/" #tracepoint) int name(u64 *ctx)                                                      \
	{                                                                                                  \
		RETURN_BODY(name##_body(___bpf_ctx_cast(args)))                                            \
	}                                                                                                  \
	static __always_inline int name##_body(u64 *ctx, ##args)

/* The same event at the entry of a function that the kernel calls next to the tracepoint: for kernels that let
 * another task run in the middle of a tracepoint's program, and then refuse to run the program for that task. Makes
 * NAME__multi, which is never preempted; with it comes what the function takes. */
#define OR_ON_ENTRY(name, function, args...)                                                               \
	static __always_inline int name##_entry(u64 *ctx, ##args);                                         \
	SEC("kprobe.multi/" #function) int name##__multi(struct pt_regs *regs)                             \
	{                                                                                                  \
		u64 ctx[6] = REGISTER_ARGUMENTS(regs);                                                     \
		RETURN_BODY(name##_entry(___bpf_ctx_cast(args)))                                           \
	}                                                                                                  \
	static __always_inline int name##_entry(u64 *ctx, ##args)

#define ON_ENTRY(name, function, args...)                                                                  \
	static __always_inline int name(u64 *ctx, ##args);                                                 \
	SEC("fentry/" #function) int name##__fentry(u64 *ctx)                                              \
	{                                                                                                  \
		RETURN_BODY(name(___bpf_ctx_cast(args)))                                                   \
	}                                                                                                  \
	SEC("kprobe/" #function) int name##__kprobe(struct pt_regs *regs)                                  \
	{                                                                                                  \
		u64 ctx[6] = REGISTER_ARGUMENTS(regs);                                                     \
		RETURN_BODY(name(___bpf_ctx_cast(args)))                                                   \
	}                                                                                                  \
	static __always_inline int name(u64 *ctx, ##args)

#define ON_EXIT(name, function, args...)                                                                   \
	static __always_inline int name(u64 *ctx, ##args);                                                 \
	enum { name##__call = __COUNTER__ };                                                               \
	SEC("fexit/" #function) int name##__fexit(u64 *ctx)                                                \
	{                                                                                                  \
		RETURN_BODY(name(___bpf_ctx_cast(args)))                                                   \
	}                                                                                                  \
	SEC("kprobe/" #function) int name##__kprobe(struct pt_regs *regs)                                  \
	{                                                                                                  \
		keep_call(regs, name##__call);                                                             \
		return 0;                                                                                  \
	}                                                                                                  \
	SEC("kretprobe/" #function) int name##__kretprobe(struct pt_regs *regs)                            \
	{                                                                                                  \
		u64 ctx[7];                                                                                \
		if (!take_call(name##__call, ctx))                                                         \
			return 0;                                                                          \
		ctx[___bpf_narg(args) - 1] = regs->ax;                                                     \
		RETURN_BODY(name(___bpf_ctx_cast(args)))                                                   \
	}                                                                                                  \
	static __always_inline int name(u64 *ctx, ##args)

/* What perf hands to BPF (struct syscall_tp_t). Behind the number there are four bytes of nothing. */
struct syscall_enter_context {
	u64 common;
	int number;
};

struct syscall_exit_context {
	u64 common;
	int number;
	long ret;
};

/* The entry of the system calls that the catalogue lists: their perf tracepoints, or the functions behind
 * them. The body takes the registers of user space and the number of the call. */
#define ON_CALLS(name)                                                                                     \
	static __always_inline int name(struct pt_regs *regs, u32 number);                                 \
	SEC("tracepoint/syscalls/sys_enter_openat") int name##__calls(struct syscall_enter_context *context) \
	{                                                                                                  \
		return name(user_registers(current_task()), context->number);                              \
	}                                                                                                  \
	SEC("kprobe/syscalls") int name##__calls_kprobe(struct pt_regs *ignored)                           \
	{                                                                                                  \
		struct pt_regs *regs = user_registers(current_task());                                     \
		return name(regs, REGISTER(regs, orig_ax));                                                \
	}                                                                                                  \
	static __always_inline int name(struct pt_regs *regs, u32 number)

/* Many functions hooked at once, by one attachment, which costs less than a kprobe and is made and undone
 * at once (since 5.18). It leads to the kprobe's program of the function, whose place is the cookie. */
struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 512);
	__type(key, u32);
	__type(value, u32);
} multi_programs SEC(".maps");

SEC("kprobe.multi/functions")
int multi(struct pt_regs *regs)
{
	bpf_tail_call(regs, &multi_programs, bpf_get_attach_cookie(regs));
	return 0;
}

/* The arguments of functions in progress that are watched by kprobes, by task and program. The oldest
 * gives way when it is full; a return that finds nothing is counted. */
struct call_key {
	u64 task;
	u64 call;
};

struct call {
	u64 args[6];
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16384);
	__type(key, struct call_key);
	__type(value, struct call);
} calls SEC(".maps");

static __always_inline void keep_arguments(struct call *value, u64 call)
{
	struct call_key key = {.task = bpf_get_current_task(), .call = call};

	/* The kernel watches a limited number of returns, and tells of none that it misses. */
	if (bpf_map_lookup_elem(&calls, &key))
		count(APUS_COUNTER_UNPAIRED, COUNT_LOST);
	bpf_map_update_elem(&calls, &key, value, BPF_ANY);
}

static __always_inline void keep_call(struct pt_regs *regs, u64 call)
{
	struct call value = {REGISTER_ARGUMENTS(regs)};

	keep_arguments(&value, call);
}

/* The same with the seventh argument in place of the sixth. It lies on the stack, above the return address. */
static __always_inline void keep_call_with_seventh(struct pt_regs *regs, u64 call)
{
	struct call value = {REGISTER_ARGUMENTS(regs)};

	bpf_probe_read_kernel(&value.args[5], sizeof(u64), (void *)regs->sp + sizeof(u64));
	keep_arguments(&value, call);
}

static __always_inline bool take_call(u64 call, u64 *args)
{
	struct call_key key = {.task = bpf_get_current_task(), .call = call};
	struct call *value = bpf_map_lookup_elem(&calls, &key);

	if (!value) {
		count(APUS_COUNTER_UNPAIRED, COUNT_LOST);
		return false;
	}
	for (u32 i = 0; i < 6; i++)
		args[i] = value->args[i];
	bpf_map_delete_elem(&calls, &key);
	return true;
}

#endif
