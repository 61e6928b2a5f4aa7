/* Times, waiting and readiness. Also calls that fail. */
#include "expect.h"

#include <linux/futex.h>
#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>

#define KERNEL_SIGSET 8		  /* bytes of the kernel's signal set, not of libc's */
#define ERESTART_RESTARTBLOCK 516 /* what an interrupted sleep returns within the kernel */
#define ERESTARTNOHAND 514	  /* the same, for a sleep until a point in time */

static void on_alarm(int signal)
{
	(void)signal;
}

/* Tracers see the return value before the kernel turns it into EINTR for the caller. */
static void interrupted_sleeps(void)
{
	struct itimerval soon = { .it_value.tv_usec = 20000 };
	struct sigaction action = { .sa_handler = on_alarm };
	struct timespec request = { 100, 250000000 }, remain = { -1, -1 }, until;
	long n;

	sigaction(SIGALRM, &action, NULL);
	must("setitimer", call(SYS_setitimer, ITIMER_REAL, &soon, NULL));
	n = call(SYS_clock_nanosleep, CLOCK_MONOTONIC, 0, &request, &remain);
	if (n != -EINTR || remain.tv_sec != 100)
		die("clock_nanosleep was not interrupted", n);
	expect("clock_nanosleep", -ERESTART_RESTARTBLOCK, INT("clockid", CLOCK_MONOTONIC),
	       INT("flags", 0), TIMESPEC("request", &request), TIMESPEC("remain", &remain));

	must("setitimer", call(SYS_setitimer, ITIMER_REAL, &soon, NULL));
	n = call(SYS_nanosleep, &request, &remain);
	if (n != -EINTR)
		die("nanosleep was not interrupted", n);
	expect("nanosleep", -ERESTART_RESTARTBLOCK, TIMESPEC("req", &request),
	       TIMESPEC("rem", &remain));

	n = call(SYS_clock_gettime, CLOCK_MONOTONIC, &until);
	expect("clock_gettime", n, INT("clockid", CLOCK_MONOTONIC), TIMESPEC("tp", &until));
	until.tv_sec += 100;
	must("setitimer", call(SYS_setitimer, ITIMER_REAL, &soon, NULL));
	n = call(SYS_clock_nanosleep, CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
	if (n != -EINTR)
		die("clock_nanosleep was not interrupted", n);
	expect("clock_nanosleep", -ERESTARTNOHAND, INT("clockid", CLOCK_MONOTONIC),
	       INT("flags", TIMER_ABSTIME), TIMESPEC("request", &until), TIMESPEC("remain", NULL));
}

static void times(void)
{
	struct timespec short_time = { 0, 1000000 }, left = { 5, 5 }, got, bad = { -1, 0 };
	struct timespec stamps[2] = { { 1, 500000000 }, { 2, 250000000 } };
	const char *file = scratch_directory();
	struct pollfd ready = { .events = POLLIN };
	int word = 5, pair[2];
	long n;

	n = call(SYS_nanosleep, &short_time, &left); /* not interrupted, so nothing was left */
	expect("nanosleep", n, TIMESPEC("req", &short_time), TIMESPEC("rem", NULL));
	n = call(SYS_nanosleep, &bad, NULL);
	expect("nanosleep", n, TIMESPEC("req", &bad), TIMESPEC("rem", NULL));
	n = call(SYS_nanosleep, NULL, NULL);
	expect("nanosleep", n, TIMESPEC("req", NULL), TIMESPEC("rem", NULL));
	n = call(SYS_clock_gettime, CLOCK_REALTIME, &got);
	expect("clock_gettime", n, INT("clockid", CLOCK_REALTIME), TIMESPEC("tp", &got));
	n = call(SYS_clock_gettime, 12345, &got);
	expect("clock_gettime", n, INT("clockid", 12345), TIMESPEC("tp", NULL));
	interrupted_sleeps();

	call(SYS_close, must("open", call(SYS_open, file, O_WRONLY | O_CREAT, 0600)));
	n = call(SYS_utimensat, AT_FDCWD, file, stamps, AT_SYMLINK_NOFOLLOW);
	expect("utimensat", n, INT("dirfd", AT_FDCWD), STRING("pathname", file),
	       TIMESPEC("times", stamps), INT("flags", AT_SYMLINK_NOFOLLOW));
	n = call(SYS_utimensat, AT_FDCWD, file, NULL, 0);
	expect("utimensat", n, INT("dirfd", AT_FDCWD), STRING("pathname", file),
	       TIMESPEC("times", NULL), INT("flags", 0));
	n = call(SYS_utimensat, 0, NULL, stamps, 1 << 30); /* an unknown flag */
	expect("utimensat", n, INT("dirfd", 0), STRING("pathname", NULL), TIMESPEC("times", stamps),
	       INT("flags", 1 << 30));
	call(SYS_unlink, file);

	n = call(SYS_futex, &word, FUTEX_WAIT_PRIVATE, 5, &short_time, NULL, 0);
	expect("futex", n, POINTER("uaddr", &word), INT("futex_op", FUTEX_WAIT_PRIVATE),
	       INT("val", 5), TIMESPEC("timeout", &short_time), POINTER("uaddr2", NULL),
	       INT("val3", 0));
	n = call(SYS_futex, &word, FUTEX_WAIT, 6, NULL, NULL, 0); /* -EAGAIN: it is 5 */
	expect("futex", n, POINTER("uaddr", &word), INT("futex_op", FUTEX_WAIT), INT("val", 6),
	       TIMESPEC("timeout", NULL), POINTER("uaddr2", NULL), INT("val3", 0));

	must("pipe", call(SYS_pipe, pair));
	ready.fd = pair[0];
	got = short_time; /* the kernel overwrites it with what is left */
	n = call(SYS_ppoll, &ready, 1, &got, NULL, KERNEL_SIGSET);
	expect("ppoll", n, POINTER("fds", &ready), UINT("nfds", 1), TIMESPEC("tmo_p", &short_time),
	       POINTER("sigmask", NULL), UINT("sigsetsize", KERNEL_SIGSET));
}

static void epoll(void)
{
	struct epoll_event want = { .events = EPOLLIN }, got[4];
	struct timespec short_time = { 0, 1000000 };
	unsigned long mask = 1UL << (SIGUSR1 - 1);
	int epfd, pair[2];
	long n;

	epfd = must("epoll_create1", call(SYS_epoll_create1, EPOLL_CLOEXEC));
	expect("epoll_create1", epfd, INT("flags", EPOLL_CLOEXEC));
	must("pipe", call(SYS_pipe, pair));
	n = call(SYS_epoll_ctl, epfd, EPOLL_CTL_ADD, pair[0], &want);
	expect("epoll_ctl", n, INT("epfd", epfd), INT("op", EPOLL_CTL_ADD), INT("fd", pair[0]),
	       POINTER("event", &want));
	n = call(SYS_epoll_wait, epfd, got, 4, 1); /* nothing is ready */
	expect("epoll_wait", n, INT("epfd", epfd), POINTER("events", got), INT("maxevents", 4),
	       INT("timeout", 1));
	must("write", call(SYS_write, pair[1], "x", 1));
	n = call(SYS_epoll_wait, epfd, got, 4, -1);
	expect("epoll_wait", n, INT("epfd", epfd), POINTER("events", got), INT("maxevents", 4),
	       INT("timeout", -1));
	n = call(SYS_epoll_pwait, epfd, got, 4, 1, &mask, KERNEL_SIGSET);
	expect("epoll_pwait", n, INT("epfd", epfd), POINTER("events", got), INT("maxevents", 4),
	       INT("timeout", 1), POINTER("sigmask", &mask), UINT("sigsetsize", KERNEL_SIGSET));
	n = call(SYS_epoll_ctl, epfd, EPOLL_CTL_DEL, pair[0], NULL);
	expect("epoll_ctl", n, INT("epfd", epfd), INT("op", EPOLL_CTL_DEL), INT("fd", pair[0]),
	       POINTER("event", NULL));
	/* Since 5.11. */
	n = call(SYS_epoll_pwait2, epfd, got, 4, &short_time, &mask, KERNEL_SIGSET);
	expect("epoll_pwait2", n, INT("fd", epfd), POINTER("events", got), INT("maxevents", 4),
	       TIMESPEC("timeout", &short_time), POINTER("sigset", &mask), UINT("sigsetsize", KERNEL_SIGSET));
}

static int child_that_exits(int status)
{
	int child = fork_scenario();

	if (child == 0)
		quit(status);
	return child;
}

static void wait_for_id(int child, int options, long wanted)
{
	siginfo_t info = { 0 };
	struct rusage usage;
	long n = call(SYS_waitid, P_PID, child, &info, options, &usage);

	if (n != wanted || (n == 0 && !(options & WNOHANG) && info.si_status != 42))
		die("waitid", n);
	expect("waitid", n, INT("idtype", P_PID), INT("id", child), POINTER("infop", &info),
	       INT("options", options), POINTER("rusage", &usage));
}

static void waits(void)
{
	int child, status, gate[2];
	struct rusage usage;
	long n;

	epoll();

	child = child_that_exits(3);
	n = call(SYS_wait4, child, &status, 0, &usage);
	if (n != child || status != 3 << 8)
		die("wait4", n);
	expect("wait4", n, INT("pid", child), POINTER("wstatus", &status), INT("options", 0),
	       POINTER("rusage", &usage));
	n = call(SYS_wait4, -1, NULL, WNOHANG, NULL); /* -ECHILD */
	expect("wait4", n, INT("pid", -1), POINTER("wstatus", NULL), INT("options", WNOHANG),
	       POINTER("rusage", NULL));

	must("pipe", call(SYS_pipe, gate));
	child = fork_scenario();
	if (child == 0) { /* lives until the gate opens */
		call(SYS_close, gate[1]);
		call(SYS_read, gate[0], &status, 1);
		quit(42);
	}
	wait_for_id(child, WEXITED | WNOHANG | WNOWAIT, 0);
	call(SYS_close, gate[1]);
	wait_for_id(child, WEXITED, 0);
	wait_for_id(child, WEXITED, -ECHILD);
}

static void errors(void)
{
	char buffer[8];
	long n;

	n = call(SYS_close, -1);
	expect("close", n, INT("fd", -1));
	n = call(SYS_openat, AT_FDCWD, "/no/such/file", O_RDONLY, 0);
	expect("openat", n, INT("dirfd", AT_FDCWD), STRING("pathname", "/no/such/file"),
	       INT("flags", O_RDONLY), INT("mode", 0));
	n = call(SYS_kill, 0x7fffffff, SIGTERM);
	expect("kill", n, INT("pid", 0x7fffffff), INT("sig", SIGTERM));
	n = call(SYS_read, 12345, buffer, sizeof(buffer));
	expect("read", n, INT("fd", 12345), POINTER("buf", buffer), UINT("count", sizeof(buffer)));
	/* Numbers that no table has. No event is expected, and no harm. */
	call(600);
	call(511);
	call(512);
	call(0x7fffffff);
	call(-1L);
}
