/* Takes signals of all kinds, each at a moment of its own: from itself, its children, timers and the kernel. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <setjmp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static sigjmp_buf back;

static void take(int number)
{
	(void)number;
}

static void leave(int number)
{
	(void)number;
	siglongjmp(back, 1);
}

static void catch(int number, void (*handler)(int))
{
	struct sigaction action = {.sa_handler = handler, .sa_flags = SA_RESTART | (handler == leave ? SA_NODEFER : 0)};

	if (sigaction(number, &action, NULL))
		exit(1);
}

static void children(void)
{
	pid_t child = fork();
	int ends[2];
	char byte;

	if (child == 0)
		_exit(3);
	waitpid(child, NULL, 0);
	if (pipe(ends))
		exit(1);
	child = fork();
	if (child == 0) {
		while (write(ends[1], "x", 1) == 1)
			pause();
	}
	if (read(ends[0], &byte, 1) != 1)
		exit(1);
	kill(child, SIGTERM);
	waitpid(child, NULL, 0);
	child = fork();
	if (child == 0) {
		signal(SIGSEGV, SIG_DFL);
		*(volatile int *)8 = 1;
	}
	waitpid(child, NULL, 0);
}

static void timers(void)
{
	struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN + 2, .sigev_value.sival_int = 7};
	struct itimerspec soon = {.it_value.tv_nsec = 20000000};
	struct itimerval sooner = {.it_value.tv_usec = 20000};
	timer_t timer;

	setitimer(ITIMER_REAL, &sooner, NULL);
	pause();
	if (timer_create(CLOCK_MONOTONIC, &event, &timer) || timer_settime(timer, 0, &soon, NULL))
		exit(1);
	pause();
}

static void descriptors(void)
{
	int ends[2];

	if (pipe(ends))
		exit(1);
	close(ends[0]);
	if (write(ends[1], "x", 1) != -1 || errno != EPIPE || pipe(ends))
		exit(1);
	fcntl(ends[0], F_SETOWN, getpid());
	fcntl(ends[0], F_SETSIG, SIGIO);
	fcntl(ends[0], F_SETFL, O_ASYNC);
	if (write(ends[1], "x", 1) != 1)
		exit(1);
}

static void faults(void)
{
	char *page = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	catch(SIGSEGV, leave);
	catch(SIGILL, leave);
	if (!sigsetjmp(back, 1))
		*(volatile int *)0 = 1;
	if (!sigsetjmp(back, 1)) /* no address of a program: the processor tells another reason */
		*(volatile int *)0x8000000000000000ul = 1;
	if (!sigsetjmp(back, 1))
		*page = 1;
	if (!sigsetjmp(back, 1))
		asm volatile("ud2");
	asm volatile("int3");
}

/* A filter that forbids getppid by a signal. */
static void forbidden(void)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getppid, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP | 5),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = {sizeof(code) / sizeof(*code), code};

	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program))
		exit(1);
	syscall(SYS_getppid);
}

int main(void)
{
	union sigval value = {.sival_int = 42};
	siginfo_t own = {.si_errno = 5, .si_code = -77};

	for (int number = 1; number <= SIGRTMAX; number++)
		if (number != SIGKILL && number != SIGSTOP && number != 32 && number != 33)
			catch(number, take);
	kill(getpid(), SIGUSR1);
	raise(SIGUSR2);
	sigqueue(getpid(), SIGRTMIN + 1, value);
	own.si_pid = 9;
	own.si_uid = 8;
	own.si_ptr = (void *)0x8000000000000000ul;
	syscall(SYS_rt_sigqueueinfo, getpid(), SIGTERM, &own);
	signal(SIGTERM, SIG_DFL); /* for the child that it is to end */
	children();
	timers();
	descriptors();
	faults();
	forbidden();
	signal(SIGUSR1, SIG_DFL);
	signal(SIGCHLD, SIG_IGN);
	return 0;
}
