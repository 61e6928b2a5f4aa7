/* Kernel modules: include/trace/events/module.h, 5.10 to 7.2. */
#ifndef APUS_MODULES_H
#define APUS_MODULES_H

#define SYS_FINIT_MODULE 313
#define SYS_FINIT_MODULE_COMPAT 350

/* The fields that module_load and module_free begin with. */
static __always_inline void append_module(struct scratch *s, struct module *module)
{
	append_string(s, FIELD_MODULE_FREE_NAME, &module->name);
	append_string(s, FIELD_MODULE_FREE_VERSION, READ(module, version));
	append_string(s, FIELD_MODULE_FREE_SRC_VERSION, READ(module, srcversion));
}

/* TP_PROTO(struct module *mod). The file is that of the finit_module in progress; init_module has none. */
ON_TRACEPOINT(module_load, module_load, struct module *module)
{
	struct task_struct *task = current_task();
	struct scratch *s = BEGIN(MODULE_LOAD);
	struct pt_regs *regs;
	struct file *file;
	bool compat;

	if (!s)
		return 0;
	append_module(s, module);
	compat = s->record.flags & APUS_RECORD_COMPAT;
	if (s->record.syscall == (compat ? SYS_FINIT_MODULE_COMPAT : SYS_FINIT_MODULE)) {
		regs = user_registers(task);
		file = file_of(task, compat ? REGISTER(regs, bx) : REGISTER(regs, di));
		if (file) {
			append_path(s, FIELD_MODULE_LOAD_PATHNAME, &file->f_path);
			set_inode(s, FIELD_MODULE_LOAD_DEV, READ(file, f_inode));
		}
	}
	return FINISH(s);
}

/* TP_PROTO(struct module *mod) */
ON_TRACEPOINT(module_free, module_free, struct module *module)
{
	struct scratch *s = BEGIN(MODULE_FREE);

	if (!s)
		return 0;
	append_module(s, module);
	return FINISH(s);
}

#endif
