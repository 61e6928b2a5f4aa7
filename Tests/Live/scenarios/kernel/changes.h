/* Whether the content of a file was changed. */
#include "known.h"

#define TICK 30 /* ms: more than the finest step of a file's times, on any kernel */

#define MODIFIED(path, before, after)                                                              \
	STRING("file_path", path), NODE(before), UINT("old_ctime", (before).ctime),                \
		UINT("new_ctime", (after).ctime)

static void write_twice(const char *path)
{
	int fd = must("open", call(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CLOEXEC));
	struct identity before = identity_of(fd), after;

	nap(TICK);
	must("write", call(SYS_write, fd, "once", 4));
	after = identity_of(fd);
	seen("file_modification", MODIFIED(path, before, after));
	nap(TICK);
	must("write", call(SYS_write, fd, "twice", 5));
	before = after;
	after = identity_of(fd);
	call(SYS_close, fd);
	/* Once for each time it is opened. */
	never("file_modification", STRING("file_path", path), UINT("new_ctime", after.ctime));
}

static void write_mapping(const char *path)
{
	int fd = must("open", call(SYS_openat, AT_FDCWD, path, O_RDWR | O_CLOEXEC));
	struct identity before = identity_of(fd), after;
	char *page = (char *)must("mmap", call(SYS_mmap, NULL, 4096, PROT_READ | PROT_WRITE,
					      MAP_SHARED, fd, 0));

	nap(TICK);
	page[0] = 'X';
	call(SYS_msync, page, 4096, MS_SYNC);
	after = identity_of(fd);
	about("mapping");
	if (after.ctime != before.ctime)
		seen("file_modification", MODIFIED(path, before, after));
	else
		skipped("file_modification", "this file system leaves the times of a mapped file");
	about(NULL);
	call(SYS_munmap, page, 4096);
	call(SYS_close, fd);
}

static void file_modification(void)
{
	const char *path = at_home("modified"), *idle = at_home("unmodified");
	int fd;

	call(SYS_close, new_file(path, "content"));
	write_twice(path);
	nap(TICK);
	write_twice(path);
	nap(TICK);
	write_mapping(path);

	/* Made by mknod, which opens nothing. */
	must("mknod", call(SYS_mknod, idle, S_IFREG | 0644, 0));
	fd = must("open", call(SYS_openat, AT_FDCWD, idle, O_RDWR | O_CLOEXEC));
	nap(TICK);
	call(SYS_close, fd);
	never("file_modification", STRING("file_path", idle));
}
