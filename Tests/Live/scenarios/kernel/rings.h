/* io_uring by its three system calls: one ring, one operation at a time. */
#include "known.h"

#include <linux/io_uring.h>

static struct ring {
	int fd;
	char *queue, *results;
	struct io_uring_sqe *entries;
	struct io_uring_params at;
} ring;

#define RING_WORD(base, offset) (*(volatile unsigned int *)((base) + (offset)))

static void *map_ring(unsigned long offset, size_t size)
{
	return (void *)must("mmap", call(SYS_mmap, NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED,
					 ring.fd, offset));
}

static bool open_ring(void)
{
	memset(&ring, 0, sizeof(ring));
	ring.fd = call(SYS_io_uring_setup, 4, &ring.at);
	if (ring.fd < 0)
		return false;
	ring.queue = map_ring(IORING_OFF_SQ_RING, ring.at.sq_off.array + ring.at.sq_entries * 4);
	ring.results = map_ring(IORING_OFF_CQ_RING, ring.at.cq_off.cqes +
				ring.at.cq_entries * sizeof(struct io_uring_cqe));
	ring.entries = map_ring(IORING_OFF_SQES, ring.at.sq_entries * sizeof(struct io_uring_sqe));
	return true;
}

#define MARK 0x1122334455667788ul /* user_data */

/* Submits, waits and returns the result. */
static int submit(int opcode, int fd, const void *address, unsigned int length, unsigned long offset,
		  unsigned int flags)
{
	unsigned int tail = RING_WORD(ring.queue, ring.at.sq_off.tail);
	unsigned int slot = tail & RING_WORD(ring.queue, ring.at.sq_off.ring_mask);
	unsigned int head = RING_WORD(ring.results, ring.at.cq_off.head);
	unsigned int mask = RING_WORD(ring.results, ring.at.cq_off.ring_mask);
	struct io_uring_cqe *result = (void *)(ring.results + ring.at.cq_off.cqes);

	ring.entries[slot] = (struct io_uring_sqe){
		.opcode = opcode, .fd = fd, .addr = (unsigned long)address, .len = length,
		.off = offset, .open_flags = flags, .user_data = MARK,
	};
	RING_WORD(ring.queue, ring.at.sq_off.array + slot * 4) = slot;
	__sync_synchronize();
	RING_WORD(ring.queue, ring.at.sq_off.tail) = tail + 1;
	must("io_uring_enter",
	     call(SYS_io_uring_enter, ring.fd, 1, 1, IORING_ENTER_GETEVENTS, NULL, 0));
	result += head & mask;
	RING_WORD(ring.results, ring.at.cq_off.head) = head + 1;
	return result->res;
}

#define SUBMITTED(operation, ...)                                                                  \
	seen("io_uring_submit", INT("opcode", operation), UINT("user_data", MARK),                 \
	     BOOL("polled", false), __VA_ARGS__)

static void submit_all(void)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
				       .sin_port = htons(9) };
	const char *path = at_home("ring"), *other = at_home("ring-renamed");
	char buffer[16];
	int fd, socket;

	if (!open_ring()) {
		skipped("io_uring_submit", "no io_uring");
		return;
	}
	about("openat");
	fd = submit(IORING_OP_OPENAT, AT_FDCWD, path, 0600, 0, O_RDWR | O_CREAT);
	must("openat", fd);
	SUBMITTED(IORING_OP_OPENAT, INT("fd", AT_FDCWD), STRING("path", path));
	about("write");
	must("write", submit(IORING_OP_WRITE, fd, "hello", 5, 0, 0));
	SUBMITTED(IORING_OP_WRITE, INT("fd", fd), STRING("path", NULL));
	about("read");
	if (must("read", submit(IORING_OP_READ, fd, buffer, 5, 0, 0)) != 5 ||
	    memcmp(buffer, "hello", 5))
		die("io_uring read", 0);
	SUBMITTED(IORING_OP_READ, INT("fd", fd));
	about("connect");
	socket = must("socket", call(SYS_socket, AF_INET, SOCK_DGRAM, 0));
	must("connect", submit(IORING_OP_CONNECT, socket, &address, 0, sizeof(address), 0));
	SUBMITTED(IORING_OP_CONNECT, INT("fd", socket), SOCKADDR("address", &address, sizeof(address)));
	/* Since 5.11; sqe->len is the directory of the new path. */
	if (submit(IORING_OP_RENAMEAT, AT_FDCWD, path, AT_FDCWD, (unsigned long)other, 0) == 0) {
		about("renameat");
		SUBMITTED(IORING_OP_RENAMEAT, INT("fd", AT_FDCWD), STRING("path", path),
			  STRING("new_path", other));
		about("unlinkat");
		must("unlinkat", submit(IORING_OP_UNLINKAT, AT_FDCWD, other, 0, 0, 0));
		SUBMITTED(IORING_OP_UNLINKAT, INT("fd", AT_FDCWD), STRING("path", other));
	}
	call(SYS_close, socket);
	call(SYS_close, fd);
	call(SYS_close, ring.fd);
}

static void io_uring_submit(void)
{
	in_child(submit_all);
}
