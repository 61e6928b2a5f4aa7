/* BPF programs and maps, kprobes and what else is attached to. By bpf(2) itself. */
#include "known.h"

#include <linux/bpf.h>
#include <linux/perf_event.h>
#include <sys/ioctl.h>

#define PROBED "vfs_statfs" /* in each kernel, and no matter to us */
#define UPROBED 0x1000	    /* in our own file */

static long bpf(int command, union bpf_attr *attr)
{
	return call(SYS_bpf, command, attr, sizeof(*attr));
}

#define INSTRUCTION(c, d, s, o, i)                                                                 \
	{ .code = (c), .dst_reg = (d), .src_reg = (s), .off = (o), .imm = (i) }
#define SET(r, i)   INSTRUCTION(BPF_ALU64 | BPF_MOV | BPF_K, r, 0, 0, i)
#define COPY(r, s)  INSTRUCTION(BPF_ALU64 | BPF_MOV | BPF_X, r, s, 0, 0)
#define ADD(r, i)   INSTRUCTION(BPF_ALU64 | BPF_ADD | BPF_K, r, 0, 0, i)
#define HELPER(i)   INSTRUCTION(BPF_JMP | BPF_CALL, 0, 0, 0, i)
#define EXIT	    INSTRUCTION(BPF_JMP | BPF_EXIT, 0, 0, 0, 0)

/* A bit for each helper of `program`: 14, 36 and 113. */
static const unsigned long helpers[4] = { 1ul << 14 | 1ul << 36, 1ul << (113 - 64) };

/* Returns a descriptor. The program does little, and is never run. */
static long load_program(int type, const char *name)
{
	static const struct bpf_insn program[] = {
		HELPER(BPF_FUNC_get_current_pid_tgid),
		COPY(BPF_REG_1, BPF_REG_10), ADD(BPF_REG_1, -8), SET(BPF_REG_2, 8), SET(BPF_REG_3, 0),
		HELPER(BPF_FUNC_probe_read_kernel),
		SET(BPF_REG_1, 0), COPY(BPF_REG_2, BPF_REG_10), ADD(BPF_REG_2, -8), SET(BPF_REG_3, 8),
		HELPER(BPF_FUNC_probe_write_user),
		SET(BPF_REG_0, 0), EXIT,
	};
	union bpf_attr attr;

	memset(&attr, 0, sizeof(attr));
	attr.prog_type = type;
	attr.insns = (unsigned long)program;
	attr.insn_cnt = sizeof(program) / sizeof(program[0]);
	attr.license = (unsigned long)"GPL";
	strcpy(attr.prog_name, name);
	return bpf(BPF_PROG_LOAD, &attr);
}

static unsigned int program_id(int fd)
{
	struct bpf_prog_info info = { 0 };
	union bpf_attr attr;

	memset(&attr, 0, sizeof(attr));
	attr.info.bpf_fd = fd;
	attr.info.info_len = sizeof(info);
	attr.info.info = (unsigned long)&info;
	must("BPF_OBJ_GET_INFO_BY_FD", bpf(BPF_OBJ_GET_INFO_BY_FD, &attr));
	return info.id;
}

static long create_map(const char *name)
{
	union bpf_attr attr;

	memset(&attr, 0, sizeof(attr));
	attr.map_type = BPF_MAP_TYPE_ARRAY;
	attr.key_size = attr.value_size = 4;
	attr.max_entries = 1;
	strcpy(attr.map_name, name);
	return bpf(BPF_MAP_CREATE, &attr);
}

static void security_bpf(void)
{
	union bpf_attr attr;
	int fd = create_map("apus_cmd"), key = 0, value;

	seen("security_bpf", INT("cmd", BPF_MAP_CREATE));
	memset(&attr, 0, sizeof(attr));
	attr.map_fd = fd;
	attr.key = (unsigned long)&key;
	attr.value = (unsigned long)&value;
	bpf(BPF_MAP_LOOKUP_ELEM, &attr);
	seen("security_bpf", INT("cmd", BPF_MAP_LOOKUP_ELEM));
	call(SYS_close, load_program(BPF_PROG_TYPE_KPROBE, "apus_cmd"));
	seen("security_bpf", INT("cmd", BPF_PROG_LOAD));
	call(SYS_close, fd);
}

static void security_bpf_map(void)
{
	struct bpf_map_info info = { 0 };
	union bpf_attr attr;
	int fd = create_map("apus_map"), again;

	if (fd < 0) {
		skipped("security_bpf_map", "maps may not be created here");
		return;
	}
	memset(&attr, 0, sizeof(attr));
	attr.info.bpf_fd = fd;
	attr.info.info_len = sizeof(info);
	attr.info.info = (unsigned long)&info;
	must("BPF_OBJ_GET_INFO_BY_FD", bpf(BPF_OBJ_GET_INFO_BY_FD, &attr));
	seen("security_bpf_map", UINT("map_id", info.id), STRING("map_name", "apus_map"));
	memset(&attr, 0, sizeof(attr));
	attr.map_id = info.id;
	again = must("BPF_MAP_GET_FD_BY_ID", bpf(BPF_MAP_GET_FD_BY_ID, &attr));
	seen("security_bpf_map", UINT("map_id", info.id), STRING("map_name", "apus_map"));
	call(SYS_close, again);
	call(SYS_close, fd);
}

static void security_bpf_prog(void)
{
	union bpf_attr attr;
	int fd = load_program(BPF_PROG_TYPE_KPROBE, "apus_prog"), again;
	unsigned int id;

	if (fd < 0) {
		skipped("security_bpf_prog", "programs may not be loaded here");
		return;
	}
	id = program_id(fd);
	seen("security_bpf_prog", INT("type", BPF_PROG_TYPE_KPROBE), STRING("name", "apus_prog"),
	     NUMBERS("helpers", helpers, 4), UINT("id", id), BOOL("load", true));
	memset(&attr, 0, sizeof(attr));
	attr.prog_id = id;
	again = must("BPF_PROG_GET_FD_BY_ID", bpf(BPF_PROG_GET_FD_BY_ID, &attr));
	/* Its helpers can be known then only if the tracer remembers them. */
	seen("security_bpf_prog", INT("type", BPF_PROG_TYPE_KPROBE), STRING("name", "apus_prog"),
	     UINT("id", id), BOOL("load", false));
	call(SYS_close, again);
	call(SYS_close, fd);
}

/* An event of one of the kernel's probe "devices", or of a tracepoint. It stays disabled. */
static long open_probe(int type, unsigned long config, const char *what, unsigned long offset)
{
	struct perf_event_attr attr = {
		.type = type, .size = sizeof(attr), .config = config, .disabled = 1,
		.config1 = (unsigned long)what, .config2 = offset, .sample_period = 1,
	};

	return call(SYS_perf_event_open, &attr, -1, 0, -1, PERF_FLAG_FD_CLOEXEC);
}

static long open_kprobe(bool at_return)
{
	const char *type = get_setting("/sys/bus/event_source/devices/kprobe/type");

	return *type ? open_probe(atoi(type), at_return, PROBED, 0) : -ENODEV;
}

/* attach_type, as the catalogue describes it. */
enum { RAW_TRACEPOINT, TRACEPOINT, KPROBE, KRETPROBE, UPROBE, URETPROBE };

static void attached(int program, int type, const char *name, const char *symbol, int attach_type)
{
	if (attach_type == UPROBE || attach_type == URETPROBE) {
		seen("bpf_attach", UINT("prog_id", program_id(program)), STRING("symbol_name", symbol),
		     UINT("symbol_addr", UPROBED), INT("attach_type", attach_type));
		return;
	}
	seen("bpf_attach", INT("prog_type", type), STRING("prog_name", name),
	     UINT("prog_id", program_id(program)), NUMBERS("prog_helpers", helpers, 4),
	     STRING("symbol_name", symbol), INT("attach_type", attach_type));
}

/* By ioctl, and by a link where the kernel has these for such events (since 5.15). */
static void attach(const char *case_name, int event, int type, const char *name, const char *symbol,
		   int attach_type)
{
	int program = event < 0 ? event : load_program(type, name), link;
	union bpf_attr attr;

	about(case_name);
	if (program < 0) {
		skipped("bpf_attach", "not possible here");
		return;
	}
	memset(&attr, 0, sizeof(attr));
	attr.link_create.prog_fd = program;
	attr.link_create.target_fd = event;
	attr.link_create.attach_type = BPF_PERF_EVENT;
	link = bpf(BPF_LINK_CREATE, &attr);
	if (link >= 0)
		attached(program, type, name, symbol, attach_type);
	call(SYS_close, link);
	must("PERF_EVENT_IOC_SET_BPF", call(SYS_ioctl, event, PERF_EVENT_IOC_SET_BPF, program));
	attached(program, type, name, symbol, attach_type);
	call(SYS_close, program);
	call(SYS_close, event);
}

static void attach_raw(void)
{
	union bpf_attr attr;
	int program = load_program(BPF_PROG_TYPE_RAW_TRACEPOINT, "apus_raw"), link;

	about("raw tracepoint");
	memset(&attr, 0, sizeof(attr));
	attr.raw_tracepoint.name = (unsigned long)"sched_process_exec";
	attr.raw_tracepoint.prog_fd = program;
	link = program < 0 ? program : bpf(BPF_RAW_TRACEPOINT_OPEN, &attr);
	if (link < 0)
		skipped("bpf_attach", "not possible here");
	else
		attached(program, BPF_PROG_TYPE_RAW_TRACEPOINT, "apus_raw", "sched_process_exec",
			 RAW_TRACEPOINT);
	call(SYS_close, link);
	call(SYS_close, program);
}

static void bpf_attach(void)
{
	const char *id = get_setting("/sys/kernel/tracing/events/sched/sched_process_exec/id");
	int event = *id ? open_probe(PERF_TYPE_TRACEPOINT, atoi(id), NULL, 0) : -ENOENT;
	char own[256] = "";

	attach("tracepoint", event, BPF_PROG_TYPE_TRACEPOINT, "apus_tp", "sched_process_exec", TRACEPOINT);
	attach("kprobe", open_kprobe(false), BPF_PROG_TYPE_KPROBE, "apus_kp", PROBED, KPROBE);
	attach("kretprobe", open_kprobe(true), BPF_PROG_TYPE_KPROBE, "apus_krp", PROBED, KRETPROBE);
	id = get_setting("/sys/bus/event_source/devices/uprobe/type");
	must("readlink", call(SYS_readlink, "/proc/self/exe", own, sizeof(own) - 1));
	for (int i = 0; i < 2; i++) {
		event = *id ? open_probe(atoi(id), i, own, UPROBED) : -ENODEV;
		attach(i ? "uretprobe" : "uprobe", event, BPF_PROG_TYPE_KPROBE, "apus_up", own,
		       i ? URETPROBE : UPROBE);
	}
	attach_raw();
	about(NULL);
}

/* `handler` is the same for all kprobes of tracefs and perf. */
static void kprobe_attach(void)
{
	unsigned long handler = symbol_address("kprobe_dispatcher");
	int event = open_kprobe(false);

	if (event < 0) {
		skipped("kprobe_attach", "no kprobes here");
		return;
	}
	if (handler)
		seen("kprobe_attach", STRING("symbol_name", PROBED),
		     POINTER("pre_handler_addr", handler), POINTER("post_handler_addr", 0));
	else
		seen("kprobe_attach", STRING("symbol_name", PROBED));
	call(SYS_close, event);
	if (!in_vm())
		return;
	about("tracefs");
	if (put_setting("/sys/kernel/tracing/kprobe_events", "p:apus_scenario " PROBED) < 0) {
		skipped("kprobe_attach", "no tracefs");
	} else {
		seen("kprobe_attach", STRING("symbol_name", PROBED));
		event = call(SYS_openat, AT_FDCWD, "/sys/kernel/tracing/kprobe_events",
			     O_WRONLY | O_APPEND);
		call(SYS_write, event, "-:apus_scenario", 15);
		call(SYS_close, event);
	}
	about(NULL);
}

/* To register a kprobe by name the kernel looks the name up. */
static void kallsyms_lookup_name(void)
{
	unsigned long address = symbol_address(PROBED);
	int event = open_kprobe(false);

	if (event < 0)
		skipped("kallsyms_lookup_name", "no kprobes here");
	else if (address)
		seen("kallsyms_lookup_name", STRING("symbol_name", PROBED),
		     POINTER("symbol_address", address));
	else
		seen("kallsyms_lookup_name", STRING("symbol_name", PROBED));
	call(SYS_close, event);
}
