/* Memory: mappings and their protection. */
#ifndef APUS_MEMORY_H
#define APUS_MEMORY_H

/* include/uapi/asm-generic/mman-common.h. The lowest flags of an area are the same (VM_READ and so on). */
#define PROT_WRITE 2
#define PROT_EXEC 4
#define PROT_ALL 7
#define MAP_ANONYMOUS 0x20

/* arch/x86/entry/syscalls/syscall_{64,32}.tbl */
#define SYS_MMAP 9
#define SYS_MPROTECT 10
#define SYS_PKEY_MPROTECT 329
#define SYS_MMAP_COMPAT 90
#define SYS_MMAP2_COMPAT 192
#define SYS_MPROTECT_COMPAT 125
#define SYS_PKEY_MPROTECT_COMPAT 380

/* What the catalogue has in a row: flags of the open file, device, inode number and last change. */
static __always_inline void append_mapped_file(struct scratch *s, u32 pathname, u32 flags, struct file *file)
{
	append_path(s, pathname, &file->f_path);
	set_value(s, flags, READ(file, f_flags));
	set_inode(s, flags + 1, READ(file, f_inode));
}

/* ---- int security_mmap_file(struct file *file, unsigned long prot, unsigned long flags),
 * security/security.c, 5.10 to 7.2. Without a file for anonymous memory. */

ON_ENTRY(security_mmap_file, security_mmap_file, struct file *file, u64 prot, u64 flags)
{
	struct scratch *s;

	if (!file)
		return 0;
	s = BEGIN(SECURITY_MMAP_FILE);
	if (!s)
		return 0;
	append_mapped_file(s, FIELD_SECURITY_MMAP_FILE_PATHNAME, FIELD_SECURITY_MMAP_FILE_FLAGS, file);
	set_value(s, FIELD_SECURITY_MMAP_FILE_PROT, prot);
	set_value(s, FIELD_SECURITY_MMAP_FILE_MMAP_FLAGS, flags);
	return FINISH(s);
}

static __always_inline bool is_mmap(s32 call, bool compat)
{
	return compat ? call == SYS_MMAP2_COMPAT || call == SYS_MMAP_COMPAT : call == SYS_MMAP;
}

ON_ENTRY(shared_object_loaded, security_mmap_file, struct file *file, u64 prot, u64 flags)
{
	struct task_struct *task = current_task();
	struct scratch *s;

	if (!file || !(prot & PROT_EXEC) || !is_mmap(current_syscall(), in_compat_syscall(task)))
		return 0;
	s = BEGIN(SHARED_OBJECT_LOADED);
	if (!s)
		return 0;
	append_mapped_file(s, FIELD_SHARED_OBJECT_LOADED_PATHNAME, FIELD_SHARED_OBJECT_LOADED_FLAGS, file);
	return FINISH(s);
}

/* ---- Calls in progress ---- */

/* What mmap, mprotect or pkey_mprotect was given. */
struct memory_call {
	u64 addr, len, prot, flags;
	s32 fd, pkey;
};

/* The old 32-bit mmap takes a structure in user memory: arch/x86/kernel/sys_ia32.c */
struct mmap_args_32 {
	u32 addr, len, prot, flags, fd, offset;
};

static __always_inline bool mmap_in_progress(struct task_struct *task, struct memory_call *to)
{
	bool compat = in_compat_syscall(task);
	s32 call = current_syscall();
	struct mmap_args_32 old = {};
	struct pt_regs *regs;

	if (!is_mmap(call, compat))
		return false;
	regs = user_registers(task);
	if (!compat) {
		to->len = REGISTER(regs, si);
		to->prot = REGISTER(regs, dx);
		to->flags = REGISTER(regs, r10);
		to->fd = REGISTER(regs, r8);
	} else if (call == SYS_MMAP2_COMPAT) {
		to->len = (u32)REGISTER(regs, cx);
		to->prot = (u32)REGISTER(regs, dx);
		to->flags = (u32)REGISTER(regs, si);
		to->fd = REGISTER(regs, di);
	} else {
		if (bpf_probe_read_user(&old, sizeof(old), (void *)(u64)(u32)REGISTER(regs, bx)))
			return false;
		to->len = old.len;
		to->prot = old.prot;
		to->flags = old.flags;
		to->fd = old.fd;
	}
	return true;
}

static __always_inline bool mprotect_in_progress(struct task_struct *task, struct memory_call *to)
{
	bool compat = in_compat_syscall(task);
	s32 call = current_syscall();
	bool with_key = call == (compat ? SYS_PKEY_MPROTECT_COMPAT : SYS_PKEY_MPROTECT);
	struct pt_regs *regs;

	if (!with_key && call != (compat ? SYS_MPROTECT_COMPAT : SYS_MPROTECT))
		return false;
	regs = user_registers(task);
	to->addr = compat ? (u32)REGISTER(regs, bx) : REGISTER(regs, di);
	to->len = compat ? (u32)REGISTER(regs, cx) : REGISTER(regs, si);
	to->pkey = -1;
	if (with_key)
		to->pkey = compat ? REGISTER(regs, si) : REGISTER(regs, r10);
	return true;
}

/* ---- int security_file_mprotect(struct vm_area_struct *vma, unsigned long reqprot, unsigned long prot),
 * security/security.c, 5.10 to 7.2. Once for each area in the range. */

ON_ENTRY(security_file_mprotect, security_file_mprotect, struct vm_area_struct *vma, u64 asked, u64 prot)
{
	struct task_struct *task = current_task();
	struct memory_call call = {};
	struct scratch *s = BEGIN(SECURITY_FILE_MPROTECT);
	struct file *file;

	if (!s)
		return 0;
	if (!mprotect_in_progress(task, &call)) {
		call.addr = READ(vma, vm_start);
		call.len = READ(vma, vm_end) - call.addr;
		call.pkey = -1;
	}
	file = READ(vma, vm_file);
	if (file) {
		append_path(s, FIELD_SECURITY_FILE_MPROTECT_PATHNAME, &file->f_path);
		set_value(s, FIELD_SECURITY_FILE_MPROTECT_CTIME, inode_ctime(READ(file, f_inode)));
	}
	set_value(s, FIELD_SECURITY_FILE_MPROTECT_PROT, (s32)asked);
	set_value(s, FIELD_SECURITY_FILE_MPROTECT_PREV_PROT, READ(vma, vm_flags) & PROT_ALL);
	set_value(s, FIELD_SECURITY_FILE_MPROTECT_ADDR, call.addr);
	set_value(s, FIELD_SECURITY_FILE_MPROTECT_LEN, call.len);
	set_value(s, FIELD_SECURITY_FILE_MPROTECT_PKEY, call.pkey);
	return FINISH(s);
}

/* ---- Suspicious protection ---- */

enum {
	ALERT_MAPPED_WRITABLE_CODE = 1,
	ALERT_MADE_CODE = 2,
	ALERT_MADE_WRITABLE = 3,
	ALERT_DATA_TO_CODE = 4,
};

static __always_inline int alert(u32 kind, u64 addr, u64 len, u32 prot, u32 before, struct file *file)
{
	struct scratch *s = BEGIN(MEM_PROT_ALERT);

	if (!s)
		return 0;
	set_value(s, FIELD_MEM_PROT_ALERT_ALERT, kind);
	set_value(s, FIELD_MEM_PROT_ALERT_ADDR, addr);
	set_value(s, FIELD_MEM_PROT_ALERT_LEN, len ? len : 4096 /* a page */);
	set_value(s, FIELD_MEM_PROT_ALERT_PROT, prot);
	set_value(s, FIELD_MEM_PROT_ALERT_PREV_PROT, before);
	if (file) {
		append_path(s, FIELD_MEM_PROT_ALERT_PATHNAME, &file->f_path);
		set_inode(s, FIELD_MEM_PROT_ALERT_DEV, READ(file, f_inode));
	}
	return FINISH(s);
}

/* int security_mmap_addr(unsigned long addr), security/security.c, 5.10 to 7.2. The place is chosen. */
ON_ENTRY(mem_prot_alert_mmap, security_mmap_addr, u64 addr)
{
	struct task_struct *task = current_task();
	struct memory_call call = {};
	struct file *file = NULL;

	if (!mmap_in_progress(task, &call) || (call.prot & (PROT_WRITE | PROT_EXEC)) != (PROT_WRITE | PROT_EXEC))
		return 0;
	if (!(call.flags & MAP_ANONYMOUS))
		file = file_of(task, call.fd);
	return alert(ALERT_MAPPED_WRITABLE_CODE, addr, call.len, call.prot, 0, file);
}

ON_ENTRY(mem_prot_alert, security_file_mprotect, struct vm_area_struct *vma, u64 prot, u64 effective)
{
	struct task_struct *task = current_task();
	u32 before = READ(vma, vm_flags) & PROT_ALL, kind = 0;
	struct memory_call call = {};

	if (!(prot & PROT_EXEC) || !mprotect_in_progress(task, &call) || !call.addr)
		return 0;
	if (!(before & PROT_EXEC))
		kind = ALERT_MADE_CODE;
	if ((before & PROT_EXEC) && !(before & PROT_WRITE) && (prot & PROT_WRITE))
		kind = ALERT_MADE_WRITABLE;
	if ((before & PROT_WRITE) && !(prot & PROT_WRITE))
		kind = ALERT_DATA_TO_CODE;
	if (!kind)
		return 0;
	return alert(kind, call.addr, call.len, prot, before, READ(vma, vm_file));
}

/* ---- unsigned long do_mmap(struct file *file, unsigned long addr, unsigned long len, unsigned long prot,
 * unsigned long flags, vm_flags_t vm_flags, unsigned long pgoff, unsigned long *populate,
 * struct list_head *uf), mm/mmap.c, 6.6 to 7.2; vm_flags is missing before. So many parameters fit no
 * trampoline before 6.6, and a kprobe finds those behind the sixth on the stack. */

static __always_inline int mapped(struct file *file, u64 len, u64 prot, u64 flags, u64 pgoff, u64 addr)
{
	struct scratch *s;

	if (IS_ERROR(addr))
		return 0;
	s = BEGIN(DO_MMAP);
	if (!s)
		return 0;
	set_value(s, FIELD_DO_MMAP_ADDR, addr);
	if (file)
		append_mapped_file(s, FIELD_DO_MMAP_PATHNAME, FIELD_DO_MMAP_FLAGS, file);
	set_value(s, FIELD_DO_MMAP_PGOFF, pgoff);
	set_value(s, FIELD_DO_MMAP_LEN, len);
	set_value(s, FIELD_DO_MMAP_PROT, prot);
	set_value(s, FIELD_DO_MMAP_MMAP_FLAGS, flags);
	return FINISH(s);
}

enum { do_mmap__call = __COUNTER__ };

SEC("fexit/do_mmap")
int do_mmap__fexit(u64 *ctx)
{
	return mapped((struct file *)ctx[0], ctx[2], ctx[3], ctx[4], ctx[6], ctx[9]);
}

SEC("kprobe/do_mmap")
int do_mmap__kprobe(struct pt_regs *regs)
{
	/* pgoff takes the place of vm_flags, which nobody asks for. */
	keep_call_with_seventh(regs, do_mmap__call);
	return 0;
}

static __always_inline int mapped_by_call(u32 call, struct pt_regs *regs)
{
	u64 args[6];

	if (!take_call(call, args))
		return 0;
	return mapped((struct file *)args[0], args[2], args[3], args[4], args[5], regs->ax);
}

SEC("kretprobe/do_mmap")
int do_mmap__kretprobe(struct pt_regs *regs)
{
	return mapped_by_call(do_mmap__call, regs);
}

enum { do_mmap_5_10__call = __COUNTER__ };

SEC("kprobe/do_mmap")
int do_mmap_5_10__kprobe(struct pt_regs *regs)
{
	keep_call(regs, do_mmap_5_10__call);
	return 0;
}

SEC("kretprobe/do_mmap")
int do_mmap_5_10__kretprobe(struct pt_regs *regs)
{
	return mapped_by_call(do_mmap_5_10__call, regs);
}

#endif
