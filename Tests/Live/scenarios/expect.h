/* System calls as they are, and expected events as one JSON line each on stdout.
 *
 * Nothing here calls libc's wrappers: they may turn one call into another. Printing is one write(2)
 * a line, so that lines of several processes do not mix. */
#ifndef EXPECT_H
#define EXPECT_H

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

/* The return value is the kernel's: a negative errno on failure. */
static inline long raw_call(long number, long a, long b, long c, long d, long e, long f)
{
	register long r10 asm("r10") = d, r8 asm("r8") = e, r9 asm("r9") = f;
	long result;

	asm volatile("syscall"
		     : "=a"(result)
		     : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
		     : "rcx", "r11", "memory");
	return result;
}

#define call_(nr, a, b, c, d, e, f, ...)                                                           \
	raw_call(nr, (long)(a), (long)(b), (long)(c), (long)(d), (long)(e), (long)(f))
#define call(...) call_(__VA_ARGS__, 0, 0, 0, 0, 0, 0)

static void die(const char *what, long result)
{
	fprintf(stderr, "scenario: %s: %s\n", what, result < 0 ? strerror(-result) : "unexpected");
	call(SYS_exit_group, 1);
	__builtin_unreachable();
}

/* For a call that the scenario cannot do without. */
static long must(const char *what, long result)
{
	if (result < 0)
		die(what, result);
	return result;
}

struct value {
	const char *name;
	enum { SIGNED = 1, UNSIGNED, ADDRESS, TRUTH, TEXT, TEXTS, PAIR, SOCKET, TIME } kind;
	long number; /* or a length */
	const void *at;
};

/* One for each type of field. Where `p` is NULL, the value is expected to be null. */
#define INT(n, v)		{ n, SIGNED, (long)(v), NULL }
#define UINT(n, v)		{ n, UNSIGNED, (long)(v), NULL }
#define POINTER(n, p)		{ n, ADDRESS, (long)(p), NULL }
#define BOOL(n, v)		{ n, TRUTH, v, NULL }
#define STRING(n, p)		{ n, TEXT, -1, p }
#define STRINGN(n, p, length)	{ n, TEXT, length, p }
#define STRINGS(n, p)		{ n, TEXTS, -1, p }
#define STRINGSN(n, p, count)	{ n, TEXTS, count, p }
#define INTS(n, p)		{ n, PAIR, 2, p }
#define SOCKADDR(n, p, length)	{ n, SOCKET, length, p }
#define TIMESPEC(n, p)		{ n, TIME, 0, p }

/* Who is said to have made the calls, and more keys for the lines to come: `,"key":value`. */
static int as_pid, as_tid;
static const char *extra = "";

static char line[1 << 17];
static size_t line_length;

__attribute__((format(printf, 1, 2))) static void put(const char *format, ...)
{
	va_list list;

	va_start(list, format);
	line_length += vsnprintf(line + line_length, sizeof(line) - line_length, format, list);
	va_end(list);
	if (line_length >= sizeof(line))
		die("line too long", 0);
}

/* `text` is valid UTF-8. */
static void put_string(const char *text, size_t length)
{
	put("\"");
	for (size_t i = 0; i < length; i++) {
		unsigned char c = text[i];

		if (c < ' ' || c == '"' || c == '\\' || c == 0x7f)
			put("\\u%04x", c);
		else
			put("%c", c);
	}
	put("\"");
}

static void put_strings(const char *const *strings, long count)
{
	put("[");
	for (long i = 0; i != count && strings[i]; i++) {
		put(i ? "," : "");
		put_string(strings[i], strlen(strings[i]));
	}
	put("]");
}

static void put_socket_address(const struct sockaddr *address, size_t length)
{
	const struct sockaddr_in *v4 = (const void *)address;
	const struct sockaddr_in6 *v6 = (const void *)address;
	const struct sockaddr_un *local = (const void *)address;
	char text[INET6_ADDRSTRLEN];

	if (address->sa_family == AF_INET) {
		inet_ntop(AF_INET, &v4->sin_addr, text, sizeof(text));
		put("{\"sa_family\":\"AF_INET\",\"sin_addr\":\"%s\",\"sin_port\":%d}", text,
		    ntohs(v4->sin_port));
	} else if (address->sa_family == AF_INET6) {
		inet_ntop(AF_INET6, &v6->sin6_addr, text, sizeof(text));
		put("{\"sa_family\":\"AF_INET6\",\"sin6_addr\":\"%s\",\"sin6_port\":%d", text,
		    ntohs(v6->sin6_port));
		put(",\"sin6_flowinfo\":%u,\"sin6_scopeid\":%u}", ntohl(v6->sin6_flowinfo),
		    v6->sin6_scope_id);
	} else {
		size_t offset = offsetof(struct sockaddr_un, sun_path);
		size_t bytes = length - offset;

		put("{\"sa_family\":\"AF_UNIX\",\"sun_path\":");
		if (length <= offset) { /* unnamed */
			put("\"\"");
		} else if (local->sun_path[0]) {
			put_string(local->sun_path, strnlen(local->sun_path, bytes));
		} else { /* abstract: the name is all bytes behind the first, usually shown as @ */
			char name[sizeof(local->sun_path)];

			memcpy(name, local->sun_path, bytes);
			name[0] = '@';
			put_string(name, bytes);
		}
		put("}");
	}
}

static void put_value(const struct value *value)
{
	const struct timespec *time = value->at;

	put("\"%s\":", value->name);
	if (value->kind == SIGNED)
		put("%ld", value->number);
	else if (value->kind == UNSIGNED)
		put("%lu", value->number);
	else if (value->kind == ADDRESS)
		put("\"0x%lx\"", value->number);
	else if (value->kind == TRUTH)
		put(value->number ? "true" : "false");
	else if (!value->at)
		put("null");
	else if (value->kind == TEXT)
		put_string(value->at,
			   value->number < 0 ? strlen(value->at) : (size_t)value->number);
	else if (value->kind == TEXTS)
		put_strings(value->at, value->number);
	else if (value->kind == PAIR)
		put("[%d,%d]", ((int *)value->at)[0], ((int *)value->at)[1]);
	else if (value->kind == SOCKET)
		put_socket_address(value->at, value->number);
	else
		put("%ld.%09ld", time->tv_sec, time->tv_nsec);
}

static void write_line(void)
{
	put("\n");
	for (size_t done = 0; done < line_length;)
		done += must("write", call(SYS_write, 1, line + done, line_length - done));
	line_length = 0;
}

static void print_event(const char *event, const struct value *values)
{
	put("{\"event\":\"%s\",\"data\":{", event);
	for (const struct value *value = values; value->name; value++) {
		put(value == values ? "" : ",");
		put_value(value);
	}
	put("},\"pid\":%d,\"tid\":%d%s}", as_pid, as_tid, extra);
	write_line();
}

/* An event with these fields. */
#define expect_event(event, ...) print_event(event, (struct value[]){ __VA_ARGS__, { 0 } })

/* A system call that returned `result`. */
#define expect(event, result, ...)                                                                 \
	expect_event(event, __VA_ARGS__ __VA_OPT__(, ) INT("returnValue", result))

/* Without libc's fork, which is a clone with arguments of its own. The child speaks for itself. */
static int fork_scenario(void)
{
	int pid = must("fork", call(SYS_fork));

	if (pid == 0)
		as_pid = as_tid = call(SYS_gettid);
	return pid;
}

static void quit(int status)
{
	call(SYS_exit_group, status);
	__builtin_unreachable();
}

/* A fresh directory's path. The number of the process makes it unique. */
static const char *scratch_directory(void)
{
	static char path[64];

	snprintf(path, sizeof(path), "/tmp/apus-scenario-%d", as_pid);
	return path;
}

static const char *in_scratch(const char *name)
{
	static char paths[8][128];
	static int next;
	char *path = paths[next++ % 8];

	snprintf(path, sizeof(paths[0]), "%s/%s", scratch_directory(), name);
	return path;
}

#endif
