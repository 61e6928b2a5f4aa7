/* security_file_open by every sort of path. */
#include "known.h"

#define LARGEFILE 0100000 /* added for 64-bit processes; O_CLOEXEC is dropped by some kernels */

/* Opens `given` from `directory`; the kernel knows the file as `path`, unless that is NULL. */
static void open_known(int directory, const char *given, const char *path, int flags)
{
	int fd = must(given, call(SYS_openat, directory, given, flags, 0644));
	struct identity id = identity_of(fd);

	if (path)
		seen("security_file_open", STRING("pathname", path), INT("flags", flags | LARGEFILE),
		     IDENTITY(id), STRING("syscall_pathname", given));
	else
		seen("security_file_open", INT("flags", flags | LARGEFILE), IDENTITY(id),
		     STRING("syscall_pathname", given));
	call(SYS_close, fd);
}

static void open_plain(void)
{
	const char *path = at_home("open");
	struct identity id;
	int fd;

	open_known(AT_FDCWD, path, path, O_WRONLY | O_CREAT | O_EXCL);
	open_known(AT_FDCWD, path, path, O_RDONLY);
	open_known(AT_FDCWD, path, path, O_RDWR | O_APPEND | O_NONBLOCK);
	open_known(AT_FDCWD, home, home, O_RDONLY | O_DIRECTORY);
	must("symlink", call(SYS_symlink, "open", at_home("open-link")));
	open_known(AT_FDCWD, at_home("open-link"), path, O_RDONLY);
	open_known(AT_FDCWD, at_home("../././../.."), "/", O_RDONLY);

	id = identity(path);
	fd = must("open", call(SYS_openat, AT_FDCWD, path, O_PATH)); /* no open for the kernel */
	never("security_file_open", UINT("inode", id.inode), INT("flags", O_PATH | LARGEFILE));
	call(SYS_close, fd);
}

static void open_odd_names(void)
{
	static const char valid[] = "new\nline \"quote\" back\\slash \x01\x7f gr\xc3\xb6\xc3\x9f" "e";
	static const char invalid[] = "bad\xff,\xc3(,\x80";
	static const char shown[] = "bad\xef\xbf\xbd,\xef\xbf\xbd(,\xef\xbf\xbd";
	struct identity id;
	int fd;

	about("newline and controls");
	open_known(AT_FDCWD, at_home(valid), at_home(valid), O_RDWR | O_CREAT);
	about("invalid UTF-8");
	fd = must("open", call(SYS_openat, AT_FDCWD, at_home(invalid), O_RDWR | O_CREAT, 0600));
	id = identity_of(fd);
	seen("security_file_open", STRING("pathname", at_home(shown)),
	     INT("flags", O_RDWR | O_CREAT | LARGEFILE), IDENTITY(id),
	     STRING("syscall_pathname", at_home(shown)));
	call(SYS_close, fd);
}

#define LONGEST 4095 /* of a path that is shown whole */

/* Names of `size` bytes below one another until the path of `file` in the last has `length`. */
static void open_below(const char *top, size_t length, size_t size, const char *file)
{
	static char path[8192];
	char name[256];
	size_t used;

	must("mkdir", call(SYS_mkdir, at_home(top), 0755));
	must("chdir", call(SYS_chdir, at_home(top)));
	used = snprintf(path, sizeof(path), "%s", at_home(top));
	while (used + 1 + strlen(file) < length) {
		size_t left = length - used - 1 - strlen(file) - 1;
		size_t bytes = left < size ? left : size;

		if (left - bytes == 1) /* as no room for a name would be left */
			bytes--;
		memset(name, 'd', bytes);
		name[bytes] = 0;
		must("mkdir", call(SYS_mkdir, name, 0755));
		must("chdir", call(SYS_chdir, name));
		used += sprintf(path + used, "/%s", name);
	}
	sprintf(path + used, "/%s", file);
	path[LONGEST] = 0;
	open_known(AT_FDCWD, file, path, O_RDWR | O_CREAT);
}

static void open_deep(void)
{
	about("longest path");
	open_below("longest", LONGEST, 250, "file");
	about("path that is cut");
	open_below("too-long", LONGEST + 1, 250, "file");
	about("128 levels");
	open_below("deep", strlen(at_home("deep")) + 128 * 2 + 5, 1, "file");
}

static void open_mounts(void)
{
	char options[512];
	int fd;

	if (!private_mounts()) {
		skipped("security_file_open", "no mounts of our own");
		return;
	}
	about("tmpfs");
	must("mkdir", call(SYS_mkdir, at_home("tmpfs"), 0755));
	must("mount", call(SYS_mount, "apus", at_home("tmpfs"), "tmpfs", 0, NULL));
	open_known(AT_FDCWD, at_home("tmpfs/f"), at_home("tmpfs/f"), O_RDWR | O_CREAT);

	about("bind mount");
	must("mkdir", call(SYS_mkdir, at_home("tmpfs/source"), 0755));
	must("mkdir", call(SYS_mkdir, at_home("bound"), 0755));
	must("mount", call(SYS_mount, at_home("tmpfs/source"), at_home("bound"), NULL, MS_BIND, NULL));
	open_known(AT_FDCWD, at_home("bound/f"), at_home("bound/f"), O_RDWR | O_CREAT);
	open_known(AT_FDCWD, at_home("tmpfs/source/f"), at_home("tmpfs/source/f"), O_RDWR);

	about("over another mount");
	fd = must("open", call(SYS_openat, AT_FDCWD, at_home("bound"), O_RDONLY | O_DIRECTORY));
	must("mount", call(SYS_mount, "apus", at_home("bound"), "tmpfs", 0, NULL));
	open_known(fd, "f", at_home("bound/f"), O_RDWR); /* the covered one */
	open_known(AT_FDCWD, at_home("bound/g"), at_home("bound/g"), O_RDWR | O_CREAT);
	call(SYS_close, fd);

	about("overlayfs");
	for (int i = 0; i < 4; i++)
		must("mkdir", call(SYS_mkdir, at_home(((const char *[]){
			"tmpfs/lower", "tmpfs/upper", "tmpfs/work", "overlay" })[i]), 0755));
	write_file(at_home("tmpfs/lower/below"), "lower");
	snprintf(options, sizeof(options), "lowerdir=%s,upperdir=%s,workdir=%s",
		 at_home("tmpfs/lower"), at_home("tmpfs/upper"), at_home("tmpfs/work"));
	load_module("overlay");
	if (call(SYS_mount, "overlay", at_home("overlay"), "overlay", 0, options) < 0) {
		skipped("security_file_open", "no overlayfs in this kernel");
		return;
	}
	/* The inode that stat tells may be that of the layer, so it is left out. */
	for (int i = 0; i < 2; i++) {
		const char *path = at_home(i ? "overlay/above" : "overlay/below");
		int flags = i ? O_RDWR | O_CREAT : O_RDONLY;

		call(SYS_close, must(path, call(SYS_openat, AT_FDCWD, path, flags, 0600)));
		seen("security_file_open", STRING("pathname", path), INT("flags", flags | LARGEFILE),
		     STRING("syscall_pathname", path));
	}
}

/* The path is from the real root: a tracer outside sees more than the prisoner. */
static void open_in_chroot(void)
{
	about("chroot");
	must("mkdir", call(SYS_mkdir, at_home("jail"), 0755));
	must("chroot", call(SYS_chroot, at_home("jail")));
	must("chdir", call(SYS_chdir, "/"));
	open_known(AT_FDCWD, "/f", at_home("jail/f"), O_RDWR | O_CREAT);
}

static void open_moved(void)
{
	char link[64];
	int fd;

	about("renamed directory");
	must("mkdir", call(SYS_mkdir, at_home("before"), 0755));
	write_file(at_home("before/f"), "content");
	fd = must("open", call(SYS_openat, AT_FDCWD, at_home("before"), O_RDONLY | O_DIRECTORY));
	must("rename", call(SYS_rename, at_home("before"), at_home("after")));
	open_known(fd, "f", at_home("after/f"), O_RDONLY);
	call(SYS_close, fd);

	/* Its path may be shown with or without a mark. */
	about("deleted");
	fd = new_file(at_home("deleted"), "content");
	must("unlink", call(SYS_unlink, at_home("deleted")));
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	open_known(AT_FDCWD, link, NULL, O_RDONLY);
	call(SYS_close, fd);
}

/* The thread's own name is as free as a file's. */
static void open_as_odd_name(void)
{
	about("controls in the name of the thread");
	must("prctl", call(SYS_prctl, PR_SET_NAME, "\x1b[1m\n\x7f\xff|", 0, 0, 0));
	extra = ",\"comm\":\"\\u001b[1m\\n\\u007f\xef\xbf\xbd|\"";
	open_known(AT_FDCWD, home, home, O_RDONLY | O_DIRECTORY);
}

static void security_file_open(void)
{
	open_plain();
	open_odd_names();
	in_child(open_as_odd_name);
	open_moved();
	in_child(open_deep);
	in_child(open_mounts);
	in_child(open_in_chroot);
	about(NULL);
}
