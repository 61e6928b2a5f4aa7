/* A server that waits with epoll, poll and select, and its client, over TCP, UDP, Unix and pair sockets. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/select.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

static void client(struct sockaddr_in6 *to)
{
	int connection = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int one = 1;
	setsockopt(connection, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	struct timeval second = {1, 0};
	setsockopt(connection, SOL_SOCKET, SO_RCVTIMEO, &second, sizeof second);
	if (connect(connection, (struct sockaddr *)to, sizeof *to) != 0) exit(1);
	char answer[64];
	for (int i = 0; i < 10; i++) {
		struct iovec parts[] = {{"hello ", 6}, {"server\n", 7}};
		if (writev(connection, parts, 2) != 13) exit(1);
		if (recv(connection, answer, sizeof answer, 0) != 13) exit(1);
	}
	shutdown(connection, SHUT_WR);
	recv(connection, answer, sizeof answer, 0);
	exit(0);
}

static void serve(void)
{
	int listener = socket(AF_INET6, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP);
	int one = 1;
	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
	struct sockaddr_in6 here = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
	socklen_t length = sizeof here;
	bind(listener, (struct sockaddr *)&here, sizeof here);
	listen(listener, 5);
	getsockname(listener, (struct sockaddr *)&here, &length);
	pid_t child = fork();
	if (child == 0) client(&here);

	int poller = epoll_create1(EPOLL_CLOEXEC);
	struct epoll_event interest = {.events = EPOLLIN | EPOLLET, .data.fd = listener};
	epoll_ctl(poller, EPOLL_CTL_ADD, listener, &interest);
	sigset_t none;
	sigemptyset(&none);
	sigaddset(&none, SIGCHLD);
	for (int is_open = 1; is_open;) {
		struct epoll_event ready[8];
		int count = epoll_pwait(poller, ready, 8, 5000, &none);
		for (int i = 0; i < count; i++) {
			if (ready[i].data.fd == listener) {
				struct sockaddr_in6 peer;
				length = sizeof peer;
				int connection = accept4(listener, (struct sockaddr *)&peer, &length, SOCK_NONBLOCK);
				interest = (struct epoll_event){.events = EPOLLIN | EPOLLRDHUP, .data.fd = connection};
				epoll_ctl(poller, EPOLL_CTL_ADD, connection, &interest);
				continue;
			}
			char bytes[64];
			ssize_t got = read(ready[i].data.fd, bytes, sizeof bytes);
			if (got > 0) {
				send(ready[i].data.fd, bytes, (size_t)got, MSG_NOSIGNAL);
			} else {
				int error;
				length = sizeof error;
				getsockopt(ready[i].data.fd, SOL_SOCKET, SO_ERROR, &error, &length);
				close(ready[i].data.fd);
				is_open = 0;
			}
		}
	}
	siginfo_t how;
	waitid(P_PID, (id_t)child, &how, WEXITED);
	epoll_wait(poller, &interest, 1, 0);
}

static void datagrams(void)
{
	int server = socket(AF_INET, SOCK_DGRAM, 0), sender = socket(AF_INET, SOCK_DGRAM, IPPROTO_UDP);
	struct sockaddr_in here = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t length = sizeof here;
	bind(server, (struct sockaddr *)&here, sizeof here);
	getsockname(server, (struct sockaddr *)&here, &length);
	for (int i = 0; i < 3; i++) {
		sendto(sender, "datagram", 8, 0, (struct sockaddr *)&here, sizeof here);
		struct pollfd waits[] = {{server, POLLIN | POLLPRI, 0}, {sender, POLLIN, 0}};
		poll(waits, 2, 1000);
		ppoll(waits, 2, &(struct timespec){1, 0}, NULL);
		fd_set reads;
		FD_ZERO(&reads);
		FD_SET(server, &reads);
		select(server + 1, &reads, NULL, NULL, &(struct timeval){1, 0});
		char bytes[32];
		struct sockaddr_in peer;
		struct iovec part = {bytes, sizeof bytes};
		struct msghdr message = {.msg_name = &peer, .msg_namelen = sizeof peer, .msg_iov = &part, .msg_iovlen = 1};
		recvmsg(server, &message, 0);
		recvfrom(server, bytes, sizeof bytes, MSG_DONTWAIT, (struct sockaddr *)&peer, &length);
	}
	struct mmsghdr many[2];
	struct iovec parts[] = {{"one", 3}, {"three", 5}};
	memset(many, 0, sizeof many);
	for (int i = 0; i < 2; i++) {
		many[i].msg_hdr = (struct msghdr){
			.msg_name = &here, .msg_namelen = sizeof here, .msg_iov = &parts[i], .msg_iovlen = 1};
	}
	sendmmsg(sender, many, 2, 0);
}

static void local(void)
{
	int pair[2];
	socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair);
	int pipes[2];
	pipe2(pipes, O_CLOEXEC | O_NONBLOCK);
	struct iovec part = {"x", 1};
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control;
	struct msghdr message = {
		.msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
	control.header = (struct cmsghdr){.cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(sizeof(int))};
	memcpy(CMSG_DATA(&control.header), &pipes[0], sizeof(int));
	sendmsg(pair[0], &message, MSG_NOSIGNAL);
	char byte;
	part.iov_base = &byte;
	message.msg_controllen = sizeof control;
	recvmsg(pair[1], &message, MSG_CMSG_CLOEXEC);
	struct ucred credentials;
	socklen_t length = sizeof credentials;
	getsockopt(pair[0], SOL_SOCKET, SO_PEERCRED, &credentials, &length);

	struct sockaddr_un name = {.sun_family = AF_UNIX, .sun_path = "server.socket"};
	int listener = socket(AF_UNIX, SOCK_SEQPACKET, 0);
	bind(listener, (struct sockaddr *)&name, sizeof name);
	listen(listener, 1);
	unlink("server.socket");
	connect(listener, (struct sockaddr *)&name, sizeof name);

	int counter = eventfd(3, EFD_NONBLOCK);
	eventfd_t value;
	eventfd_read(counter, &value);
	int timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
	struct itimerspec when = {.it_value = {0, 1000000}};
	timerfd_settime(timer, 0, &when, NULL);
	read(timer, &value, sizeof value);
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	signalfd(-1, &set, SFD_CLOEXEC);
	fcntl(pipes[0], F_SETPIPE_SZ, 65536);
	fcntl(pair[0], F_SETFL, O_NONBLOCK);
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 10};
	int file = open("lock", O_RDWR | O_CREAT | O_EXCL, 0600);
	fcntl(file, F_SETLK, &lock);
	fcntl(file, F_GETLK, &lock);
}

int main(void)
{
	serve();
	datagrams();
	local();
	return 0;
}
