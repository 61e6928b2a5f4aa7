/* Makes the kernel do what each event is about, and prints what must have been seen of it.
 *
 *	gcc -static -O1 -pthread -o kernel kernel.c
 *	kernel list | all | NAME
 */
#define _GNU_SOURCE
#include "changes.h"
#include "execs.h"
#include "files.h"
#include "modules.h"
#include "mounts.h"
#include "opens.h"
#include "places.h"
#include "prctl.h"
#include "programs.h"
#include "races.h"
#include "rings.h"
#include "sockets.h"
#include "tasks.h"
#include "signals.h"

/* Once at the start of the tracer, whose process is not known here. */
static void init_namespaces(void)
{
	static const char *const names[] = { "cgroup", "ipc", "mnt", "net", "pid", "pid_for_children",
					     "time", "time_for_children", "user", "uts" };
	struct value values[11] = { 0 };
	int own = as_pid, known = 0;

	for (int i = 0; i < 10; i++) { /* not all may look, and not all kernels have all */
		unsigned long number = namespace_number("1", names[i]);

		if (number)
			values[known++] = (struct value)UINT(names[i], number);
	}
	as_pid = ANYBODY;
	print_known("init_namespaces", "\"some\":true,", values);
	as_pid = own;
}

static void tracee_info(void)
{
	int own = as_pid;

	as_pid = ANYBODY;
	some("tracee_info");
	as_pid = own;
}

/* Nothing is to be lost here. */
static void lost_events(void)
{
	skipped("lost_events", "the floods of other tests are for it");
}

/* Nothing is limited here. */
static void rate_limit(void)
{
	skipped("rate_limit", "other tests are for it");
}

/* Containers are for runc to make. */
static void container_create(void)
{
	skipped("container_create", "other tests are for it");
}

static void container_remove(void)
{
	skipped("container_remove", "other tests are for it");
}

static void existing_container(void)
{
	skipped("existing_container", "other tests are for it");
}

#define SCENARIO(name) { #name, name }

static const struct {
	const char *name;
	void (*run)(void);
	bool alone; /* not one of all */
} scenarios[] = {
	SCENARIO(init_namespaces),
	SCENARIO(tracee_info),
	SCENARIO(lost_events),
	SCENARIO(rate_limit),
	SCENARIO(container_create),
	SCENARIO(container_remove),
	SCENARIO(existing_container),
	SCENARIO(sched_switch),
	SCENARIO(do_exit),
	SCENARIO(cap_capable),
	SCENARIO(vfs_write),
	SCENARIO(vfs_writev),
	SCENARIO(vfs_read),
	SCENARIO(vfs_readv),
	SCENARIO(mem_prot_alert),
	SCENARIO(commit_creds),
	SCENARIO(switch_task_ns),
	SCENARIO(magic_write),
	{ "__kernel_write", kernel_write },
	SCENARIO(security_bprm_check),
	SCENARIO(security_file_open),
	SCENARIO(security_inode_unlink),
	SCENARIO(security_socket_create),
	SCENARIO(security_socket_listen),
	SCENARIO(security_socket_connect),
	SCENARIO(security_socket_accept),
	SCENARIO(security_socket_bind),
	SCENARIO(security_socket_setsockopt),
	SCENARIO(socket_dup),
	SCENARIO(socket_accept),
	SCENARIO(security_sb_mount),
	SCENARIO(security_sb_umount),
	SCENARIO(security_bpf),
	SCENARIO(security_bpf_map),
	SCENARIO(security_bpf_prog),
	SCENARIO(bpf_attach),
	SCENARIO(security_kernel_read_file),
	SCENARIO(security_kernel_post_read_file),
	SCENARIO(do_init_module),
	SCENARIO(module_load),
	SCENARIO(module_free),
	SCENARIO(security_inode_mknod),
	SCENARIO(security_inode_symlink),
	SCENARIO(security_inode_rename),
	SCENARIO(security_mmap_file),
	SCENARIO(shared_object_loaded),
	SCENARIO(do_mmap),
	SCENARIO(security_file_mprotect),
	SCENARIO(zeroed_inodes),
	SCENARIO(proc_create),
	SCENARIO(device_add),
	SCENARIO(register_chrdev),
	SCENARIO(debugfs_create_file),
	SCENARIO(debugfs_create_dir),
	SCENARIO(kprobe_attach),
	SCENARIO(kallsyms_lookup_name),
	SCENARIO(call_usermodehelper),
	{ "release_agent", release_agent, .alone = true },
	SCENARIO(dirty_pipe_splice),
	SCENARIO(inotify_watch),
	SCENARIO(security_path_notify),
	SCENARIO(set_fs_pwd),
	SCENARIO(chmod_common),
	SCENARIO(do_truncate),
	SCENARIO(vfs_utimes),
	SCENARIO(file_modification),
	SCENARIO(load_elf_phdrs),
	SCENARIO(process_execute_failed),
	SCENARIO(do_sigaction),
	SCENARIO(signal_deliver),
	SCENARIO(security_task_setrlimit),
	SCENARIO(security_settime64),
	SCENARIO(security_task_prctl),
	SCENARIO(suspicious_syscall_source),
	SCENARIO(stack_pivot),
	SCENARIO(io_uring_submit),
	SCENARIO(syscall_mismatch),
};

#define COUNT (sizeof(scenarios) / sizeof(scenarios[0]))

static int run(const char *name)
{
	int found = 0;

	as_pid = as_tid = call(SYS_gettid);
	call(SYS_umask, 0);
	must("readlink", call(SYS_readlink, "/proc/self/exe", self, sizeof(self) - 1));
	snprintf(home, sizeof(home), "/tmp/apus-kernel-%d", as_pid);
	must(home, call(SYS_mkdir, home, 0777));
	for (size_t i = 0; i < COUNT; i++) {
		if (strcmp(name, "all") ? strcmp(name, scenarios[i].name) != 0 : scenarios[i].alone)
			continue;
		scenarios[i].run();
		found++;
	}
	remove_tree(home);
	call(SYS_rmdir, home);
	return found;
}

int main(int argc, char **argv)
{
	const char *name = argc > 1 ? argv[1] : "";

	if (!strcmp(name, "exit"))
		return 0;
	if (!strcmp(name, "list")) {
		for (size_t i = 0; i < COUNT; i++)
			puts(scenarios[i].name);
		return 0;
	}
	if (*name && run(name))
		return 0;
	fprintf(stderr, "usage: kernel list | all | NAME\n");
	return 2;
}
