/* Sockets, each of three families. */
#include "known.h"

union address {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
	struct sockaddr_un local;
};

struct place {
	union address address;
	socklen_t length;
};

static const int families[] = { AF_INET, AF_INET6, AF_UNIX };

/* Where to bind: the port is the kernel's choice. */
static struct place place_for(int family, const char *name)
{
	struct place place = { .address.any.sa_family = family };

	if (family == AF_INET) {
		place.address.v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
		place.length = sizeof(place.address.v4);
	} else if (family == AF_INET6) {
		place.address.v6.sin6_addr = in6addr_loopback;
		place.length = sizeof(place.address.v6);
	} else {
		strcpy(place.address.local.sun_path, at_home(name));
		place.length = offsetof(struct sockaddr_un, sun_path) + strlen(at_home(name)) + 1;
	}
	return place;
}

static struct place own_place(int fd)
{
	struct place place = { .length = sizeof(place.address) };

	must("getsockname", call(SYS_getsockname, fd, &place.address, &place.length));
	return place;
}

#define PLACED(n, p) SOCKADDR(n, &(p).address, (p).length)

/* A listening socket, or -1 where the family is not to be had. */
static int server_of(int family, const char *name, struct place *place)
{
	int fd = call(SYS_socket, family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -1;
	*place = place_for(family, name);
	if (call(SYS_bind, fd, &place->address, place->length) < 0) {
		call(SYS_close, fd);
		return -1;
	}
	*place = own_place(fd);
	must("listen", call(SYS_listen, fd, 5));
	return fd;
}

static int client_of(const struct place *server)
{
	int fd = must("socket", call(SYS_socket, server->address.any.sa_family, SOCK_STREAM, 0));

	must("connect", call(SYS_connect, fd, &server->address, server->length));
	return fd;
}

static void each_family(const char *event, const char *name,
			void (*body)(int, const struct place *))
{
	static const char *const names[] = { "AF_INET", "AF_INET6", "AF_UNIX" };

	for (int i = 0; i < 3; i++) {
		struct place place;
		int fd = server_of(families[i], name, &place);

		about(names[i]);
		if (fd < 0) {
			skipped(event, "no such sockets here");
			continue;
		}
		body(fd, &place);
		call(SYS_close, fd);
	}
	about(NULL);
}

static void security_socket_create(void)
{
	for (int i = 0; i < 3; i++) {
		int fd = call(SYS_socket, families[i], SOCK_STREAM | SOCK_CLOEXEC, 0);

		if (fd < 0)
			continue;
		call(SYS_close, fd);
		seen("security_socket_create", INT("family", families[i]), INT("type", SOCK_STREAM),
		     INT("protocol", 0), INT("kern", 0));
	}
	call(SYS_close, call(SYS_socket, AF_INET, SOCK_DGRAM, IPPROTO_UDP));
	seen("security_socket_create", INT("family", AF_INET), INT("type", SOCK_DGRAM),
	     INT("protocol", IPPROTO_UDP), INT("kern", 0));
	call(SYS_socket, 45, SOCK_STREAM, 0); /* no such family: no check */
}

static void listened(int fd, const struct place *place)
{
	must("listen", call(SYS_listen, fd, 9));
	seen("security_socket_listen", INT("sockfd", fd), PLACED("local_addr", *place),
	     INT("backlog", 9));
}

static void security_socket_listen(void)
{
	each_family("security_socket_listen", "listen.sock", listened);
}

static void connected(int fd, const struct place *place)
{
	int client = must("socket", call(SYS_socket, place->address.any.sa_family, SOCK_STREAM, 0));

	(void)fd;
	must("connect", call(SYS_connect, client, &place->address, place->length));
	seen("security_socket_connect", INT("sockfd", client), INT("type", SOCK_STREAM),
	     PLACED("remote_addr", *place));
	call(SYS_close, client);
}

static void security_socket_connect(void)
{
	struct place place = place_for(AF_INET, "");
	int fd;

	each_family("security_socket_connect", "connect.sock", connected);
	fd = must("socket", call(SYS_socket, AF_INET, SOCK_DGRAM, 0));
	place.address.v4.sin_port = htons(9);
	must("connect", call(SYS_connect, fd, &place.address, place.length));
	seen("security_socket_connect", INT("sockfd", fd), INT("type", SOCK_DGRAM),
	     PLACED("remote_addr", place));
	call(SYS_close, fd);
}

/* Both ways to accept. */
static void accept_twice(int fd, const struct place *place, bool checks)
{
	for (int i = 0; i < 2; i++) {
		int client = client_of(place), accepted;
		struct place own = own_place(client);

		accepted = must("accept", i ? call(SYS_accept4, fd, NULL, NULL, SOCK_CLOEXEC) :
					      call(SYS_accept, fd, NULL, NULL));
		if (checks)
			seen("security_socket_accept", INT("sockfd", fd), PLACED("local_addr", *place));
		else if (place->address.any.sa_family == AF_UNIX) /* whose client has no name */
			seen("socket_accept", INT("sockfd", fd), PLACED("local_addr", *place));
		else
			seen("socket_accept", INT("sockfd", fd), PLACED("local_addr", *place),
			     PLACED("remote_addr", own));
		call(SYS_close, accepted);
		call(SYS_close, client);
	}
}

static void checks_accept(int fd, const struct place *place)
{
	accept_twice(fd, place, true);
}

static void accepts(int fd, const struct place *place)
{
	accept_twice(fd, place, false);
}

static void security_socket_accept(void)
{
	each_family("security_socket_accept", "check.sock", checks_accept);
}

static void socket_accept(void)
{
	int fd = must("socket", call(SYS_socket, AF_INET, SOCK_STREAM, 0));

	each_family("socket_accept", "accept.sock", accepts);
	call(SYS_accept, fd, NULL, NULL); /* -EINVAL: it does not listen */
	call(SYS_close, fd);
}

static void security_socket_bind(void)
{
	for (int i = 0; i < 3; i++) {
		int fd = call(SYS_socket, families[i], SOCK_STREAM, 0);
		struct place place = place_for(families[i], "bind.sock");

		if (fd < 0)
			continue;
		/* The check comes before IPv6 finds that there is no ::1. */
		call(SYS_bind, fd, &place.address, place.length);
		seen("security_socket_bind", INT("sockfd", fd), PLACED("local_addr", place));
		call(SYS_close, fd);
	}
}

static void sets_option(int fd, const struct place *place)
{
	int value = 1;

	must("setsockopt", call(SYS_setsockopt, fd, SOL_SOCKET, SO_KEEPALIVE, &value, sizeof(value)));
	seen("security_socket_setsockopt", INT("sockfd", fd), INT("level", SOL_SOCKET),
	     INT("optname", SO_KEEPALIVE), PLACED("local_addr", *place));
}

static void security_socket_setsockopt(void)
{
	each_family("security_socket_setsockopt", "option.sock", sets_option);
}

static void duplicated(int fd, const struct place *place)
{
	int client = client_of(place);
	int copies[3], targets[] = { -1, 100, 101 };

	(void)fd;
	copies[0] = must("dup", call(SYS_dup, client));
	copies[1] = must("dup2", call(SYS_dup2, client, targets[1]));
	copies[2] = must("dup3", call(SYS_dup3, client, targets[2], O_CLOEXEC));
	for (int i = 0; i < 3; i++) {
		seen("socket_dup", INT("oldfd", client), INT("newfd", copies[i]),
		     PLACED("remote_addr", *place));
		call(SYS_close, copies[i]);
	}
	/* Seen by a hook on a function, which a host may lack. */
	if (in_vm()) {
		copies[0] = must("F_DUPFD", call(SYS_fcntl, client, F_DUPFD_CLOEXEC, 120));
		seen("socket_dup", INT("oldfd", client), INT("newfd", copies[0]),
		     PLACED("remote_addr", *place));
		call(SYS_close, copies[0]);
	}
	call(SYS_close, client);
}

static void dup_no_sockets(void)
{
	int fd = new_file(at_home("dup"), "");

	must("dup2", call(SYS_dup2, fd, 150));
	must("dup3", call(SYS_dup3, fd, 151, 0));
	call(SYS_dup2, 199, 152); /* -EBADF */
	never("socket_dup"); /* of any kind, in this process */
}

static void socket_dup(void)
{
	each_family("socket_dup", "dup.sock", duplicated);
	in_child(dup_no_sockets);
}
