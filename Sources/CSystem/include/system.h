/* What Swift cannot express: variadic calls, va_list, atomics on shared memory, fork and exec.
 * Each function is as small as it can be; errors are returned as -errno. */
#ifndef APUS_SYSTEM_H
#define APUS_SYSTEM_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* ---- Shared memory of a ring buffer ---- */

static inline uint64_t apus_load_acquire_u64(const void *at)
{
	return __atomic_load_n((const uint64_t *)at, __ATOMIC_ACQUIRE);
}

static inline uint32_t apus_load_acquire_u32(const void *at)
{
	return __atomic_load_n((const uint32_t *)at, __ATOMIC_ACQUIRE);
}

static inline void apus_store_release_u64(void *at, uint64_t value)
{
	__atomic_store_n((uint64_t *)at, value, __ATOMIC_RELEASE);
}

/* ---- libbpf's messages ---- */

/* Keeps the last warnings of libbpf, to explain a failure, instead of printing them. */
void apus_capture_libbpf_log(void);
/* The captured text; empties it. Valid until the next message. */
const char *apus_take_libbpf_log(void);

/* ---- perf tracepoints ---- */

/* Attaches a loaded program to a tracepoint by its tracefs id, on all CPUs: the descriptor, or -errno.
 * Closing the descriptor detaches. */
int apus_attach_tracepoint(int program, uint64_t tracepoint_id);

/* Runs a program at the entry or the return of a kernel function, named, or where `function` is null at
 * an address. Returns a descriptor which detaches when closed, or -errno. */
int apus_attach_kprobe(int program, const char *function, uint64_t address, bool is_return);

/* Runs a program, loaded for that, at the entries or returns of many functions, with a cookie for each. Returns a
 * descriptor which detaches when closed, or -errno. */
int apus_attach_multi(int program, const uint64_t *addresses, const uint64_t *cookies, uint32_t count, bool is_return);

/* Forks a process that has nothing but the given descriptors (which are sorted), and ends when the
 * descriptor that this returns is closed: so what closing them takes the kernel, it takes from nobody
 * who waits for us. -errno when it cannot. */
int apus_keep_descriptors(int *descriptors, size_t count, pid_t *process);
/* Waits until such a process has ended, and so all is closed. */
void apus_await_process(pid_t process);

/* A directory descriptor of tracefs: where it is mounted, or a mount of our own that nobody else
 * sees (fsopen, since 5.2). -errno when there is none. */
int apus_open_tracefs(void);

/* ---- Trial programs, to learn what the kernel allows ---- */

/* Loads a program of two instructions and attaches it as `kind`: 0 BTF tracepoint, 1 fentry, 2 BPF LSM.
 * `target` is a kernel type id. 0 when that works, else -errno. */
int apus_try_tracing(int kind, uint32_t target);
/* The same for a multiple kprobe on a function at an address. */
int apus_try_multi(uint64_t address);

/* ---- Memory ---- */

/* Gives what was freed back to the system. */
void apus_return_free_memory(void);
/* The same for constants of the binary that hold no addresses: they are read from the file again when needed. */
void apus_return_constants(const void *start, size_t size);

/* ---- Files ---- */

/* Reads the beginning of a compressed file: the number of bytes, or less than 0. */
ssize_t apus_read_gzip(const char *path, void *to, size_t size);

/* ---- Arguments of other processes ---- */

/* What the reader writes: first that it begins with a process, its length then APUS_ARGUMENTS_BEGIN; later how many
 * bytes there are, and behind that the bytes. */
struct apus_arguments {
	uint32_t process;
	uint32_t length;
};

#define APUS_ARGUMENTS_BEGIN 0xffffffffU
/* Instead of a length: they cannot be read. */
#define APUS_ARGUMENTS_NONE 0xfffffffeU
/* Bytes of one process at most. */
#define APUS_ARGUMENTS_MAX 8192

/* Forks a process that reads the arguments of others, `root`/PID/cmdline, up to `limit` bytes of each, and writes them
 * to the pipe whose other end this returns; -errno when it cannot. It may hang, as the kernel waits for a lock that
 * another process keeps: so nobody may wait for it, and it holds nothing of ours. */
int apus_read_arguments(const char *root, const uint32_t *processes, size_t count, uint32_t limit, pid_t *reader);

/* ---- A traced command ---- */

struct apus_child {
	pid_t pid;
	int gate;   /* write end: a byte lets the child execute the command */
	int report; /* read end: the errno of an execve that failed */
};

/* Forks a child that waits at a gate and then executes `path`, with the signals that we were started
 * with. If execve fails it reports why and exits with 126 (127 for a missing file). */
int apus_spawn_at_gate(const char *path, char *const argv[], char *const envp[], struct apus_child *child);
/* Opens the gate. */
void apus_open_gate(struct apus_child *child);
/* The errno of the execve that failed, or 0. */
int apus_execve_error(struct apus_child *child);

/* ---- Signals ---- */

/* From now on SIGINT, SIGTERM and, unless `can_change`, SIGHUP are noted instead of acted on, those that we were not started
 * to ignore, and SIGPIPE is ignored.
 * The second SIGINT or SIGTERM ends the process at once with 128 + its number: the kernel detaches
 * what a dead process had attached. */
void apus_watch_signals(bool can_change);
/* Whether SIGHUP came since the last time, where it asks for other policies (`can_change`); and SIGUSR1, which asks
 * for the counters. */
bool apus_take_change_request(void);
bool apus_take_report_request(void);
/* The first signal that came, or 0. */
int apus_stop_signal(void);
/* Whether a process sent it, and not the terminal, which sends it to our children as well. */
bool apus_stop_was_sent(void);

/* ---- The rest ---- */

/* Opens /dev/null on those of the three standard descriptors that are closed, so that no file of ours
 * becomes standard error. */
void apus_secure_standard_streams(void);

/* Columns of the terminal behind a descriptor; 0 when it is none. */
int apus_terminal_columns(int descriptor);
/* The kernel's limit for locked memory, which 5.10 counts maps against; raised as far as allowed. */
void apus_raise_memlock(void);

#endif
