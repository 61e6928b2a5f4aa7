/* From where system calls are made: the code that makes them and the stack it is on. */
#ifndef APUS_ORIGIN_H
#define APUS_ORIGIN_H

#define SYSCALL_BYTES 2 /* of the instructions syscall and int 0x80 */
#define GO_HEAP_START 0x00c000000000ULL /* runtime/malloc.go: arenas begin there and grow upwards */
#define GO_HEAP_END 0x010000000000ULL
#define VM_GROWSDOWN 0x100 /* include/linux/mm.h */
#define STACK_TOP 256      /* bytes above its first stack pointer that a thread may use */

/* The stack of a thread that was given one: from the start of the area to where it began. Inherited by the
 * processes that it forks, whose only stack is a copy of it. Unknown for threads older than the hook. */
struct own_stack {
	u64 mm, low, high;
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16384);
	__type(key, u64); /* task */
	__type(value, struct own_stack);
} own_stacks SEC(".maps");

/* What was reported. Bounded: what is forgotten is reported again. */
struct origin_key {
	u64 process_start, vma_start;
	u32 process, syscall, index, reserved;
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 4096);
	__type(key, struct origin_key);
	__type(value, u8);
} origins SEC(".maps");

/* The area that an address of the current task lies in. Takes a scratch only for the search. */
static __always_inline struct vm_area_struct *area_of(struct mm_struct *mm, u64 address)
{
	struct vm_area_struct *vma = NULL;
	struct scratch *s = claim_scratch();

	if (s) {
		vma = find_vma(s, mm, address);
		release_scratch(s);
	}
	return vma;
}

/* Keeps the area of the stack that a new thread was given; `sp` is where in it the thread will begin. */
static __always_inline int keep_stack(struct task_struct *child, u64 sp)
{
	u64 parent_key = bpf_get_current_task(), key = (u64)child, parent_sp;
	struct task_struct *task = current_task();
	struct own_stack *inherited, own = {};
	struct mm_struct *mm = TASK(task, mm);
	struct vm_area_struct *vma;
	struct pt_regs *regs;

	if (!mm || TASK(task, flags) & PF_KTHREAD)
		goto unknown;
	regs = user_registers(task);
	parent_sp = REGISTER(regs, sp);
	if (sp == parent_sp) {
		inherited = bpf_map_lookup_elem(&own_stacks, &parent_key);
		if (!inherited || inherited->mm != (u64)mm)
			goto unknown;
		own = *inherited;
	} else {
		vma = area_of(mm, sp - 1);
		if (!vma)
			goto unknown;
		own.low = READ(vma, vm_start);
		own.high = sp + STACK_TOP;
	}
	own.mm = (u64)READ(child, mm);
	bpf_map_update_elem(&own_stacks, &key, &own, BPF_ANY);
	return 0;
unknown:
	/* What is kept may be of a dead thread, whose task and memory the kernel used again. */
	bpf_map_delete_elem(&own_stacks, &key);
	return 0;
}

/* The stack pointer with which a new thread will begin: its registers lie behind what the scheduler takes from its stack
 * (copy_thread(), arch/x86/kernel/process.c, 5.10 to 7.2). */
static __always_inline u64 first_stack_pointer(struct task_struct *child)
{
	struct fork_frame *frame = (struct fork_frame *)READ(child, thread.sp);

	return READ(frame, regs.sp);
}

/* TP_PROTO(struct task_struct *parent, struct task_struct *child), include/trace/events/sched.h, 5.10 to
 * 7.2. The child does not run yet; its registers are set. */
ON_TRACEPOINT(thread_stack, sched_process_fork, struct task_struct *parent, struct task_struct *child)
{
	return keep_stack(child, first_stack_pointer(child));
}

/* As in sched_process_fork (lifecycle.bpf.h). */
OR_ON_ENTRY(thread_stack, wake_up_new_task, struct task_struct *child)
{
	return is_kernel_made(child) ? 0 : keep_stack(child, first_stack_pointer(child));
}

enum area_kind { MAIN_STACK, THREAD_STACK, HEAP, GO_HEAP, BSS, ANONYMOUS, FILE_BACKED, SPECIAL };

/* Memory that is shared but of no file has one all the same, with a name that no folder could hold,
 * "dev/zero": shmem_zero_setup(), mm/shmem.c. */
#define DEV_ZERO 0x6f72657a2f766564ULL
static __always_inline bool is_zero_file(struct file *file)
{
	return beginning_of_name(file) == DEV_ZERO;
}

/* What an address is in. A changed protection splits an area, so that its ends do not tell. */
static __always_inline enum area_kind kind_of(struct vm_area_struct *vma, struct mm_struct *mm, u64 address)
{
	u64 task = bpf_get_current_task(), start = READ(vma, vm_start);
	struct own_stack *own = bpf_map_lookup_elem(&own_stacks, &task);
	struct file *file = READ(vma, vm_file);

	if ((READ(vma, vm_flags) & VM_GROWSDOWN) && start >= READ(mm, mmap_base))
		return MAIN_STACK;
	if (own && own->mm == (u64)mm && address >= own->low && address < own->high)
		return THREAD_STACK;
	/* Areas of the kernel's making have operations and no file (the vDSO, a uprobe's copies); a private
	 * mapping of /dev/zero has a file and no operations, as vma_is_anonymous() knows. */
	if (READ(vma, vm_ops) && !(file && is_zero_file(file)))
		return file ? FILE_BACKED : SPECIAL;
	if (start < READ(mm, brk) && READ(vma, vm_end) > READ(mm, start_brk))
		return HEAP;
	if (address >= GO_HEAP_START && address < GO_HEAP_END)
		return GO_HEAP;
	if (address >= READ(mm, end_data) && address < READ(mm, start_brk))
		return BSS;
	return ANONYMOUS;
}

struct area_name {
	char text[16];
};

static const struct area_name area_names[] = {
	[MAIN_STACK] = {"main stack"}, [THREAD_STACK] = {"thread stack"}, [HEAP] = {"heap"},
	[GO_HEAP] = {"golang heap"},   [BSS] = {"bss"},			  [ANONYMOUS] = {"anonymous"},
	[FILE_BACKED] = {"file"},      [SPECIAL] = {"vdso"},
};

/* Reports an area once. The fields of both events are the same. */
static __always_inline void report(struct task_struct *task, u32 index, s32 syscall, u64 pointer,
				   struct vm_area_struct *vma, enum area_kind kind)
{
	struct origin_key key = {.syscall = syscall, .index = index};
	struct scratch *s;
	u8 once = 1;

	key.process = TASK(task, tgid);
	key.process_start = TASK(task, group_leader, start_boottime);
	key.vma_start = READ(vma, vm_start);
	if (bpf_map_lookup_elem(&origins, &key))
		return;
	s = index == INDEX_STACK_PIVOT ? BEGIN(STACK_PIVOT) : BEGIN(SUSPICIOUS_SYSCALL_SOURCE);
	if (!s)
		return;
	if (bpf_map_update_elem(&origins, &key, &once, BPF_NOEXIST)) {
		abandon(s); /* another thread was faster */
		return;
	}
	set_value(s, FIELD_STACK_PIVOT_SYSCALL, syscall);
	set_value(s, FIELD_STACK_PIVOT_SP, pointer);
	append_string(s, FIELD_STACK_PIVOT_VMA_TYPE, area_names[kind & 7].text);
	set_value(s, FIELD_STACK_PIVOT_VMA_START, key.vma_start);
	set_value(s, FIELD_STACK_PIVOT_VMA_SIZE, READ(vma, vm_end) - key.vma_start);
	set_value(s, FIELD_STACK_PIVOT_VMA_FLAGS, READ(vma, vm_flags));
	FINISH(s);
}

/* Code in private memory, and not in a file: written by whoever made the call, or its JIT compiler. */
static __always_inline void check_code(struct task_struct *task, struct mm_struct *mm, s32 syscall, u64 ip)
{
	struct vm_area_struct *vma = area_of(mm, ip - SYSCALL_BYTES);
	enum area_kind kind;

	if (!vma)
		return;
	kind = kind_of(vma, mm, ip - SYSCALL_BYTES);
	if (kind != FILE_BACKED && kind != SPECIAL)
		report(task, INDEX_SUSPICIOUS_SYSCALL_SOURCE, syscall, ip, vma, kind);
}

/* A stack may be anywhere in anonymous memory: that of a thread which is older than the hook, or of a
 * coroutine. It is not in the heap, a program's variables or a file, but for what sigaltstack() named. A
 * handler that sigaltstack() was told to disarm it for (SS_AUTODISARM) looks as if it had pivoted. */
static __always_inline void check_stack(struct task_struct *task, struct mm_struct *mm, s32 syscall, u64 sp)
{
	u64 alternative = TASK(task, sas_ss_sp);
	struct vm_area_struct *vma;
	enum area_kind kind;

	if (sp > alternative && sp - alternative <= TASK(task, sas_ss_size))
		return;
	vma = area_of(mm, sp);
	if (!vma)
		return;
	kind = kind_of(vma, mm, sp);
	if (kind == HEAP || kind == BSS || kind == FILE_BACKED || kind == SPECIAL)
		report(task, INDEX_STACK_PIVOT, syscall, sp, vma, kind);
}

ON_CALLS(syscall_origin)
{
	struct task_struct *task = current_task();
	struct mm_struct *mm = TASK(task, mm);

	if (!mm || !in_scope(task, policies_for(INDEX_SUSPICIOUS_SYSCALL_SOURCE) | policies_for(INDEX_STACK_PIVOT), 0,
			      judging_plan()))
		return 0;
	if (IS_WANTED(SUSPICIOUS_SYSCALL_SOURCE))
		check_code(task, mm, number, REGISTER(regs, ip));
	if (IS_WANTED(STACK_PIVOT))
		check_stack(task, mm, number, REGISTER(regs, sp));
	return 0;
}

#endif
