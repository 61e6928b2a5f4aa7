/* What is done with files and their names. */
#include "known.h"

#include <sys/fanotify.h>
#include <sys/inotify.h>
#include <sys/uio.h>

/* pos is where the call starts. */
#define TRANSFER(event, id, path, size_name, size, pos, n)                                         \
	seen(event, STRING("pathname", path), NODE(id), UINT(size_name, size), INT("pos", pos),    \
	     INT("returnValue", n))

static void vfs_write(void)
{
	const char *path = at_home("write");
	int fd = new_file(path, "");
	struct identity id = identity_of(fd);
	long n;

	n = must("write", call(SYS_write, fd, "hello", 5));
	TRANSFER("vfs_write", id, path, "count", 5, 0, n);
	n = must("write", call(SYS_write, fd, "world!", 6));
	TRANSFER("vfs_write", id, path, "count", 6, 5, n);
	n = must("pwrite64", call(SYS_pwrite64, fd, "far", 3, 100));
	TRANSFER("vfs_write", id, path, "count", 3, 100, n);
	call(SYS_close, fd);
}

static void vfs_read(void)
{
	const char *path = at_home("read");
	int fd = new_file(path, "0123456789");
	struct identity id = identity_of(fd);
	char buffer[64];
	long n;

	n = must("read", call(SYS_read, fd, buffer, 4));
	TRANSFER("vfs_read", id, path, "count", 4, 0, n);
	n = must("read", call(SYS_read, fd, buffer, 64)); /* 6, less than asked for */
	TRANSFER("vfs_read", id, path, "count", 64, 4, n);
	n = must("read", call(SYS_read, fd, buffer, 64)); /* 0, the end */
	TRANSFER("vfs_read", id, path, "count", 64, 10, n);
	n = must("pread64", call(SYS_pread64, fd, buffer, 2, 7));
	TRANSFER("vfs_read", id, path, "count", 2, 7, n);
	call(SYS_close, fd);
}

static void vfs_writev(void)
{
	const char *path = at_home("writev");
	struct iovec parts[] = { { "hello", 5 }, { " world", 6 } };
	int fd = new_file(path, "");
	struct identity id = identity_of(fd);
	long n;

	n = must("writev", call(SYS_writev, fd, parts, 2));
	TRANSFER("vfs_writev", id, path, "vlen", 2, 0, n);
	n = must("pwritev", call(SYS_pwritev, fd, parts, 1, 50));
	TRANSFER("vfs_writev", id, path, "vlen", 1, 50, n);
	n = must("writev", call(SYS_writev, fd, parts, 2));
	TRANSFER("vfs_writev", id, path, "vlen", 2, 11, n);
	call(SYS_close, fd);
}

static void vfs_readv(void)
{
	const char *path = at_home("readv");
	char a[4], b[64];
	struct iovec parts[] = { { a, sizeof(a) }, { b, sizeof(b) } };
	int fd = new_file(path, "0123456789");
	struct identity id = identity_of(fd);
	long n;

	n = must("readv", call(SYS_readv, fd, parts, 1));
	TRANSFER("vfs_readv", id, path, "vlen", 1, 0, n);
	n = must("readv", call(SYS_readv, fd, parts, 2));
	TRANSFER("vfs_readv", id, path, "vlen", 2, 4, n);
	n = must("preadv", call(SYS_preadv, fd, parts, 2, 3));
	TRANSFER("vfs_readv", id, path, "vlen", 2, 3, n);
	call(SYS_close, fd);
}

static void magic(const char *path, struct identity id, const char *bytes, long n)
{
	seen("magic_write", STRING("pathname", path), BYTES("bytes", bytes, n < 32 ? n : 32),
	     NODE(id), INT("returnValue", n));
}

static void magic_write(void)
{
	static const char text[] = "\x7f" "ELF\0binary, and behind 32 bytes text that need not be seen";
	const char *path = at_home("magic");
	struct iovec parts[] = { { (void *)text, 40 }, { "tail", 4 } };
	struct iovec small[] = { { "#!/bin", 6 }, { "/sh\n", 4 } };
	int fd = new_file(path, ""), ends[2];
	struct identity id = identity_of(fd);
	long n;

	n = must("write", call(SYS_write, fd, text, 4));
	magic(path, id, text, n);
	n = must("pwrite64", call(SYS_pwrite64, fd, text, sizeof(text), 0));
	magic(path, id, text, n);
	must("pwrite64", call(SYS_pwrite64, fd, "not at 0", 8, 4));
	never("magic_write", BYTES("bytes", "not at 0", 8), NODE(id));
	must("pwritev", call(SYS_pwritev, fd, parts, 2, 0));
	magic(path, id, text, 44);
	n = must("pwritev", call(SYS_pwritev, fd, small, 2, 0));
	magic(path, id, "#!/bin/sh\n", n);
	call(SYS_close, fd);

	must("pipe", call(SYS_pipe2, ends, O_CLOEXEC));
	must("write", call(SYS_write, ends[1], "no file", 7));
	never("magic_write", BYTES("bytes", "no file", 7));
	call(SYS_close, ends[0]);
	call(SYS_close, ends[1]);
}

/* A core dump is written by the kernel: first the ELF header, of 64 bytes. */
static void core_dump(void)
{
	char pattern[256], path[256], header[32];
	struct identity id;
	int status, pid, fd;

	snprintf(pattern, sizeof(pattern), "%s", get_setting("/proc/sys/kernel/core_pattern"));
	if (!*pattern || strpbrk(pattern, "|/%")) {
		skipped("__kernel_write", "core dumps are not plain files here");
		return;
	}
	pid = fork_scenario();
	if (pid == 0) {
		struct rlimit all = { RLIM_INFINITY, RLIM_INFINITY };

		must("chdir", call(SYS_chdir, home));
		must("prlimit64", call(SYS_prlimit64, 0, RLIMIT_CORE, &all, NULL));
		call(SYS_kill, as_pid, SIGABRT);
		quit(1);
	}
	status = wait_for(pid);
	if (!WCOREDUMP(status)) {
		skipped("__kernel_write", "no core is dumped here");
		return;
	}
	if (*get_setting("/proc/sys/kernel/core_uses_pid") == '1')
		snprintf(path, sizeof(path), "%s/%s.%d", home, pattern, pid);
	else
		snprintf(path, sizeof(path), "%s/%s", home, pattern);
	fd = must(path, call(SYS_openat, AT_FDCWD, path, O_RDONLY));
	must(path, call(SYS_read, fd, header, sizeof(header)));
	id = identity_of(fd);
	call(SYS_close, fd);
	as_pid = as_tid = pid;
	about("core dump");
	seen("__kernel_write", STRING("pathname", path), NODE(id), UINT("count", 64), INT("pos", 0));
	seen("magic_write", STRING("pathname", path), BYTES("bytes", header, 32), NODE(id),
	     INT("returnValue", 64));
	as_pid = as_tid = call(SYS_gettid);
	call(SYS_unlink, path);
}

/* Each process that ends is accounted for in a record of 64 bytes, which it writes itself. */
static void accounting(void)
{
	const char *path = at_home("acct");
	struct identity id;
	int pid;

	if (!in_vm()) {
		skipped("__kernel_write", "accounting is for the whole machine");
		return;
	}
	call(SYS_close, new_file(path, ""));
	id = identity(path);
	if (call(SYS_acct, path) < 0) {
		skipped("__kernel_write", "the kernel keeps no accounts");
		return;
	}
	pid = fork_scenario();
	if (pid == 0)
		quit(0);
	wait_for(pid);
	must("acct", call(SYS_acct, NULL));
	as_pid = as_tid = pid;
	about("acct");
	seen("__kernel_write", STRING("pathname", path), NODE(id), UINT("count", 64), INT("pos", 0));
	as_pid = as_tid = call(SYS_gettid);
}

static void kernel_write(void)
{
	core_dump();
	about(NULL);
	accounting();
	about(NULL);
}

static void security_inode_unlink(void)
{
	const char *path = at_home("unlink");
	struct identity id;

	call(SYS_close, new_file(path, ""));
	id = identity(path);
	must("unlink", call(SYS_unlink, path));
	seen("security_inode_unlink", STRING("pathname", path), IDENTITY(id));
	call(SYS_close, new_file(path, ""));
	id = identity(path);
	must("unlinkat", call(SYS_unlinkat, AT_FDCWD, path, 0));
	seen("security_inode_unlink", STRING("pathname", path), IDENTITY(id));
}

static void security_inode_mknod(void)
{
	const char *pipe = at_home("fifo"), *null = at_home("null");

	must("mknod", call(SYS_mknod, pipe, S_IFIFO | 0640, 0));
	seen("security_inode_mknod", STRING("file_name", pipe), UINT("mode", S_IFIFO | 0640),
	     UINT("dev", 0));
	/* Some containers may not; the check comes all the same. */
	call(SYS_mknodat, AT_FDCWD, null, S_IFCHR | 0600, makedev(1, 3));
	seen("security_inode_mknod", STRING("file_name", null), UINT("mode", S_IFCHR | 0600),
	     UINT("dev", 1 << 20 | 3));
}

static void security_inode_symlink(void)
{
	const char *link = at_home("link"), *other = at_home("link2");

	must("symlink", call(SYS_symlink, "../to/nowhere", link));
	seen("security_inode_symlink", STRING("linkpath", link), STRING("target", "../to/nowhere"));
	must("symlinkat", call(SYS_symlinkat, "/absolute", AT_FDCWD, other));
	seen("security_inode_symlink", STRING("linkpath", other), STRING("target", "/absolute"));
}

static void security_inode_rename(void)
{
	const char *old = at_home("rename-old"), *new = at_home("rename-new");

	call(SYS_close, new_file(old, ""));
	must("rename", call(SYS_rename, old, new));
	seen("security_inode_rename", STRING("old_path", old), STRING("new_path", new));
	must("renameat2", call(SYS_renameat2, AT_FDCWD, new, AT_FDCWD, old, 1 /* NOREPLACE */));
	seen("security_inode_rename", STRING("old_path", new), STRING("new_path", old));
}

static void inotify_watch(void)
{
	const char *path = at_home("watched");
	int fd = must("inotify_init1", call(SYS_inotify_init1, IN_CLOEXEC));
	struct identity id;

	call(SYS_close, new_file(path, ""));
	id = identity(path);
	must("inotify_add_watch", call(SYS_inotify_add_watch, fd, path, IN_OPEN | IN_MODIFY));
	seen("inotify_watch", STRING("pathname", path), NODE(id));
	id = identity(home);
	must("inotify_add_watch", call(SYS_inotify_add_watch, fd, home, IN_CREATE));
	seen("inotify_watch", STRING("pathname", home), NODE(id));
	call(SYS_close, fd);
}

static void security_path_notify(void)
{
	const char *path = at_home("notified");
	int fd = must("inotify_init1", call(SYS_inotify_init1, IN_CLOEXEC));
	struct identity id, directory = identity(home);

	call(SYS_close, new_file(path, ""));
	id = identity(path);
	must("inotify_add_watch", call(SYS_inotify_add_watch, fd, path, IN_OPEN | IN_MODIFY));
	seen("security_path_notify", STRING("pathname", path), NODE(id),
	     UINT("mask", IN_OPEN | IN_MODIFY), UINT("obj_type", 0));
	call(SYS_close, fd);

	fd = call(SYS_fanotify_init, FAN_CLASS_NOTIF | FAN_CLOEXEC, O_RDONLY);
	if (fd >= 0) {
		must("fanotify_mark", call(SYS_fanotify_mark, fd, FAN_MARK_ADD,
					   FAN_OPEN | FAN_CLOSE_WRITE, AT_FDCWD, path));
		seen("security_path_notify", STRING("pathname", path), NODE(id),
		     UINT("mask", FAN_OPEN | FAN_CLOSE_WRITE), UINT("obj_type", 0));
		call(SYS_close, fd);
	} else {
		skipped("security_path_notify", "no fanotify");
	}
	fd = must("open", call(SYS_openat, AT_FDCWD, home, O_RDONLY | O_DIRECTORY));
	if (call(SYS_fcntl, fd, F_NOTIFY, DN_CREATE) == 0) {
		seen("security_path_notify", STRING("pathname", home), NODE(directory),
		     UINT("obj_type", 0));
		call(SYS_fcntl, fd, F_NOTIFY, 0);
	}
	call(SYS_close, fd);
}

static void change_directories(void)
{
	const char *path = at_home("pwd");
	int fd;

	must("mkdir", call(SYS_mkdir, path, 0755));
	must("chdir", call(SYS_chdir, path));
	seen("set_fs_pwd", STRING("unresolved_path", path), STRING("resolved_path", path));
	must("chdir", call(SYS_chdir, "../pwd/./.."));
	seen("set_fs_pwd", STRING("unresolved_path", "../pwd/./.."), STRING("resolved_path", home));
	fd = must("open", call(SYS_openat, AT_FDCWD, path, O_RDONLY | O_DIRECTORY));
	must("fchdir", call(SYS_fchdir, fd));
	seen("set_fs_pwd", STRING("resolved_path", path)); /* fchdir has no path */
	call(SYS_close, fd);
	call(SYS_chdir, "/no/such/directory");
	never("set_fs_pwd", STRING("unresolved_path", "/no/such/directory"));
}

static void set_fs_pwd(void)
{
	in_child(change_directories);
}

static void chmod_as_nobody(void)
{
	const char *path = at_home("chmod");
	long n;

	must("setuid", call(SYS_setuid, 65534));
	n = call(SYS_chmod, path, 0777); /* -EPERM */
	seen("chmod_common", STRING("pathname", path), UINT("mode", 0777), INT("returnValue", n));
}

static void chmod_common(void)
{
	const char *path = at_home("chmod");
	int fd = new_file(path, "");

	must("chmod", call(SYS_chmod, path, 0640));
	seen("chmod_common", STRING("pathname", path), UINT("mode", 0640), INT("returnValue", 0));
	must("fchmod", call(SYS_fchmod, fd, 04755));
	seen("chmod_common", STRING("pathname", path), UINT("mode", 04755), INT("returnValue", 0));
	must("fchmodat", call(SYS_fchmodat, AT_FDCWD, path, 0600));
	seen("chmod_common", STRING("pathname", path), UINT("mode", 0600), INT("returnValue", 0));
	call(SYS_close, fd);
	in_child(chmod_as_nobody);
}

#define TRUNCATED(id, path, size)                                                                  \
	seen("do_truncate", STRING("pathname", path), NODE(id), UINT("length", size))

static void do_truncate(void)
{
	const char *path = at_home("truncate");
	int fd = new_file(path, "0123456789");
	struct identity id = identity_of(fd);

	must("truncate", call(SYS_truncate, path, 5));
	TRUNCATED(id, path, 5);
	must("ftruncate", call(SYS_ftruncate, fd, 1l << 32));
	TRUNCATED(id, path, 1l << 32);
	call(SYS_close, fd);
	fd = must("open", call(SYS_openat, AT_FDCWD, path, O_WRONLY | O_TRUNC));
	TRUNCATED(id, path, 0);
	call(SYS_close, fd);
}

#define TIMES(t) UINT("atime", (t)[0].tv_sec * 1000000000ul + (t)[0].tv_nsec),                     \
		 UINT("mtime", (t)[1].tv_sec * 1000000000ul + (t)[1].tv_nsec)

static void vfs_utimes(void)
{
	const char *path = at_home("utimes");
	struct timespec times[] = { { 1000000000, 123456789 }, { 1500000000, 987654321 } };
	struct timespec others[] = { { 1, 2 }, { 3, 4 } };
	int fd = new_file(path, "");
	struct identity id = identity_of(fd);

	must("utimensat", call(SYS_utimensat, AT_FDCWD, path, times, 0));
	seen("vfs_utimes", STRING("pathname", path), NODE(id), TIMES(times));
	must("utimensat", call(SYS_utimensat, fd, NULL, others, 0));
	seen("vfs_utimes", STRING("pathname", path), NODE(id), TIMES(others));
	must("utime", call(SYS_utime, path, NULL)); /* now, whenever that is */
	seen("vfs_utimes", STRING("pathname", path), NODE(id));
	call(SYS_close, fd);
}
