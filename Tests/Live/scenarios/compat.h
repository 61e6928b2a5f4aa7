/* 32-bit system calls, made from 64-bit code by int 0x80. Whatever they read lies below 4 GiB. */
#include "expect.h"

#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>

/* Numbers of the i386 table (arch/x86/entry/syscalls/syscall_32.tbl). */
enum {
	I386_OPEN = 5,
	I386_WAITPID = 7,
	I386_EXECVE = 11,
	I386_GETPID = 20,
	I386_SOCKETCALL = 102,
	I386_NANOSLEEP = 162,
	I386_MMAP2 = 192,
	I386_GETTID = 224,
	I386_READAHEAD = 225,
	I386_OPENAT = 295,
};

static long raw_call32(long number, long a, long b, long c, long d)
{
	int result;

	/* The sixth argument is in %ebp, which the compiler keeps for itself. */
	asm volatile("mov %%rbp, %%r12\n\txor %%ebp, %%ebp\n\tint $0x80\n\tmov %%r12, %%rbp"
		     : "=a"(result)
		     : "a"(number), "b"(a), "c"(b), "d"(c), "S"(d), "D"(0)
		     : "r8", "r9", "r10", "r11", "r12", "memory");
	return result;
}

#define call32_(nr, a, b, c, d, ...) raw_call32(nr, (long)(a), (long)(b), (long)(c), (long)(d))
#define call32(...) call32_(__VA_ARGS__, 0, 0, 0, 0)

/* All that the calls point at. */
struct low {
	char path[32], missing[32], texts[4][16];
	uint32_t argv[3], envp[2], socket_arguments[3];
	struct {
		int32_t seconds, nanoseconds;
	} time, left;
	int status;
};

static void no_compat(int signal)
{
	static const char reason[] = "scenario: int 0x80 is not available\n";

	(void)signal;
	call(SYS_write, 2, reason, sizeof(reason) - 1);
	quit(77);
}

static void probe_compat(void)
{
	struct sigaction action = { .sa_handler = no_compat }, old;

	sigaction(SIGSEGV, &action, &old);
	if (call32(I386_GETTID) != as_tid)
		no_compat(0);
	sigaction(SIGSEGV, &old, NULL);
}

static void compat(void)
{
	static const char *const argv[] = { "compat", "argument two", NULL };
	static const char *const envp[] = { "HOME=/", NULL };
	struct timespec millisecond = { 0, 1000000 };
	struct low *low;
	long n, child;

	probe_compat();
	low = (void *)must("mmap", call(SYS_mmap, NULL, 4096, PROT_READ | PROT_WRITE,
					MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0));
	extra = ",\"compat\":true";
	strcpy(low->path, "/etc/hostname");
	strcpy(low->missing, "/no/such/file");

	n = call32(I386_GETPID);
	expect("getpid", n);
	n = call32(I386_OPEN, low->path, O_RDONLY | O_CLOEXEC, 0);
	expect("open", n, STRING("pathname", low->path), INT("flags", O_RDONLY | O_CLOEXEC),
	       INT("mode", 0));
	/* An i386 call has the lower halves of the registers only. */
	n = call32(I386_OPENAT, AT_FDCWD, low->missing, O_RDONLY | 1L << 40, 0640 | 1L << 50);
	expect("openat", n, INT("dirfd", AT_FDCWD), STRING("pathname", low->missing),
	       INT("flags", O_RDONLY), INT("mode", 0640));

	low->time.nanoseconds = 1000000;
	n = call32(I386_NANOSLEEP, &low->time, &low->left);
	expect("nanosleep", n, TIMESPEC("req", &millisecond), TIMESPEC("rem", NULL));

	strcpy(low->texts[0], argv[0]);
	strcpy(low->texts[1], argv[1]);
	strcpy(low->texts[2], envp[0]);
	low->argv[0] = (long)low->texts[0];
	low->argv[1] = (long)low->texts[1];
	low->envp[0] = (long)low->texts[2];
	n = call32(I386_EXECVE, low->missing, low->argv, low->envp);
	expect("execve", n, STRING("pathname", low->missing), STRINGS("argv", argv),
	       STRINGS("envp", envp));

	child = fork_scenario();
	if (child == 0)
		quit(9);
	n = call32(I386_WAITPID, child, &low->status, 0);
	if (n != child || low->status != 9 << 8)
		die("waitpid", n);
	expect("waitpid", n, INT("pid", child), POINTER("status", &low->status), INT("options", 0));
	n = call32(I386_WAITPID, -1, NULL, WNOHANG);
	expect("waitpid", n, INT("pid", -1), POINTER("status", NULL), INT("options", WNOHANG));

	/* A number of 64 bits takes two registers, and an address all 32 bits. */
	n = call32(I386_READAHEAD, -1, 1, 2, 3);
	expect("readahead", n, INT("fd", -1), INT("offset", 2L << 32 | 1), UINT("count", 3));
	n = (uint32_t)call32(I386_MMAP2, NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS);
	if (n < 0xf0000000)
		die("mmap2", n);
	expect("mmap2", n, UINT("addr", 0), UINT("length", 4096), UINT("prot", PROT_NONE),
	       UINT("flags", MAP_PRIVATE | MAP_ANONYMOUS), UINT("fd", 0), UINT("pgoffset", 0));

	low->socket_arguments[0] = AF_UNIX;
	low->socket_arguments[1] = SOCK_STREAM;
	n = call32(I386_SOCKETCALL, 1, low->socket_arguments); /* 1: socket */
	expect("socketcall", n, INT("call", 1), POINTER("args", low->socket_arguments));
}
