#define _GNU_SOURCE
#include "system.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

static void write_all(const void *from, size_t size)
{
	const char *at = from;

	while (size > 0) {
		ssize_t count = write(1, at, size);

		if (count < 0 && errno == EINTR)
			continue;
		if (count <= 0)
			_exit(1); /* nobody listens any more */
		at += count;
		size -= count;
	}
}

static void read_one(const char *root, uint32_t process, uint32_t limit)
{
	struct apus_arguments head = {process, APUS_ARGUMENTS_BEGIN};
	static char bytes[APUS_ARGUMENTS_MAX];
	char path[256];
	ssize_t count = 0;
	int file;

	write_all(&head, sizeof(head));
	head.length = APUS_ARGUMENTS_NONE;
	snprintf(path, sizeof(path), "%s/%u/cmdline", root, process);
	file = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY);
	if (file >= 0) {
		head.length = 0;
		while (head.length < limit) {
			count = read(file, bytes + head.length, limit - head.length);
			if (count < 0 && errno == EINTR)
				continue;
			if (count <= 0)
				break;
			head.length += count;
		}
		if (count < 0)
			head.length = APUS_ARGUMENTS_NONE;
		close(file);
	}
	write_all(&head, sizeof(head));
	if (head.length != APUS_ARGUMENTS_NONE)
		write_all(bytes, head.length);
}

int apus_read_arguments(const char *root, const uint32_t *processes, size_t count, uint32_t limit, pid_t *reader)
{
	int ends[2], error;
	pid_t child;

	if (limit > APUS_ARGUMENTS_MAX)
		limit = APUS_ARGUMENTS_MAX;
	if (pipe2(ends, O_CLOEXEC))
		return -errno;
	child = fork();
	if (child) {
		error = errno;
		close(ends[1]);
		*reader = child;
		if (child > 0)
			return ends[0];
		close(ends[0]);
		return -error;
	}
	/* Nobody may wait for the end of a file, a terminal or a process group because of this process. */
	setsid();
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	prctl(PR_SET_NAME, "apus-arguments");
	if (dup2(ends[1], 1) != 1)
		_exit(1);
	close(0);
	syscall(SYS_close_range, 2U, ~0U, 0);
	for (size_t i = 0; i < count; i++)
		read_one(root, processes[i], limit);
	_exit(0);
}
