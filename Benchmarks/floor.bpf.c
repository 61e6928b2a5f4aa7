/* The least that reporting a process's system calls can cost: the pair of raw tracepoints, one look
 * at whom to trace, one record. What Apus costs is compared with this. */
#include "../Kernel/vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#define OPENAT 257

const volatile int want_string;
__u64 lost;

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 8 << 20);
} ring SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 64);
	__type(key, u32); /* process */
	__type(value, u8);
} traced SEC(".maps");

struct record {
	u64 time, number, result, identity;
	char path[96];
};

_Static_assert(sizeof(struct record) == 128, "record");

static __always_inline bool is_traced(void)
{
	u32 process = bpf_get_current_pid_tgid() >> 32;

	return bpf_map_lookup_elem(&traced, &process);
}

SEC("tp_btf/sys_enter")
int BPF_PROG(entered, struct pt_regs *regs, long number)
{
	is_traced(); /* a tracer would now keep the arguments */
	return 0;
}

SEC("tp_btf/sys_exit")
int BPF_PROG(returned, struct pt_regs *regs, long result)
{
	struct record *record;

	if (!is_traced())
		return 0;
	record = bpf_ringbuf_reserve(&ring, sizeof(*record), 0);
	if (!record) {
		__sync_fetch_and_add(&lost, 1);
		return 0;
	}
	record->time = bpf_ktime_get_ns();
	record->number = regs->orig_ax;
	record->result = result;
	record->identity = bpf_get_current_pid_tgid();
	if (want_string && record->number == OPENAT)
		bpf_probe_read_user_str(record->path, sizeof(record->path), (void *)regs->si);
	bpf_ringbuf_submit(record, BPF_RB_NO_WAKEUP);
	return 0;
}

/* What any tracing of one system call costs all others: the kernel's slow way in and out. */
SEC("tracepoint/syscalls/sys_enter_openat")
int bare(void *context)
{
	return 0;
}

/* With reading the path, which a decision about it needs. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, char[4096]);
} paths SEC(".maps");

struct openat_context {
	u64 common, number;
	u64 directory, path, flags, mode;
};

SEC("tracepoint/syscalls/sys_enter_openat")
int bare_path(struct openat_context *context)
{
	u32 zero = 0;
	char *path = bpf_map_lookup_elem(&paths, &zero);

	if (path)
		bpf_probe_read_user_str(path, 4096, (void *)context->path);
	return 0;
}

/* With the above: the least that any hook at entry and exit of one system call costs the others here. */
SEC("tracepoint/syscalls/sys_exit_openat")
int bare_exit(void *context)
{
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
