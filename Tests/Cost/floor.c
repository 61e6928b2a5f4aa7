/* floor NAME COMMAND ARGS...
 *
 * Attaches the least that a hook can be and executes COMMAND, which inherits it: what Apus's hooks
 * cost is shown beside these. They are a few instructions, so they are written here as such. */
#define _GNU_SOURCE
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/perf_event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define INSN(...) ((struct bpf_insn){ __VA_ARGS__ })
#define SET(to, number) INSN(.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = to, .imm = number)
#define COPY(to, from) INSN(.code = BPF_ALU64 | BPF_MOV | BPF_X, .dst_reg = to, .src_reg = from)
#define CALL(helper) INSN(.code = BPF_JMP | BPF_CALL, .imm = helper)
#define EXIT INSN(.code = BPF_JMP | BPF_EXIT)

static char log_text[16384];

static void die(const char *what)
{
	fprintf(stderr, "floor: %s: %s\n%s", what, strerror(errno), log_text);
	exit(1);
}

static int number_in(const char *name)
{
	int number = -1;
	FILE *in = fopen(name, "r");

	if (!in || fscanf(in, "%d", &number) != 1)
		die(name);
	fclose(in);
	return number;
}

/* A program that does nothing. */
static const struct bpf_insn empty[] = { SET(0, 0), EXIT };

static int load(enum bpf_prog_type type, enum bpf_attach_type attach, const char *target,
		const struct bpf_insn *program, size_t count)
{
	LIBBPF_OPTS(bpf_prog_load_opts, options, .expected_attach_type = attach, .log_buf = log_text,
		    .log_size = sizeof(log_text));
	int fd;

	if (target) {
		options.attach_btf_id = libbpf_find_vmlinux_btf_id(target, attach);
		if ((int)options.attach_btf_id < 0)
			die(target);
	}
	fd = bpf_prog_load(type, "floor", "GPL", program, count, &options);
	if (fd < 0)
		die("the program was refused");
	log_text[0] = 0;
	return fd;
}

static int attach(int program)
{
	return bpf_raw_tracepoint_open(NULL, program);
}

static int perf(int type, unsigned long config, const char *function, int program)
{
	struct perf_event_attr attributes = { .size = sizeof(attributes), .type = type, .config = config,
					      .config1 = (unsigned long)function, .sample_period = 1 };
	int fd = syscall(SYS_perf_event_open, &attributes, -1, 0, -1, 0);

	if (fd < 0 || ioctl(fd, PERF_EVENT_IOC_SET_BPF, program) || ioctl(fd, PERF_EVENT_IOC_ENABLE, 0))
		die("perf event");
	return fd;
}

/* Reserves and submits 128 bytes, without waking anyone. */
static int record_128(void)
{
	int ring = bpf_map_create(BPF_MAP_TYPE_RINGBUF, "ring", 0, 0, 1 << 20, NULL);
	const struct bpf_insn program[] = {
		INSN(.code = BPF_LD | BPF_DW | BPF_IMM, .dst_reg = 1, .src_reg = BPF_PSEUDO_MAP_FD, .imm = ring),
		INSN(0),
		SET(2, 128),
		SET(3, 0),
		CALL(BPF_FUNC_ringbuf_reserve),
		INSN(.code = BPF_JMP | BPF_JEQ | BPF_K, .dst_reg = 0, .imm = 0, .off = 3),
		COPY(1, 0),
		SET(2, BPF_RB_NO_WAKEUP),
		CALL(BPF_FUNC_ringbuf_submit),
		SET(0, 0),
		EXIT,
	};

	if (ring < 0)
		die("ring");
	return load(BPF_PROG_TYPE_LSM, BPF_LSM_MAC, "file_open", program, sizeof(program) / sizeof(*program));
}

static int kprobe(const char *function, int is_return)
{
	int type = number_in("/sys/bus/event_source/devices/kprobe/type");

	return perf(type, is_return, function, load(BPF_PROG_TYPE_KPROBE, 0, NULL, empty, 2));
}

static int tracepoint(const char *name)
{
	char id[128];

	snprintf(id, sizeof(id), "/sys/kernel/tracing/events/%s/id", name);
	return perf(PERF_TYPE_TRACEPOINT, number_in(id), NULL,
		    load(BPF_PROG_TYPE_TRACEPOINT, 0, NULL, empty, 2));
}

static int traced(enum bpf_attach_type type, const char *target)
{
	return attach(load(BPF_PROG_TYPE_TRACING, type, target, empty, 2));
}

static int set_up(const char *name)
{
	if (!strcmp(name, "lsm-128"))
		return attach(record_128());
	if (!strcmp(name, "lsm"))
		return attach(load(BPF_PROG_TYPE_LSM, BPF_LSM_MAC, "file_open", empty, 2));
	if (!strcmp(name, "fentry"))
		return traced(BPF_TRACE_FENTRY, "security_file_open");
	if (!strcmp(name, "fexit"))
		return traced(BPF_TRACE_FEXIT, "security_file_open");
	if (!strcmp(name, "kprobe") || !strcmp(name, "kretprobe"))
		return kprobe("security_file_open", name[1] == 'r');
	if (!strcmp(name, "tp_btf"))
		return traced(BPF_TRACE_RAW_TP, "task_rename");
	if (!strcmp(name, "pair")) {
		int entry = traced(BPF_TRACE_RAW_TP, "sys_enter");
		return entry < 0 ? entry : traced(BPF_TRACE_RAW_TP, "sys_exit");
	}
	if (!strcmp(name, "single"))
		return tracepoint("syscalls/sys_exit_getppid");
	if (!strcmp(name, "single-other"))
		return tracepoint("syscalls/sys_exit_openat");
	errno = EINVAL;
	return -1;
}

int main(int argc, char **argv)
{
	int fd;

	if (argc < 3) {
		fprintf(stderr, "usage: floor NAME COMMAND ARGS...\n");
		return 2;
	}
	if (set_up(argv[1]) < 0)
		die(argv[1]);
	for (fd = 3; fd < 64; fd++) /* the hook lives as long as these are open */
		fcntl(fd, F_SETFD, 0);
	execv(argv[2], argv + 2);
	die(argv[2]);
}
