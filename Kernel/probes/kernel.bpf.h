/* What kernel code adds to the kernel: probes, devices, entries of procfs and debugfs, modules. The acting
 * task is whoever was running; for a module that is whoever loaded it. */
#ifndef APUS_KERNEL_H
#define APUS_KERNEL_H

/* int register_kprobe(struct kprobe *p), kernel/kprobes.c, 5.10 to 7.2 */
ON_EXIT(kprobe_attach, register_kprobe, struct kprobe *probe, s64 ret)
{
	struct scratch *s;

	if ((s32)ret)
		return 0;
	s = BEGIN(KPROBE_ATTACH);
	if (!s)
		return 0;
	append_string(s, FIELD_KPROBE_ATTACH_SYMBOL_NAME, READ(probe, symbol_name));
	set_value(s, FIELD_KPROBE_ATTACH_PRE_HANDLER_ADDR, (u64)READ(probe, pre_handler));
	set_value(s, FIELD_KPROBE_ATTACH_POST_HANDLER_ADDR, (u64)READ(probe, post_handler));
	return FINISH(s);
}

/* unsigned long kallsyms_lookup_name(const char *name), kernel/kallsyms.c, 5.10 to 7.2; 0: not found */
ON_EXIT(kallsyms_lookup_name, kallsyms_lookup_name, const char *name, s64 ret)
{
	struct scratch *s = BEGIN(KALLSYMS_LOOKUP_NAME);

	if (!s)
		return 0;
	append_string(s, FIELD_KALLSYMS_LOOKUP_NAME_SYMBOL_NAME, name);
	set_value(s, FIELD_KALLSYMS_LOOKUP_NAME_SYMBOL_ADDRESS, ret);
	return FINISH(s);
}

/* ---- debugfs ---- */

static __always_inline int emit_debugfs_file(struct dentry *dentry, u16 mode, u64 operations)
{
	struct scratch *s;

	if (!dentry || IS_ERROR(dentry))
		return 0;
	s = BEGIN(DEBUGFS_CREATE_FILE);
	if (!s)
		return 0;
	append_string(s, FIELD_DEBUGFS_CREATE_FILE_FILE_NAME, READ(dentry, d_name.name));
	append_dentry_path(s, FIELD_DEBUGFS_CREATE_FILE_PATH, READ(dentry, d_parent));
	set_value(s, FIELD_DEBUGFS_CREATE_FILE_MODE, mode);
	set_value(s, FIELD_DEBUGFS_CREATE_FILE_PROC_OPS_ADDR, operations);
	return FINISH(s);
}

/* struct dentry *__debugfs_create_file(const char *name, umode_t mode, struct dentry *parent, void *data,
 * const struct file_operations *proxy_fops, const struct file_operations *real_fops),
 * fs/debugfs/inode.c, 5.10 to 6.12; the last is a const void * since */
ON_EXIT(debugfs_create_file, __debugfs_create_file, const char *name, u16 mode, struct dentry *parent,
	void *data, void *proxy, u64 operations, s64 ret)
{
	return emit_debugfs_file((struct dentry *)ret, mode, operations);
}

/* struct dentry *__debugfs_create_file(const char *name, umode_t mode, struct dentry *parent, void *data,
 * const void *aux, const struct file_operations *proxy_fops, const void *real_fops), fs/debugfs/inode.c,
 * 7.2. The seventh lies on the stack, above the return address. */
SEC("fexit/__debugfs_create_file")
int debugfs_create_file_aux__fexit(u64 *ctx)
{
	return emit_debugfs_file((struct dentry *)ctx[7], ctx[1], ctx[6]);
}

enum { DEBUGFS_CREATE_FILE_CALL = __COUNTER__ };

SEC("kprobe/__debugfs_create_file")
int debugfs_create_file_aux__kprobe(struct pt_regs *regs)
{
	keep_call_with_seventh(regs, DEBUGFS_CREATE_FILE_CALL);
	return 0;
}

SEC("kretprobe/__debugfs_create_file")
int debugfs_create_file_aux__kretprobe(struct pt_regs *regs)
{
	u64 args[6];

	if (!take_call(DEBUGFS_CREATE_FILE_CALL, args))
		return 0;
	return emit_debugfs_file((struct dentry *)regs->ax, args[1], args[5]);
}

/* struct dentry *debugfs_create_dir(const char *name, struct dentry *parent), fs/debugfs/inode.c, 5.10
 * to 7.2 */
ON_EXIT(debugfs_create_dir, debugfs_create_dir, const char *name, struct dentry *parent, s64 ret)
{
	struct dentry *dentry = (struct dentry *)ret;
	struct scratch *s;

	if (!dentry || IS_ERROR(ret))
		return 0;
	s = BEGIN(DEBUGFS_CREATE_DIR);
	if (!s)
		return 0;
	append_string(s, FIELD_DEBUGFS_CREATE_DIR_NAME, READ(dentry, d_name.name));
	append_dentry_path(s, FIELD_DEBUGFS_CREATE_DIR_PATH, READ(dentry, d_parent));
	return FINISH(s);
}

/* ---- procfs ---- */

/* struct proc_dir_entry *proc_register(struct proc_dir_entry *dir, struct proc_dir_entry *dp),
 * fs/proc/generic.c, 5.10 to 7.2: what proc_create and all its kin end in. Directories, links and mount
 * points have no operations of their own. */
ON_EXIT(proc_create, proc_register, struct proc_dir_entry *directory, struct proc_dir_entry *entry, s64 ret)
{
	struct scratch *s;

	if (!ret || (READ(entry, mode) & S_IFMT) != S_IFREG)
		return 0;
	s = BEGIN(PROC_CREATE);
	if (!s)
		return 0;
	append_string(s, FIELD_PROC_CREATE_NAME, READ(entry, name));
	set_value(s, FIELD_PROC_CREATE_PROC_OPS_ADDR, (u64)READ(entry, proc_ops));
	return FINISH(s);
}

/* ---- Devices ---- */

/* int device_add(struct device *dev), drivers/base/core.c, 5.10 to 7.2. Its name is set in there. */
ON_EXIT(device_add, device_add, struct device *device, s64 ret)
{
	struct device *parent;
	struct scratch *s;

	if ((s32)ret)
		return 0;
	s = BEGIN(DEVICE_ADD);
	if (!s)
		return 0;
	append_string(s, FIELD_DEVICE_ADD_NAME, READ(device, kobj.name));
	parent = READ(device, parent);
	if (parent)
		append_string(s, FIELD_DEVICE_ADD_PARENT_NAME, READ(parent, kobj.name));
	return FINISH(s);
}

/* int __register_chrdev(unsigned int major, unsigned int baseminor, unsigned int count, const char *name,
 * const struct file_operations *fops), fs/char_dev.c, 5.10 to 7.2. Returns the major number that it chose
 * where it was asked to, else 0. */
ON_EXIT(register_chrdev, __register_chrdev, u32 major, u32 minor, u32 number, const char *name,
	void *operations, s64 ret)
{
	struct scratch *s;

	if ((s32)ret < 0)
		return 0;
	s = BEGIN(REGISTER_CHRDEV);
	if (!s)
		return 0;
	set_value(s, FIELD_REGISTER_CHRDEV_REQUESTED_MAJOR_NUMBER, major);
	set_value(s, FIELD_REGISTER_CHRDEV_GRANTED_MAJOR_NUMBER, major ? major : (u32)ret);
	append_string(s, FIELD_REGISTER_CHRDEV_CHAR_DEVICE_NAME, name);
	set_value(s, FIELD_REGISTER_CHRDEV_CHAR_DEVICE_FOPS, (u64)operations);
	return FINISH(s);
}

/* ---- do_init_module ---- */

/* A module whose init fails is freed before do_init_module returns, so its names are kept at entry. */
struct module_names {
	char name[56];
	char version[64];
	char checksum[64];
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 128);
	__type(key, u64); /* task */
	__type(value, struct module_names);
} modules_in_init SEC(".maps");

/* int do_init_module(struct module *mod), kernel/module/main.c (kernel/module.c), 5.10 to 7.2 */
ON_ENTRY(do_init_module_entered, do_init_module, struct module *module)
{
	u64 key = bpf_get_current_task();
	struct module_names names = {};

	bpf_core_read_str(names.name, sizeof(names.name), &module->name);
	bpf_probe_read_kernel_str(names.version, sizeof(names.version), READ(module, version));
	bpf_probe_read_kernel_str(names.checksum, sizeof(names.checksum), READ(module, srcversion));
	bpf_map_update_elem(&modules_in_init, &key, &names, BPF_ANY);
	return 0;
}

ON_EXIT(do_init_module, do_init_module, struct module *module, s64 ret)
{
	u64 key = bpf_get_current_task();
	struct module_names *names = bpf_map_lookup_elem(&modules_in_init, &key);
	struct scratch *s;

	if (!names) {
		count(APUS_COUNTER_UNPAIRED, COUNT_LOST);
		return 0;
	}
	s = BEGIN(DO_INIT_MODULE);
	if (s) {
		append_string(s, FIELD_DO_INIT_MODULE_NAME, names->name);
		if (names->version[0])
			append_string(s, FIELD_DO_INIT_MODULE_VERSION, names->version);
		if (names->checksum[0])
			append_string(s, FIELD_DO_INIT_MODULE_SRC_VERSION, names->checksum);
		set_value(s, FIELD_DO_INIT_MODULE_RETURNVALUE, (s64)(s32)ret);
		FINISH(s);
	}
	bpf_map_delete_elem(&modules_in_init, &key);
	return 0;
}

#endif
