/* Processes, control groups and system calls as such: the events that kernel.c leaves out, in a program
 * of few calls, as each of them is an event here.
 *
 *	gcc -static -O1 -o lifecycle lifecycle.c
 */
#define _GNU_SOURCE
#include "../Live/scenarios/kernel/known.h"

static char self[PATH_MAX];

static void calls(void)
{
	call(SYS_getppid);
	seen("sys_enter", INT("syscall", SYS_getppid));
	seen("sys_exit", INT("syscall", SYS_getppid));
	/* One that fails. */
	call(SYS_close, -1);
	seen("sys_enter", INT("syscall", SYS_close));
	seen("sys_exit", INT("syscall", SYS_close));
}

static void names(void)
{
	must("prctl", call(SYS_prctl, PR_SET_NAME, "first"));
	must("prctl", call(SYS_prctl, PR_SET_NAME, "second name"));
	seen("task_rename", STRING("new_name", "first"));
	seen("task_rename", STRING("old_name", "first"), STRING("new_name", "second name"));
}

static void exit_seen(int pid, int code, int signal)
{
	int own = as_pid;

	as_pid = as_tid = pid;
	seen("sched_process_exit", INT("exit_code", code), INT("signal_code", signal),
	     BOOL("process_group_exit", true));
	as_pid = as_tid = own;
}

static void forks(void)
{
	int pid = must("fork", call(SYS_fork));

	if (pid == 0)
		quit(3);
	wait_for(pid);
	seen("sched_process_fork", INT("parent_tid", as_tid), INT("parent_pid", as_pid),
	     INT("parent_ns_pid", as_pid), INT("child_tid", pid), INT("child_pid", pid),
	     INT("child_ns_pid", pid), INT("leader_tid", pid), INT("parent_process_pid", as_pid));
	exit_seen(pid, 3, 0);

	pid = must("fork", call(SYS_fork));
	if (pid == 0)
		for (;;)
			nap(1000);
	must("kill", call(SYS_kill, pid, SIGKILL));
	wait_for(pid);
	seen("sched_process_fork", INT("child_pid", pid));
	exit_seen(pid, 0, SIGKILL);
}

static void execution(void)
{
	const char *const arguments[] = { "program", "exit", "", "\xc3\xa4", NULL };
	struct identity id = identity(self);
	char name[16];
	int own = as_pid, pid;

	must("chdir", call(SYS_chdir, "/proc"));
	must("prctl", call(SYS_prctl, PR_GET_NAME, name));
	pid = must("fork", call(SYS_fork));
	if (pid == 0) {
		call(SYS_execve, self, arguments, NULL);
		quit(1);
	}
	if (wait_for(pid))
		die("the program", 0);
	as_pid = as_tid = pid;
	seen("sched_process_exec", STRING("cmdpath", self), STRING("pathname", self), IDENTITY(id),
	     UINT("inode_mode", id.mode), STRING("interpreter_pathname", NULL),
	     STRINGS("argv", arguments), STRING("interp", self), BOOL("invoked_from_kernel", false),
	     STRING("prev_comm", name), STRING("pwd", "/proc"));
	seen("sched_process_exit", INT("exit_code", 0), INT("signal_code", 0));
	as_pid = as_tid = own;
	must("chdir", call(SYS_chdir, "/"));
}

/* Where control groups of version 2 are; false where they are not. */
static bool unified(char *path)
{
	char text[PATH_MAX * 2], type[32];
	FILE *file = fopen("/proc/self/mounts", "re");
	bool found = false;

	while (file && !found && fgets(text, sizeof(text), file))
		found = sscanf(text, "%*s %4095s %31s", path, type) == 2 && !strcmp(type, "cgroup2");
	if (file)
		fclose(file);
	return found;
}

/* A child enters a new group and ends there. */
static void groups(void)
{
	char root[PATH_MAX], group[PATH_MAX * 2], file[PATH_MAX * 3], name[64];
	struct identity id;
	int pid;

	if (!unified(root)) {
		skipped("cgroup_mkdir", "no control groups of version 2");
		skipped("cgroup_attach_task", "no control groups of version 2");
		skipped("cgroup_rmdir", "no control groups of version 2");
		return;
	}
	snprintf(name, sizeof(name), "/apus-lifecycle-%d", as_pid);
	snprintf(group, sizeof(group), "%s%s", root, name);
	snprintf(file, sizeof(file), "%s/cgroup.procs", group);
	must(group, call(SYS_mkdir, group, 0755));
	id = identity(group);
	pid = fork_scenario();
	if (pid == 0) {
		must("prctl", call(SYS_prctl, PR_SET_NAME, "mover"));
		must(file, put_setting(file, "0"));
		seen("cgroup_attach_task", STRING("cgroup_path", name), STRING("comm", "mover"),
		     INT("pid", as_pid));
		quit(0);
	}
	wait_for(pid);
	/* A process that has just ended may still count. */
	for (int i = 0; call(SYS_rmdir, group) < 0; i++) {
		if (i == 100)
			die(group, -EBUSY);
		nap(10);
	}
	seen("cgroup_mkdir", UINT("cgroup_id", id.inode), STRING("cgroup_path", name),
	     UINT("hierarchy_id", 0));
	seen("cgroup_rmdir", UINT("cgroup_id", id.inode), STRING("cgroup_path", name),
	     UINT("hierarchy_id", 0));
}

int main(int argc, char **argv)
{
	if (argc > 1)
		return 0;
	as_pid = as_tid = call(SYS_gettid);
	must("readlink", call(SYS_readlink, "/proc/self/exe", self, sizeof(self) - 1));
	calls();
	names();
	forks();
	execution();
	groups();
	return 0;
}
