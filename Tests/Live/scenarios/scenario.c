/* Makes known system calls with known arguments, and prints each as the event expected of it.
 *
 *	gcc -static -O1 -pthread -o scenario scenario.c
 *	scenario list | NAME | flood N | flood-threads N THREADS
 */
#define _GNU_SOURCE
#include "compat.h"
#include "network.h"
#include "processes.h"
#include "text.h"
#include "timing.h"

static const struct {
	const char *name;
	void (*run)(void);
} scenarios[] = {
	{ "strings", strings },
	{ "arrays", arrays },
	{ "sockets", sockets },
	{ "times", times },
	{ "waits", waits },
	{ "errors", errors },
	{ "compat", compat },
	{ "threads", threads },
	{ "tree", tree },
	{ "rename-comm", rename_comm },
	{ "scalars", scalars },
};

#define COUNT (sizeof(scenarios) / sizeof(scenarios[0]))

int main(int argc, char **argv)
{
	const char *name = argc > 1 ? argv[1] : "";
	long number = argc > 2 ? atol(argv[2]) : 0;

	as_pid = as_tid = call(SYS_gettid);
	for (size_t i = 0; i < COUNT; i++) {
		if (!strcmp(name, scenarios[i].name)) {
			scenarios[i].run();
			return 0;
		}
	}
	if (!strcmp(name, "list")) {
		for (size_t i = 0; i < COUNT; i++)
			puts(scenarios[i].name);
		puts("flood\nflood-threads");
		return 0;
	}
	if (!strcmp(name, "child-exits"))
		return number;
	if (!strcmp(name, "flood") && argc == 3) {
		flood(number, 1);
		return 0;
	}
	if (!strcmp(name, "flood-threads") && argc == 4) {
		flood(number, atol(argv[3]));
		return 0;
	}
	fprintf(stderr, "usage: scenario list | NAME | flood N | flood-threads N THREADS\n");
	return 2;
}
