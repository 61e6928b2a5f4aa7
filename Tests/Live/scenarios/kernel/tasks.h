/* Tasks: their ends, credentials, namespaces, signals and settings. */
#include "known.h"

#include <sys/time.h>

static void switch_away(void)
{
	unsigned long cpus[16] = { 0 };
	unsigned int cpu = 0;

	must("prctl", call(SYS_prctl, PR_SET_NAME, "apus-switch", 0, 0, 0));
	must("getcpu", call(SYS_getcpu, &cpu, NULL, NULL));
	cpus[cpu / 64] = 1ul << cpu % 64;
	must("sched_setaffinity", call(SYS_sched_setaffinity, 0, sizeof(cpus), cpus));
	for (int i = 0; i < 3; i++) {
		nap(5);
		seen("sched_switch", INT("cpu", cpu), INT("prev_tid", as_tid),
		     STRING("prev_comm", "apus-switch"));
	}
}

static void sched_switch(void)
{
	in_child(switch_away);
}

static void exits_of(int pid, long code)
{
	int own = as_pid;

	wait_for(pid);
	as_pid = as_tid = pid;
	seen("do_exit", INT("returnValue", code)); /* as wait4 has it */
	as_pid = as_tid = own;
}

static void do_exit(void)
{
	int pid = fork_scenario();

	if (pid == 0)
		quit(7);
	exits_of(pid, 7 << 8);
	pid = fork_scenario();
	if (pid == 0)
		call(SYS_exit, 300); /* of which a byte is left */
	exits_of(pid, (300 & 0xff) << 8);
	pid = fork_scenario();
	if (pid == 0) {
		for (;;)
			call(SYS_pause);
	}
	call(SYS_kill, pid, SIGKILL);
	exits_of(pid, SIGKILL);
}

#define CAP_SYS_CHROOT 18
#define CAP_SYS_ADMIN  21

static void ask_for_capabilities(void)
{
	must("chroot", call(SYS_chroot, "/"));
	seen("cap_capable", INT("cap", CAP_SYS_CHROOT));
	call(SYS_sethostname, NULL, -1); /* -EINVAL, and that only after the check */
	seen("cap_capable", INT("cap", CAP_SYS_ADMIN));
	must("setuid", call(SYS_setuid, 65534));
	call(SYS_chroot, "/"); /* -EPERM */
	seen("cap_capable", INT("cap", CAP_SYS_CHROOT));
}

/* Each mapping asks for CAP_SYS_ADMIN, to use the last of the memory, but without audit. */
static void ask_unaudited(void)
{
	must("mmap", call(SYS_mmap, NULL, 1 << 20, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	never("cap_capable", INT("cap", CAP_SYS_ADMIN));
}

static void cap_capable(void)
{
	in_child(ask_for_capabilities);
	in_child(ask_unaudited);
}

struct ids {
	unsigned int uid, euid, suid, gid, egid, sgid;
};

/* As long as setfsuid is not used, the file system's ids are the effective ones. */
static const char *credentials(struct ids i)
{
	static char texts[2][256];
	static int next;
	char *text = texts[next++ % 2];

	snprintf(text, sizeof(texts[0]), "{\"uid\":%u,\"gid\":%u,\"suid\":%u,\"sgid\":%u,\"euid\":%u,"
		 "\"egid\":%u,\"fsuid\":%u,\"fsgid\":%u}", i.uid, i.gid, i.suid, i.sgid, i.euid,
		 i.egid, i.euid, i.egid);
	return text;
}

static void change_ids(void)
{
	struct ids old, new;

	call(SYS_getresuid, &old.uid, &old.euid, &old.suid);
	call(SYS_getresgid, &old.gid, &old.egid, &old.sgid);
	new = old;
	/* Not of the ids, but of the capabilities that can be had. */
	must("prctl", call(SYS_prctl, PR_CAPBSET_DROP, 25 /* CAP_SYS_TIME */, 0, 0, 0));
	seen("commit_creds", JSON("old_cred", credentials(old)), JSON("new_cred", credentials(new)));
	new.gid = 2000, new.egid = 2001, new.sgid = 2002;
	must("setresgid", call(SYS_setresgid, 2000, 2001, 2002));
	seen("commit_creds", JSON("old_cred", credentials(old)), JSON("new_cred", credentials(new)));
	old = new;
	new.uid = 1000, new.euid = 1001, new.suid = 1002;
	must("setresuid", call(SYS_setresuid, 1000, 1001, 1002));
	seen("commit_creds", JSON("old_cred", credentials(old)), JSON("new_cred", credentials(new)));
	old = new;
	new.euid = 1000;
	must("setresuid", call(SYS_setresuid, -1, 1000, -1));
	seen("commit_creds", JSON("old_cred", credentials(old)), JSON("new_cred", credentials(new)));
}

static void commit_creds(void)
{
	in_child(change_ids);
}

/* 0 if there is no such namespace. */
static unsigned long namespace_number(const char *process, const char *name)
{
	char path[64], link[64] = "";
	unsigned long number = 0;

	snprintf(path, sizeof(path), "/proc/%s/ns/%s", process, name);
	if (call(SYS_readlink, path, link, sizeof(link) - 1) > 0)
		sscanf(strchr(link, '[') ?: "", "[%lu]", &number);
	return number;
}

static void switched(const char *name, unsigned long number)
{
	static const char *const names[] = { "mnt", "pid", "uts", "ipc", "net", "cgroup" };
	struct value values[8] = { INT("pid", as_pid) };
	static char fields[6][16];

	for (int i = 0; i < 6; i++) {
		snprintf(fields[i], sizeof(fields[i]), "new_%s", names[i]);
		values[1 + i] = (struct value)UINT(fields[i], strcmp(name, names[i]) ? 0 : number);
	}
	print_known("switch_task_ns", "", values);
}

static void switch_namespaces(void)
{
	static const struct {
		int flag;
		const char *name, *link;
	} kinds[] = {
		{ CLONE_NEWUTS, "uts", "uts" }, { CLONE_NEWIPC, "ipc", "ipc" },
		{ CLONE_NEWNS, "mnt", "mnt" },	{ CLONE_NEWCGROUP, "cgroup", "cgroup" },
		{ CLONE_NEWNET, "net", "net" }, { CLONE_NEWPID, "pid", "pid_for_children" },
	};
	unsigned long number = namespace_number("self", "uts");
	int before = must("open", call(SYS_openat, AT_FDCWD, "/proc/self/ns/uts", O_RDONLY)), pid;

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		if (call(SYS_unshare, kinds[i].flag) < 0) {
			skipped("switch_task_ns", "a namespace that this kernel or place lacks");
			continue;
		}
		if (kinds[i].flag == CLONE_NEWPID) { /* which has a link once somebody is in it */
			pid = must("fork", call(SYS_fork));
			if (pid == 0)
				quit(0);
			wait_for(pid);
		}
		switched(kinds[i].name, namespace_number("self", kinds[i].link));
		if (i == 0) {
			must("setns", call(SYS_setns, before, CLONE_NEWUTS));
			switched("uts", number);
		}
	}
}

static void switch_task_ns(void)
{
	in_child(switch_namespaces);
}

struct kernel_action {
	void *handler;
	unsigned long flags;
	void *restorer;
	unsigned long mask;
};

#define OLD_ACTION(a, method)                                                                      \
	UINT("old_sa_flags", (a).flags), UINT("old_sa_mask", (a).mask),                            \
		UINT("old_sa_handle_method", method), POINTER("old_sa_handler", (a).handler)
#define ACTION(a, method)                                                                          \
	UINT("sa_flags", (a).flags), UINT("sa_mask", (a).mask), UINT("sa_handle_method", method),  \
		POINTER("sa_handler", (a).handler)

/* Methods: 0 the default, 1 ignore, 2 a handler. */
static void set_handlers(void)
{
	struct kernel_action none = { 0 }, old, ignore = { .handler = SIG_IGN };
	struct kernel_action action = { (void *)0x4141410000, 0x04000000 | SA_SIGINFO | SA_RESTART,
					(void *)0x4141420000, 1ul << (SIGUSR2 - 1) };

	must("sigaction", call(SYS_rt_sigaction, SIGUSR1, &action, &old, 8));
	seen("do_sigaction", INT("sig", SIGUSR1), BOOL("is_sa_initialized", true), ACTION(action, 2),
	     BOOL("is_old_sa_initialized", true), OLD_ACTION(none, 0));
	must("sigaction", call(SYS_rt_sigaction, SIGUSR1, NULL, &old, 8));
	seen("do_sigaction", INT("sig", SIGUSR1), BOOL("is_sa_initialized", false),
	     BOOL("is_old_sa_initialized", true), OLD_ACTION(action, 2));
	must("sigaction", call(SYS_rt_sigaction, SIGUSR1, &ignore, NULL, 8));
	/* SIG_IGN is no address, though the kernel keeps it where one is. */
	seen("do_sigaction", INT("sig", SIGUSR1), BOOL("is_sa_initialized", true), ACTION(none, 1),
	     BOOL("is_old_sa_initialized", false));
	must("sigaction", call(SYS_rt_sigaction, SIGUSR1, NULL, &old, 8));
	seen("do_sigaction", INT("sig", SIGUSR1), BOOL("is_sa_initialized", false),
	     BOOL("is_old_sa_initialized", true), OLD_ACTION(none, 1));
}

static void do_sigaction(void)
{
	in_child(set_handlers);
}

static void set_limits(void)
{
	struct rlimit limit = { 100, 200 }, core = { 0, RLIM_INFINITY };
	int pid;

	must("prlimit64", call(SYS_prlimit64, 0, RLIMIT_NOFILE, &limit, NULL));
	seen("security_task_setrlimit", UINT("target_host_pid", as_pid), INT("resource", RLIMIT_NOFILE),
	     UINT("new_rlim_cur", 100), UINT("new_rlim_max", 200));
	call(SYS_setrlimit, RLIMIT_CORE, &core);
	seen("security_task_setrlimit", UINT("target_host_pid", as_pid), INT("resource", RLIMIT_CORE),
	     UINT("new_rlim_cur", 0), UINT("new_rlim_max", RLIM_INFINITY));
	pid = must("fork", call(SYS_fork));
	if (pid == 0) {
		for (;;)
			call(SYS_pause);
	}
	limit.rlim_cur = 50;
	must("prlimit64", call(SYS_prlimit64, pid, RLIMIT_NOFILE, &limit, NULL));
	seen("security_task_setrlimit", UINT("target_host_pid", pid), INT("resource", RLIMIT_NOFILE),
	     UINT("new_rlim_cur", 50), UINT("new_rlim_max", 200));
	call(SYS_kill, pid, SIGKILL);
	wait_for(pid);
	call(SYS_prlimit64, 0, RLIMIT_NOFILE, NULL, &limit); /* asks, and sets nothing */
}

static void security_task_setrlimit(void)
{
	in_child(set_limits);
}

static void security_settime64(void)
{
	struct timespec now;
	struct timeval value;

	if (!in_vm()) {
		skipped("security_settime64", "the clock is of the whole machine");
		return;
	}
	must("clock_gettime", call(SYS_clock_gettime, CLOCK_REALTIME, &now));
	must("clock_settime", call(SYS_clock_settime, CLOCK_REALTIME, &now));
	seen("security_settime64", INT("tv_sec", now.tv_sec), INT("tv_nsec", now.tv_nsec));
	must("gettimeofday", call(SYS_gettimeofday, &value, NULL));
	must("settimeofday", call(SYS_settimeofday, &value, NULL));
	seen("security_settime64", INT("tv_sec", value.tv_sec), INT("tv_nsec", value.tv_usec * 1000));
}
