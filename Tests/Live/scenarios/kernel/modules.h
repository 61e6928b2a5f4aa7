/* Kernel modules, and what the kernel makes in /proc, /sys and debugfs for devices.
 *
 * The modules are those that a guest has in /modules. */
#include "fuse.h"

#include <sys/utsname.h>

#define READING_MODULE 2

static void unload_module(const char *name)
{
	must("delete_module", call(SYS_delete_module, name, O_NONBLOCK));
}

/* The kernel's own modules have no version. */
#define MODULE STRING("name", "dummy")

static void with_dummy(const char *event)
{
	const char *path = module_path("dummy");
	struct identity id;
	struct stat file;

	call(SYS_delete_module, "dummy", O_NONBLOCK); /* if somebody else loaded it */
	if (load_module("dummy") < 0) {
		skipped(event, "no dummy.ko of this kernel, or no machine of our own");
		return;
	}
	id = identity(path);
	stat(path, &file);
	if (!strcmp(event, "security_kernel_read_file"))
		seen(event, STRING("pathname", path), NODE(id), INT("type", READING_MODULE),
		     UINT("ctime", id.ctime));
	else if (!strcmp(event, "security_kernel_post_read_file"))
		seen(event, STRING("pathname", path), INT("size", file.st_size),
		     INT("type", READING_MODULE));
	else if (!strcmp(event, "do_init_module"))
		seen(event, MODULE, INT("returnValue", 0));
	else if (!strcmp(event, "module_load"))
		seen(event, MODULE, STRING("pathname", path), IDENTITY(id));
	else
		seen(event, MODULE);
	unload_module("dummy");
}

static void security_kernel_read_file(void)
{
	with_dummy("security_kernel_read_file");
}

static void security_kernel_post_read_file(void)
{
	with_dummy("security_kernel_post_read_file");
}

static void do_init_module(void)
{
	with_dummy("do_init_module");
}

static void module_load(void)
{
	with_dummy("module_load");
}

static void module_free(void)
{
	with_dummy("module_free");
}

static bool older_than(int major, int minor)
{
	struct utsname system;
	int a = 0, b = 0;

	uname(&system);
	sscanf(system.release, "%d.%d", &a, &b);
	return a < major || (a == major && b < minor);
}

/* Up to 5.17, a network namespace gets two files by proc_create itself; later all come by other
 * functions of the kernel, and only modules still call this one. */
static void make_proc_files(void)
{
	if (older_than(5, 18) && call(SYS_unshare, CLONE_NEWNET) == 0) {
		about("network namespace");
		seen("proc_create", STRING("name", "rt_cache"));
		seen("proc_create", STRING("name", "rt_cache"));
	} else if (load_module("pktgen") == 0) {
		about("pktgen.ko");
		seen("proc_create", STRING("name", "pgctrl"));
		unload_module("pktgen");
	} else {
		skipped("proc_create", "since 5.18 only modules call it, as pktgen.ko");
	}
}

static void proc_create(void)
{
	in_child(make_proc_files);
}

static void make_devices(void)
{
	if (call(SYS_unshare, CLONE_NEWNET) < 0)
		skipped("device_add", "no network namespace, whose loopback is a device");
	else
		seen("device_add", STRING("name", "lo"));
	if (load_module("dummy") < 0)
		return;
	seen("device_add", STRING("name", "dummy0")); /* also in the namespace of our own */
	unload_module("dummy");
}

static void device_add(void)
{
	in_child(make_devices);
}

static void register_chrdev(void)
{
	unsigned long operations;

	if (load_module("cpuid") < 0) {
		skipped("register_chrdev", "only modules call it while the system runs, as cpuid.ko");
		return;
	}
	operations = symbol_address("cpuid_fops");
	if (operations)
		seen("register_chrdev", UINT("requested_major_number", 203),
		     STRING("char_device_name", "cpu/cpuid"), POINTER("char_device_fops", operations));
	else
		seen("register_chrdev", UINT("requested_major_number", 203),
		     STRING("char_device_name", "cpu/cpuid"));
	unload_module("cpuid");
}

static void add_to_debugfs(const char *event)
{
	bool file = !strcmp(event, "debugfs_create_file");
	const char *path = at_home(file ? "fuse-file" : "fuse-dir");
	long server = mount_fuse(path);
	char name[64];

	if (server >= 0) {
		struct identity id = identity(path);

		snprintf(name, sizeof(name), "%lu:%lu", id.dev >> 20, id.dev & 0xfffff);
		about("bdi of a FUSE mount");
		if (file)
			seen(event, STRING("file_name", "stats"), UINT("mode", 0444));
		else
			seen(event, STRING("name", name));
		unmount_fuse(path, server);
		return;
	}
	skipped(event, "no FUSE, and nothing else calls it here");
}

static void make_debugfs_file(void)
{
	add_to_debugfs("debugfs_create_file");
}

static void make_debugfs_dir(void)
{
	add_to_debugfs("debugfs_create_dir");
}

static void debugfs_create_file(void)
{
	in_child(make_debugfs_file);
}

static void debugfs_create_dir(void)
{
	in_child(make_debugfs_dir);
}

/* A type of file system that the kernel does not know may be a module's. */
static void call_usermodehelper(void)
{
	static const char *const environment[] = {
		"HOME=/", "TERM=linux", "PATH=/sbin:/usr/sbin:/bin:/usr/bin", NULL
	};
	char modprobe[256];
	const char *const arguments[] = { modprobe, "-q", "--", "fs-apusfs", NULL };

	snprintf(modprobe, sizeof(modprobe), "%s", get_setting("/proc/sys/kernel/modprobe"));
	if (!*modprobe) {
		skipped("call_usermodehelper", "this kernel loads no modules by itself");
		return;
	}
	call(SYS_mount, "none", home, "apusfs", 0, NULL); /* -ENODEV */
	seen("call_usermodehelper", STRING("pathname", modprobe), STRINGS("argv", arguments),
	     STRINGS("envp", environment), INT("wait", 2 | 4 /* for its end, killable */));
}

/* When a cgroup of version 1 gets empty, a worker of the kernel starts the agent. It is no child of
 * ours: only who traces the whole machine sees it. */
static void release_a_cgroup(void)
{
	static const char *const environment[] = {
		"HOME=/", "PATH=/sbin:/bin:/usr/sbin:/usr/bin", NULL
	};
	const char *path = at_home("cgroup"), *agent = at_home("agent");
	const char *const arguments[] = { agent, "/apus", NULL };
	char file[128];
	int pid;

	must("mkdir", call(SYS_mkdir, path, 0755));
	if (!private_mounts() ||
	    call(SYS_mount, "none", path, "cgroup", 0, "none,name=apus-scenario") < 0) {
		skipped("call_usermodehelper", "no cgroups of version 1");
		return;
	}
	must("mkdir", call(SYS_mkdir, at_home("cgroup/apus"), 0755));
	put_setting(at_home("cgroup/release_agent"), agent);
	put_setting(at_home("cgroup/apus/notify_on_release"), "1");
	snprintf(file, sizeof(file), "%s", at_home("cgroup/apus/cgroup.procs"));
	pid = must("fork", call(SYS_fork));
	if (pid == 0) {
		must(file, put_setting(file, "0"));
		quit(0);
	}
	wait_for(pid);
	nap(300); /* the worker's time */
	as_pid = ANYBODY;
	some("call_usermodehelper", STRING("pathname", agent), STRINGS("argv", arguments),
	     STRINGS("envp", environment), INT("wait", 1));
	call(SYS_rmdir, at_home("cgroup/apus"));
	call(SYS_umount2, path, 0);
}

static void release_agent(void)
{
	if (in_vm())
		in_child(release_a_cgroup);
	else
		skipped("call_usermodehelper", "the worker is nobody's child");
}
