/* Calls for filters to choose from. `filtered varied FOLDER` makes many kinds of a few; `filtered count STOP
 * PAUSE THREADS` makes numbered ones in some threads, with a pause of that many microseconds, until the file
 * STOP exists, and prints how many each made.
 *
 *	gcc -static -O1 -pthread -o filtered filtered.c
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static long raw(long nr, long a, long b, long c, long d)
{
	register long r10 asm("r10") = d;
	long result;

	asm volatile("syscall" : "=a"(result) : "a"(nr), "D"(a), "S"(b), "d"(c), "r"(r10) : "rcx", "r11", "memory");
	return result;
}

static long open_at(long folder, const void *path, long flags, long mode)
{
	return raw(SYS_openat, folder, (long)path, flags, mode);
}

/* A path of `length` bytes that begins and ends with some. */
static const char *long_path(size_t length, const char *start, const char *end)
{
	static char path[8192];

	memset(path, 'x', length);
	memcpy(path, start, strlen(start));
	memcpy(path + length - strlen(end), end, strlen(end));
	path[length] = 0;
	return path;
}

static void opens(void)
{
	static const char *const paths[] = {
		"", "/", "/etc", "/etc/", "/etc/passwd", "/etc/passwd-", "/etc/no-such-file", "etc/passwd", "a", "aa", "aaa",
		"ab", "b", "/tmp/no-such-folder/x.so", "/tmp/no-such-folder/x.so.1", "x.so", ".so", "so", "\x80", "\xff\xfe",
		"\x80\x80/\xff", "/caf\xc3\xa9", "/CAF\xc3\x89", "/etc/\n", "with space", "*", "/a*b", "/proc/self/stat",
	};

	for (size_t i = 0; i < sizeof(paths) / sizeof(*paths); i++) {
		long file = open_at(AT_FDCWD, paths[i], O_RDONLY | O_CLOEXEC, 0);

		if (file >= 0)
			raw(SYS_close, file, 0, 0, 0);
	}
	/* Around the kernel's strides of 64 bytes, and to the longest. */
	for (int length = 62; length <= 66; length++)
		open_at(AT_FDCWD, long_path(length, "/long/", "/end"), O_RDONLY, 0);
	open_at(AT_FDCWD, long_path(128, "/long/", "/end"), O_RDONLY, 0);
	open_at(AT_FDCWD, long_path(383, "/long/", "/end"), O_RDONLY, 0);
	open_at(AT_FDCWD, long_path(400, "/long/", "/end"), O_RDONLY, 0);
	open_at(AT_FDCWD, long_path(4095, "/long/", "/end"), O_RDONLY, 0);
	open_at(AT_FDCWD, long_path(4096, "/long/", "/end"), O_RDONLY, 0);
	open_at(AT_FDCWD, long_path(5000, "/long/", "/end"), O_RDONLY, 0);
	/* None, and none that can be read. */
	open_at(AT_FDCWD, NULL, O_RDONLY, 0);
	open_at(AT_FDCWD, (void *)8, O_RDONLY, 0);
	open_at(AT_FDCWD, (void *)-4096L, O_RDONLY, 0);
	open_at(-1, "relative", O_RDWR | O_CREAT | O_EXCL, 0640);
	open_at(0x7fffffff, "relative", O_WRONLY | O_TRUNC, 07777);
	open_at(0x100000000 | 77, "relative", 0xffffffff00000002, -1);
}

static void closes(void)
{
	static const long files[] = {-1, -2, 1000, 1001, 1002, 4095, 65535, 65536, 0x7fffffff, 0x80000000, 0xffffffff};

	for (size_t i = 0; i < sizeof(files) / sizeof(*files); i++)
		raw(SYS_close, files[i], 0, 0, 0);
}

/* 64-bit numbers at the ends of the types. */
static void numbers(void)
{
	static const long values[] = {0, 1, -1, 4096, INT64_MAX, INT64_MIN, INT64_MAX - 1, INT64_MIN + 1, 0x80000000};

	for (size_t i = 0; i < sizeof(values) / sizeof(*values); i++)
		raw(SYS_lseek, -1, values[i], SEEK_SET, 0);
	for (size_t i = 0; i < sizeof(values) / sizeof(*values); i++)
		raw(SYS_munmap, values[i] | 1, 1, 0, 0);
}

static void all(void)
{
	opens();
	closes();
	numbers();
}

static void child(void (*work)(void), const char *name, int user)
{
	pid_t pid = fork();

	if (!pid) {
		prctl(PR_SET_NAME, name);
		if (user && setresuid(user, user, user))
			_exit(1);
		work();
		_exit(0);
	}
	waitpid(pid, NULL, 0);
}

static const char *folder;

static void executes(void)
{
	static const char *const names[] = {"cat", "ca", "dog", "cat-and-dog-and-more", "none"};
	char path[4096];

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		pid_t pid = fork();

		if (!pid) {
			snprintf(path, sizeof(path), "%s/%s", folder, names[i]);
			execl(path, names[i], "quit", NULL);
			_exit(0);
		}
		waitpid(pid, NULL, 0);
	}
}

static void varied(void)
{
	all();
	child(closes, "cat", 0);
	child(closes, "ca", 0);
	child(closes, "c", 0);
	child(closes, "fifteen-bytes-x", 0);
	child(closes, "bobcat", 1234);
	child(opens, "bobcat", 4321);
	executes();
}

/* ---- Numbered calls ---- */

static const char *stop;
static long pause_us;

static void *count(void *made)
{
	char path[64];
	long n = 0;

	while (n % 64 || access(stop, F_OK)) {
		n++;
		snprintf(path, sizeof(path), "/numbered/%ld", n);
		open_at(AT_FDCWD, path, O_RDONLY, 0);
		raw(SYS_close, 1000000 + n, 0, 0, 0);
		if (pause_us)
			usleep(pause_us);
	}
	*(long *)made = n;
	return NULL;
}

int main(int argc, char **argv)
{
	if (argc == 3 && !strcmp(argv[1], "varied")) {
		folder = argv[2];
		varied();
		return 0;
	}
	if (argc == 5 && !strcmp(argv[1], "count")) {
		int threads = atoi(argv[4]);
		pthread_t others[16];
		long made[16] = {0};

		stop = argv[2];
		pause_us = atol(argv[3]);
		for (int i = 0; i < threads && i < 16; i++)
			if (pthread_create(&others[i], NULL, count, &made[i]))
				return 1;
		for (int i = 0; i < threads && i < 16; i++) {
			pthread_join(others[i], NULL);
			printf("%ld\n", made[i]);
		}
		return 0;
	}
	if (argc == 2 && !strcmp(argv[1], "quit"))
		return 0;
	fprintf(stderr, "usage: filtered varied FOLDER | count STOP PAUSE THREADS\n");
	return 2;
}
