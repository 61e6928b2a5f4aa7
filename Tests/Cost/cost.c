/* cost CALL
 *
 * Prints how many instructions one system call takes, in a virtual machine that counts them as time
 * (Tests/VM/boot -i): there the processor's time stamp is the number of instructions executed. Each
 * call is measured by itself. Timer ticks and a cache of the kernel that has run empty only add, so
 * the figure is what the cheapest quarter stays below. The readings themselves are in it; they cancel
 * out when one figure is subtracted from another. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define TIMES 1000
#define PROCESSES 200 /* what makes processes takes long, so it is done less often */
#define WARM_UP 50    /* pages, caches of the kernel, the task's storage */

static char path[256];
static long file; /* a descriptor of `path` */
static int stamps[2];
static unsigned long child_left; /* when a child, in our memory, made its last call */

static void die(const char *what)
{
	fprintf(stderr, "cost: %s: %s\n", what, strerror(errno));
	exit(1);
}

static inline unsigned long now(void)
{
	unsigned int low, high;

	asm volatile("rdtsc" : "=a"(low), "=d"(high)::"memory");
	return (unsigned long)high << 32 | low;
}

/* The bare instruction, without a C library around it. */
static inline long call(long number, long a, long b, long c, long d, long e, long f)
{
	register long r10 asm("r10") = d;
	register long r8 asm("r8") = e;
	register long r9 asm("r9") = f;
	long result;

	asm volatile("syscall"
		     : "=a"(result)
		     : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
		     : "rcx", "r11", "memory");
	return result;
}

static long check(long result)
{
	if (result < 0) {
		errno = -result;
		die("the measured call failed");
	}
	return result;
}

/* ---- What is measured. Each returns the instructions, and undoes what it did uncounted. */

static unsigned long do_nops(void)
{
	unsigned long start = now();

	asm volatile(".rept 1000\n\tnop\n.endr");
	return now() - start;
}

static unsigned long do_getppid(void)
{
	unsigned long start = now();

	call(SYS_getppid, 0, 0, 0, 0, 0, 0);
	return now() - start;
}

/* Of a file that is not there: little besides the path. */
static unsigned long do_openat(void)
{
	unsigned long start = now();

	call(SYS_openat, AT_FDCWD, (long)"/missing0", O_RDONLY, 0, 0, 0);
	return now() - start;
}

static unsigned long do_open(void)
{
	unsigned long start = now(), count;
	long result = call(SYS_openat, AT_FDCWD, (long)path, O_RDONLY, 0, 0, 0);

	count = now() - start;
	close(check(result));
	return count;
}

static unsigned long do_write(void)
{
	unsigned long start = now(), count;
	long result = call(SYS_pwrite64, file, (long)path, 1, 0, 0, 0);

	count = now() - start;
	check(result);
	return count;
}

static unsigned long do_socket(void)
{
	unsigned long start = now(), count;
	long result = call(SYS_socket, AF_UNIX, SOCK_DGRAM, 0, 0, 0, 0);

	count = now() - start;
	close(check(result));
	return count;
}

static unsigned long do_mmap(void)
{
	unsigned long start = now(), count;
	long result = call(SYS_mmap, 0, 4096, PROT_READ, MAP_PRIVATE, file, 0);

	count = now() - start;
	munmap((void *)check(result), 4096);
	return count;
}

static unsigned long do_rename(void)
{
	unsigned long start = now();

	call(SYS_prctl, PR_SET_NAME, (long)"measured", 0, 0, 0, 0);
	return now() - start;
}

static int child(void *program)
{
	static const char *const none[] = { NULL };

	child_left = now();
	if (program)
		call(SYS_execve, (long)program, (long)none, (long)none, 0, 0, 0);
	call(SYS_exit, 0, 0, 0, 0, 0, 0);
	return 0;
}

/* A child in our memory, as copying the tables of its pages takes now more, now less. */
static long start_child(int flags, const char *program)
{
	static char stack[16384] __attribute__((aligned(16)));

	return clone(child, stack + sizeof(stack), CLONE_VM | SIGCHLD | flags, (void *)program);
}

static void wait_for(long process)
{
	if (call(SYS_wait4, process, 0, 0, 0, 0, 0) != process)
		die("a child process");
}

/* The parent's side; the child has not run yet. */
static unsigned long do_fork(void)
{
	unsigned long start = now(), count;
	long process = start_child(0, NULL);

	count = now() - start;
	wait_for(process);
	return count;
}

/* From the call to the first instruction of the new program, which tells when that was. */
static unsigned long do_exec(void)
{
	unsigned long stamp;

	wait_for(start_child(CLONE_VFORK, "/stamp"));
	if (read(stamps[0], &stamp, sizeof(stamp)) != sizeof(stamp))
		die("/stamp");
	return stamp - child_left;
}

/* From the child's call until its parent has collected it. */
static unsigned long do_exit(void)
{
	wait_for(start_child(0, NULL));
	return now() - child_left;
}

static const struct {
	const char *name;
	unsigned long (*run)(void);
	int times, depth; /* components of `path` */
} calls[] = {
	{ "nops", do_nops, TIMES, 1 },
	{ "getppid", do_getppid, TIMES, 1 },
	{ "openat", do_openat, TIMES, 1 },
	{ "open-1", do_open, TIMES, 1 },
	{ "open-4", do_open, TIMES, 4 },
	{ "open-16", do_open, TIMES, 16 },
	{ "write", do_write, TIMES, 1 },
	{ "socket", do_socket, TIMES, 1 },
	{ "mmap", do_mmap, TIMES, 1 },
	{ "rename", do_rename, TIMES, 1 },
	{ "fork", do_fork, PROCESSES, 1 },
	{ "exec", do_exec, PROCESSES, 1 },
	{ "exit", do_exit, PROCESSES, 1 },
};

/* Components of 8 characters, on the root file system: no mount is crossed. */
static void make_path(int components)
{
	while (--components > 0) {
		strcat(path, "/folder00");
		if (mkdir(path, 0755) && errno != EEXIST)
			die(path);
	}
	strcat(path, "/thefile0");
	file = open(path, O_RDWR | O_CREAT, 0644);
	if (file < 0)
		die(path);
}

static int compare(const void *a, const void *b)
{
	unsigned long x = *(const unsigned long *)a, y = *(const unsigned long *)b;

	return (x > y) - (x < y);
}

int main(int argc, char **argv)
{
	static unsigned long counts[TIMES];
	size_t i;

	for (i = 0; argc == 2 && i < sizeof(calls) / sizeof(calls[0]); i++)
		if (!strcmp(argv[1], calls[i].name))
			break;
	if (argc != 2 || i == sizeof(calls) / sizeof(calls[0])) {
		fprintf(stderr, "usage: cost CALL, one of those in cost.c\n");
		return 2;
	}
	if (pipe(stamps) || dup2(stamps[1], STAMP) != STAMP)
		die("pipe");
	make_path(calls[i].depth);
	for (int n = 0; n < WARM_UP; n++)
		counts[n] = calls[i].run();
	for (int n = 0; n < calls[i].times; n++)
		counts[n] = calls[i].run();
	qsort(counts, calls[i].times, sizeof(counts[0]), compare);
	printf("%lu\n", counts[calls[i].times / 4]);
	return 0;
}
