/* Calls that few programs make, and wrong arguments: what is beside messages, addresses of sockets, System V objects, queues,
 * timers, signals with values, places in files, capabilities, filters. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/close_range.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/kcmp.h>
#include <linux/openat2.h>
#include <linux/seccomp.h>
#include <mqueue.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ipc.h>
#include <sys/ioctl.h>
#include <sys/msg.h>
#include <sys/prctl.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

/* Where nothing is. */
static void *volatile nowhere = (void *)8;
#define BAD nowhere

static char buffer[4096];

static void messages(void)
{
	int pair[2], both[2], one = 1;
	struct iovec out = { "payload", 7 }, in = { buffer, 100 };
	union {
		struct cmsghdr head;
		char bytes[128];
	} beside = { 0 };
	struct msghdr message = { .msg_iov = &out, .msg_iovlen = 1, .msg_control = &beside };

	socketpair(AF_UNIX, SOCK_STREAM, 0, pair);
	socketpair(AF_UNIX, SOCK_DGRAM, 0, both);
	beside.head = (struct cmsghdr){ CMSG_LEN(8), SOL_SOCKET, SCM_RIGHTS };
	memcpy(CMSG_DATA(&beside.head), (int[]){ 0, 1 }, 8);
	message.msg_controllen = CMSG_SPACE(8);
	sendmsg(pair[0], &message, MSG_NOSIGNAL);

	struct ucred self = { getpid(), 0, 0 };
	beside.head = (struct cmsghdr){ CMSG_LEN(sizeof(self)), SOL_SOCKET, SCM_CREDENTIALS };
	memcpy(CMSG_DATA(&beside.head), &self, sizeof(self));
	message.msg_controllen = CMSG_SPACE(sizeof(self));
	sendmsg(pair[0], &message, 0);

	setsockopt(pair[1], SOL_SOCKET, SO_PASSCRED, &one, sizeof(one));
	for (int i = 0; i < 3; i++) {
		struct msghdr read = { .msg_iov = &in, .msg_iovlen = 1, .msg_control = &beside,
				       .msg_controllen = sizeof(beside) };
		recvmsg(pair[1], &read, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	}
	sendmsg(pair[0], BAD, 0);
	recvmsg(-1, &message, 0);
	recvmsg(both[1], BAD, MSG_DONTWAIT);
}

static void addresses(void)
{
	int local = socket(AF_UNIX, SOCK_DGRAM, 0), inet = socket(AF_INET6, SOCK_DGRAM, 0);
	struct sockaddr_un unix_name = { AF_UNIX, "\0abstract\0name" };
	struct sockaddr_in6 six = { AF_INET6, htons(5), 0, IN6ADDR_LOOPBACK_INIT, 0 };
	struct sockaddr_ll packet = { AF_PACKET, htons(ETH_P_IP), 0, 1, PACKET_OUTGOING, 6, { 1, 2, 3, 4, 5, 6 } };
	struct sockaddr other = { 99, "abcdefgh" }, none = { AF_UNSPEC };
	socklen_t length = sizeof(unix_name);

	getsockname(local, (void *)&unix_name, &length);
	memcpy(unix_name.sun_path, "\0abstract\0name", 14);
	bind(local, (void *)&unix_name, offsetof(struct sockaddr_un, sun_path) + 14);
	connect(inet, (void *)&six, sizeof(six));
	connect(inet, (void *)&six, 24);
	connect(inet, (void *)&six, 8);
	connect(inet, &none, sizeof(none));
	bind(inet, (void *)&packet, sizeof(packet));
	bind(inet, &other, 10);
	connect(inet, BAD, 16);
	setsockopt(inet, SOL_SOCKET, SO_BINDTODEVICE, "lo", 3);
	setsockopt(inet, SOL_IPV6, IPV6_MINHOPCOUNT, (int[]){ 1 }, 4);
}

static void objects(void)
{
	struct sembuf up = { 0, 1, SEM_UNDO | IPC_NOWAIT };
	struct mq_attr attributes = { 0, 4, 64 };
	struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1, .sigev_value.sival_int = 42 };
	int timer;

	semget(0x1234, 1, IPC_EXCL | 0640);
	semop(-1, &up, 1);
	msgget(0x1234, IPC_EXCL | 07);
	shmget(0x1234, 1, SHM_NORESERVE | 0600);
	int queue = syscall(SYS_mq_open, "apus-calls", O_RDWR | O_CREAT | O_NONBLOCK, 0600, &attributes);
	syscall(SYS_mq_open, "apus-none", O_RDONLY);
	syscall(SYS_mq_notify, queue, &event);
	syscall(SYS_mq_getsetattr, queue, NULL, &attributes);
	syscall(SYS_mq_unlink, "apus-calls");
	syscall(SYS_timer_create, CLOCK_MONOTONIC, &event, &timer);
	syscall(SYS_timer_create, -6, &event, &timer);
}

static void signals(void)
{
	sigset_t set;
	siginfo_t info = { .si_code = SI_QUEUE, .si_pid = getpid(), .si_value.sival_int = 77 };

	sigemptyset(&set);
	sigaddset(&set, SIGUSR2);
	sigprocmask(SIG_BLOCK, &set, NULL);
	syscall(SYS_rt_sigqueueinfo, getpid(), SIGUSR2, &info);
	syscall(SYS_rt_sigtimedwait, &set, &info, NULL, 8);
	kill(getpid(), SIGUSR2);
	syscall(SYS_rt_sigtimedwait, &set, &info, NULL, 8);
	kill(getpid(), 99);
}

static void files(void)
{
	int from = open("from", O_RDWR | O_CREAT, 0640), to = open("to", O_RDWR | O_CREAT, 0640), ends[2];
	off_t at = 2, other = 3;
	struct iovec parts[2] = { { "one", 3 }, { "two", 3 } };
	struct open_how how = { .flags = O_RDONLY, .resolve = RESOLVE_NO_SYMLINKS };

	pwritev(from, parts, 2, 7);
	pwritev2(from, parts, 2, -1, RWF_APPEND);
	writev(from, parts, 0);
	readv(from, BAD, 2);
	copy_file_range(from, &at, to, &other, 4, 0);
	syscall(SYS_sendfile, to, from, &at, 5);
	pipe(ends);
	splice(from, &at, ends[1], NULL, 2, SPLICE_F_MOVE);
	setxattr("from", "user.a", "value", 5, XATTR_CREATE);
	listxattr("from", buffer, 0);
	listxattr("from", buffer, 100);
	removexattr("from", "user.a");
	llistxattr("to", buffer, 100);
	mknod("fifo", S_IFIFO | 0644, 5);
	mknodat(AT_FDCWD, "null", S_IFCHR | 0600, makedev(1, 3));
	syscall(SYS_mkdir, "folder", 041755);
	syscall(SYS_fchmodat, AT_FDCWD, "from", 04711);
	syscall(SYS_faccessat, AT_FDCWD, "from", X_OK);
	syscall(SYS_fchownat, AT_FDCWD, "from", -1, 4000000000u, AT_SYMLINK_NOFOLLOW);
	syscall(SYS_openat2, AT_FDCWD, "from", &how, sizeof(how));
	syscall(SYS_openat2, AT_FDCWD, "from", &how, 4);
	syscall(SYS_close_range, 90, 95, CLOSE_RANGE_CLOEXEC);
	ioctl(from, 0xc0045678, BAD);
	fcntl(from, 99, 1);
}

static void waits(void)
{
	int epoll = epoll_create1(0);
	struct pollfd polled[2] = { { epoll, POLLIN, 0 }, { -1, POLLIN, 0 } };
	struct timespec time = { 0, 1000 };
	struct epoll_event events[2];
	sigset_t set;

	sigemptyset(&set);
	poll(polled, 2, 0);
	poll(polled, 0, 0);
	syscall(SYS_eventfd, 5);
	syscall(SYS_epoll_pwait2, epoll, events, 2, &time, &set, 8);
	syscall(SYS_epoll_pwait2, epoll, events, 2, BAD, NULL, 0);
	syscall(SYS_io_uring_enter, epoll, 0, 0, 0, NULL, 8);
}

static void process(void)
{
	struct __user_cap_header_struct head = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct data[2];
	unsigned long nodes[2] = { 1, 0 };
	int status;

	syscall(SYS_capget, &head, data);
	data[0].effective &= ~1u;
	syscall(SYS_capset, &head, data);
	syscall(SYS_ioprio_set, 1, 0, 2 << 13 | 4);
	syscall(SYS_kcmp, getpid(), getpid(), KCMP_VM, 1, 2);
	syscall(SYS_kcmp, getpid(), getpid(), KCMP_FILE, 0, 0);
	syscall(SYS_set_mempolicy, 99, nodes, 65);
	syscall(SYS_membarrier, 0, 0, 0);
	syscall(SYS_sched_get_priority_max, 77);
	syscall(SYS_clone3, NULL, 4);
	pid_t child = fork();
	if (!child) {
		struct sock_filter filter[] = { BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0),
						BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getpgrp, 0, 1),
						BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | 5),
						BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW) };
		struct sock_fprog program = { 4, filter };
		prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
		syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program);
		/* On the stack, as other pages are not there yet in a child. */
		char name[] = "a", variable[] = "A=1";
		syscall(SYS_execve, "/nothing", (char *[]){ name, NULL }, (char *[]){ variable, NULL });
		_exit(syscall(SYS_getpgrp) != -1);
	}
	waitpid(child, &status, 0);
}

int main(void)
{
	messages();
	addresses();
	objects();
	signals();
	files();
	waits();
	process();
	return 0;
}
