/* Processes, threads and their names. Calls with nothing but numbers. */
#include "expect.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>

static void name_thread(const char *name)
{
	must("prctl", call(SYS_prctl, PR_SET_NAME, name, 0, 0, 0));
}

#define THREADS 4
#define THREAD_CALLS 100

struct worker {
	pthread_t thread;
	int number, tid;
	long results[THREAD_CALLS];
};

static void worker_path(char *path, int worker, int i)
{
	sprintf(path, "/thread/%d/%d", worker, i);
}

static void *work(void *argument)
{
	struct worker *worker = argument;
	char path[32];

	worker->tid = call(SYS_gettid);
	sprintf(path, "worker-%d", worker->number);
	name_thread(path);
	for (int i = 0; i < THREAD_CALLS; i++) {
		worker_path(path, worker->number, i);
		worker->results[i] = call(SYS_openat, AT_FDCWD, path, O_RDONLY, 0);
	}
	return NULL;
}

/* In order for each thread; the threads' calls were mixed. */
static void threads(void)
{
	static struct worker workers[THREADS];
	char path[32], comm[32];

	for (int i = 0; i < THREADS; i++) {
		workers[i].number = i;
		if (pthread_create(&workers[i].thread, NULL, work, &workers[i]))
			die("pthread_create", 0);
	}
	for (int i = 0; i < THREADS; i++)
		pthread_join(workers[i].thread, NULL);
	for (int i = 0; i < THREADS; i++) {
		as_tid = workers[i].tid;
		sprintf(comm, ",\"comm\":\"worker-%d\"", i);
		extra = comm;
		for (int j = 0; j < THREAD_CALLS; j++) {
			worker_path(path, i, j);
			expect("openat", workers[i].results[j], INT("dirfd", AT_FDCWD),
			       STRING("pathname", path), INT("flags", O_RDONLY), INT("mode", 0));
		}
	}
}

static void live_at_level(const char *level)
{
	char path[32];
	long n;

	n = call(SYS_getppid);
	expect("getppid", n);
	sprintf(path, "/tree/%s", level);
	n = call(SYS_openat, AT_FDCWD, path, O_RDONLY, 0);
	expect("openat", n, INT("dirfd", AT_FDCWD), STRING("pathname", path),
	       INT("flags", O_RDONLY), INT("mode", 0));
}

static void end_with(int status)
{
	expect("exit_group", 0, INT("status", status));
	expect_event("sched_process_exit", INT("exit_code", status), INT("signal_code", 0),
		     BOOL("process_group_exit", true));
	quit(status);
}

static void wait_for(int child, int wanted)
{
	int status = 0;

	must("wait4", call(SYS_wait4, child, &status, 0, NULL));
	if (status != wanted << 8)
		die("a child exited with something else", 0);
}

static void descend(int level)
{
	char text[2] = { '0' + level, 0 };
	int child;

	live_at_level(text);
	if (level < 3) {
		child = fork_scenario();
		if (child == 0)
			descend(level + 1);
		expect("fork", child);
		wait_for(child, 21 + level);
	}
	if (level > 0)
		end_with(20 + level);
}

/* Its parent is reaped before it makes its calls, so that it has been adopted by then. */
static void leave_orphan(void)
{
	int gate[2], done[2], child, orphan;
	char byte;

	must("pipe", call(SYS_pipe, gate));
	must("pipe", call(SYS_pipe, done));
	child = fork_scenario();
	if (child == 0) {
		orphan = fork_scenario();
		if (orphan == 0) {
			call(SYS_close, gate[1]);
			call(SYS_read, gate[0], &byte, 1);
			live_at_level("orphan");
			end_with(32);
		}
		expect("fork", orphan);
		end_with(31);
	}
	expect("fork", child);
	wait_for(child, 31);
	call(SYS_close, done[1]);
	call(SYS_close, gate[1]);
	call(SYS_read, done[0], &byte, 1); /* returns when the orphan is gone */
}

static void tree(void)
{
	descend(0);
	leave_orphan();
}

/* `shown` is what the kernel makes of the name, 15 bytes at most, and JSON of that. Returns it. */
static const char *rename_to(const char *old, const char *name, const char *shown)
{
	name_thread(name);
	expect_event("task_rename", STRING("old_name", old), STRING("new_name", shown));
	expect("prctl", 0, INT("option", PR_SET_NAME), UINT("arg2", name), UINT("arg3", 0),
	       UINT("arg4", 0), UINT("arg5", 0));
	return shown;
}

static void rename_comm(void)
{
	char first[16];
	const char *now = first;

	call(SYS_prctl, PR_GET_NAME, first, 0, 0, 0);
	expect("prctl", 0, INT("option", PR_GET_NAME), UINT("arg2", first), UINT("arg3", 0),
	       UINT("arg4", 0), UINT("arg5", 0));
	now = rename_to(now, "renamed", "renamed");
	now = rename_to(now, "more-than-fifteen-bytes", "more-than-fifte");
	now = rename_to(now, "", "");
	now = rename_to(now, "b\xff" "d \"name\"", "b\xef\xbf\xbd" "d \"name\"");
	rename_to(now, "scenario", "scenario");
}

static void files(void)
{
	const char *file = scratch_directory();
	int fd, value, pair[2];
	long n;

	fd = must("open", call(SYS_open, file, O_RDWR | O_CREAT, 0600));
	n = call(SYS_lseek, fd, 0x123456789abL, SEEK_SET);
	expect("lseek", n, INT("fd", fd), INT("offset", 0x123456789abL), UINT("whence", SEEK_SET));
	n = call(SYS_lseek, fd, -0xabL, SEEK_CUR);
	expect("lseek", n, INT("fd", fd), INT("offset", -0xabL), UINT("whence", SEEK_CUR));
	n = call(SYS_dup3, fd, 100, O_CLOEXEC);
	expect("dup3", n, INT("oldfd", fd), INT("newfd", 100), INT("flags", O_CLOEXEC));
	n = call(SYS_fcntl, 100, F_GETFD, 0);
	expect("fcntl", n, INT("fd", 100), INT("cmd", F_GETFD), UINT("arg", 0));
	n = call(SYS_fcntl, fd, F_SETFD, -1L); /* all bits of the argument */
	expect("fcntl", n, INT("fd", fd), INT("cmd", F_SETFD), UINT("arg", -1L));
	n = call(SYS_chmod, file, 0755);
	expect("chmod", n, STRING("pathname", file), INT("mode", 0755));
	/* A mode has 16 bits, whatever else the register has. */
	n = call(SYS_chmod, file, 0x70000 | 04711);
	expect("chmod", n, STRING("pathname", file), INT("mode", 04711));
	call(SYS_unlink, file);
	must("pipe", call(SYS_pipe, pair));
	n = call(SYS_ioctl, pair[0], FIONREAD, &value);
	expect("ioctl", n, INT("fd", pair[0]), UINT("request", FIONREAD), UINT("arg", &value));
	n = call(SYS_ioctl, -1, 0x80045430u, 0x8877665544332211UL);
	expect("ioctl", n, INT("fd", -1), UINT("request", 0x80045430u),
	       UINT("arg", 0x8877665544332211UL));
}

static void memory(void)
{
	long n, m;

	n = call(SYS_mmap, NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	expect("mmap", n, POINTER("addr", NULL), UINT("length", 8192),
	       INT("prot", PROT_READ | PROT_WRITE), INT("flags", MAP_PRIVATE | MAP_ANONYMOUS),
	       INT("fd", -1), INT("off", 0));
	m = call(SYS_munmap, n, 8192);
	expect("munmap", m, POINTER("addr", n), UINT("length", 8192));
	m = call(SYS_munmap, n + 1, 8192); /* -EINVAL: no page starts there */
	expect("munmap", m, POINTER("addr", n + 1), UINT("length", 8192));
}

static void scalars(void)
{
	long pid, n;

	pid = call(SYS_getpid);
	expect("getpid", pid);
	n = call(SYS_getuid);
	expect("getuid", n);
	files();
	memory();
	n = call(SYS_prctl, PR_GET_DUMPABLE, 1, 2, 3, 0xffffffffffffffffUL);
	expect("prctl", n, INT("option", PR_GET_DUMPABLE), UINT("arg2", 1), UINT("arg3", 2),
	       UINT("arg4", 3), UINT("arg5", 0xffffffffffffffffUL));
	n = call(SYS_kill, pid, 0);
	expect("kill", n, INT("pid", pid), INT("sig", 0));
	/* An int has 32 bits, whatever else the register has. */
	n = call(SYS_kill, pid | 1L << 40, 1L << 32);
	expect("kill", n, INT("pid", pid), INT("sig", 0));
	n = call(SYS_setpgid, 0, -5);
	expect("setpgid", n, INT("pid", 0), INT("pgid", -5));
	n = call(SYS_setpgid, 0, 0);
	expect("setpgid", n, INT("pid", 0), INT("pgid", 0));
	n = call(SYS_sched_yield);
	expect("sched_yield", n);
	n = call(SYS_umask, 027);
	expect("umask", n, UINT("mask", 027));
	n = call(SYS_umask, 0xffffffffffffffffUL);
	expect("umask", n, UINT("mask", 0xffffffffU));
}

static void *flood_thread(void *count)
{
	for (long i = 0; i < (long)count; i++)
		call(SYS_getppid);
	return NULL;
}

static void flood(long count, long thread_count)
{
	pthread_t *others = calloc(thread_count + 1, sizeof(*others));

	for (long i = 1; i < thread_count; i++)
		if (pthread_create(&others[i], NULL, flood_thread, (void *)count))
			die("pthread_create", 0);
	flood_thread((void *)count);
	for (long i = 1; i < thread_count; i++)
		pthread_join(others[i], NULL);
	put("{\"event\":\"getppid\",\"count\":%ld,\"threads\":%ld,\"pid\":%d}",
	    count * thread_count, thread_count, as_pid);
	write_line();
}
