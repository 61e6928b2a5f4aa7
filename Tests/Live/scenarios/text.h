/* Strings and arrays of strings: everything that is read through `char *` and `char **`. */
#include "expect.h"

#include <sys/mman.h>

#define PATH_LIMIT 4095 /* PATH_MAX without its NUL: what can be shown of a string */
#define ARRAY_LIMIT 256	/* elements that are shown of an array of strings */

static void open_path(const char *path, const char *shown)
{
	long fd = call(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0);

	expect("openat", fd, INT("dirfd", AT_FDCWD), STRING("pathname", shown),
	       INT("flags", O_RDONLY | O_CLOEXEC), INT("mode", 0));
	if (fd >= 0)
		call(SYS_close, fd);
}

/* A path that nobody has touched in memory: its page is in the page cache only, and the kernel
 * itself is the first to fault it in. */
static void open_unfaulted_path(void)
{
	static const char content[] = "/etc/hostname";
	const char *file = in_scratch("page"), *page;
	long fd;

	fd = must("open", call(SYS_open, file, O_RDWR | O_CREAT, 0600));
	expect("open", fd, STRING("pathname", file), INT("flags", O_RDWR | O_CREAT),
	       INT("mode", 0600));
	must("pwrite64", call(SYS_pwrite64, fd, content, sizeof(content), 0));
	page = (void *)must("mmap", call(SYS_mmap, 0, 4096, PROT_READ, MAP_PRIVATE, fd, 0));
	open_path(page, content);
	call(SYS_close, fd);
	expect("unlink", call(SYS_unlink, file), STRING("pathname", file));
}

static void open_long_path(size_t length)
{
	char *path = malloc(length + 1);

	for (size_t i = 0; i < length; i++)
		path[i] = i % 100 ? 'a' + i % 26 : '/';
	path[length] = 0;
	if (length > PATH_LIMIT) {
		char *shown = strdup(path);

		shown[PATH_LIMIT] = 0;
		extra = ",\"truncated\":[\"pathname\"]";
		open_path(path, shown);
		extra = "";
	} else {
		open_path(path, path);
	}
}

static void read_links(void)
{
	const char *link = in_scratch("link"), *missing = in_scratch("missing");
	static const char target[] = "the/target-of-the-link";
	char buffer[64];
	long n;

	must("symlink", call(SYS_symlink, target, link));
	memset(buffer, 'X', sizeof(buffer)); /* the kernel adds no NUL: reading on would show X */
	n = call(SYS_readlink, link, buffer, sizeof(buffer));
	expect("readlink", n, STRING("pathname", link), STRINGN("buf", target, n),
	       UINT("bufsiz", sizeof(buffer)));
	memset(buffer, 'X', sizeof(buffer));
	n = call(SYS_readlink, link, buffer, 4);
	expect("readlink", n, STRING("pathname", link), STRING("buf", "the/"), UINT("bufsiz", 4));
	n = call(SYS_readlinkat, AT_FDCWD, link, buffer, sizeof(buffer));
	expect("readlinkat", n, INT("dirfd", AT_FDCWD), STRING("pathname", link),
	       STRINGN("buf", target, n), INT("bufsiz", sizeof(buffer)));
	n = call(SYS_readlink, missing, buffer, sizeof(buffer));
	expect("readlink", n, STRING("pathname", missing), STRING("buf", NULL),
	       UINT("bufsiz", sizeof(buffer)));
	expect("unlink", call(SYS_unlink, link), STRING("pathname", link));
}

static void strings(void)
{
	const char *directory = scratch_directory(), *a = in_scratch("a"), *b = in_scratch("b");
	char buffer[256];
	void *gone;
	long n;

	expect("mkdir", call(SYS_mkdir, directory, 0750), STRING("pathname", directory),
	       INT("mode", 0750));
	n = call(SYS_open, a, O_WRONLY | O_CREAT | O_EXCL, 0640);
	expect("open", n, STRING("pathname", a), INT("flags", O_WRONLY | O_CREAT | O_EXCL),
	       INT("mode", 0640));
	call(SYS_close, n);
	n = call(SYS_rename, a, b);
	expect("rename", n, STRING("oldpath", a), STRING("newpath", b));
	expect("unlink", call(SYS_unlink, b), STRING("pathname", b));
	expect("unlink", call(SYS_unlink, b), STRING("pathname", b));

	open_path("/etc/hostname", "/etc/hostname");
	open_path("", "");
	open_path(NULL, NULL);
	n = call(SYS_mmap, 0, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	gone = (void *)must("mmap", n);
	must("munmap", call(SYS_munmap, gone, 4096));
	open_path(gone, NULL);
	open_unfaulted_path();
	open_long_path(500); /* does not fit where short paths wait for their call's return */
	open_long_path(PATH_LIMIT);
	open_long_path(5000);
	open_path("/quote\"back\\slash/\a\b\t\n\x1b\x7f", "/quote\"back\\slash/\a\b\t\n\x1b\x7f");
	open_path("/gr\xc3\xb6\xc3\x9f" "e/\xf0\x9f\xa6\x89",
		  "/gr\xc3\xb6\xc3\x9f" "e/\xf0\x9f\xa6\x89");
	open_path("/bad\xff/\xc3(/\x80", "/bad\xef\xbf\xbd/\xef\xbf\xbd(/\xef\xbf\xbd");

	read_links();
	must("chdir", call(SYS_chdir, directory));
	n = call(SYS_getcwd, buffer, sizeof(buffer)); /* returns the length with the NUL */
	expect("getcwd", n, STRING("buf", directory), UINT("size", sizeof(buffer)));
	n = call(SYS_getcwd, buffer, 1);
	expect("getcwd", n, STRING("buf", NULL), UINT("size", 1));
	call(SYS_rmdir, directory);
}

#define MISSING "/no/such/program"

static void arrays(void)
{
	static const char *const argv[] = { "first",   "", "with space",
					    "quote\"", "gr\xc3\xb6\xc3\x9f" "e", NULL };
	static const char *const envp[] = { "HOME=/", "EMPTY=", NULL };
	static const char *const none[] = { NULL };
	static const char *const again[] = { "scenario", "child-exits", "7", NULL };
	static char texts[300][8];
	const char *many[301];
	int status = 0;
	long n, child;

	n = call(SYS_execve, MISSING, argv, envp);
	expect("execve", n, STRING("pathname", MISSING), STRINGS("argv", argv),
	       STRINGS("envp", envp));
	n = call(SYS_execve, MISSING, none, none);
	expect("execve", n, STRING("pathname", MISSING), STRINGS("argv", none),
	       STRINGS("envp", none));
	n = call(SYS_execve, MISSING, NULL, NULL);
	expect("execve", n, STRING("pathname", MISSING), STRINGS("argv", NULL),
	       STRINGS("envp", NULL));

	for (int i = 0; i < 300; i++) {
		snprintf(texts[i], sizeof(texts[i]), "arg%d", i);
		many[i] = texts[i];
	}
	many[300] = NULL;
	n = call(SYS_execve, MISSING, many, envp);
	extra = ",\"truncated\":[\"argv\"]";
	expect("execve", n, STRING("pathname", MISSING), STRINGSN("argv", many, ARRAY_LIMIT),
	       STRINGS("envp", envp));
	many[ARRAY_LIMIT] = NULL; /* just fits */
	n = call(SYS_execve, MISSING, many, envp);
	extra = "";
	expect("execve", n, STRING("pathname", MISSING), STRINGS("argv", many),
	       STRINGS("envp", envp));

	child = fork_scenario();
	if (child == 0) {
		expect("execve", 0, STRING("pathname", "/proc/self/exe"), STRINGS("argv", again),
		       STRINGS("envp", envp));
		die("execve", call(SYS_execve, "/proc/self/exe", again, envp));
	}
	must("wait4", call(SYS_wait4, child, &status, 0, NULL));
	if (status != 7 << 8)
		die("the child did not exit with 7", 0);
}
