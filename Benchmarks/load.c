/* load getpid|getppid|openat|openat-missing|openat-some N
 *
 * Does the same thing over and over, alone on CPU 0, and prints what one costs in nanoseconds.
 *
 * load paced MILLISECONDS
 *
 * Makes 200 calls of getppid each millisecond, and a process that ends at once each ten. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define ROUNDS 5

static void do_getpid(void)
{
	syscall(SYS_getpid);
}

static void do_getppid(void)
{
	syscall(SYS_getppid);
}

static void do_openat(void)
{
	syscall(SYS_close, syscall(SYS_openat, AT_FDCWD, "/etc/hostname", O_RDONLY, 0));
}

static void do_openat_missing(void)
{
	syscall(SYS_openat, AT_FDCWD, "/no/such/file", O_RDONLY, 0);
}

/* One in 10,000 is below /no/such/place. */
static void do_openat_some(void)
{
	static unsigned int number;

	syscall(SYS_openat, AT_FDCWD, number++ % 10000 ? "/no/such/file" : "/no/such/place/file", O_RDONLY, 0);
}

static const struct {
	const char *name;
	void (*run)(void);
} loads[] = {
	{ "getpid", do_getpid },
	{ "getppid", do_getppid },
	{ "openat", do_openat },
	{ "openat-missing", do_openat_missing },
	{ "openat-some", do_openat_some },
};

static double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec * 1e9 + time.tv_nsec;
}

static double measure(void (*run)(void), long count)
{
	double start = now();

	for (long i = 0; i < count; i++)
		run();
	return (now() - start) / count;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static int pace(long milliseconds)
{
	struct timespec next;

	clock_gettime(CLOCK_MONOTONIC, &next);
	for (long tick = 0; tick < milliseconds; tick++) {
		for (int i = 0; i < 200; i++)
			do_getppid();
		if (tick % 10 == 0) {
			pid_t child = fork();

			if (child == 0)
				_exit(0);
			waitpid(child, NULL, 0);
		}
		next.tv_nsec += 1000000;
		if (next.tv_nsec >= 1000000000) {
			next.tv_nsec -= 1000000000;
			next.tv_sec++;
		}
		clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &next, NULL);
	}
	return 0;
}

int main(int argc, char **argv)
{
	long count = argc == 3 ? atol(argv[2]) : 0;
	double rounds[ROUNDS];
	cpu_set_t cpus;

	CPU_ZERO(&cpus);
	CPU_SET(0, &cpus);
	/* Unless told to stay where it is. */
	if (!getenv("LOAD_ANYWHERE"))
		sched_setaffinity(0, sizeof(cpus), &cpus);
	if (count > 0 && !strcmp(argv[1], "paced"))
		return pace(count);
	for (size_t i = 0; count > 0 && i < sizeof(loads) / sizeof(loads[0]); i++) {
		if (strcmp(argv[1], loads[i].name))
			continue;
		measure(loads[i].run, count / 10 + 1);
		for (int round = 0; round < ROUNDS; round++)
			rounds[round] = measure(loads[i].run, count);
		qsort(rounds, ROUNDS, sizeof(rounds[0]), compare);
		printf("min %.1f median %.1f\n", rounds[0], rounds[ROUNDS / 2]);
		return 0;
	}
	fprintf(stderr, "usage: load getpid|getppid|openat|openat-missing|openat-some N\n       load paced MILLISECONDS\n");
	return 2;
}
