/* What a hostile program may do to its tracer. `hostile NAME [ARGUMENTS]`, see the table at the end.
 * Prints nothing but numbers that a test needs.
 *
 *	gcc -static -O1 -pthread -o hostile hostile.c
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

static char **arguments;

static long number(int index)
{
	return arguments[index] ? atol(arguments[index]) : 0;
}

static long raw(long nr, long a, long b, long c, long d)
{
	register long r10 asm("r10") = d;
	long result;

	asm volatile("syscall" : "=a"(result) : "a"(nr), "D"(a), "S"(b), "d"(c), "r"(r10) : "rcx", "r11", "memory");
	return result;
}

static void open_path(const char *path)
{
	raw(SYS_openat, AT_FDCWD, (long)path, O_RDONLY, 0);
}

/* Names that do something to a terminal, and the longest one. */
static void escapes(void)
{
	static char longest[4096];

	memset(longest, 'a', 4095);
	open_path("\x1b]0;owned\x07\x1b[2J\x1b[31mred\r\n\"},{\"name\":\"forged\"}\\");
	open_path("\xff\xfe\xc3\x28\xed\xa0\x80\xf4\x90\x80\x80\xc0\xaf end");
	open_path("\xe2\x80\xae" "right to left \xc2\x9b" "31m \xe2\x80\xa8");
	open_path("\xe6\xbc\xa2\xe5\xad\x97\xe6\xbc\xa2\xe5\xad\x97 \xf0\x9f\x92\xa9");
	open_path(longest);
}

/* Names of threads that would break lines or overflow columns. */
static void comm(void)
{
	static const char *const names[] = {"\x1b[2J\n\r\t\x07\x08\x7f\"\\,\x01\x02", "\x01\x01\x01\x01\x01\x01\x01\x01"
		"\x01\x01\x01\x01\x01\x01\x01", "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", "", " "};

	for (int i = 0; i < 5; i++) {
		prctl(PR_SET_NAME, names[i]);
		open_path(names[i]);
	}
}

/* Executes the rest of its arguments with so many more, each of a given text. */
static void many_arguments(void)
{
	long count = number(0), at = 0;
	char **list = calloc(count + 16, sizeof(*list));

	for (char **word = &arguments[2]; *word; word++)
		list[at++] = *word;
	while (at < count)
		list[at++] = arguments[1];
	execv(list[0], list);
	perror("execv");
	exit(1);
}

static void *die_flooding(void *count)
{
	for (long i = 0; i < (long)count; i++)
		raw(SYS_getppid, 0, 0, 0, 0);
	return NULL;
}

/* THREADS COUNT: as many threads as that, eight at a time, each of which calls and ends. */
static void dying_threads(void)
{
	long threads = number(0), count = number(1);
	pthread_t ids[8];

	for (long done = 0; done < threads; done += 8) {
		for (int i = 0; i < 8; i++)
			if (pthread_create(&ids[i], NULL, die_flooding, (void *)count))
				exit(1);
		for (int i = 0; i < 8; i++)
			pthread_join(ids[i], NULL);
	}
}

/* The leader ends first; a thread goes on alone. */
static void *outlive(void *count)
{
	usleep(20000);
	die_flooding(count);
	_exit(9);
}

static void dead_leader(void)
{
	pthread_t id;

	pthread_create(&id, NULL, outlive, (void *)number(0));
	raw(SYS_exit, 0, 0, 0, 0);
}

static void *sleep_for_ever(void *unused)
{
	(void)unused;
	for (;;)
		pause();
}

/* PROCESSES THREADS: processes with so many threads that all die at the same moment. */
static void mass_exit(void)
{
	for (long i = 0; i < number(0); i++) {
		if (fork() == 0) {
			for (long j = 1; j < number(1); j++) {
				pthread_t id;
				if (pthread_create(&id, NULL, sleep_for_ever, NULL))
					exit(1);
			}
			_exit(0);
		}
		wait(NULL);
	}
}

static char *page;
static volatile int stop;

static void *unmap(void *unused)
{
	(void)unused;
	while (!stop) {
		munmap(page, 8192);
		mmap(page, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_POPULATE, -1, 0);
		memset(page, '/', 4200);
	}
	return NULL;
}

/* COUNT: calls with a path that comes and goes while it is read. */
static void unmapper(void)
{
	pthread_t id;

	page = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	pthread_create(&id, NULL, unmap, NULL);
	for (long i = 0; i < number(0); i++)
		open_path(page + 4000);
	stop = 1;
	pthread_join(id, NULL);
}

/* Addresses at which there is nothing to read, or too much. */
static void bad_addresses(void)
{
	static const long addresses[] = {0, 1, 4095, -1, -4096, 0x7ffffffff000, 0xffff888000000000, 0xffffffff81000000};
	char *last = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	for (int i = 0; i < 8; i++) {
		raw(SYS_openat, AT_FDCWD, addresses[i], 0, 0);
		raw(SYS_execve, addresses[i], addresses[i], addresses[i], 0);
		raw(SYS_connect, -1, addresses[i], 0xffffffff, 0);
		raw(SYS_nanosleep, addresses[i], addresses[i], 0, 0);
	}
	/* A string that ends with its page, before one that is not there. */
	munmap(last + 4096, 4096);
	memcpy(last + 4090, "/edge", 6);
	open_path(last + 4090);
	memcpy(last + 4090, "/beyon", 6);
	open_path(last + 4090);
}

static void *execute(void *unused)
{
	static char text[2000];
	char *list[] = {arguments[0], text, NULL};

	(void)unused;
	memset(text, 'x', sizeof(text) - 1);
	execv(arguments[0], list);
	_exit(1);
}

/* COUNT PROGRAM: executes it from a thread that is not the leader, with arguments too long to be kept small. */
static void thread_exec(void)
{
	long count = number(0);

	arguments++;
	for (long i = 0; i < count; i++) {
		int child = fork(), status;

		if (child == 0) {
			pthread_t id;
			pthread_create(&id, NULL, execute, NULL);
			pthread_join(id, NULL);
		}
		if (waitpid(child, &status, 0) != child || status)
			exit(1);
	}
}

/* One path of 2000 bytes. */
static void long_path(void)
{
	static char path[2001];

	memset(path, 'p', 2000);
	open_path(path);
}

/* COUNT: system calls by a number with bits above the 32 that the kernel looks at. */
static void high_bits(void)
{
	for (long i = 0; i < number(0); i++) {
		raw(SYS_getppid | 1L << 32, 0, 0, 0, 0);
		raw(SYS_openat | 0x7fffffffL << 32, AT_FDCWD, (long)"/high/bits", O_RDONLY, 0);
	}
}

static void *call_high(void *path)
{
	raw(SYS_openat | 1L << 32, AT_FDCWD, (long)path, O_RDONLY, 0);
	return NULL;
}

/* COUNT: the same with a long path, each from a thread of its own that ends. */
static void high_bits_threads(void)
{
	static char path[2001];

	memset(path, 'h', 2000);
	for (long i = 0; i < number(0); i++) {
		pthread_t id;
		pthread_create(&id, NULL, call_high, path);
		pthread_join(id, NULL);
	}
}

static void vfork_exec(void)
{
	char *list[] = {arguments[0], "by-vfork", NULL};
	int child = vfork(), status;

	if (child == 0) {
		execv(arguments[0], list);
		_exit(1);
	}
	waitpid(child, &status, 0);
	exit(status >> 8);
}

/* COUNT processes, each the child of another or of us, all alive at the same time. */
static void fork_bomb(void)
{
	long count = number(0);
	int gate[2];
	char byte;

	if (pipe(gate))
		exit(1);
	for (long i = 0; i < count / 2; i++) {
		if (fork() == 0) {
			close(gate[1]);
			if (fork() == 0) {
				(void)!read(gate[0], &byte, 1);
				raw(SYS_getppid, 0, 0, 0, 0);
				_exit(0);
			}
			raw(SYS_getppid, 0, 0, 0, 0);
			wait(NULL);
			_exit(0);
		}
	}
	close(gate[1]);
	while (wait(NULL) > 0)
		;
}

/* A debugger that turns its child's calls into others: 7 x getppid as it says, getppid made of getuid. */
static void tamper(void)
{
	int child = fork(), status;

	if (child == 0) {
		ptrace(PTRACE_TRACEME);
		raise(SIGSTOP);
		for (int i = 0; i < 7; i++)
			raw(SYS_getuid, 0, 0, 0, 0);
		_exit(0);
	}
	waitpid(child, &status, 0);
	for (int entering = 1;; entering = !entering) {
		struct user_regs_struct registers;

		ptrace(PTRACE_SYSCALL, child, 0, 0);
		if (waitpid(child, &status, 0) != child || !WIFSTOPPED(status))
			break;
		ptrace(PTRACE_GETREGS, child, 0, &registers);
		if (entering && registers.orig_rax == SYS_getuid) {
			registers.orig_rax = SYS_getppid;
			ptrace(PTRACE_SETREGS, child, 0, &registers);
		}
	}
}

/* A filter that answers openat itself: the kernel never enters the call. */
static void filtered(void)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_openat, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = {4, code};

	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
	open_path("/filtered");
}

static long call32(long nr, long a, long b, long c)
{
	int result;

	asm volatile("int $0x80" : "=a"(result) : "a"(nr), "b"(a), "c"(b), "d"(c) : "r8", "r9", "r10", "r11", "memory");
	return result;
}

/* The 32-bit way into the kernel from 64-bit code; 5 is open, 64 is getppid. */
static void int80(void)
{
	char *low = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);

	strcpy(low, "/int/0x80");
	call32(5, (long)low, 0, 0);
	call32(5 | 1L << 32, (long)low | 1L << 40, 0, 0);
	for (int i = 0; i < 3; i++)
		call32(64, 0, 0, 0);
}

/* Numbers that no table has. */
static void bad_numbers(void)
{
	static const long numbers[] = {-1, 511, 512, 1023, 1024, 100000, 0x7fffffff, -4096, 0x40000000, INT64_MIN};

	for (int i = 0; i < 10; i++) {
		raw(numbers[i], 0, 0, 0, 0);
		call32(numbers[i], 0, 0, 0);
	}
}

static void *hold(void *path)
{
	open_path(path);
	return NULL;
}

/* FIFO COUNT: as many threads wait in an openat with a long path, then all are let go. */
static void long_waits(void)
{
	static char path[1500];
	long count = number(1);
	pthread_t *ids = calloc(count, sizeof(*ids));
	int fd;

	strcpy(path, arguments[0]);
	for (char *slash = strrchr(path, '/'); strlen(path) < 1200;) { /* the same file by a longer path */
		memmove(slash + 2, slash, strlen(slash) + 1);
		memcpy(slash, "/.", 2);
	}
	for (long i = 0; i < count; i++)
		pthread_create(&ids[i], NULL, hold, path);
	usleep(200000);
	fd = open(arguments[0], O_WRONLY);
	for (long i = 0; i < count; i++)
		pthread_join(ids[i], NULL);
	close(fd);
}

static void copy(const char *from, int to)
{
	static char buffer[1 << 16];
	int fd = open(from, O_RDONLY);
	long n;

	while ((n = read(fd, buffer, sizeof(buffer))) > 0)
		if (write(to, buffer, n) != n)
			exit(1);
	close(fd);
}

/* PROGRAM NAME: a copy of it in memory, executed under that name. */
static void memfd(void)
{
	char *list[] = {"from-memory", NULL};
	int fd = memfd_create(arguments[1], MFD_CLOEXEC);

	copy(arguments[0], fd);
	fexecve(fd, list, environ);
	exit(1);
}

/* PROGRAM COPY: a copy of it that is deleted before it runs. */
static void deleted(void)
{
	char *list[] = {"deleted", NULL};
	int fd = open(arguments[1], O_CREAT | O_WRONLY, 0755);

	copy(arguments[0], fd);
	close(fd);
	fd = open(arguments[1], O_RDONLY | O_CLOEXEC);
	unlink(arguments[1]);
	fexecve(fd, list, environ);
	exit(1);
}

/* DIRECTORY DEPTH PROGRAM: a copy of it, deeper than a path walk of a fixed length goes. */
static void deep(void)
{
	char *list[] = {"deep", NULL};
	int fd;

	if (chdir(arguments[0]))
		exit(1);
	for (long i = 0; i < number(1); i++)
		if (mkdir("d", 0755) || chdir("d"))
			exit(1);
	fd = open("deep", O_CREAT | O_WRONLY, 0755);
	copy(arguments[2], fd);
	close(fd);
	execv("./deep", list);
	exit(1);
}

static void nothing(void)
{
}

static const struct {
	const char *name;
	void (*run)(void);
} tricks[] = {
	{"escapes", escapes}, {"comm", comm}, {"many-arguments", many_arguments}, {"dying-threads", dying_threads},
	{"dead-leader", dead_leader}, {"mass-exit", mass_exit}, {"unmapper", unmapper}, {"bad-addresses", bad_addresses},
	{"thread-exec", thread_exec}, {"long-path", long_path}, {"high-bits", high_bits},
	{"high-bits-threads", high_bits_threads}, {"vfork", vfork_exec},
	{"fork-bomb", fork_bomb}, {"tamper", tamper}, {"filtered", filtered}, {"int80", int80},
	{"bad-numbers", bad_numbers}, {"long-waits", long_waits}, {"memfd", memfd}, {"deleted", deleted},
	{"deep", deep}, {"nothing", nothing},
};

int main(int argc, char **argv)
{
	for (size_t i = 0; argc > 1 && i < sizeof(tricks) / sizeof(tricks[0]); i++) {
		if (!strcmp(argv[1], tricks[i].name)) {
			arguments = argv + 2;
			tricks[i].run();
			return 0;
		}
	}
	fprintf(stderr, "usage: hostile NAME [ARGUMENTS]\n");
	return 2;
}
