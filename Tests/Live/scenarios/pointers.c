/* System calls with pointers, lengths and flags that are wrong in every way. What is shown of each is in
 * faults_decoding.py, by the same names: the marks are calls of their own.
 *
 *	gcc -static -O1 -o pointers pointers.c && ./pointers
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define PAGE 4096L
#define PLACE 0x10000000L       /* two pages, of which the second is not there */
#define KERNEL 0xffff888000000000L
#define ABOVE(value) (0x7fL << 32 | (value)) /* bits of which the kernel takes none, above a number of 32 */

static long call(long number, long a, long b, long c, long d, long e)
{
	return syscall(number, a, b, c, d, e, 0);
}

/* What comes next: a path of its own. */
static void mark(const char *name)
{
	call(SYS_unlink, (long)name, 0, 0, 0, 0);
}

int main(void)
{
	char *page = mmap((void *)PLACE, 2 * PAGE, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
	char *end = page + PAGE;

	if (page != (char *)PLACE)
		return 1;
	munmap(end, PAGE);
	memset(page, 'A', PAGE);

	mark("null path");
	call(SYS_openat, AT_FDCWD, 0, O_RDONLY, 0, 0);
	mark("unmapped path");
	call(SYS_openat, AT_FDCWD, 8, O_RDONLY, 0, 0);
	mark("kernel path");
	call(SYS_openat, AT_FDCWD, KERNEL, O_RDONLY, 0, 0);
	mark("path without end");
	call(SYS_openat, AT_FDCWD, (long)end - 16, O_RDONLY, 0, 0);
	mark("unknown flags");
	call(SYS_openat, AT_FDCWD, (long)"/nosuch", 0x80000000L | O_CLOEXEC, 0, 0);
	mark("unknown command");
	call(SYS_fcntl, 0, 4711, 0, 0, 0);

	memset(page, 0, PAGE);
	mark("unaligned structures");
	page[1] = 1; /* fd 1 */
	page[5] = 4; /* POLLOUT */
	call(SYS_poll, (long)page + 1, 1, 0, 0, 0);
	mark("structures half in memory");
	call(SYS_poll, (long)end - 4, 1, 0, 0, 0);
	memset(page, 0, PAGE);
	mark("too many structures");
	call(SYS_writev, 1, (long)page, 5000, 0, 0);
	mark("less than no structures");
	call(SYS_writev, 1, (long)page, -1, 0, 0);
	mark("no structures");
	call(SYS_writev, 1, (long)page, 0, 0, 0);
	mark("null structures");
	call(SYS_writev, 1, 0, 1, 0, 0);
	mark("output to the kernel");
	call(SYS_fstat, 0, KERNEL, 0, 0, 0);
	mark("output to nothing");
	call(SYS_uname, 0, 0, 0, 0, 0);

	mark("a set that is too small");
	page[0] = 2; /* SIGINT */
	call(SYS_rt_sigprocmask, 0, (long)page, 0, 4, 0);
	mark("a set that is too large");
	call(SYS_rt_sigprocmask, 0, (long)page, 0, PAGE * PAGE, 0);
	mark("a structure with a size of nothing");
	call(SYS_openat2, AT_FDCWD, (long)"/nosuch", (long)page, 0, 0);
	mark("a structure that is cut");
	call(SYS_openat2, AT_FDCWD, (long)"/nosuch", (long)page, 12, 0);

	mark("a buffer of all memory");
	call(SYS_write, 1, (long)page, -1, 0, 0);
	mark("a buffer of nothing");
	call(SYS_write, 1, (long)page, 0, 0, 0);
	mark("a buffer that ends early");
	memset(page, 'B', PAGE);
	call(SYS_write, 9, (long)end - 3, 64, 0, 0);

	memset(page, 0, PAGE);
	page[0] = 1; /* AF_UNIX */
	memcpy(page + 2, "/nosuch", 7);
	mark("a request with more bits");
	call(SYS_ioctl, -1, -1L << 32 | 0x80045430L, (long)page, 0, 0); /* TIOCGPTN, as an int */
	mark("a number of structures with more bits");
	call(SYS_semop, -1, (long)page, ABOVE(1), 0, 0);
	mark("a size with more bits");
	call(SYS_sched_setaffinity, 0x7fffffff, ABOVE(8), (long)page, 0, 0);
	mark("a persona with more bits");
	call(SYS_personality, ABOVE(0xffffffffL), 0, 0, 0, 0);
	mark("room with more bits");
	call(SYS_readlink, (long)"/nosuch", (long)page, ABOVE(16), 0, 0);
	mark("room of less than nothing");
	call(SYS_readlink, (long)"/nosuch", (long)page, -1, 0, 0);
	mark("the length of an address with more bits");
	call(SYS_bind, -1, (long)page, ABOVE(6), 0, 0);
	mark("a number of polled with more bits");
	call(SYS_poll, (long)page, ABOVE(1), 0, 0, 0);

	/* As what was read of field 0 lies in a record: number, count and length, then the bytes. */
	mark("registers that look like a buffer");
	call(SYS_munmap, PLACE + 64 * PAGE, PAGE, 0, 8L << 32 | 1L << 16, 0x2121646567726f66);
	return 0;
}
