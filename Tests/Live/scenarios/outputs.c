/* System calls that do not fill the room they are given, as they fail, have too little of it or nothing to say. The room is
 * full of Z before each: what a tracer shows of that is older than the call. What is shown of each is in faults_outputs.py,
 * by the same names: the marks are calls of their own.
 *
 *	gcc -static -O1 -o outputs outputs.c && ./outputs FILE
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <asm/prctl.h>
#include <fcntl.h>
#include <linux/keyctl.h>
#include <linux/ptrace.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

#define PAGE 4096L

static char *room, *other; /* two pages */

#define call(...) call_(__VA_ARGS__, 0, 0, 0, 0, 0)
#define call_(number, a, b, c, d, e, ...) syscall(number, (long)(a), (long)(b), (long)(c), (long)(d), (long)(e), 0L)

/* What comes next: a path of its own. */
static void mark(const char *name)
{
	call(SYS_unlink, name);
	memset(room, 'Z', 2 * PAGE);
}

static void attributes(const char *file)
{
	static const char *const missing = "/nosuch";
	int fd = open(file, O_RDONLY);

	setxattr(file, "user.apus", "the value", 9, 0);
	mark("getxattr, no room");
	call(SYS_getxattr, file, "user.apus", room, 0);
	mark("getxattr, too little room");
	call(SYS_getxattr, file, "user.apus", room, 4);
	mark("getxattr, failed");
	call(SYS_getxattr, missing, "user.apus", room, 64);
	mark("getxattr");
	call(SYS_getxattr, file, "user.apus", room, 64);
	mark("lgetxattr, no room");
	call(SYS_lgetxattr, file, "user.apus", room, 0);
	mark("fgetxattr, no room");
	call(SYS_fgetxattr, fd, "user.apus", room, 0);
	mark("listxattr, no room");
	call(SYS_listxattr, file, room, 0);
	mark("listxattr, too little room");
	call(SYS_listxattr, file, room, 2);
	mark("listxattr");
	call(SYS_listxattr, file, room, 64);
	mark("llistxattr, no room");
	call(SYS_llistxattr, file, room, 0);
	mark("flistxattr, no room");
	call(SYS_flistxattr, fd, room, 0);
	close(fd);
}

static void files(const char *file)
{
	int fd = open(file, O_RDONLY), datagrams = socket(AF_INET, SOCK_DGRAM, 0), events = epoll_create1(0);

	mark("read, failed");
	call(SYS_read, -1, room, 64);
	mark("read, at the end");
	call(SYS_read, fd, room, 64);
	mark("pread64, failed");
	call(SYS_pread64, fd, room, 64, -1);
	mark("readlink, failed");
	call(SYS_readlink, file, room, 64);
	mark("readlinkat, failed");
	call(SYS_readlinkat, AT_FDCWD, file, room, 64);
	mark("getcwd, failed");
	call(SYS_getcwd, room, 1);
	mark("fstat, failed");
	call(SYS_fstat, -1, room);
	mark("statfs, failed");
	call(SYS_statfs, "/nosuch", room);
	mark("statx, failed");
	call(SYS_statx, AT_FDCWD, "/nosuch", 0, 0, room);
	mark("getdents64, failed");
	call(SYS_getdents64, fd, room, 64);
	mark("fcntl, an owner");
	call(SYS_fcntl, -1, F_GETOWN_EX, room);
	mark("ioctl, failed");
	call(SYS_ioctl, fd, TIOCGWINSZ, room);
	mark("ioctl, no number");
	call(SYS_ioctl, -1, FIONREAD, room);
	mark("ioctl, no interface");
	strcpy(room, "nosuch");
	call(SYS_ioctl, datagrams, SIOCGIFHWADDR, room);
	mark("name_to_handle_at, too little room");
	*(int *)room = 0;
	call(SYS_name_to_handle_at, AT_FDCWD, file, room, other, 0);
	mark("getrandom, failed");
	call(SYS_getrandom, room, 64, -1);
	mark("pipe2, failed");
	call(SYS_pipe2, room, -1);
	mark("epoll_wait, failed");
	call(SYS_epoll_wait, -1, room, 8, 0);
	mark("epoll_wait, nothing");
	call(SYS_epoll_wait, events, room, 8, 0);
}

static void sockets(void)
{
	struct sockaddr_in here = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
	int pair[2], listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), client;
	socklen_t *length = (void *)(other), size = sizeof(here);
	struct iovec part = { room, 8 };
	struct msghdr message = { .msg_name = room + 64, .msg_namelen = 32, .msg_iov = &part, .msg_iovlen = 1,
				  .msg_control = room + 128, .msg_controllen = 64 };

	socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0, pair);
	bind(listener, (void *)&here, sizeof(here));
	listen(listener, 1);
	getsockname(listener, (void *)&here, &size);
	mark("accept, failed");
	*length = 128;
	call(SYS_accept, listener, room, length);
	mark("accept4, failed");
	*length = 128;
	call(SYS_accept4, listener, room, length, 0);
	client = socket(AF_INET, SOCK_STREAM, 0);
	mark("getpeername, failed");
	*length = 128;
	call(SYS_getpeername, client, room, length);
	connect(client, (void *)&here, sizeof(here));
	mark("accept, too little room");
	*length = 2;
	close(call(SYS_accept, listener, room, length));
	mark("getsockname, failed");
	*length = 128;
	call(SYS_getsockname, -1, room, length);
	mark("getsockname, too little room");
	*length = 8;
	call(SYS_getsockname, listener, room, length);
	mark("getsockname, no room");
	*length = 0;
	call(SYS_getsockname, listener, room, length);
	mark("getsockopt, failed");
	*length = 4;
	call(SYS_getsockopt, -1, SOL_SOCKET, SO_ERROR, room, length);
	mark("getsockopt, a device that is none");
	*length = 16;
	call(SYS_getsockopt, listener, SOL_SOCKET, SO_BINDTODEVICE, room, length);
	mark("recvfrom, failed");
	*length = 128;
	call(SYS_recvfrom, pair[0], room, 64, 0, room + 64, length);
	send(pair[1], "twelve bytes", 12, 0);
	mark("recvfrom, too little room");
	syscall(SYS_recvfrom, pair[0], room, 4, MSG_TRUNC, NULL, NULL);
	mark("recvmsg, failed");
	call(SYS_recvmsg, pair[0], &message, 0);
	mark("socketpair, failed");
	call(SYS_socketpair, -1, 0, 0, room);
	close(client);
	close(listener);
}

/* Messages with names that have too little room, and one that cannot be sent. */
static void messages(void)
{
	struct sockaddr_in here = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } }, *nowhere = (void *)(room + 256);
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
	struct iovec part = { "datagram", 8 }, parts[2] = { { room, 8 }, { room + 8, 8 } };
	struct mmsghdr send[2] = { { { .msg_name = &here, .msg_namelen = sizeof(here), .msg_iov = &part, .msg_iovlen = 1 } },
				   { { .msg_name = nowhere, .msg_namelen = sizeof(here), .msg_iov = &part, .msg_iovlen = 1 } } };
	struct mmsghdr receive[2] = { { { .msg_name = room + 64, .msg_namelen = 16, .msg_iov = parts, .msg_iovlen = 1 } },
				      { { .msg_name = room + 128, .msg_namelen = 4, .msg_iov = parts + 1, .msg_iovlen = 1 } } };
	struct msghdr message = { .msg_name = room + 64, .msg_iov = parts, .msg_iovlen = 1 };
	socklen_t size = sizeof(here);

	bind(fd, (void *)&here, sizeof(here));
	getsockname(fd, (void *)&here, &size);
	for (int i = 0; i < 4; i++)
		sendto(fd, "datagram", 8, 0, (void *)&here, sizeof(here));
	mark("recvmsg, too little room");
	message.msg_namelen = 4;
	call(SYS_recvmsg, fd, &message, 0);
	mark("recvmsg, no room");
	message.msg_namelen = 0;
	call(SYS_recvmsg, fd, &message, 0);
	mark("recvmmsg, too little room");
	call(SYS_recvmmsg, fd, receive, 2, 0, NULL);
	mark("recvmmsg, failed");
	call(SYS_recvmmsg, fd, receive, 2, 0, NULL);
	mark("sendmmsg, one of two");
	memset(nowhere, 0, sizeof(here));
	nowhere->sin_family = 0x1234;
	call(SYS_sendmmsg, fd, send, 2, 0);
	mark("modify_ldt, nothing");
	call(SYS_modify_ldt, 0, room, 64);
	mark("modify_ldt, failed");
	call(SYS_modify_ldt, 3, room, 64);
	close(fd);
}

static void processes(void)
{
	struct timespec moment = { 0, 1 };
	pid_t child;

	mark("wait4, no child");
	call(SYS_wait4, -1, room, WNOHANG, other);
	mark("waitid, no child");
	call(SYS_waitid, P_ALL, 0, room, WNOHANG | WEXITED, other);
	child = fork();
	if (!child) {
		pause();
		_exit(0);
	}
	mark("wait4, a child that runs");
	call(SYS_wait4, child, room, WNOHANG, other);
	mark("waitid, a child that runs");
	call(SYS_waitid, P_PID, child, room, WNOHANG | WEXITED, other);
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	mark("clone, no room");
	child = call(SYS_clone, SIGCHLD, 0, room, other, 0);
	if (!child)
		_exit(0);
	waitpid(child, NULL, 0);
	mark("clone");
	child = call(SYS_clone, SIGCHLD | CLONE_PARENT_SETTID, 0, room, other, 0);
	if (!child)
		_exit(0);
	waitpid(child, NULL, 0);
	mark("perf_event_open, an older structure");
	memset(room, 0, 64);
	*(int *)(room + 4) = 64;
	call(SYS_perf_event_open, room, 0, -1, -1, -1);
	mark("sched_getaffinity, failed");
	call(SYS_sched_getaffinity, -1, 128, room);
	mark("sched_getattr, failed");
	call(SYS_sched_getattr, -1, room, 56, 0);
	mark("getgroups, no room");
	call(SYS_getgroups, 0, room);
	mark("getgroups, failed");
	call(SYS_getgroups, -1, room);
	mark("getrlimit, failed");
	call(SYS_getrlimit, 1000, room);
	mark("prlimit64, failed");
	call(SYS_prlimit64, -1, RLIMIT_NOFILE, NULL, room);
	mark("getrusage, failed");
	call(SYS_getrusage, 1000, room);
	mark("prctl, failed");
	call(SYS_prctl, PR_GET_PDEATHSIG, 8);
	mark("arch_prctl, failed");
	call(SYS_arch_prctl, ARCH_GET_FS, 8);
	mark("clock_gettime, failed");
	call(SYS_clock_gettime, 1000, room);
	mark("clock_nanosleep, failed");
	call(SYS_clock_nanosleep, 1000, 0, &moment, room);
	mark("timer_gettime, failed");
	call(SYS_timer_gettime, 1000, room);
	mark("rt_sigprocmask, failed");
	call(SYS_rt_sigprocmask, 1000, NULL, room, 8);
	mark("rt_sigaction, failed");
	call(SYS_rt_sigaction, 1000, NULL, room, 8);
	mark("rt_sigtimedwait, failed");
	memset(other, 0, PAGE);
	call(SYS_rt_sigtimedwait, other, room, other, 8);
	mark("capget, failed");
	memset(other, 0, PAGE);
	call(SYS_capget, other, room);
	mark("ptrace, failed");
	call(SYS_ptrace, PTRACE_GET_SYSCALL_INFO, -1, 88, room);
	mark("keyctl, no room");
	call(SYS_keyctl, KEYCTL_DESCRIBE, KEY_SPEC_PROCESS_KEYRING, room, 0);
	mark("keyctl, too little room");
	call(SYS_keyctl, KEYCTL_DESCRIBE, KEY_SPEC_PROCESS_KEYRING, room, 4);
	mark("syslog, a size");
	call(SYS_syslog, 10, room, 64);
}

int main(int count, char **arguments)
{
	room = mmap(NULL, 3 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	other = room + PAGE;
	if (count != 2)
		return 2;
	call(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL);
	call(SYS_keyctl, KEYCTL_GET_KEYRING_ID, KEY_SPEC_PROCESS_KEYRING, 1);
	attributes(arguments[1]);
	files(arguments[1]);
	sockets();
	messages();
	processes();
	return 0;
}
