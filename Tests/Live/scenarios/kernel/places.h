/* System calls made from code, or on a stack, where none should be.
 *
 * The names of the places (vma_type) are those of the catalogue's description. Each case is a child,
 * as a tracer may say each of them once a process. */
#include "memory.h"

#include <pthread.h>

/* mov eax, edi; syscall; ret */
static const unsigned char code[] = { 0x89, 0xf8, 0x0f, 0x05, 0xc3 };

struct range {
	unsigned long start, end;
};

static struct range range_of(const void *at)
{
	struct range range = { 0 };
	char text[512];
	FILE *file = fopen("/proc/self/maps", "re");

	while (file && fgets(text, sizeof(text), file)) {
		if (sscanf(text, "%lx-%lx", &range.start, &range.end) == 2 &&
		    range.start <= (unsigned long)at && (unsigned long)at < range.end)
			break;
	}
	if (file)
		fclose(file);
	return range;
}

#define PLACE(type, range) STRING("vma_type", type), POINTER("vma_start", (range).start),           \
			   UINT("vma_size", (range).end - (range).start)

/* Runs `code` from there, in a mapping that stays whole: else it would lose its name. */
static void run_code(void *at, const char *type)
{
	struct range range = range_of(at);

	must("mprotect", call(SYS_mprotect, range.start, range.end - range.start, RWX));
	memcpy(at, code, sizeof(code));
	range = range_of(at);
	((long (*)(long))at)(SYS_getppid);
	call(SYS_getgid);
	seen("suspicious_syscall_source", INT("syscall", SYS_getppid), PLACE(type, range));
	never("suspicious_syscall_source", INT("syscall", SYS_getgid));
}

static void run_on_stack(void)
{
	char room[64];

	about("code on the stack");
	run_code(room, "main stack");
}

static void run_on_heap(void)
{
	about("code on the heap");
	run_code(malloc(64), "heap");
}

static void run_anonymous(void)
{
	about("anonymous code");
	run_code(map_page(RWX, -1), "anonymous");
}

static void *in_thread(void *argument)
{
	char room[64];

	as_tid = call(SYS_gettid);
	run_code(room, "thread stack");
	return argument;
}

static void run_in_thread(void)
{
	pthread_t thread;

	about("code on a thread's stack");
	if (pthread_create(&thread, NULL, in_thread, NULL) || pthread_join(thread, NULL))
		die("pthread_create", 0);
}

/* From a file, written but not mapped from it before: as code goes, all is well. */
static void run_from_file(void)
{
	int fd = new_file(at_home("code"), "");
	char *page;

	about("code of a file");
	must("write", call(SYS_write, fd, code, sizeof(code)));
	page = map_page(RX, fd);
	((long (*)(long))page)(SYS_getppid);
	never("suspicious_syscall_source", INT("syscall", SYS_getppid));
}

static void suspicious_syscall_source(void)
{
	in_child(run_anonymous);
	in_child(run_on_stack);
	in_child(run_on_heap);
	in_child(run_in_thread);
	in_child(run_from_file);
	about(NULL);
}

static long call_on(void *stack, long number)
{
	long result = number;

	asm volatile("mov %%rsp, %%rbx\n\tmov %1, %%rsp\n\tsyscall\n\tmov %%rbx, %%rsp"
		     : "+a"(result)
		     : "r"(stack)
		     : "rbx", "rcx", "r11", "memory");
	return result;
}

static void pivot(char *stack, long number, const char *type)
{
	struct range range = range_of(stack);

	call_on(stack, number);
	if (type)
		seen("stack_pivot", INT("syscall", number), POINTER("sp", stack), PLACE(type, range));
	else
		seen("stack_pivot", INT("syscall", number), POINTER("sp", stack),
		     POINTER("vma_start", range.start), UINT("vma_size", range.end - range.start));
}

static void pivot_to_heap(void)
{
	about("stack on the heap");
	pivot((char *)malloc(4096) + 2048, SYS_getppid, "heap");
}

/* Doubtful: programs that make stacks of their own (coroutines) look like this too. */
static void pivot_to_anonymous(void)
{
	about("stack in anonymous memory (doubtful)");
	pivot(map_page(RW, -1) + 2048, SYS_getppid, "anonymous");
}

static void pivot_to_file(void)
{
	int fd = new_file(at_home("stack"), "content");

	about("stack in a file");
	pivot(map_page(RW, fd) + 2048, SYS_getppid, NULL);
}

static void *ordinary_thread(void *argument)
{
	as_tid = call(SYS_gettid);
	call(SYS_getgid);
	never("stack_pivot", INT("syscall", SYS_getgid));
	return argument;
}

static void on_signal(int number)
{
	(void)number;
	call(SYS_geteuid);
}

static void ordinary_stacks(void)
{
	stack_t alternative = { .ss_size = 65536 };
	struct sigaction action = { .sa_handler = on_signal, .sa_flags = SA_ONSTACK };
	pthread_t thread;

	call(SYS_getgid);
	/* Doubtful: to tell it from a pivot, a tracer must know of sigaltstack. */
	about("signal stack (doubtful)");
	alternative.ss_sp = (void *)must("mmap", call(SYS_mmap, NULL, 65536, RW,
						      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	if (sigaltstack(&alternative, NULL) || sigaction(SIGUSR1, &action, NULL))
		die("sigaltstack", 0);
	call(SYS_kill, as_pid, SIGUSR1);
	never("stack_pivot", INT("syscall", SYS_geteuid));
	about("ordinary stacks");
	if (pthread_create(&thread, NULL, ordinary_thread, NULL) || pthread_join(thread, NULL))
		die("pthread_create", 0);
}

static void stack_pivot(void)
{
	in_child(pivot_to_heap);
	in_child(pivot_to_anonymous);
	in_child(pivot_to_file);
	in_child(ordinary_stacks);
	about(NULL);
}
