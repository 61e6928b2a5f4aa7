/* Trees of processes, one below the other, each of which tells its own line of makers by opening a path that cannot
 * exist:
 *
 *	/forest/TREE/PIDp/PIDp/.../PIDp
 *
 * from this program's first process down to the one that opens it; `p` is the program that each of them ran at that
 * moment: `f` this one, `s` its copy `sapling` in the same directory.
 *
 *	gcc -static -O1 -o forest forest.c && cp forest sapling
 *	DIRECTORY/forest TREES DEPTH
 *
 * Prints how many paths were opened.
 *
 *	forest member NAME
 *
 * is a process that does as it is told through the pipe NAME, where a NUL ends each command; to each it answers
 * `NAME PID MAKER`, where MAKER is 0 but in the answer of one that was just made:
 *
 *	open PATH	opens it
 *	fork NAME	makes another member, which answers
 *	orphan NAME	the same, made by a child that ends at once
 *	exec PROGRAM	executes another program of this kind
 *	reap		is given those whose maker ends
 *	end		without an answer
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static char directory[512];
static char path[4096];

static void fail(const char *what)
{
	perror(what);
	_exit(1);
}

/* Adds who runs now to the path. */
static void add_self(char program)
{
	size_t length = strlen(path);

	snprintf(path + length, sizeof(path) - length, "/%d%c", (int)syscall(SYS_getpid), program);
}

static void tell(void)
{
	if (syscall(SYS_openat, AT_FDCWD, path, O_RDONLY) >= 0 || errno != ENOENT)
		fail(path);
}

static void wait_for(pid_t child)
{
	int status;

	if (child < 0 || waitpid(child, &status, 0) != child || status)
		fail("a child failed");
}

/* What an execution takes along is in the arguments. */
static void execute(const char *program, const char *what, int level, int depth)
{
	char file[600], levels[2][16];

	snprintf(file, sizeof(file), "%s/%s", directory, program);
	snprintf(levels[0], sizeof(levels[0]), "%d", level);
	snprintf(levels[1], sizeof(levels[1]), "%d", depth);
	execl(file, program, what, directory, path, levels[0], levels[1], (char *)NULL);
	fail(file);
}

static void grow(int level, int depth, char program, int executed);

/* A process more below this one. */
static void descend(int level, int depth, char program)
{
	pid_t child;

	if (level > depth)
		return;
	/* Where few numbers are allowed, one may have to be waited for. */
	for (int tries = 0; (child = fork()) < 0 && errno == EAGAIN && tries < 10000; tries++)
		usleep(1000);
	if (child == 0)
		grow(level, depth, program, 0);
	wait_for(child);
}

/* Who is at a level, from its beginning or from its execution to its end. */
static void grow(int level, int depth, char program, int executed)
{
	if (!executed && level % 4 == 3)
		/* Another program from here on down. */
		execute("sapling", "grow", level, depth);
	if (level % 5 == 0) {
		/* Another program after those below it have ended: they are not to show it. */
		size_t length = strlen(path);

		add_self(program);
		descend(level + 1, depth, program);
		path[length] = 0;
		execute(program == 'f' ? "sapling" : "forest", "tell", level, depth);
	}
	add_self(program);
	if (level & 1)
		tell();
	descend(level + 1, depth, program);
	if (!(level & 1))
		tell();
	_exit(0);
}

/* Trees of one of those who plant. */
static void plant(long from, long trees, long step, int depth)
{
	char line[64];

	snprintf(line, sizeof(line), "%.63s", path);
	for (long tree = from; tree < trees; tree += step) {
		snprintf(path, sizeof(path), "/forest/%ld%s", tree, line);
		descend(1, depth, 'f');
	}
	_exit(0);
}

static int opened(const char *name)
{
	/* Both ways, so that it never ends. */
	int commands = open(name, O_RDWR | O_CLOEXEC);

	if (commands < 0)
		fail(name);
	return commands;
}

/* Makes another member, and returns its number; there less than 0, who made it. */
static pid_t make_member(int is_orphan)
{
	pid_t self = syscall(SYS_getpid), child = fork();

	if (child == 0 && is_orphan) {
		self = syscall(SYS_getpid);
		child = fork();
		if (child > 0)
			_exit(0);
		while (child == 0 && getppid() == self)
			usleep(100);
	}
	if (child < 0)
		fail("fork");
	return child == 0 ? -self : child;
}

static void member(const char *first)
{
	char line[4096], answer[700], name[600];
	int commands = opened(first), maker = 0, count;
	size_t length = 0;

	snprintf(name, sizeof(name), "%s", first);
	signal(SIGCHLD, SIG_IGN); /* nobody stays as a zombie */
	for (;;) {
		char *end, *rest;

		if (maker >= 0) {
			count = snprintf(answer, sizeof(answer), "%s %d %d\n", name, (int)syscall(SYS_getpid), maker);
			if (write(1, answer, count) != count)
				_exit(1);
		}
		while (!(end = memchr(line, 0, length))) {
			ssize_t got = read(commands, line + length, sizeof(line) - length);

			if (got <= 0)
				_exit(1);
			length += got;
		}
		end++;
		rest = strchr(line, ' ');
		if (rest)
			*rest++ = 0;
		maker = 0;
		if (!strcmp(line, "open")) {
			syscall(SYS_openat, AT_FDCWD, rest, O_RDONLY);
		} else if (!strcmp(line, "exec")) {
			execl(rest, rest, "member", name, (char *)NULL);
			fail(rest);
		} else if (!strcmp(line, "reap")) {
			prctl(PR_SET_CHILD_SUBREAPER, 1);
		} else if (!strcmp(line, "end")) {
			_exit(0);
		} else {
			maker = -make_member(!strcmp(line, "orphan"));
			if (maker > 0) {
				close(commands);
				snprintf(name, sizeof(name), "%s", rest);
				commands = opened(name);
				length = 0;
				continue;
			}
		}
		length -= end - line;
		memmove(line, end, length);
	}
}

int main(int argc, char **argv)
{
	cpu_set_t cpus;
	pid_t planters[64];
	long trees;
	int depth, count = 0, cpu, step;

	if (argc == 6) {
		char program = strstr(argv[0], "sapling") ? 's' : 'f';

		snprintf(directory, sizeof(directory), "%s", argv[2]);
		snprintf(path, sizeof(path), "%s", argv[3]);
		if (!strcmp(argv[1], "grow"))
			grow(atoi(argv[4]), atoi(argv[5]), program, 1);
		add_self(program);
		tell();
		return 0;
	}
	if (argc == 3 && !strcmp(argv[1], "member"))
		member(argv[2]);
	if (argc != 3 || !strrchr(argv[0], '/'))
		return 2;
	snprintf(directory, sizeof(directory), "%.*s", (int)(strrchr(argv[0], '/') - argv[0]), argv[0]);
	trees = atol(argv[1]);
	depth = atoi(argv[2]);
	add_self('f');
	/* Two on each processor, so that it has work while one of them waits. */
	if (sched_getaffinity(0, sizeof(cpus), &cpus))
		fail("sched_getaffinity");
	step = CPU_COUNT(&cpus) * 2;
	if (step > 64)
		step = 64;
	for (cpu = 0; count < step; cpu = (cpu + 1) % CPU_SETSIZE) {
		cpu_set_t own;

		if (!CPU_ISSET(cpu, &cpus))
			continue;
		planters[count] = fork();
		if (planters[count] == 0) {
			CPU_ZERO(&own);
			CPU_SET(cpu, &own);
			if (sched_setaffinity(0, sizeof(own), &own))
				fail("sched_setaffinity");
			add_self('f');
			plant(count, trees, step, depth);
		}
		count++;
	}
	while (count > 0)
		wait_for(planters[--count]);
	printf("{\"told\":%ld}\n", trees * depth);
	return 0;
}
