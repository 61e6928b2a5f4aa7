/* Calls whose arguments change while they are made, and the splice that must not be seen. */
#include "known.h"

#include <linux/openat2.h>
#include <linux/userfaultfd.h>
#include <pthread.h>
#include <sys/ioctl.h>

static char flipped[256]; /* the path that changes */
static char others[2][256];

/* The kernel waits for a page, after a tracer's look at the start of the call and before its own at the
 * path. */

static int faults;
static char *late_page, *content;

static void *bring_page(void *argument)
{
	struct uffdio_copy copy = { .dst = (unsigned long)late_page, .src = (unsigned long)content,
				    .len = 4096 };
	struct uffd_msg message;

	must("userfaultfd", call(SYS_read, faults, &message, sizeof(message)));
	strcpy(flipped, others[1]);
	must("UFFDIO_COPY", call(SYS_ioctl, faults, UFFDIO_COPY, &copy));
	return argument;
}

static char *new_page(void)
{
	return (char *)must("mmap", call(SYS_mmap, NULL, 4096, PROT_READ | PROT_WRITE,
					 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
}

/* A page that comes when it is asked for; `flipped` is the other one from then on. */
static bool prepare_page(pthread_t *thread)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register area = { .mode = UFFDIO_REGISTER_MODE_MISSING };

	faults = call(SYS_userfaultfd, O_CLOEXEC);
	if (faults < 0)
		return false;
	late_page = new_page();
	content = new_page();
	area.range.start = (unsigned long)late_page;
	area.range.len = 4096;
	must("UFFDIO_API", call(SYS_ioctl, faults, UFFDIO_API, &api));
	must("UFFDIO_REGISTER", call(SYS_ioctl, faults, UFFDIO_REGISTER, &area));
	strcpy(flipped, others[0]);
	return pthread_create(thread, NULL, bring_page, NULL) == 0;
}

/* openat2 reads its options first, then its path. */
static bool flip_openat2(void)
{
	struct open_how how = { .flags = O_RDONLY };
	char link[64], opened[256] = "";
	pthread_t thread;
	int fd;

	if (!prepare_page(&thread))
		return false;
	memcpy(content, &how, sizeof(how));
	fd = must("openat2", call(SYS_openat2, AT_FDCWD, flipped, late_page, sizeof(how)));
	pthread_join(thread, NULL);
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	must("readlink", call(SYS_readlink, link, opened, sizeof(opened) - 1));
	call(SYS_close, fd);
	call(SYS_close, faults);
	return !strcmp(opened, others[1]);
}

/* rename may read its second path first; then the first one can change. */
static bool flip_rename(void)
{
	const char *target = at_home("flip-target");
	pthread_t thread;

	if (!prepare_page(&thread))
		return false;
	strcpy(content, target);
	must("rename", call(SYS_rename, flipped, late_page));
	pthread_join(thread, NULL);
	call(SYS_close, faults);
	return call(SYS_access, others[1], F_OK) == -ENOENT;
}

#define MISMATCH(call)                                                                             \
	seen("syscall_mismatch", INT("syscall", call), STRING("asked", others[0]),                 \
	     STRING("acted", others[1]))

static void mismatch(void)
{
	bool done = false;

	for (int i = 0; i < 2; i++) {
		strcpy(others[i], at_home(i ? "flip-b" : "flip-a"));
		call(SYS_close, new_file(others[i], "content"));
	}
	about("openat2");
	if (flip_openat2()) {
		MISMATCH(SYS_openat2);
		done = true;
	}
	about("rename");
	if (flip_rename()) {
		MISMATCH(SYS_rename);
		done = true;
	}
	about(NULL);
	if (!done)
		skipped("syscall_mismatch", "no userfaultfd, by which a call waits while its path changes");
}

static void syscall_mismatch(void)
{
	in_child(mismatch);
}

/* A kernel with the repair clears the flags of each buffer that it fills from a file. */
static void dirty_pipe_splice(void)
{
	int fd = new_file(at_home("spliced"), "content"), ends[2];
	struct identity id = identity_of(fd);
	long offset = 0;

	must("pipe", call(SYS_pipe2, ends, O_CLOEXEC));
	must("write", call(SYS_write, ends[1], "mergeable", 9));
	must("splice", call(SYS_splice, fd, &offset, ends[1], NULL, 4, 0));
	never("dirty_pipe_splice", UINT("inode_in", id.inode));
	untriggerable("dirty_pipe_splice",
		      "since 5.10.102, 5.15.25 and 5.16.11 no buffer from a file is mergeable");
	call(SYS_close, ends[0]);
	call(SYS_close, ends[1]);
	call(SYS_close, fd);
}
