/* Calls whose arguments depend on one of them: commands of fcntl, prctl, arch_prctl and futex, options of sockets. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <asm/prctl.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static int word;

static void files(void)
{
	int file = open("locked", O_RDWR | O_CREAT, 0600);
	struct flock lock = { .l_type = F_WRLCK, .l_start = 10, .l_len = 5 };
	fcntl(file, F_SETLK, &lock);
	fcntl(file, F_GETLK, &lock);
	lock.l_type = F_UNLCK;
	fcntl(file, F_SETLKW, &lock);
	fcntl(file, F_SETLK, (void *)1);
	fcntl(file, F_SETLK, NULL);
	struct f_owner_ex owner = { F_OWNER_PID, 0 };
	fcntl(file, F_SETOWN_EX, &owner);
	fcntl(file, F_GETOWN_EX, &owner);
	fcntl(file, F_SETOWN, 0);
	fcntl(file, F_GETOWN);
	fcntl(file, F_SETSIG, SIGUSR1);
	fcntl(file, F_GETSIG);
	fcntl(file, F_GETLEASE);
	fcntl(file, F_SETFL, O_NONBLOCK | O_APPEND);
	fcntl(file, F_GETFL);
	fcntl(file, F_SETFD, FD_CLOEXEC);
	fcntl(file, F_GETFD);
	fcntl(file, F_DUPFD_CLOEXEC, 50);
	fcntl(open(".", O_RDONLY), F_NOTIFY, DN_CREATE);
	int memory = memfd_create("memory", MFD_ALLOW_SEALING);
	fcntl(memory, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW);
	fcntl(memory, F_GET_SEALS);
}

static void process(void)
{
	char name[16];
	int number;
	unsigned long address;
	prctl(PR_SET_NAME, "worker");
	prctl(PR_GET_NAME, name);
	prctl(PR_SET_NAME, 16);
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	prctl(PR_GET_PDEATHSIG, &number);
	prctl(PR_GET_PDEATHSIG, 8);
	prctl(PR_GET_CHILD_SUBREAPER, &number);
	prctl(PR_GET_DUMPABLE);
	prctl(PR_GET_SECUREBITS);
	prctl(PR_SET_TIMERSLACK, 50000);
	prctl(PR_GET_TSC, &number);
	prctl(PR_CAPBSET_READ, 21);
	prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, 21, 0, 0);
	prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	prctl(PR_MCE_KILL, PR_MCE_KILL_SET, 2, 0, 0);
	prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0);
	prctl(PR_SET_PTRACER, -1);
	syscall(SYS_arch_prctl, ARCH_GET_FS, &address);
	syscall(SYS_arch_prctl, ARCH_GET_CPUID, 0);
}

static void futexes(void)
{
	struct timespec time = { 0, 1000 };
	syscall(SYS_futex, &word, FUTEX_WAIT, 1, &time, 0, 0);
	syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, 0, &time, 0, 0);
	syscall(SYS_futex, &word, FUTEX_WAKE, 2147483647, 0, 0, 0);
	syscall(SYS_futex, &word, FUTEX_REQUEUE, 1, 2, &word, 5);
	syscall(SYS_futex, &word, FUTEX_CMP_REQUEUE, 1, 2, &word, 5);
	syscall(SYS_futex, &word, FUTEX_WAKE_OP, 1, 2, &word, FUTEX_OP(FUTEX_OP_ADD, 3, FUTEX_OP_CMP_GT, 1));
	syscall(SYS_futex, &word, FUTEX_WAIT_BITSET, 3, &time, 0, -1);
	syscall(SYS_futex, &word, FUTEX_UNLOCK_PI, 0, 0, 0, 0);
}

static void sockets(void)
{
	int stream = socket(AF_INET, SOCK_STREAM, IPPROTO_TCP), one = 1, number, pair[2];
	struct linger linger = { 1, 5 };
	socklen_t length = sizeof(number);
	socketpair(AF_UNIX, SOCK_STREAM, 0, pair);
	setsockopt(stream, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	setsockopt(stream, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
	setsockopt(stream, SOL_SOCKET, SO_LINGER, (void *)16, sizeof(linger));
	setsockopt(stream, SOL_TCP, TCP_NODELAY, &one, sizeof(one));
	getsockopt(stream, SOL_SOCKET, SO_TYPE, &number, &length);
	getsockopt(stream, SOL_SOCKET, SO_ERROR, &number, &length);
	length = sizeof(linger);
	getsockopt(stream, SOL_SOCKET, SO_LINGER, &linger, &length);
	/* Nobody listens at port 1. */
	struct sockaddr_in closed = { AF_INET, htons(1), { htonl(INADDR_LOOPBACK) } };
	fcntl(stream, F_SETFL, O_NONBLOCK);
	connect(stream, (void *)&closed, sizeof(closed));
	length = sizeof(number);
	getsockopt(stream, SOL_SOCKET, SO_ERROR, &number, &length);
}

int main(void)
{
	files();
	process();
	futexes();
	sockets();
	return 0;
}
