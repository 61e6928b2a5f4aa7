/* floor [--string | --bare | --path | --pair] -- COMMAND ARGS...
 *
 * Traces COMMAND with floor.bpf.o, which lies beside this program, and counts. */
#define _GNU_SOURCE
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <libgen.h>
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

static volatile bool stopping;

static void die(const char *what)
{
	fprintf(stderr, "floor: %s: %s\n", what, strerror(errno));
	exit(125);
}

static int count_record(void *context, void *data, size_t size)
{
	(void)data;
	(void)size;
	++*(unsigned long *)context;
	return 0;
}

/* The load has CPU 0 for itself. */
static void *consume(void *ring)
{
	cpu_set_t cpus;

	CPU_ZERO(&cpus);
	CPU_SET(1, &cpus);
	sched_setaffinity(0, sizeof(cpus), &cpus);
	while (!stopping) {
		usleep(1000);
		ring_buffer__consume(ring);
	}
	ring_buffer__consume(ring);
	return NULL;
}

/* Starts COMMAND, which waits until something is written to `*gate`. */
static pid_t start(char **command, int *gate)
{
	int pipes[2];
	pid_t child;
	char byte;

	if (pipe(pipes) < 0 || (child = fork()) < 0)
		die("fork");
	if (child == 0) {
		close(pipes[1]);
		if (read(pipes[0], &byte, 1) == 1)
			execvp(command[0], command);
		die(command[0]);
	}
	close(pipes[0]);
	*gate = pipes[1];
	return child;
}

/* The programs of each option; without one, the rest. */
static const struct {
	const char *option, *programs[2];
} alone[] = {
	{ "--bare", { "bare" } },
	{ "--path", { "bare_path" } },
	{ "--pair", { "bare", "bare_exit" } },
};

static bool is_wanted(const char *program, const char *option)
{
	bool is_of_any = false;

	for (size_t i = 0; i < sizeof(alone) / sizeof(*alone); i++)
		for (size_t j = 0; j < 2 && alone[i].programs[j]; j++)
			if (!strcmp(alone[i].programs[j], program)) {
				is_of_any = true;
				if (option && !strcmp(alone[i].option, option))
					return true;
			}
	for (size_t i = 0; i < sizeof(alone) / sizeof(*alone); i++)
		if (option && !strcmp(alone[i].option, option))
			return false;
	return !is_of_any;
}

static struct bpf_object *load_object(const char *option)
{
	char path[4096] = "";
	struct bpf_program *program;
	struct bpf_object *object;
	struct bpf_map *constants;
	size_t size;

	if (readlink("/proc/self/exe", path, sizeof(path) - 16) < 0)
		die("/proc/self/exe");
	strcat(dirname(path), "/floor.bpf.o");
	object = bpf_object__open(path);
	if (!object)
		die(path);
	constants = bpf_object__find_map_by_name(object, ".rodata");
	*(int *)bpf_map__initial_value(constants, &size) = option && !strcmp(option, "--string");
	bpf_object__for_each_program(program, object)
		bpf_program__set_autoload(program, is_wanted(bpf_program__name(program), option));
	if (bpf_object__load(object))
		die("load");
	return object;
}

static unsigned long read_lost(struct bpf_object *object)
{
	struct bpf_map *map = bpf_object__find_map_by_name(object, ".bss");
	unsigned int zero = 0;
	unsigned long lost = 0;

	bpf_map_lookup_elem(bpf_map__fd(map), &zero, &lost);
	return lost;
}

/* libbpf finds tracepoints by numbers in tracefs, which not every host has mounted; here it is, for ourselves. */
static void mount_tracefs(void)
{
	const char *place = "/sys/kernel/tracing";

	if (!access("/sys/kernel/tracing/events", F_OK))
		return;
	if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
	    mount("tracefs", place, "tracefs", 0, NULL))
		die("tracefs");
}

int main(int argc, char **argv)
{
	const char *option = argc > 1 && strcmp(argv[1], "--") ? argv[1] : NULL;
	char **command = argv + 1 + (option != NULL), one = 1;
	struct bpf_program *program;
	struct bpf_object *object;
	struct ring_buffer *ring;
	unsigned long delivered = 0;
	int gate, status;
	pthread_t consumer;
	pid_t child;

	if (!command[0] || strcmp(command[0], "--") || !command[1]) {
		fprintf(stderr, "usage: floor [--string | --bare | --path | --pair] -- COMMAND ARGS...\n");
		return 2;
	}
	child = start(command + 1, &gate);
	mount_tracefs();
	object = load_object(option);
	bpf_map_update_elem(bpf_object__find_map_fd_by_name(object, "traced"), &child, &one, 0);
	ring = ring_buffer__new(bpf_object__find_map_fd_by_name(object, "ring"), count_record,
				&delivered, NULL);
	if (!ring || pthread_create(&consumer, NULL, consume, ring))
		die("ring");
	bpf_object__for_each_program(program, object)
		if (bpf_program__autoload(program) && !bpf_program__attach(program))
			die("attach");
	if (write(gate, &one, 1) != 1)
		die("start");
	waitpid(child, &status, 0);
	stopping = true;
	pthread_join(consumer, NULL);
	fprintf(stderr, "floor: delivered %lu lost %lu\n", delivered, read_lost(object));
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
