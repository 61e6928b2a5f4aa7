/* Floods of one class of events each, and how many of each event a tracer of this process and its descendants
 * must have seen or lost.
 *
 *	gcc -static -O1 -o floods floods.c
 *	floods calls | names | files | processes N
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static char said[1024];

/* To be printed at once, as a write is an event itself. */
static void seen(const char *event, long count)
{
	size_t length = strlen(said);

	snprintf(said + length, sizeof(said) - length, "{\"event\":\"%s\",\"count\":%ld}\n", event, count);
}

static void calls(long count)
{
	for (long i = 0; i < count; i++)
		syscall(SYS_getppid);
	seen("getppid", count);
}

static void names(long count)
{
	for (long i = 0; i < count; i++)
		prctl(PR_SET_NAME, i & 1 ? "odd" : "even");
	seen("task_rename", count);
}

static void files(long count)
{
	const char *path = "/tmp/apus-flood";
	char byte = 'x';

	for (long i = 0; i < count; i++) {
		int file = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

		if (file < 0 || pwrite(file, &byte, 1, 0) != 1 || pread(file, &byte, 1, 0) != 1) {
			perror(path);
			exit(1);
		}
		close(file);
	}
	unlink(path);
	seen("security_file_open", count);
	seen("vfs_write", count + 1); /* and what is said */
	seen("vfs_read", count);
}

/* Children that execute this program, which ends at once. */
static void processes(long count)
{
	for (long i = 0; i < count; i++) {
		pid_t child = fork();
		int status;

		if (child == 0) {
			execl("/proc/self/exe", "floods", "leave", (char *)NULL);
			_exit(1);
		}
		if (child < 0 || waitpid(child, &status, 0) != child || status) {
			fprintf(stderr, "a child failed\n");
			exit(1);
		}
	}
	seen("sched_process_fork", count);
	seen("sched_process_exec", count + 1); /* and our own */
	seen("sched_process_exit", count + 1);
}

int main(int argc, char **argv)
{
	long count = argc > 2 ? atol(argv[2]) : 0;
	const char *what = argc > 1 ? argv[1] : "";

	if (!strcmp(what, "leave"))
		_exit(0);
	if (!strcmp(what, "calls"))
		calls(count);
	else if (!strcmp(what, "names"))
		names(count);
	else if (!strcmp(what, "files"))
		files(count);
	else if (!strcmp(what, "processes"))
		processes(count);
	else
		return 2;
	return write(1, said, strlen(said)) < 0;
}
