/* Socket addresses, and the pairs of descriptors that calls give back. */
#include "expect.h"

union address {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
	struct sockaddr_un local;
};

static union address loopback(int family)
{
	union address address = { .any.sa_family = family };

	if (family == AF_INET)
		address.v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	else
		address.v6.sin6_addr = in6addr_loopback;
	return address;
}

static socklen_t size_of(const union address *address)
{
	return address->any.sa_family == AF_INET ? sizeof(address->v4) : sizeof(address->v6);
}

static int open_socket(int family, int type)
{
	int fd = call(SYS_socket, family, type, 0);

	expect("socket", fd, INT("domain", family), INT("type", type), INT("protocol", 0));
	if (fd < 0 && family != AF_INET6)
		die("socket", fd);
	return fd;
}

static long do_bind(int fd, const union address *address, socklen_t length)
{
	long n = must("bind", call(SYS_bind, fd, address, length));

	expect("bind", n, INT("sockfd", fd), SOCKADDR("addr", address, length),
	       INT("addrlen", length));
	return n;
}

/* `shown` is the address as expected: null where too little of it was passed. */
static long do_connect(int fd, const union address *address, socklen_t length, bool shown)
{
	long n = call(SYS_connect, fd, address, length);

	expect("connect", n, INT("sockfd", fd), SOCKADDR("addr", shown ? address : NULL, length),
	       INT("addrlen", length));
	return n;
}

static void get_name(int number, const char *event, int fd, union address *address)
{
	socklen_t length = sizeof(*address);
	long n = call(number, fd, address, &length);

	expect(event, n, INT("sockfd", fd), SOCKADDR("addr", n ? NULL : address, length),
	       POINTER("addrlen", &length));
}

static int do_accept(int fd, union address *address)
{
	socklen_t length = sizeof(*address);
	int n = must("accept", call(SYS_accept, fd, address, address ? &length : NULL));

	expect("accept", n, INT("sockfd", fd), SOCKADDR("addr", address, length),
	       POINTER("addrlen", address ? &length : NULL));
	return n;
}

static void listen_and_connect(int server, const union address *to, socklen_t length)
{
	union address peer, own;
	int client, accepted;

	expect("listen", call(SYS_listen, server, 5), INT("sockfd", server), INT("backlog", 5));
	client = open_socket(to->any.sa_family, SOCK_STREAM | SOCK_CLOEXEC);
	must("connect", do_connect(client, to, length, true));
	accepted = do_accept(server, &peer);
	get_name(SYS_getpeername, "getpeername", client, &own);
	get_name(SYS_getsockname, "getsockname", client, &own);
	call(SYS_close, accepted);
	call(SYS_close, client);

	client = open_socket(to->any.sa_family, SOCK_STREAM);
	must("connect", do_connect(client, to, length, true));
	accepted = do_accept(server, NULL);
	call(SYS_close, accepted);
	call(SYS_close, client);
	call(SYS_close, server);
}

static void stream(int family)
{
	union address address = loopback(family);
	int server = open_socket(family, SOCK_STREAM);

	do_bind(server, &address, size_of(&address));
	get_name(SYS_getsockname, "getsockname", server, &address); /* the port the kernel chose */
	listen_and_connect(server, &address, size_of(&address));
}

static void refused(void)
{
	union address address = loopback(AF_INET), peer;
	int bound = open_socket(AF_INET, SOCK_STREAM), fd;

	do_bind(bound, &address, sizeof(address.v4)); /* and does not listen */
	get_name(SYS_getsockname, "getsockname", bound, &address);
	fd = open_socket(AF_INET, SOCK_STREAM);
	do_connect(fd, &address, sizeof(address.v4), true); /* -ECONNREFUSED */
	do_connect(fd, &address, 1, false);		    /* -EINVAL: not even a family */
	do_connect(fd, NULL, sizeof(address.v4), false);    /* -EFAULT */
	get_name(SYS_getpeername, "getpeername", fd, &peer); /* -ENOTCONN */
	call(SYS_close, fd);
	call(SYS_close, bound);
}

static void local(bool abstract)
{
	union address address = { .local.sun_family = AF_UNIX };
	char *path = address.local.sun_path + abstract;
	size_t room = sizeof(address.local.sun_path) - abstract;
	int server = open_socket(AF_UNIX, SOCK_STREAM);
	socklen_t length = offsetof(struct sockaddr_un, sun_path) + abstract;

	length += snprintf(path, room, "%s.sock", scratch_directory()) + !abstract;
	do_bind(server, &address, length);
	get_name(SYS_getsockname, "getsockname", server, &address);
	listen_and_connect(server, &address, length);
	if (!abstract)
		call(SYS_unlink, path);
}

static void datagrams(int family)
{
	static const char text[] = "hello";
	union address to = loopback(family), own = loopback(family), from;
	int receiver = open_socket(family, SOCK_DGRAM), sender = open_socket(family, SOCK_DGRAM);
	socklen_t length;
	char buffer[64];
	long n;

	do_bind(receiver, &to, size_of(&to));
	get_name(SYS_getsockname, "getsockname", receiver, &to);
	do_bind(sender, &own, size_of(&own));
	for (int i = 0; i < 2; i++) {
		union address *source = i ? NULL : &from; /* then nobody asks who it was */

		n = call(SYS_sendto, sender, text, sizeof(text), MSG_NOSIGNAL, &to, size_of(&to));
		expect("sendto", n, INT("sockfd", sender), POINTER("buf", text),
		       UINT("len", sizeof(text)), INT("flags", MSG_NOSIGNAL),
		       SOCKADDR("dest_addr", &to, size_of(&to)), INT("addrlen", size_of(&to)));
		length = sizeof(from);
		n = call(SYS_recvfrom, receiver, buffer, sizeof(buffer), 0, source,
			 source ? &length : NULL);
		expect("recvfrom", n, INT("sockfd", receiver), POINTER("buf", buffer),
		       UINT("len", sizeof(buffer)), INT("flags", 0),
		       SOCKADDR("src_addr", source, length),
		       POINTER("addrlen", source ? &length : NULL));
	}
	n = call(SYS_recvfrom, receiver, buffer, sizeof(buffer), MSG_DONTWAIT, &from, &length);
	expect("recvfrom", n, INT("sockfd", receiver), POINTER("buf", buffer),
	       UINT("len", sizeof(buffer)), INT("flags", MSG_DONTWAIT),
	       SOCKADDR("src_addr", NULL, 0), POINTER("addrlen", &length));
	call(SYS_close, sender);
	call(SYS_close, receiver);
}

static void sockets(void)
{
	union address probe = loopback(AF_INET6);
	int pair[2];
	long n;

	stream(AF_INET);
	datagrams(AF_INET);
	refused();
	/* Is there IPv6? A socket alone does not tell; without one, connect fails as well. */
	n = open_socket(AF_INET6, SOCK_DGRAM);
	if (do_connect(n, &probe, sizeof(probe.v6), true) == 0) {
		stream(AF_INET6);
		datagrams(AF_INET6);
	}
	call(SYS_close, n);
	local(false);
	local(true);

	n = call(SYS_socketpair, AF_UNIX, SOCK_SEQPACKET, 0, pair);
	expect("socketpair", n, INT("domain", AF_UNIX), INT("type", SOCK_SEQPACKET),
	       INT("protocol", 0), INTS("sv", pair));
	n = call(SYS_socketpair, AF_INET, SOCK_STREAM, 0, pair); /* -EOPNOTSUPP */
	expect("socketpair", n, INT("domain", AF_INET), INT("type", SOCK_STREAM),
	       INT("protocol", 0), INTS("sv", NULL));
	n = call(SYS_pipe, pair);
	expect("pipe", n, INTS("pipefd", pair));
	n = call(SYS_pipe2, pair, O_CLOEXEC | O_NONBLOCK);
	expect("pipe2", n, INTS("pipefd", pair), INT("flags", O_CLOEXEC | O_NONBLOCK));
}
