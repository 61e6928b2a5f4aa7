#define _GNU_SOURCE
#include "system.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <linux/perf_event.h>
#include <malloc.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <zlib.h>

/* ---- libbpf's messages ---- */

static char libbpf_log[8192];
static size_t libbpf_log_length;

static int capture(enum libbpf_print_level level, const char *format, va_list arguments)
{
	int written;

	if (level == LIBBPF_DEBUG || libbpf_log_length >= sizeof(libbpf_log) - 1)
		return 0;
	written = vsnprintf(libbpf_log + libbpf_log_length, sizeof(libbpf_log) - libbpf_log_length, format, arguments);
	if (written > 0)
		libbpf_log_length += written;
	if (libbpf_log_length > sizeof(libbpf_log) - 1)
		libbpf_log_length = sizeof(libbpf_log) - 1;
	return 0;
}

void apus_capture_libbpf_log(void)
{
	libbpf_set_print(capture);
}

const char *apus_take_libbpf_log(void)
{
	libbpf_log[libbpf_log_length] = 0;
	libbpf_log_length = 0;
	return libbpf_log;
}

/* ---- perf tracepoints and kprobes ---- */

/* Runs a program at every hit of a perf event. Returns the event's descriptor, or -errno. */
static int start_perf_event(int descriptor, int program)
{
	if (descriptor < 0)
		return -errno;
	if (ioctl(descriptor, PERF_EVENT_IOC_SET_BPF, program) || ioctl(descriptor, PERF_EVENT_IOC_ENABLE, 0)) {
		int error = errno;
		close(descriptor);
		return -error;
	}
	return descriptor;
}

int apus_attach_tracepoint(int program, uint64_t tracepoint_id)
{
	struct perf_event_attr attributes = {
		.type = PERF_TYPE_TRACEPOINT,
		.size = sizeof(attributes),
		.config = tracepoint_id,
		.sample_period = 1,
		.wakeup_events = 1,
	};
	/* A tracepoint event runs its BPF program for every hit on every CPU, whatever CPU it was opened for. */
	return start_perf_event(syscall(SYS_perf_event_open, &attributes, -1, 0, -1, PERF_FLAG_FD_CLOEXEC), program);
}

int apus_attach_multi(int program, const uint64_t *addresses, const uint64_t *cookies, uint32_t count, bool is_return)
{
	LIBBPF_OPTS(bpf_link_create_opts, options,
		.kprobe_multi.flags = is_return ? BPF_F_KPROBE_MULTI_RETURN : 0,
		.kprobe_multi.cnt = count,
		.kprobe_multi.addrs = (const unsigned long *)addresses,
		.kprobe_multi.cookies = (const __u64 *)cookies);

	return bpf_link_create(program, 0, BPF_TRACE_KPROBE_MULTI, &options);
}

/* A number in a file of /sys that begins with `prefix`, or -errno. */
static int number_in_file(const char *path, const char *prefix)
{
	char text[64] = "";
	int file = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t length;

	if (file < 0)
		return -errno;
	length = read(file, text, sizeof(text) - 1);
	close(file);
	if (length < 0 || strncmp(text, prefix, strlen(prefix)))
		return -EINVAL;
	return atoi(text + strlen(prefix));
}

int apus_attach_kprobe(int program, const char *function, uint64_t address, bool is_return)
{
	int type = number_in_file("/sys/bus/event_source/devices/kprobe/type", "");
	int bit = number_in_file("/sys/bus/event_source/devices/kprobe/format/retprobe", "config:");
	struct perf_event_attr attributes = {
		.size = sizeof(attributes),
		.sample_period = 1,
		.wakeup_events = 1,
	};
	int descriptor;

	if (type < 0 || bit < 0)
		return type < 0 ? type : bit;
	attributes.type = type;
	attributes.config = is_return ? 1ULL << bit : 0;
	/* Without a name the second number is an address, with one an offset (kprobe PMU, kernel/events/core.c). */
	attributes.kprobe_func = (uint64_t)function;
	attributes.kprobe_addr = address;
	descriptor = syscall(SYS_perf_event_open, &attributes, -1, 0, -1, PERF_FLAG_FD_CLOEXEC);
	return start_perf_event(descriptor, program);
}

static int by_number(const void *one, const void *other)
{
	return *(const int *)one - *(const int *)other;
}

int apus_keep_descriptors(int *descriptors, size_t count, pid_t *process)
{
	int ends[2];
	unsigned int next = 1;
	char byte;
	pid_t child;

	qsort(descriptors, count, sizeof(*descriptors), by_number);
	if (pipe2(ends, O_CLOEXEC))
		return -errno;
	child = fork();
	if (child) {
		close(ends[0]);
		*process = child;
		if (child > 0)
			return ends[1];
		close(ends[1]);
		return -errno;
	}
	/* Nobody may wait for the end of a file, a terminal or a process group because of this process. */
	setsid();
	prctl(PR_SET_NAME, "apus-detach");
	if (dup2(ends[0], 0))
		_exit(1);
	for (size_t i = 0; i <= count; i++) {
		unsigned int kept = i < count ? (unsigned int)descriptors[i] : ~0U;

		if (kept > next)
			syscall(SYS_close_range, next, kept - 1, 0);
		next = kept + 1;
	}
	if (read(0, &byte, 1) < 0)
		_exit(1);
	_exit(0);
}

void apus_await_process(pid_t process)
{
	while (waitpid(process, NULL, 0) < 0 && errno == EINTR)
		;
}

int apus_open_tracefs(void)
{
	static const char *const places[] = {"/sys/kernel/tracing", "/sys/kernel/debug/tracing"};
	int context, mount, error;

	for (int i = 0; i < 2; i++) {
		int place = open(places[i], O_RDONLY | O_DIRECTORY | O_CLOEXEC);

		if (place < 0)
			continue;
		if (faccessat(place, "events", R_OK, 0) == 0)
			return place;
		close(place);
	}
	context = syscall(SYS_fsopen, "tracefs", FSOPEN_CLOEXEC);
	if (context < 0)
		return -errno;
	if (syscall(SYS_fsconfig, context, FSCONFIG_CMD_CREATE, NULL, NULL, 0)) {
		error = errno;
		close(context);
		return -error;
	}
	mount = syscall(SYS_fsmount, context, FSMOUNT_CLOEXEC, 0);
	error = errno;
	close(context);
	return mount < 0 ? -error : mount;
}

/* ---- Trial programs ---- */

static const struct bpf_insn trial_body[] = {
	{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = 0},
	{.code = BPF_JMP | BPF_EXIT},
};

/* Ends a trial, given the program and what attaching it returned: 0 when it worked, else -errno. */
static int end_trial(int program, int attached)
{
	close(program);
	if (attached < 0)
		return attached;
	close(attached);
	return 0;
}

int apus_try_tracing(int kind, uint32_t target)
{
	static const enum bpf_attach_type types[] = {BPF_TRACE_RAW_TP, BPF_TRACE_FENTRY, BPF_LSM_MAC};
	LIBBPF_OPTS(bpf_prog_load_opts, options, .expected_attach_type = types[kind], .attach_btf_id = target);
	int program = bpf_prog_load(kind == 2 ? BPF_PROG_TYPE_LSM : BPF_PROG_TYPE_TRACING, "apus_trial", "GPL",
				    trial_body, 2, &options);

	return program < 0 ? program : end_trial(program, bpf_raw_tracepoint_open(NULL, program));
}

int apus_try_multi(uint64_t address)
{
	LIBBPF_OPTS(bpf_prog_load_opts, options, .expected_attach_type = BPF_TRACE_KPROBE_MULTI);
	int program = bpf_prog_load(BPF_PROG_TYPE_KPROBE, "apus_trial", "GPL", trial_body, 2, &options);
	uint64_t cookie = 0;

	return program < 0 ? program : end_trial(program, apus_attach_multi(program, &address, &cookie, 1, false));
}

/* ---- Memory ---- */

void apus_return_free_memory(void)
{
	malloc_trim(0);
}

void apus_return_constants(const void *start, size_t size)
{
	uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
	uintptr_t first = ((uintptr_t)start + page - 1) / page * page;
	uintptr_t end = ((uintptr_t)start + size) / page * page;

	if (end > first)
		madvise((void *)first, end - first, MADV_DONTNEED);
}

/* ---- Files ---- */

ssize_t apus_read_gzip(const char *path, void *to, size_t size)
{
	gzFile file = gzopen(path, "re");
	int length;

	if (!file)
		return -errno;
	length = gzread(file, to, size);
	gzclose(file);
	return length;
}

/* ---- A traced command ---- */

int apus_spawn_at_gate(const char *path, char *const argv[], char *const envp[], struct apus_child *child)
{
	int gate[2], report[2], error;
	pid_t pid;

	if (pipe2(gate, O_CLOEXEC))
		return -errno;
	if (pipe2(report, O_CLOEXEC)) {
		error = errno;
		close(gate[0]);
		close(gate[1]);
		return -error;
	}
	pid = fork();
	if (pid == 0) {
		char go;

		close(gate[1]);
		if (read(gate[0], &go, 1) != 1)
			_exit(126); /* the tracer gave up */
		execve(path, argv, envp);
		error = errno;
		if (write(report[1], &error, sizeof(error)) < 0) {
			/* The status tells as much as it can. */
		}
		_exit(error == ENOENT ? 127 : 126);
	}
	error = errno;
	close(gate[0]);
	close(report[1]);
	if (pid < 0) {
		close(gate[1]);
		close(report[0]);
		return -error;
	}
	child->pid = pid;
	child->gate = gate[1];
	child->report = report[0];
	return 0;
}

int apus_execve_error(struct apus_child *child)
{
	int error = 0;

	if (read(child->report, &error, sizeof(error)) != sizeof(error))
		return 0;
	return error;
}

void apus_open_gate(struct apus_child *child)
{
	char go = 1;

	if (child->gate >= 0 && write(child->gate, &go, 1) < 0) {
		/* The child is gone; waiting for it will tell. */
	}
	if (child->gate >= 0)
		close(child->gate);
	child->gate = -1;
}

/* ---- Signals ---- */

static volatile sig_atomic_t stop_signal;
static volatile sig_atomic_t stop_was_sent;

static volatile sig_atomic_t change_asked;
static volatile sig_atomic_t report_asked;

static void note_request(int number)
{
	if (number == SIGHUP)
		change_asked = 1;
	else
		report_asked = 1;
}

static void note_signal(int number, siginfo_t *information, void *context)
{
	(void)context;
	if (stop_signal)
		_exit(128 + number);
	stop_was_sent = information->si_code <= 0;
	stop_signal = number;
}

void apus_watch_signals(bool can_change)
{
	struct sigaction action = {.sa_sigaction = note_signal, .sa_flags = SA_SIGINFO};
	struct sigaction request = {.sa_handler = note_request, .sa_flags = SA_RESTART};

	static const int watched[] = {SIGINT, SIGTERM, SIGHUP};

	for (unsigned i = 0; i < sizeof(watched) / sizeof(*watched); i++) {
		struct sigaction before;

		/* nohup and its like mean us too. */
		if (sigaction(watched[i], NULL, &before) == 0 && before.sa_handler != SIG_IGN)
			sigaction(watched[i], &action, NULL);
	}
	if (can_change)
		sigaction(SIGHUP, &request, NULL);
	sigaction(SIGUSR1, &request, NULL);
	signal(SIGPIPE, SIG_IGN);
}

bool apus_take_change_request(void)
{
	bool asked = change_asked;

	change_asked = 0;
	return asked;
}

bool apus_take_report_request(void)
{
	bool asked = report_asked;

	report_asked = 0;
	return asked;
}

int apus_stop_signal(void)
{
	return stop_signal;
}

bool apus_stop_was_sent(void)
{
	return stop_was_sent;
}

/* ---- The rest ---- */

void apus_secure_standard_streams(void)
{
	for (int i = 0; i < 3; i++) {
		if (fcntl(i, F_GETFD) < 0 && open("/dev/null", O_RDWR) != i)
			_exit(1);
	}
}

int apus_terminal_columns(int descriptor)
{
	struct winsize size = {0};

	if (!isatty(descriptor))
		return 0;
	if (ioctl(descriptor, TIOCGWINSZ, &size) || size.ws_col == 0)
		return 80;
	return size.ws_col;
}

void apus_raise_memlock(void)
{
	struct rlimit limit = {RLIM_INFINITY, RLIM_INFINITY};

	if (setrlimit(RLIMIT_MEMLOCK, &limit) && !getrlimit(RLIMIT_MEMLOCK, &limit)) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_MEMLOCK, &limit);
	}
}
