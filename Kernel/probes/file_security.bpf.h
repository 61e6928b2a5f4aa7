/* The kernel's own security checks on files. Prototypes checked on 5.10, 6.1, 6.12 and 7.2; all of
 * security/security.c, called before the security modules decide. */
#ifndef APUS_FILE_SECURITY_H
#define APUS_FILE_SECURITY_H

/* ---- Through which mount: see lib/mounts.h ---- */

/* int security_path_unlink(const struct path *dir, struct dentry *dentry) */
ON_ENTRY(remember_unlink, security_path_unlink, struct path *folder, struct dentry *dentry)
{
	return remember_mount(folder, dentry);
}

/* int security_path_mknod(const struct path *dir, struct dentry *dentry, umode_t mode, unsigned int dev) */
ON_ENTRY(remember_mknod, security_path_mknod, struct path *folder, struct dentry *dentry)
{
	return remember_mount(folder, dentry);
}

/* int security_path_symlink(const struct path *dir, struct dentry *dentry, const char *old_name) */
ON_ENTRY(remember_symlink, security_path_symlink, struct path *folder, struct dentry *dentry)
{
	return remember_mount(folder, dentry);
}

/* int security_path_rename(const struct path *old_dir, struct dentry *old_dentry,
 * const struct path *new_dir, struct dentry *new_dentry, unsigned int flags): both are of one mount. */
ON_ENTRY(remember_rename, security_path_rename, struct path *folder, struct dentry *dentry)
{
	return remember_mount(folder, dentry);
}

/* int security_path_truncate(const struct path *path) */
ON_ENTRY(remember_truncate, security_path_truncate, struct path *path)
{
	return remember_mount(path, READ(path, dentry));
}

/* ---- Names of files ---- */

/* int security_inode_unlink(struct inode *dir, struct dentry *dentry) */
ON_ENTRY(security_inode_unlink, security_inode_unlink, struct inode *folder, struct dentry *dentry)
{
	struct vfsmount *mount = remembered_mount(dentry);
	struct scratch *s = BEGIN(SECURITY_INODE_UNLINK);
	struct inode *inode;

	if (!s)
		return 0;
	inode = READ(dentry, d_inode);
	append_dentry(s, FIELD_SECURITY_INODE_UNLINK_PATHNAME, dentry, mount);
	set_value(s, FIELD_SECURITY_INODE_UNLINK_INODE, READ(inode, i_ino));
	set_value(s, FIELD_SECURITY_INODE_UNLINK_DEV, inode_device(inode));
	set_value(s, FIELD_SECURITY_INODE_UNLINK_CTIME, inode_ctime(inode));
	return FINISH(s);
}

/* int security_inode_mknod(struct inode *dir, struct dentry *dentry, umode_t mode, dev_t dev) */
ON_ENTRY(security_inode_mknod, security_inode_mknod, struct inode *folder, struct dentry *dentry, u32 mode,
	 u32 device)
{
	struct vfsmount *mount = remembered_mount(dentry);
	struct scratch *s = BEGIN(SECURITY_INODE_MKNOD);

	if (!s)
		return 0;
	append_dentry(s, FIELD_SECURITY_INODE_MKNOD_FILE_NAME, dentry, mount);
	set_value(s, FIELD_SECURITY_INODE_MKNOD_MODE, (u16)mode);
	set_value(s, FIELD_SECURITY_INODE_MKNOD_DEV, device);
	return FINISH(s);
}

/* int security_inode_symlink(struct inode *dir, struct dentry *dentry, const char *old_name) */
ON_ENTRY(security_inode_symlink, security_inode_symlink, struct inode *folder, struct dentry *dentry,
	 const char *target)
{
	struct vfsmount *mount = remembered_mount(dentry);
	struct scratch *s = BEGIN(SECURITY_INODE_SYMLINK);

	if (!s)
		return 0;
	append_dentry(s, FIELD_SECURITY_INODE_SYMLINK_LINKPATH, dentry, mount);
	append_string(s, FIELD_SECURITY_INODE_SYMLINK_TARGET, target);
	return FINISH(s);
}

/* int security_inode_rename(struct inode *old_dir, struct dentry *old_dentry, struct inode *new_dir,
 * struct dentry *new_dentry, unsigned int flags) */
ON_ENTRY(security_inode_rename, security_inode_rename, struct inode *folder, struct dentry *dentry,
	 struct inode *new_folder, struct dentry *new_dentry)
{
	struct vfsmount *mount = remembered_mount(dentry);
	struct scratch *s = BEGIN(SECURITY_INODE_RENAME);

	if (!s)
		return 0;
	append_dentry(s, FIELD_SECURITY_INODE_RENAME_OLD_PATH, dentry, mount);
	append_dentry(s, FIELD_SECURITY_INODE_RENAME_NEW_PATH, new_dentry, mount);
	return FINISH(s);
}

/* ---- Opening, and reading by the kernel ---- */

/* int security_file_open(struct file *file) */
ON_ENTRY(security_file_open, security_file_open, struct file *file)
{
	struct scratch *s = BEGIN(SECURITY_FILE_OPEN);
	u32 argument;
	bool compat;

	if (!s)
		return 0;
	append_file_path(s, FIELD_SECURITY_FILE_OPEN_PATHNAME, file);
	set_value(s, FIELD_SECURITY_FILE_OPEN_FLAGS, READ(file, f_flags));
	set_inode(s, FIELD_SECURITY_FILE_OPEN_DEV, READ(file, f_inode));
	compat = s->record.flags & APUS_RECORD_COMPAT;
	argument = want_paths ? path_argument(s->record.syscall, compat) : 0;
	if (argument)
		append_user_string(s, FIELD_SECURITY_FILE_OPEN_SYSCALL_PATHNAME,
				   syscall_argument(argument, compat));
	return FINISH(s);
}

/* int security_kernel_read_file(struct file *file, enum kernel_read_file_id id, bool contents) */
ON_ENTRY(security_kernel_read_file, security_kernel_read_file, struct file *file, u32 id)
{
	struct scratch *s = BEGIN(SECURITY_KERNEL_READ_FILE);
	struct inode *inode;

	if (!s)
		return 0;
	inode = READ(file, f_inode);
	append_path(s, FIELD_SECURITY_KERNEL_READ_FILE_PATHNAME, &file->f_path);
	set_value(s, FIELD_SECURITY_KERNEL_READ_FILE_DEV, inode_device(inode));
	set_value(s, FIELD_SECURITY_KERNEL_READ_FILE_INODE, READ(inode, i_ino));
	set_value(s, FIELD_SECURITY_KERNEL_READ_FILE_TYPE, id);
	set_value(s, FIELD_SECURITY_KERNEL_READ_FILE_CTIME, inode_ctime(inode));
	return FINISH(s);
}

/* int security_kernel_post_read_file(struct file *file, char *buf, loff_t size,
 * enum kernel_read_file_id id) */
ON_ENTRY(security_kernel_post_read_file, security_kernel_post_read_file, struct file *file, void *bytes,
	 s64 size, u32 id)
{
	struct scratch *s = BEGIN(SECURITY_KERNEL_POST_READ_FILE);

	if (!s)
		return 0;
	append_path(s, FIELD_SECURITY_KERNEL_POST_READ_FILE_PATHNAME, &file->f_path);
	set_value(s, FIELD_SECURITY_KERNEL_POST_READ_FILE_SIZE, size);
	set_value(s, FIELD_SECURITY_KERNEL_POST_READ_FILE_TYPE, id);
	return FINISH(s);
}

/* ---- Mounts and watches ---- */

/* int security_sb_mount(const char *dev_name, const struct path *path, const char *type,
 * unsigned long flags, void *data). The strings are the kernel's copies, or null. */
ON_ENTRY(security_sb_mount, security_sb_mount, const char *device, struct path *path, const char *type,
	 u64 flags)
{
	struct scratch *s = BEGIN(SECURITY_SB_MOUNT);

	if (!s)
		return 0;
	append_string(s, FIELD_SECURITY_SB_MOUNT_DEV_NAME, device);
	append_path(s, FIELD_SECURITY_SB_MOUNT_PATH, path);
	append_string(s, FIELD_SECURITY_SB_MOUNT_TYPE, type);
	set_value(s, FIELD_SECURITY_SB_MOUNT_FLAGS, flags);
	return FINISH(s);
}

/* int security_sb_umount(struct vfsmount *mnt, int flags) */
ON_ENTRY(security_sb_umount, security_sb_umount, struct vfsmount *mount, s32 flags)
{
	struct scratch *s = BEGIN(SECURITY_SB_UMOUNT);

	if (!s)
		return 0;
	append_dentry(s, FIELD_SECURITY_SB_UMOUNT_MOUNTPOINT, READ(mount, mnt_root), mount);
	append_string(s, FIELD_SECURITY_SB_UMOUNT_TYPE, READ(mount, mnt_sb, s_type, name));
	set_value(s, FIELD_SECURITY_SB_UMOUNT_FLAGS, flags);
	return FINISH(s);
}

/* int security_path_notify(const struct path *path, u64 mask, unsigned int obj_type) */
ON_ENTRY(security_path_notify, security_path_notify, struct path *path, u64 mask, u32 type)
{
	struct scratch *s = BEGIN(SECURITY_PATH_NOTIFY);
	struct inode *inode;

	if (!s)
		return 0;
	inode = READ(path, dentry, d_inode);
	append_path(s, FIELD_SECURITY_PATH_NOTIFY_PATHNAME, path);
	set_value(s, FIELD_SECURITY_PATH_NOTIFY_INODE, READ(inode, i_ino));
	set_value(s, FIELD_SECURITY_PATH_NOTIFY_DEV, inode_device(inode));
	set_value(s, FIELD_SECURITY_PATH_NOTIFY_MASK, mask);
	set_value(s, FIELD_SECURITY_PATH_NOTIFY_OBJ_TYPE, type);
	return FINISH(s);
}

#endif
