/* A file system of our own: an empty directory but for an entry whose inode number is 0.
 *
 * FUSE is what hands such an entry to the kernel's directory reader as it is. To mount it also
 * makes the kernel add its bdi's directory to debugfs. */
#include "known.h"

#include <dirent.h>
#include <linux/fuse.h>

static void answer(int fd, const struct fuse_in_header *request, int error, const void *data,
		   size_t size)
{
	struct {
		struct fuse_out_header header;
		char data[256];
	} reply = { .header = { sizeof(reply.header) + size, error, request->unique } };

	memcpy(reply.data, data, size);
	call(SYS_write, fd, &reply, reply.header.len);
}

static void serve(int fd)
{
	static char buffer[1 << 17];
	struct fuse_in_header *request = (void *)buffer;
	struct fuse_init_out init = { .major = 7, .minor = 31, .max_write = 4096 };
	struct fuse_open_out opened = { 0 };
	struct fuse_attr_out attributes = { .attr = { .ino = 1, .mode = S_IFDIR | 0755, .nlink = 2 } };
	struct {
		struct fuse_dirent entry;
		char name[8];
	} entry = { { .ino = 0, .off = 1, .namelen = 6, .type = DT_REG }, "zeroed" };

	/* Until it is unmounted. */
	while (call(SYS_read, fd, buffer, sizeof(buffer)) > 0) {
		struct fuse_read_in *read = (void *)(request + 1);

		switch (request->opcode) {
		case FUSE_INIT: answer(fd, request, 0, &init, sizeof(init)); break;
		case FUSE_OPENDIR: answer(fd, request, 0, &opened, sizeof(opened)); break;
		case FUSE_GETATTR: answer(fd, request, 0, &attributes, sizeof(attributes)); break;
		case FUSE_READDIR:
			answer(fd, request, 0, &entry, read->offset ? 0 : sizeof(entry));
			break;
		case FUSE_RELEASEDIR: answer(fd, request, 0, NULL, 0); break;
		case FUSE_FORGET: break;
		default: answer(fd, request, -ENOSYS, NULL, 0);
		}
	}
}

/* Mounts it at `path` and starts its server; returns that one's pid, or why it cannot be. */
static long mount_fuse(const char *path)
{
	char options[128];
	int fd, pid;
	long n;

	load_module("fuse"); /* where it is one */
	fd = call(SYS_openat, AT_FDCWD, "/dev/fuse", O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return fd;
	if (!private_mounts())
		return -EPERM;
	call(SYS_mkdir, path, 0755);
	snprintf(options, sizeof(options), "fd=%d,rootmode=40000,user_id=0,group_id=0", fd);
	n = call(SYS_mount, "apus", path, "fuse", MS_NOSUID | MS_NODEV, options);
	if (n < 0)
		return n;
	pid = must("fork", call(SYS_fork));
	if (pid == 0) {
		serve(fd);
		quit(0);
	}
	call(SYS_close, fd);
	return pid;
}

static void unmount_fuse(const char *path, int server)
{
	must("umount2", call(SYS_umount2, path, MNT_DETACH));
	wait_for(server);
}

static void list_zeroed(void)
{
	const char *path = at_home("fuse");
	char entries[1024];
	long server = mount_fuse(path);
	int fd;

	if (server < 0) {
		skipped("zeroed_inodes", "no FUSE, and other file systems have no inodes of number 0");
		return;
	}
	fd = must("open", call(SYS_openat, AT_FDCWD, path, O_RDONLY | O_DIRECTORY));
	if (must("getdents64", call(SYS_getdents64, fd, entries, sizeof(entries))) == 0)
		die("getdents64 of an empty directory", 0);
	seen("zeroed_inodes", STRING("dirent_name", "zeroed"));
	call(SYS_close, fd);
	unmount_fuse(path, server);
}

static void zeroed_inodes(void)
{
	in_child(list_zeroed);
}
