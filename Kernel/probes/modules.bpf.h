/* Kernel modules: include/trace/events/module.h, 5.10 to 6.18. */
#ifndef APUS_MODULES_H
#define APUS_MODULES_H

#define SYS_FINIT_MODULE 313
#define SYS_FINIT_MODULE_COMPAT 350

/* The file behind a descriptor of the current task. */
static __always_inline struct file *file_of(struct task_struct *task, u32 fd)
{
	struct fdtable *table = BPF_CORE_READ(task, files, fdt);
	struct file **fds = BPF_CORE_READ(table, fd), *file = NULL;

	if (fd < BPF_CORE_READ(table, max_fds))
		bpf_probe_read_kernel(&file, sizeof(file), &fds[fd]);
	return file;
}

static __always_inline u32 append_module(struct scratch *s, u32 offset, struct module *module)
{
	offset = append_kernel_string(s, offset, FIELD_MODULE_FREE_NAME, &module->name);
	offset = append_kernel_string(s, offset, FIELD_MODULE_FREE_VERSION, BPF_CORE_READ(module, version));
	return append_kernel_string(s, offset, FIELD_MODULE_FREE_SRC_VERSION, BPF_CORE_READ(module, srcversion));
}

/* TP_PROTO(struct module *mod). The file is that of the finit_module in progress; init_module has none. */
SEC("tp_btf/module_load")
int BPF_PROG(module_load, struct module *module)
{
	struct task_struct *task = current_task();
	u32 offset = FIELDS_MODULE_LOAD * 8;
	struct scratch *s = begin(task, EVENT_MODULE_LOAD, INDEX_MODULE_LOAD, FIELDS_MODULE_LOAD, false, false);
	struct pt_regs *regs;
	struct file *file;
	bool compat;

	if (!s)
		return 0;
	for (u32 i = 0; i < FIELDS_MODULE_LOAD; i++)
		set_value(s, i, 0);
	offset = append_module(s, offset, module);
	compat = s->record.flags & APUS_RECORD_COMPAT;
	if (s->record.syscall == (compat ? SYS_FINIT_MODULE_COMPAT : SYS_FINIT_MODULE)) {
		regs = (struct pt_regs *)bpf_task_pt_regs(CURRENT);
		file = file_of(task, compat ? regs->bx : regs->di);
		if (file) {
			offset = append_path((u64)&file->f_path, offset,
					     FIELD_MODULE_LOAD_PATHNAME);
			set_inode(s, FIELD_MODULE_LOAD_DEV, BPF_CORE_READ(file, f_inode));
		}
	}
	submit(bulk_ring(), s, INDEX_MODULE_LOAD, offset);
	return 0;
}

/* TP_PROTO(struct module *mod) */
SEC("tp_btf/module_free")
int BPF_PROG(module_free, struct module *module)
{
	u32 offset = FIELDS_MODULE_FREE * 8;
	struct scratch *s =
		begin(current_task(), EVENT_MODULE_FREE, INDEX_MODULE_FREE, FIELDS_MODULE_FREE, false, false);

	if (!s)
		return 0;
	for (u32 i = 0; i < FIELDS_MODULE_FREE; i++)
		set_value(s, i, 0);
	offset = append_module(s, offset, module);
	submit(bulk_ring(), s, INDEX_MODULE_FREE, offset);
	return 0;
}

#endif
