/* Executions of which not everything is in memory, as in a child that was just forked. What is shown of each is in
 * faults_decoding.py, by the same names: the marks are calls of their own.
 *
 *	gcc -static -O1 -o executions executions.c && ./executions PROGRAM SCRIPT SCRIPT_OF_SCRIPT
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE 4096L
#define MANY 300

/* A text that is in a file's memory, but in nobody's page table: who touches it brings it there. */
static char *gone(const char *text)
{
	int file = memfd_create("text", MFD_CLOEXEC);
	char *page;

	if (file < 0 || pwrite(file, text, strlen(text) + 1, 0) < 0)
		_exit(1);
	page = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, file, 0);
	close(file);
	if (page == MAP_FAILED)
		_exit(1);
	return page;
}

static void execute(const char *mark, int directory, int flags, char *path, char **arguments)
{
	char *environment[] = {gone("A=1"), NULL};
	pid_t child = fork();

	if (child == 0) {
		syscall(SYS_unlink, mark);
		if (directory == AT_FDCWD && !flags)
			syscall(SYS_execve, path, arguments, environment);
		else
			syscall(SYS_execveat, directory, path, arguments, environment, flags);
		_exit(0);
	}
	if (child < 0 || waitpid(child, NULL, 0) != child)
		_exit(1);
}

int main(int count, char **given)
{
	char *many[MANY + 1] = {NULL}, text[128], here[] = "here";
	int root = open("/", O_PATH | O_CLOEXEC);

	if (count != 4 || root < 0)
		return 1;
#define EXECUTE(mark, directory, flags, path, ...) \
	execute(mark, directory, flags, path, (char *[]){__VA_ARGS__ __VA_OPT__(,) NULL})
	EXECUTE("a program", AT_FDCWD, 0, gone(given[1]), gone("true"), here, gone("one"));
	EXECUTE("no arguments", AT_FDCWD, 0, gone(given[1]));
	EXECUTE("a script", AT_FDCWD, 0, gone(given[2]), "script", gone("one"), gone("two"));
	EXECUTE("a script of a script", AT_FDCWD, 0, gone(given[3]), gone("nested"), here, gone("two"));
	EXECUTE("a script alone", AT_FDCWD, 0, gone(given[2]), gone("alone"));
	EXECUTE("no program", AT_FDCWD, 0, gone("/nosuch"), gone("nosuch"), here);
	EXECUTE("by another call", AT_FDCWD, AT_SYMLINK_NOFOLLOW, gone(given[2]), "script", gone("one"));
	EXECUTE("from a directory", root, 0, gone(given[1] + 1), gone("true"));
	memset(text, 'a', sizeof(text) - 1);
	text[sizeof(text) - 1] = 0;
	for (int i = 0; i < MANY; i++)
		many[i] = gone(text);
	execute("too many", AT_FDCWD, 0, given[1], many);
	many[200] = NULL;
	execute("too long", AT_FDCWD, 0, given[1], many);
	return 0;
}
