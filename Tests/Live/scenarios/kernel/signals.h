/* Signals that threads take: where each came from, and what does not apply. */
#include "known.h"

#define RESTORER_FLAG 0x04000000 /* SA_RESTORER */

/* Where a handler returns to: rt_sigreturn. */
__attribute__((naked)) static void restore_frame(void)
{
	asm volatile("movl %0, %%eax\n\tsyscall" : : "i"(SYS_rt_sigreturn));
}

static void take(int number)
{
	(void)number;
}

static struct kernel_action caught(unsigned long flags)
{
	return (struct kernel_action){ (void *)take, flags | RESTORER_FLAG, (void *)restore_frame, 0 };
}

static void catch(int number, unsigned long flags)
{
	struct kernel_action action = caught(flags);

	must("sigaction", call(SYS_rt_sigaction, number, &action, NULL, 8));
}

#define CAUGHT(number, extra_flags)                                                                \
	INT("sig", number), UINT("handle_method", 2), POINTER("handler", take),                    \
		UINT("flags", RESTORER_FLAG | (extra_flags))
#define DEFAULT(number) INT("sig", number), UINT("handle_method", 0), JSON("handler", "null"), UINT("flags", 0)
#define ORIGIN(reason, from, user)                                                                 \
	INT("code", reason), INT("error", 0), INT("sender_pid", from), UINT("sender_uid", user)
#define NO_SENDER JSON("sender_pid", "null"), JSON("sender_uid", "null")
#define NO_CHILD  JSON("status", "null"), JSON("user_time", "null"), JSON("system_time", "null")
#define NO_TIMER  JSON("timer", "null"), JSON("overrun", "null")
#define NO_PLACE                                                                                   \
	JSON("address", "null"), JSON("band", "null"), JSON("fd", "null"), JSON("call_address", "null"), \
		JSON("syscall", "null"), JSON("arch", "null")
#define NO_VALUE JSON("value", "null")

static void from_processes(void)
{
	unsigned int user = call(SYS_getuid);
	siginfo_t information = { .si_code = SI_QUEUE };
	int child;

	catch(SIGUSR1, 0);
	about("kill");
	must("kill", call(SYS_kill, as_pid, SIGUSR1));
	seen("signal_deliver", CAUGHT(SIGUSR1, 0), ORIGIN(SI_USER, as_pid, user), NO_VALUE, NO_CHILD, NO_TIMER,
	     NO_PLACE);
	about("tgkill");
	must("tgkill", call(SYS_tgkill, as_pid, as_tid, SIGUSR1));
	seen("signal_deliver", CAUGHT(SIGUSR1, 0), ORIGIN(SI_TKILL, as_pid, user), NO_VALUE, NO_CHILD, NO_TIMER,
	     NO_PLACE);
	about("a value, and a sender as the sender likes");
	information.si_pid = 77;
	information.si_uid = 4000000000u;
	information.si_ptr = (void *)0x8000000000000000ul;
	must("rt_sigqueueinfo", call(SYS_rt_sigqueueinfo, as_pid, SIGUSR1, &information));
	seen("signal_deliver", CAUGHT(SIGUSR1, 0), ORIGIN(SI_QUEUE, 77, 4000000000u),
	     UINT("value", 0x8000000000000000ul), NO_CHILD, NO_TIMER, NO_PLACE);
	about("the end of a child");
	catch(SIGCHLD, SA_RESTART);
	child = must("fork", call(SYS_fork));
	if (child == 0)
		quit(5);
	wait_for(child);
	seen("signal_deliver", CAUGHT(SIGCHLD, SA_RESTART), ORIGIN(CLD_EXITED, child, user), INT("status", 5),
	     NO_VALUE, NO_TIMER, NO_PLACE);
}

static void from_a_timer(void)
{
	struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR2, .sigev_value.sival_int = 7 };
	struct itimerspec soon = { .it_value.tv_nsec = 1000000 };
	int timer = -1;

	about("a timer");
	catch(SIGUSR2, SA_RESTART);
	must("timer_create", call(SYS_timer_create, CLOCK_MONOTONIC, &event, &timer));
	must("timer_settime", call(SYS_timer_settime, timer, 0, &soon, NULL));
	nap(500); /* until it comes */
	seen("signal_deliver", CAUGHT(SIGUSR2, SA_RESTART), INT("code", SI_TIMER), INT("error", 0), NO_SENDER,
	     UINT("value", 7), INT("timer", timer), INT("overrun", 0), NO_CHILD, NO_PLACE);
}

static void from_the_kernel(void)
{
	volatile int *nowhere = (int *)0x10;
	int child;

	about("a wrong address");
	child = fork_scenario();
	if (child == 0) {
		seen("signal_deliver", DEFAULT(SIGSEGV), INT("code", SEGV_MAPERR), POINTER("address", nowhere),
		     NO_SENDER, NO_VALUE, NO_CHILD, NO_TIMER);
		*nowhere = 1;
	}
	wait_for(child);
	about("an end at once, which the kernel takes for a kill");
	child = fork_scenario();
	if (child == 0) {
		seen("signal_deliver", DEFAULT(SIGTERM), ORIGIN(SI_USER, as_pid, call(SYS_getuid)), NO_VALUE, NO_CHILD,
		     NO_TIMER, NO_PLACE);
		must("kill", call(SYS_kill, as_pid, SIGTERM));
	}
	wait_for(child);
	about("a kill, of which the kernel keeps only that it is one");
	child = fork_scenario();
	if (child == 0) {
		seen("signal_deliver", DEFAULT(SIGKILL), JSON("code", "null"), JSON("error", "null"), NO_SENDER,
		     NO_VALUE, NO_CHILD, NO_TIMER, NO_PLACE);
		must("kill", call(SYS_kill, as_pid, SIGKILL));
	}
	wait_for(child);
	about("nobody takes what is ignored");
	must("kill", call(SYS_kill, as_pid, SIGWINCH));
	never("signal_deliver", INT("sig", SIGWINCH));
}

static void take_signals(void)
{
	from_processes();
	from_a_timer();
	from_the_kernel();
	about(NULL);
}

static void signal_deliver(void)
{
	in_child(take_signals);
}
