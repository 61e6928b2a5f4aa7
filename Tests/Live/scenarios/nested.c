/* System calls with pointers in structures. What is shown of each is in faults_decoding.py, by the same names: the marks
 * are calls of their own.
 *
 *	gcc -static -O1 -o nested nested.c && ./nested
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define PLACE 0x10000000L
#define KERNEL 0xffff888000000000L

/* What comes next: a path of its own. */
static void mark(const char *name)
{
	syscall(SYS_unlink, name);
}

int main(void)
{
	struct sockaddr_in name = {.sin_family = AF_INET, .sin_port = htons(53), .sin_addr.s_addr = htonl(0x7f000001)};
	char *page = mmap((void *)PLACE, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE,
			  -1, 0);
	char few[4], more[20], none[4], one[16], two[16];
	struct iovec hello = {"hello ", 6}, many[100];
	struct iovec buffers[3] = {hello, {"wor\nld", 6}, {0, 0}};
	struct iovec room[3] = {{few, 4}, {more, 20}, {none, 4}};
	struct iovec nowhere[3] = {{(void *)8, 4}, {(void *)KERNEL, 4}, hello};
	struct iovec much[2] = {{page, 4096}, {page + 4095, -1}};
	struct iovec first = {"two", 3}, second = {"three", 5}, in = {one, 16}, other = {two, 16};
	struct msghdr message = {.msg_name = &name, .msg_namelen = sizeof(name), .msg_iov = &hello, .msg_iovlen = 1};
	struct msghdr wrong = {.msg_name = (void *)8, .msg_namelen = 16, .msg_iov = (void *)8, .msg_iovlen = 1000000};
	struct msghdr get = {.msg_iov = &in, .msg_iovlen = 1};
	struct mmsghdr send[2] = {{.msg_hdr = {.msg_iov = &first, .msg_iovlen = 1}},
				  {.msg_hdr = {.msg_iov = &second, .msg_iovlen = 1}}};
	struct mmsghdr receive[2] = {{.msg_hdr = {.msg_iov = &in, .msg_iovlen = 1}},
				     {.msg_hdr = {.msg_iov = &other, .msg_iovlen = 1}}};
	int ends[2], pair[2];

	if (page != (char *)PLACE)
		return 1;
	memset(page, 'A', 4096);
	for (int i = 0; i < 100; i++)
		many[i] = (struct iovec){page, 1};
	for (int i = 3; i < 16; i++)
		close(i);
	/* 3 is where a pipe is read, 4 and 5 the ends of a socket pair. */
	if (pipe(ends) || write(ends[1], "hello wo", 8) != 8 || dup2(ends[1], 10) != 10 || close(ends[1]) ||
	    socketpair(AF_UNIX, SOCK_DGRAM, 0, pair) || ends[0] != 3 || pair[0] != 4 || pair[1] != 5)
		return 2;

	mark("buffers");
	syscall(SYS_writev, -1, buffers, 3);
	mark("room");
	syscall(SYS_readv, 3, room, 3);
	mark("room that is not filled");
	syscall(SYS_readv, -1, room, 1);
	mark("no room");
	syscall(SYS_writev, -1, nowhere, 3);
	mark("much");
	syscall(SYS_writev, -1, much, 2);
	mark("many");
	syscall(SYS_writev, -1, many, 100);

	mark("a message");
	syscall(SYS_sendmsg, -1, &message, 0);
	mark("a message without name");
	syscall(SYS_sendmsg, -1, &wrong, 0);
	if (write(5, "one", 3) != 3)
		return 3;
	mark("a message that comes");
	syscall(SYS_recvmsg, 4, &get, 0);
	mark("messages");
	syscall(SYS_sendmmsg, 5, send, 2, 0);
	mark("messages that come");
	syscall(SYS_recvmmsg, 4, receive, 2, 0, 0);
	return 0;
}
