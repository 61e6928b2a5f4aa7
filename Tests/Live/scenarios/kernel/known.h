/* What a tracer must have seen, beyond expect.h: some, never, skipped, and values of more kinds. */
#ifndef KNOWN_H
#define KNOWN_H

#include "../expect.h"

#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>

#define ANYBODY 0 /* as_pid: the event's process is the kernel's choice */

/* Kinds that expect.h lacks. JSON is printed as it is. */
enum { OCTETS = 100, LIST, JSON_TEXT };
#define BYTES(n, p, length)	{ n, (int)OCTETS, length, p }
#define NUMBERS(n, p, count)	{ n, (int)LIST, count, p }
#define JSON(n, p)		{ n, (int)JSON_TEXT, 0, p }

static void put_base64(const unsigned char *bytes, size_t length)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

	for (size_t i = 0; i < length; i += 3) {
		unsigned int three = bytes[i] << 16;

		three |= i + 1 < length ? bytes[i + 1] << 8 : 0;
		three |= i + 2 < length ? bytes[i + 2] : 0;
		put("%c%c", digits[three >> 18], digits[three >> 12 & 63]);
		put("%c", i + 1 < length ? digits[three >> 6 & 63] : '=');
		put("%c", i + 2 < length ? digits[three & 63] : '=');
	}
}

static void put_known(const struct value *value)
{
	if ((int)value->kind < OCTETS) {
		put_value(value);
		return;
	}
	put("\"%s\":", value->name);
	if ((int)value->kind == OCTETS) {
		put("{\"bytes\":\"");
		put_base64(value->at, value->number);
		put("\"}");
	} else if ((int)value->kind == LIST) {
		for (long i = 0; i < value->number; i++)
			put("%s%lu", i ? "," : "[", ((const unsigned long *)value->at)[i]);
		put("]");
	} else {
		put("%s", (const char *)value->at);
	}
}

static const char *about_text;

static void put_who(void)
{
	if (as_pid == ANYBODY)
		put("\"pid\":null,\"tid\":null");
	else
		put("\"pid\":%d,\"tid\":%d", as_pid, as_tid);
	if (about_text)
		put(",\"about\":\"%s\"", about_text);
	put("%s", extra);
}

static void print_known(const char *event, const char *verdict, const struct value *values)
{
	put("{\"event\":\"%s\",%s", event, verdict);
	put_who();
	put(",\"data\":{");
	for (const struct value *value = values; value->name; value++) {
		put(value == values ? "" : ",");
		put_known(value);
	}
	put("}}");
	write_line();
}

#define known_(event, verdict, ...)                                                                \
	print_known(event, verdict, (struct value[]){ __VA_ARGS__ __VA_OPT__(, ) { 0 } })
/* In this order among the thread's events of that name; anywhere; not at all. */
#define seen(event, ...)  known_(event, "", __VA_ARGS__)
#define some(event, ...)  known_(event, "\"some\":true,", __VA_ARGS__)
#define never(event, ...) known_(event, "\"never\":true,", __VA_ARGS__)

/* Says which case the lines to come are of; for the reader alone. */
static void about(const char *text)
{
	about_text = text;
}

static void print_reason(const char *event, const char *key, const char *reason)
{
	put("{\"event\":\"%s\",\"%s\":\"%s\",", event, key, reason);
	put_who();
	put("}");
	write_line();
}

#define skipped(event, reason)	     print_reason(event, "skipped", reason)
#define untriggerable(event, reason) print_reason(event, "untriggerable", reason)

/* Whether all of the machine is ours to change. */
static bool in_vm(void)
{
	const char *value = getenv("KERNEL_SCENARIO_VM");

	return value && *value == '1';
}

/* A file as the kernel knows it; dev in the kernel's own encoding. */
struct identity {
	unsigned long dev, inode, ctime;
	unsigned int mode;
};

#define IDENTITY(id) UINT("dev", (id).dev), UINT("inode", (id).inode), UINT("ctime", (id).ctime)
#define NODE(id)     UINT("dev", (id).dev), UINT("inode", (id).inode)

static struct identity identity_at(int fd, const char *path)
{
	struct statx s;

	must(path, call(SYS_statx, fd, path, AT_SYMLINK_NOFOLLOW | (*path ? 0 : AT_EMPTY_PATH),
			STATX_BASIC_STATS, &s));
	return (struct identity){
		.dev = (unsigned long)s.stx_dev_major << 20 | s.stx_dev_minor,
		.inode = s.stx_ino,
		.ctime = s.stx_ctime.tv_sec * 1000000000ul + s.stx_ctime.tv_nsec,
		.mode = s.stx_mode,
	};
}

static struct identity identity(const char *path)
{
	return identity_at(AT_FDCWD, path);
}

static struct identity identity_of(int fd)
{
	return identity_at(fd, "");
}

static void write_file(const char *path, const char *text)
{
	int fd = must(path, call(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CREAT | O_CLOEXEC, 0755));

	must(path, call(SYS_write, fd, text, strlen(text)));
	call(SYS_close, fd);
}

/* Like write_file on what is there already; the kernel may refuse. */
static long put_setting(const char *path, const char *text)
{
	int fd = call(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CLOEXEC);
	long n;

	if (fd < 0)
		return fd;
	n = call(SYS_write, fd, text, strlen(text));
	call(SYS_close, fd);
	return n;
}

/* The file's text without the newline at its end; "" if there is none. */
static const char *get_setting(const char *path)
{
	static char text[8192];
	int fd = call(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC);
	long n = fd < 0 ? 0 : call(SYS_read, fd, text, sizeof(text) - 1);

	if (fd >= 0)
		call(SYS_close, fd);
	n = n < 0 ? 0 : n;
	while (n && text[n - 1] == '\n')
		n--;
	text[n] = 0;
	return text;
}

static void nap(long milliseconds)
{
	struct timespec time = { milliseconds / 1000, milliseconds % 1000 * 1000000 };

	call(SYS_nanosleep, &time, NULL);
}

static int wait_for(int pid)
{
	int status;

	must("wait4", call(SYS_wait4, pid, &status, 0, NULL));
	return status;
}

/* Runs `body` in a child that speaks for itself. */
static void in_child(void (*body)(void))
{
	int pid = fork_scenario();

	if (pid == 0) {
		body();
		quit(0);
	}
	if (wait_for(pid))
		die("a child", 0);
}

/* The scratch directory is of the first process, also for its children. */
static char home[64];

static const char *at_home(const char *name)
{
	static char paths[16][256];
	static int next;
	char *path = paths[next++ % 16];

	snprintf(path, sizeof(paths[0]), "%s/%s", home, name);
	return path;
}

static int new_file(const char *path, const char *text)
{
	int fd = must(path, call(SYS_openat, AT_FDCWD, path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC,
				 0644));

	if (*text)
		must(path, call(SYS_pwrite64, fd, text, strlen(text), 0));
	return fd;
}

/* Mounts of our own, which nobody else sees. To be called in a child. */
static bool private_mounts(void)
{
	return call(SYS_unshare, CLONE_NEWNS) == 0 &&
	       call(SYS_mount, "none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0;
}

/* Removes what is in the directory, whatever its depth: by chdir, as paths have a limit. */
static void remove_tree(const char *name)
{
	char entries[4096];
	int fd;
	long n;

	if (call(SYS_chdir, name) < 0)
		return;
	fd = call(SYS_openat, AT_FDCWD, ".", O_RDONLY | O_DIRECTORY);
	/* Again from the start after each block, as removing moves what is behind. */
	while (fd >= 0 && (n = call(SYS_getdents64, fd, entries, sizeof(entries))) > 0) {
		bool any = false;

		for (long i = 0; i < n;) {
			char *entry = entries + i, *file = entry + 19;

			i += *(unsigned short *)(entry + 16);
			if (!strcmp(file, ".") || !strcmp(file, ".."))
				continue;
			if (call(SYS_unlink, file) < 0) {
				remove_tree(file);
				call(SYS_rmdir, file);
			}
			any = true;
		}
		if (!any)
			break;
		call(SYS_lseek, fd, 0, SEEK_SET);
	}
	call(SYS_close, fd);
	call(SYS_chdir, "..");
}

/* Where the guest has that module: in /modules, or in the root. */
static const char *module_path(const char *name)
{
	static char path[64];

	snprintf(path, sizeof(path), "/modules/%s.ko", name);
	if (call(SYS_access, path, F_OK) < 0)
		snprintf(path, sizeof(path), "/%s.ko", name);
	return path;
}

static long load_module(const char *name)
{
	int fd = in_vm() ? call(SYS_openat, AT_FDCWD, module_path(name), O_RDONLY | O_CLOEXEC) : -EPERM;
	long n = fd < 0 ? fd : call(SYS_finit_module, fd, "", 0);

	if (fd >= 0)
		call(SYS_close, fd);
	return n;
}

/* A symbol's address, 0 where the kernel does not tell. */
static unsigned long symbol_address(const char *name)
{
	unsigned long address = 0, at;
	char text[512], symbol[256], kind;
	FILE *file = fopen("/proc/kallsyms", "re");

	while (file && !address && fgets(text, sizeof(text), file)) {
		if (sscanf(text, "%lx %c %255s", &at, &kind, symbol) == 3 && !strcmp(symbol, name))
			address = at;
	}
	if (file)
		fclose(file);
	return address;
}

#endif
