/* BPF: commands, maps, programs and what they are attached to. */
#ifndef APUS_BPF_H
#define APUS_BPF_H

#define BPF_PROG_LOAD_COMMAND 5        /* include/uapi/linux/bpf.h */
#define SYS_BPF 321
#define SYS_BPF_COMPAT 357
#define CALL_OPCODE 0x85               /* BPF_JMP | BPF_CALL */
#define HELPER_WORDS 4                 /* 64 helpers in each: 7.2 has 212 */
#define PERF_EVENT_IOC_SET_BPF 0x40042408

/* ---- The helpers that a program calls ---- */

struct helper_set {
	u64 words[HELPER_WORDS];
	u64 loaded; /* its first descriptor was given out */
};

/* Of the programs that were loaded last, by struct bpf_prog_aux: the verifier may move the program
 * itself. Absent for a program that was loaded before Apus began. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 8192);
	__type(key, u64);
	__type(value, struct helper_set);
} helper_sets SEC(".maps");

#define BLOCK 512 /* instructions read at a time, to `walk.components` */
#define GROUP 64

/* Notes the helpers that a group of the instructions read calls, in `args`. */
__noinline int note_helpers(u32 self, u32 first)
{
	struct scratch *s = scratch_at(self);

	if (!s)
		return 0;
	for (u32 i = 0; i < GROUP; i++) {
		/* opcode, 8 bits; destination and source register, 4 each; offset, 16; immediate, 32 */
		u64 instruction = s->walk.components[(first + i) & (MAX_COMPONENTS - 1)];
		u32 helper = instruction >> 32;

		if ((instruction & 0xf0ff) == CALL_OPCODE && helper < 64 * HELPER_WORDS)
			s->args[helper >> 6 & (HELPER_WORDS - 1)] |= 1ULL << (helper & 63);
	}
	return 0;
}

/* Notes those of the next block. Returns 0 at the end: `walk.depth` instructions are left. */
__noinline long note_block(u32 self)
{
	struct scratch *s = scratch_at(self);
	u32 n;

	if (!s || !s->walk.depth)
		return 0;
	n = s->walk.depth;
	if (n > BLOCK)
		n = BLOCK;
	barrier_var(n);
	n &= 2 * BLOCK - 1;
	if (n > BLOCK || bpf_probe_read_kernel(s->walk.components, n * 8, (void *)s->walk.address))
		return 0;
	s->walk.address += n * 8;
	s->walk.depth -= n;
	for (u32 group = 0; group < BLOCK; group += GROUP) {
		if (group >= n)
			break;
		/* What is behind the end is of the block before, and noted already, or of nobody. */
		note_helpers(self, group);
	}
	return 1;
}

__noinline long note_blocks(u32 self)
{
	for (u32 i = 0; i < 32; i++)
		if (!note_block(self))
			return 0;
	return 1;
}

/* int bpf_check(struct bpf_prog **prog, ...), kernel/bpf/verifier.c, 5.10 to 7.2: the further parameters
 * differ. Helpers are still numbers in there, and addresses behind. A program has a million instructions
 * at most (BPF_COMPLEXITY_LIMIT_INSNS), all of which are looked at. The verifier of 5.10 lets nobody
 * take a pointer to a pointer from a trampoline, so it is read as memory. */
ON_ENTRY(bpf_check_helpers, bpf_check)
{
	struct helper_set set = {};
	struct bpf_prog *prog = NULL;
	struct scratch *s;
	u64 where = 0;
	u64 key;

	bpf_probe_read_kernel(&where, sizeof(where), ctx);
	bpf_probe_read_kernel(&prog, sizeof(prog), (void *)where);
	key = (u64)READ(prog, aux);
	s = claim_scratch();
	if (!s)
		return 0;
	for (u32 i = 0; i < HELPER_WORDS; i++)
		s->args[i] = 0;
	for (u32 i = 0; i < GROUP; i++)
		s->walk.components[i] = 0;
	s->walk.depth = READ(prog, len);
	s->walk.address = (u64)prog + bpf_core_field_offset(struct bpf_prog, insnsi);
	for (u32 i = 0; i < 64; i++)
		if (!note_blocks(s->self))
			break;
	for (u32 i = 0; i < HELPER_WORDS; i++)
		set.words[i] = s->args[i];
	release_scratch(s);
	bpf_map_update_elem(&helper_sets, &key, &set, BPF_ANY);
	return 0;
}

static __always_inline struct helper_set *helpers_of(struct bpf_prog *prog)
{
	u64 key = (u64)READ(prog, aux);

	return bpf_map_lookup_elem(&helper_sets, &key);
}

/* ---- LSM hooks ---- */

/* int security_bpf(int cmd, union bpf_attr *attr, unsigned int size), since 6.15 also bool kernel,
 * security/security.c */
ON_ENTRY(security_bpf, security_bpf, s32 command)
{
	struct scratch *s = BEGIN(SECURITY_BPF);

	if (!s)
		return 0;
	set_value(s, FIELD_SECURITY_BPF_CMD, command);
	return FINISH(s);
}

/* int security_bpf_map(struct bpf_map *map, fmode_t fmode), security/security.c, 5.10 to 7.2 */
ON_ENTRY(security_bpf_map, security_bpf_map, struct bpf_map *map)
{
	struct scratch *s = BEGIN(SECURITY_BPF_MAP);

	if (!s)
		return 0;
	set_value(s, FIELD_SECURITY_BPF_MAP_MAP_ID, READ(map, id));
	append_string(s, FIELD_SECURITY_BPF_MAP_MAP_NAME, &map->name);
	return FINISH(s);
}

static __always_inline bool in_program_load(void)
{
	struct task_struct *task = current_task();
	bool compat = in_compat_syscall(task);
	struct pt_regs *regs;

	if (current_syscall() != (compat ? SYS_BPF_COMPAT : SYS_BPF))
		return false;
	regs = user_registers(task);
	return (u32)(compat ? REGISTER(regs, bx) : REGISTER(regs, di)) == BPF_PROG_LOAD_COMMAND;
}

/* int security_bpf_prog(struct bpf_prog *prog), security/security.c, 5.10 to 7.2: before a descriptor is
 * given out, the first when the program is loaded. security_bpf_prog_load (since 6.9) comes before it has
 * an id, and before the verifier. */
ON_ENTRY(security_bpf_prog, security_bpf_prog, struct bpf_prog *prog)
{
	struct helper_set *helpers = helpers_of(prog);
	bool load = helpers ? !helpers->loaded : in_program_load();
	struct scratch *s;

	if (helpers)
		helpers->loaded = 1;
	if (!IS_WANTED(SECURITY_BPF_PROG))
		return 0;
	s = BEGIN(SECURITY_BPF_PROG);
	if (!s)
		return 0;
	set_value(s, FIELD_SECURITY_BPF_PROG_TYPE, READ(prog, type));
	append_string(s, FIELD_SECURITY_BPF_PROG_NAME, &READ(prog, aux)->name);
	if (helpers)
		append_bytes(s, FIELD_SECURITY_BPF_PROG_HELPERS, helpers->words, sizeof(helpers->words));
	set_value(s, FIELD_SECURITY_BPF_PROG_ID, READ(prog, aux, id));
	set_value(s, FIELD_SECURITY_BPF_PROG_LOAD, load);
	return FINISH(s);
}

/* ---- bpf_attach ---- */

enum attach_type {
	ATTACH_RAW_TRACEPOINT,
	ATTACH_TRACEPOINT,
	ATTACH_KPROBE,
	ATTACH_KRETPROBE,
	ATTACH_UPROBE,
	ATTACH_URETPROBE,
	ATTACH_PERF_SAMPLE, /* what follows is Apus's own */
	ATTACH_TRACING,
	ATTACH_OTHER_LINK = 100, /* + enum bpf_link_type */
};

static __always_inline struct scratch *begin_attach(struct bpf_prog *prog)
{
	struct scratch *s = BEGIN(BPF_ATTACH);
	struct helper_set *helpers;

	if (!s)
		return NULL;
	set_value(s, FIELD_BPF_ATTACH_PROG_TYPE, READ(prog, type));
	append_string(s, FIELD_BPF_ATTACH_PROG_NAME, &READ(prog, aux)->name);
	set_value(s, FIELD_BPF_ATTACH_PROG_ID, READ(prog, aux, id));
	helpers = helpers_of(prog);
	if (helpers)
		append_bytes(s, FIELD_BPF_ATTACH_PROG_HELPERS, helpers->words, sizeof(helpers->words));
	return s;
}

static __always_inline int finish_attach(struct scratch *s, u32 type, const char *name, u64 address)
{
	append_string(s, FIELD_BPF_ATTACH_SYMBOL_NAME, name);
	set_value(s, FIELD_BPF_ATTACH_SYMBOL_ADDR, address);
	set_value(s, FIELD_BPF_ATTACH_ATTACH_TYPE, type);
	return FINISH(s);
}

/* The flags of a trace event are an enum without a name, which cannot be asked for. Below them fell
 * TRACE_EVENT_FL_FILTERED when `filter` went (6.12), among them came _DYNAMIC with `module` (5.15). */
static __always_inline u32 tracepoint_flag(struct trace_event_call *call)
{
	return bpf_core_field_exists(call->filter) ? 1 << 4 : 1 << 3;
}

static __always_inline u32 kprobe_flag(struct trace_event_call *call)
{
	return tracepoint_flag(call) << (bpf_core_field_exists(call->module) ? 2 : 1);
}

static __always_inline struct list_head *first_probe(struct trace_event_call *call)
{
	struct trace_probe_event *event = (void *)call - bpf_core_field_offset(struct trace_probe_event, call);

	return READ(event, probes.next);
}

static __always_inline int emit_perf_attach(struct perf_event *event, struct bpf_prog *prog)
{
	struct trace_event_call *call = NULL;
	struct scratch *s = begin_attach(prog);
	struct list_head *first;
	u32 flags;

	if (!s)
		return 0;
	if (bpf_core_field_exists(event->tp_event))
		call = READ(event, tp_event);
	if (!call)
		return finish_attach(s, ATTACH_PERF_SAMPLE, NULL, 0);
	flags = READ(call, flags);
	if (bpf_core_type_exists(struct trace_kprobe) && flags & kprobe_flag(call)) {
		struct trace_kprobe *probe;

		first = first_probe(call);
		probe = (void *)first - bpf_core_field_offset(struct trace_probe, list) -
			bpf_core_field_offset(struct trace_kprobe, tp);
		return finish_attach(s, READ(probe, rp.handler) ? ATTACH_KRETPROBE : ATTACH_KPROBE,
				     READ(probe, symbol), (u64)READ(probe, rp.kp.addr));
	}
	if (bpf_core_type_exists(struct trace_uprobe) && flags & kprobe_flag(call) << 1) {
		struct trace_uprobe *probe;

		first = first_probe(call);
		probe = (void *)first - bpf_core_field_offset(struct trace_probe, list) -
			bpf_core_field_offset(struct trace_uprobe, tp);
		return finish_attach(s, READ(probe, consumer.ret_handler) ? ATTACH_URETPROBE : ATTACH_UPROBE,
				     READ(probe, filename), READ(probe, offset));
	}
	if (flags & tracepoint_flag(call)) {
		struct tracepoint *tracepoint = READ(call, tp); /* in a union: no typed step */

		return finish_attach(s, ATTACH_TRACEPOINT, READ(tracepoint, name), 0);
	}
	return finish_attach(s, ATTACH_TRACEPOINT, READ(call, name), 0);
}

/* Whether a file of no file system is of this kind, told by the first 8 bytes of its name. */
static __always_inline bool is_anonymous_file(struct file *file, u64 kind)
{
	return file && beginning_of_name(file) == kind;
}

#define BPF_PROGRAM_FILE 0x676f72702d667062ULL /* "bpf-prog" */

/* long _perf_ioctl(struct perf_event *event, unsigned int cmd, unsigned long arg), kernel/events/core.c, 5.10
 * to 7.2: what attaches for it (perf_event_set_bpf_prog) is compiled into it */
ON_EXIT(bpf_attach_perf, _perf_ioctl, struct perf_event *event, u32 command, u64 argument, s64 ret)
{
	struct file *program;

	if (command != PERF_EVENT_IOC_SET_BPF || ret)
		return 0;
	program = file_of(current_task(), argument);
	if (!is_anonymous_file(program, BPF_PROGRAM_FILE))
		return 0;
	return emit_perf_attach(event, READ(program, private_data));
}

/* The same for kernels whose BTF does not have that.
 * int security_file_ioctl(struct file *file, unsigned int cmd, unsigned long arg), security/security.c, 5.10
 * to 7.2. Whether it succeeds is not known yet. */
#define PERF_EVENT_FILE 0x76655f667265705bULL /* "[perf_ev" */

ON_ENTRY(bpf_attach_ioctl, security_file_ioctl, struct file *file, u32 command, u64 argument)
{
	struct file *program;

	if (command != PERF_EVENT_IOC_SET_BPF || !is_anonymous_file(file, PERF_EVENT_FILE))
		return 0;
	program = file_of(current_task(), argument);
	if (!is_anonymous_file(program, BPF_PROGRAM_FILE))
		return 0;
	return emit_perf_attach(READ(file, private_data), READ(program, private_data));
}

/* int bpf_link_prime(struct bpf_link *link, struct bpf_link_primer *primer), kernel/bpf/syscall.c, 5.10 to
 * 7.2: every kind of link passes here when it is complete, just before the attachment itself, which may
 * still fail. bpf_link_settle, behind it, is compiled into its callers. */
ON_ENTRY(bpf_attach_link, bpf_link_prime, struct bpf_link *link)
{
	struct bpf_prog *prog = READ(link, prog);
	u32 type = READ(link, type);
	struct scratch *s;

	if (!prog)
		return 0;
	if (bpf_core_type_exists(struct bpf_perf_link) && type == BPF_LINK_TYPE_PERF_EVENT) {
		struct file *file = READ((struct bpf_perf_link *)link, perf_file);

		return emit_perf_attach(READ(file, private_data), prog);
	}
	s = begin_attach(prog);
	if (!s)
		return 0;
	if (type == BPF_LINK_TYPE_RAW_TRACEPOINT)
		return finish_attach(s, ATTACH_RAW_TRACEPOINT,
				     READ((struct bpf_raw_tp_link *)link, btp, tp, name), 0);
	if (type == BPF_LINK_TYPE_TRACING)
		return finish_attach(s, ATTACH_TRACING, READ(prog, aux, attach_func_name),
				     (u64)READ(prog, aux, dst_trampoline, func.addr));
	return finish_attach(s, ATTACH_OTHER_LINK + type, NULL, 0);
}

#endif
