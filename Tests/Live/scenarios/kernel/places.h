/* System calls made from code, or on a stack, where none should be.
 *
 * The names of the places (vma_type) are those of the catalogue's description. Each case is a child,
 * as a tracer may say each of them once a process. */
#include "memory.h"

#include <pthread.h>

/* Both are watched, and do nothing with a descriptor that is not open. */
#define STRAY_CALL SYS_dup
#define USUAL_CALL SYS_dup2

/* mov eax, edi; mov edi, -1; syscall; ret */
static const unsigned char code[] = { 0x89, 0xf8, 0xbf, 0xff, 0xff, 0xff, 0xff, 0x0f, 0x05, 0xc3 };

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
	((long (*)(long))at)(STRAY_CALL);
	call(USUAL_CALL, -1);
	seen("suspicious_syscall_source", INT("syscall", STRAY_CALL), PLACE(type, range));
	never("suspicious_syscall_source", INT("syscall", USUAL_CALL));
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
	((long (*)(long))page)(STRAY_CALL);
	never("suspicious_syscall_source", INT("syscall", STRAY_CALL));
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

static long call_on(void *stack)
{
	long result = STRAY_CALL;

	asm volatile("mov %%rsp, %%rbx\n\tmov %1, %%rsp\n\tsyscall\n\tmov %%rbx, %%rsp"
		     : "+a"(result)
		     : "r"(stack), "D"(-1l)
		     : "rbx", "rcx", "r11", "memory");
	return result;
}

static void pivot(char *stack, const char *type)
{
	struct range range = range_of(stack);

	call_on(stack);
	seen("stack_pivot", INT("syscall", STRAY_CALL), POINTER("sp", stack), PLACE(type, range));
}

static void pivot_to_heap(void)
{
	about("stack on the heap");
	pivot((char *)malloc(4096) + 2048, "heap");
}

static void pivot_to_variables(void)
{
	static char room[1 << 16];

	about("stack in a program's variables");
	memset(room, 1, sizeof(room));
	pivot(room + sizeof(room) / 2, "bss");
}

static void pivot_to_file(void)
{
	int fd = new_file(at_home("stack"), "content");

	about("stack in a file");
	pivot(map_page(RW, fd) + 2048, "file");
}

/* Programs that make stacks of their own (coroutines) look like this. */
static void pivot_to_anonymous(void)
{
	about("stack in anonymous memory");
	call_on(map_page(RW, -1) + 2048);
	never("stack_pivot", INT("syscall", STRAY_CALL));
}

static void *ordinary_thread(void *argument)
{
	as_tid = call(SYS_gettid);
	call(STRAY_CALL, -1);
	never("stack_pivot", INT("syscall", STRAY_CALL));
	return argument;
}

static void on_signal(int number)
{
	(void)number;
	call(USUAL_CALL, -1);
}

static void ordinary_stacks(void)
{
	stack_t alternative = { .ss_size = 65536 };
	struct sigaction action = { .sa_handler = on_signal, .sa_flags = SA_ONSTACK };
	pthread_t thread;

	about("signal stack");
	alternative.ss_sp = malloc(65536);
	if (sigaltstack(&alternative, NULL) || sigaction(SIGUSR1, &action, NULL))
		die("sigaltstack", 0);
	call(SYS_kill, as_pid, SIGUSR1);
	never("stack_pivot", INT("syscall", USUAL_CALL));
	about("ordinary stacks");
	if (pthread_create(&thread, NULL, ordinary_thread, NULL) || pthread_join(thread, NULL))
		die("pthread_create", 0);
}

static void stack_pivot(void)
{
	in_child(pivot_to_heap);
	in_child(pivot_to_variables);
	in_child(pivot_to_file);
	in_child(pivot_to_anonymous);
	in_child(ordinary_stacks);
	about(NULL);
}
