/* Opens one of everything, in the folder that it is given, and asks fcntl of each descriptor. Each line that a tracer writes
 * of it must say what the descriptor is open on at that moment. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <linux/bpf.h>
#include <linux/landlock.h>
#include <linux/netlink.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/select.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/un.h>
#include <unistd.h>

#define BEYOND 100 /* a descriptor that nothing else gets */

/* Says nothing of errors: those are what a tracer shows. */
static int look(int fd)
{
	fcntl(fd, F_GETFD);
	return fd;
}

static int create(const char *name)
{
	return look(openat(AT_FDCWD, name, O_CREAT | O_RDWR, 0600));
}

static void files(void)
{
	char text[8] = "";
	int file = create("plain"), directory = look(openat(AT_FDCWD, ".", O_RDONLY | O_DIRECTORY)), gone;
	void *map;

	write(file, "text", 4);
	pread64(file, text, sizeof(text), 0);
	ftruncate(file, 4096);
	map = mmap(NULL, 4096, PROT_READ, MAP_SHARED, file, 0);
	munmap(map, 4096);
	openat(directory, "plain", O_RDONLY);
	unlinkat(directory, "nosuch", 0);
	create("odd <name>\t\"quoted\"\\\303\251\0011 (deleted)");
	gone = create("gone");
	unlink("gone");
	look(gone);
	mkdir("folder", 0700);
	chdir("folder");
	openat(AT_FDCWD, "nosuch", O_RDONLY);
	rmdir("../folder");
	openat(AT_FDCWD, "nosuch", O_RDONLY);
	fchdir(directory);
	look(openat(AT_FDCWD, "plain", O_PATH));
	symlink("plain", "link");
	look(openat(AT_FDCWD, "link", O_PATH | O_NOFOLLOW));
	mkfifo("fifo", 0600);
	look(openat(AT_FDCWD, "fifo", O_RDWR));
	look(openat(AT_FDCWD, "/proc/self/status", O_RDONLY));
	look(openat(AT_FDCWD, "/", O_RDONLY));
}

static void copies(void)
{
	int file = create("copied"), other;

	look(dup(file));
	dup2(file, BEYOND);
	dup2(file, BEYOND);
	dup3(file, BEYOND + 1, O_CLOEXEC);
	other = fcntl(file, F_DUPFD, BEYOND + 2);
	close(BEYOND + 1);
	close(BEYOND + 1);
	close(other);
	look(BEYOND);
	dup2(0, BEYOND);
	/* Closed, huge and negative ones, and one that stands for a directory elsewhere. */
	look(BEYOND + 1);
	look(1000000);
	look(0x7fffffff);
	look(-1);
	look(AT_FDCWD);
	close(-2);
}

static void others(void)
{
	struct epoll_event event = {.events = EPOLLIN};
	int ends[2], epoll, counter;
	sigset_t none;

	pipe(ends);
	pipe2(ends, O_CLOEXEC);
	look(ends[0]);
	counter = look(eventfd(0, 0));
	epoll = look(epoll_create1(0));
	epoll_ctl(epoll, EPOLL_CTL_ADD, counter, &event);
	epoll_wait(epoll, &event, 1, 0);
	look(memfd_create("memory <of> \"it\"", 0));
	look(timerfd_create(CLOCK_MONOTONIC, 0));
	sigemptyset(&none);
	look(signalfd(-1, &none, 0));
	look(inotify_init1(0));
	look(openat(AT_FDCWD, "/proc/self/ns/net", O_RDONLY));
	look(openat(AT_FDCWD, "/proc/self/ns/mnt", O_RDONLY));
}

static void internet(int family, int kind)
{
	struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
	struct sockaddr_in four = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	void *address = family == AF_INET ? (void *)&four : (void *)&six;
	socklen_t length = family == AF_INET ? sizeof(four) : sizeof(six);
	int one = look(socket(family, kind, 0)), two;

	if (bind(one, address, length))
		return; /* no such addresses here */
	look(one);
	if (kind == SOCK_STREAM)
		listen(one, 1);
	getsockname(one, address, &length);
	two = socket(family, kind, 0);
	connect(two, address, length);
	look(two);
	if (kind == SOCK_STREAM)
		look(accept(one, NULL, NULL));
	close(one);
}

static void local(void)
{
	struct sockaddr_un named = {.sun_family = AF_UNIX, .sun_path = "so<c>ket \"1\""};
	struct sockaddr_un hidden = {.sun_family = AF_UNIX, .sun_path = "\0hidden-of-a-test"};
	int pair[2], one, two;

	socketpair(AF_UNIX, SOCK_STREAM, 0, pair);
	look(pair[0]);
	socketpair(AF_UNIX, SOCK_DGRAM, 0, pair);
	look(pair[1]);
	one = look(socket(AF_UNIX, SOCK_STREAM, 0));
	bind(one, (void *)&named, sizeof(named));
	listen(one, 1);
	look(one);
	two = look(socket(AF_UNIX, SOCK_STREAM, 0));
	connect(two, (void *)&named, sizeof(named));
	look(accept(one, NULL, NULL));
	look(two);
	one = look(socket(AF_UNIX, SOCK_SEQPACKET, 0));
	bind(one, (void *)&hidden, offsetof(struct sockaddr_un, sun_path) + 17);
	look(one);
}

static void netlink(void)
{
	struct sockaddr_nl address = {.nl_family = AF_NETLINK};
	int route = look(socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE));

	bind(route, (void *)&address, sizeof(address));
	look(route);
	close(route);
}

/* A message with two descriptors, which are others when they come out. */
static void pass(int one, int two)
{
	struct iovec text = {.iov_base = "text", .iov_len = 4};
	union {
		struct cmsghdr head;
		char bytes[CMSG_SPACE(2 * sizeof(int))];
	} control = {};
	struct msghdr message = {.msg_iov = &text, .msg_iovlen = 1, .msg_control = &control,
				 .msg_controllen = CMSG_LEN(2 * sizeof(int))};
	int pair[2], numbers[] = {one, two};
	char back[8];

	control.head.cmsg_len = CMSG_LEN(sizeof(numbers));
	control.head.cmsg_level = SOL_SOCKET;
	control.head.cmsg_type = SCM_RIGHTS;
	memcpy(CMSG_DATA(&control.head), numbers, sizeof(numbers));
	socketpair(AF_UNIX, SOCK_STREAM, 0, pair);
	sendmsg(pair[0], &message, 0);
	text.iov_base = back;
	message.msg_controllen = sizeof(control);
	recvmsg(pair[1], &message, 0);
}

/* Descriptors in structures. That what they are for fails is the same for all who look. */
static void held(void)
{
	struct landlock_path_beneath_attr rule = {.allowed_access = LANDLOCK_ACCESS_FS_EXECUTE};
	union bpf_attr element = {}, attach = {};
	struct iocb block = {}, *blocks = &block;
	aio_context_t context = 0;
	int file = create("held"), ends[2];
	fd_set readable, writable;

	pipe(ends);
	poll((struct pollfd[]){{file, POLLIN, 0}, {ends[0], POLLIN, 0}, {-1, POLLIN, 0}}, 3, 0);
	poll((struct pollfd[]){{BEYOND + 1, POLLIN, 0}, {ends[1], POLLOUT, 0}}, 2, 0);
	poll((struct pollfd[]){{ends[0], POLLIN, 0}}, 1, 0);
	FD_ZERO(&readable);
	FD_ZERO(&writable);
	FD_SET(file, &readable);
	FD_SET(ends[0], &readable);
	FD_SET(ends[1], &writable);
	select(FD_SETSIZE, &readable, &writable, NULL, NULL);
	pass(file, ends[0]);
	element.map_fd = file;
	element.key = element.value = (unsigned long)&element;
	syscall(SYS_bpf, BPF_MAP_UPDATE_ELEM, &element, 32);
	element.map_fd = -1;
	syscall(SYS_bpf, BPF_MAP_UPDATE_ELEM, &element, 32);
	attach.target_fd = ends[0];
	attach.attach_bpf_fd = file;
	syscall(SYS_bpf, BPF_PROG_ATTACH, &attach, 20);
	rule.parent_fd = ends[1];
	syscall(SYS_landlock_add_rule, file, LANDLOCK_RULE_PATH_BENEATH, &rule, 0);
	block.aio_fildes = file;
	block.aio_buf = (unsigned long)&element;
	syscall(SYS_io_submit, context, 1, &blocks);
}

/* As many in one set as are not told any more. */
static void many(void)
{
	int file = create("many"), last = file;
	fd_set set;

	FD_ZERO(&set);
	while (last < 100) {
		FD_SET(last, &set);
		last = dup(file);
	}
	select(last, &set, NULL, NULL, NULL);
}

/* As deep as it is told, in folders of 250 letters: one that is longer than a path may be. */
static void deep(int depth, int letters)
{
	char name[251];

	memset(name, 'n', letters);
	name[letters] = 0;
	for (int i = 0; i < depth; i++)
		if (mkdir(name, 0700) || chdir(name))
			exit(1);
	create("file");
}

int main(int count, char **arguments)
{
	/* Those that come with it may be the same file, or none. */
	if (count < 2 || chdir(arguments[1]))
		return 1;
	if (count == 4) {
		deep(atoi(arguments[2]), atoi(arguments[3]));
		return 0;
	}
	if (count == 3) {
		many();
		return 0;
	}
	files();
	copies();
	others();
	internet(AF_INET, SOCK_STREAM);
	internet(AF_INET, SOCK_DGRAM);
	internet(AF_INET6, SOCK_STREAM);
	internet(AF_INET6, SOCK_DGRAM);
	local();
	netlink();
	held();
	return 0;
}
