/* Files: what the VFS does with them. Prototypes checked on 5.10, 6.1, 6.12 and 7.2. */
#ifndef APUS_FILES_H
#define APUS_FILES_H

/* ---- Reading and writing ---- */

/* Where a transfer of `moved` bytes began, given where it ended. The position at entry is not it: a
 * file that was opened to append is written to at its end. Null: what has no positions (a pipe). */
static __always_inline s64 beginning(u64 position, s64 moved)
{
	s64 end = 0;

	if (!position || bpf_probe_read_kernel(&end, sizeof(end), (void *)position))
		return 0;
	/* A device may move bytes and leave the position where it was. */
	return moved > 0 && end >= moved ? end - moved : end;
}

/* The fields of vfs_write; its kin have the same in the same places, but __kernel_write no result. */
static __always_inline int emit_transfer(struct scratch *s, struct file *file, u64 amount, u64 position,
					 s64 moved, bool with_result)
{
	if (!s)
		return 0;
	set_value(s, FIELD_VFS_WRITE_DEV, inode_device(READ(file, f_inode)));
	set_value(s, FIELD_VFS_WRITE_INODE, READ(file, f_inode, i_ino));
	set_value(s, FIELD_VFS_WRITE_COUNT, amount);
	set_value(s, FIELD_VFS_WRITE_POS, beginning(position, moved));
	if (with_result)
		set_value(s, FIELD_VFS_WRITE_RETURNVALUE, moved);
	if (with_result)
		append_path(s, FIELD_VFS_WRITE_PATHNAME, &file->f_path);
	else
		append_file_path(s, FIELD_VFS_WRITE_PATHNAME, file);
	return FINISH_BULK(s);
}

/* Whether what was written is the beginning of a regular file. */
static __always_inline bool is_magic(struct file *file, u64 position, s64 moved)
{
	return IS_WANTED(MAGIC_WRITE) && moved > 0 && file_type(file) == S_IFREG &&
	       beginning(position, moved) == 0;
}

#define MAGIC_BYTES 32
#define MAX_BUFFERS 1024 /* UIO_MAXIOV, include/uapi/linux/uio.h */

/* Copies what fits from the buffer that the struct iovec at `vector` describes. Returns how many of
 * the bytes there are then; MAGIC_BYTES + 1 where memory is not resident. */
__noinline long gather_buffer(u32 self, u64 vector, u32 have, u32 compat)
{
	struct scratch *s = scratch_at(self);
	u64 wide[2] = {};
	u32 narrow[2] = {}, length;

	if (!s || have >= MAGIC_BYTES)
		return have;
	if (compat) {
		if (bpf_probe_read_user(narrow, sizeof(narrow), (void *)vector))
			return MAGIC_BYTES + 1;
		wide[0] = narrow[0];
		wide[1] = narrow[1];
	} else if (bpf_probe_read_user(wide, sizeof(wide), (void *)vector)) {
		return MAGIC_BYTES + 1;
	}
	length = wide[1] > MAGIC_BYTES - have ? MAGIC_BYTES - have : wide[1];
	if (length == 0)
		return have;
	barrier_var(length);
	length &= 2 * MAGIC_BYTES - 1;
	if (bpf_probe_read_user(&s->data[OFFSET(s->offset) + sizeof(struct apus_blob) + (have & 63)], length,
				(void *)wide[0]))
		return MAGIC_BYTES + 1;
	return have + length;
}

__noinline long gather_stride(u32 self, u64 vector, u32 have, u32 compat)
{
	for (u32 i = 0; i < STRIDE; i++) {
		have = gather_buffer(self, vector + i * (compat ? 8 : 16), have, compat);
		if (have >= MAGIC_BYTES)
			break;
	}
	return have;
}

/* Appends the first bytes, `length` at most, of user memory that `count` vectors at `vector` describe. */
__noinline int append_gathered(u32 self, u64 vector, u32 count, u32 length)
{
	struct scratch *s = scratch_at(self);
	u32 compat, have = 0, next;

	if (!s || s->offset > APUS_RECORD_DATA - 16)
		return 0;
	compat = s->record.flags & APUS_RECORD_COMPAT;
	for (u32 i = 0; i < MAX_BUFFERS / STRIDE; i++) {
		if (i * STRIDE >= count || have >= length)
			break;
		next = gather_stride(self, vector + i * STRIDE * (compat ? 8 : 16), have, compat);
		if (next > MAGIC_BYTES)
			break;
		have = next;
	}
	if (have > length)
		have = length;
	if (have)
		s->offset = close_blob(s, s->offset, FIELD_MAGIC_WRITE_BYTES, 0, 1, have & 63);
	return 0;
}

static __always_inline struct scratch *begin_magic(struct file *file, s64 moved)
{
	struct scratch *s = BEGIN(MAGIC_WRITE);

	if (!s)
		return NULL;
	set_value(s, FIELD_MAGIC_WRITE_DEV, inode_device(READ(file, f_inode)));
	set_value(s, FIELD_MAGIC_WRITE_INODE, READ(file, f_inode, i_ino));
	set_value(s, FIELD_MAGIC_WRITE_RETURNVALUE, moved);
	append_file_path(s, FIELD_MAGIC_WRITE_PATHNAME, file);
	return s;
}

static __always_inline u32 magic_length(s64 moved)
{
	return moved > MAGIC_BYTES ? MAGIC_BYTES : moved;
}

/* ssize_t vfs_read(struct file *file, char __user *buf, size_t count, loff_t *pos), fs/read_write.c,
 * 5.10 to 7.2. */
ON_EXIT(vfs_read, vfs_read, struct file *file, void *buffer, u64 count, void *at, s64 ret)
{
	return emit_transfer(BEGIN(VFS_READ), file, count, pointer_argument(ctx, 3), ret, true);
}

/* ssize_t vfs_readv(struct file *file, const struct iovec __user *vec, unsigned long vlen, loff_t *pos,
 * rwf_t flags), fs/read_write.c, 5.10 to 7.2. */
ON_EXIT(vfs_readv, vfs_readv, struct file *file, void *vector, u64 count, void *at, u32 flags,
	s64 ret)
{
	return emit_transfer(BEGIN(VFS_READV), file, count, pointer_argument(ctx, 3), ret, true);
}

/* ssize_t vfs_write(struct file *file, const char __user *buf, size_t count, loff_t *pos),
 * fs/read_write.c, 5.10 to 7.2. */
ON_EXIT(vfs_write, vfs_write, struct file *file, void *buffer, u64 count, void *at, s64 ret)
{
	u64 position = pointer_argument(ctx, 3);
	struct scratch *s;

	if (is_magic(file, position, ret) && (s = begin_magic(file, ret))) {
		append_user_bytes(s, FIELD_MAGIC_WRITE_BYTES, pointer_argument(ctx, 1), magic_length(ret));
		FINISH(s);
	}
	if (!IS_WANTED(VFS_WRITE))
		return 0;
	return emit_transfer(BEGIN(VFS_WRITE), file, count, position, ret, true);
}

/* ssize_t vfs_writev(struct file *file, const struct iovec __user *vec, unsigned long vlen, loff_t *pos,
 * rwf_t flags), fs/read_write.c, 5.10 to 7.2. For 32-bit callers too. */
ON_EXIT(vfs_writev, vfs_writev, struct file *file, void *vector, u64 count, void *at, u32 flags,
	s64 ret)
{
	u64 position = pointer_argument(ctx, 3);
	struct scratch *s;

	if (is_magic(file, position, ret) && (s = begin_magic(file, ret))) {
		append_gathered(s->self, pointer_argument(ctx, 1), count, magic_length(ret));
		FINISH(s);
	}
	if (!IS_WANTED(VFS_WRITEV))
		return 0;
	return emit_transfer(BEGIN(VFS_WRITEV), file, count, position, ret, true);
}

static __always_inline int kernel_wrote(struct file *file, u64 bytes, u64 count, u64 position,
					s64 ret)
{
	struct scratch *s;

	if (bytes && is_magic(file, position, ret) && (s = begin_magic(file, ret))) {
		append_bytes(s, FIELD_MAGIC_WRITE_BYTES, (void *)bytes, magic_length(ret));
		FINISH(s);
	}
	if (!IS_WANTED(__KERNEL_WRITE))
		return 0;
	return emit_transfer(BEGIN(__KERNEL_WRITE), file, count, position, ret, false);
}

/* ssize_t __kernel_write(struct file *file, const void *buf, size_t count, loff_t *pos),
 * fs/read_write.c, 5.10 to 7.2. Before 6.1 every write of the kernel's goes through it. */
ON_EXIT(__kernel_write, __kernel_write, struct file *file, void *buffer, u64 count, void *at,
	s64 ret)
{
	return kernel_wrote(file, pointer_argument(ctx, 1), count, pointer_argument(ctx, 3), ret);
}

/* ssize_t __kernel_write_iter(struct file *file, struct iov_iter *from, loff_t *pos), fs/read_write.c,
 * 6.1 to 7.2. What kernel_write() calls there, into which the compiler puts __kernel_write().
 * The iterator has been moved along: what is left of it and what was written are what there was. */
ON_EXIT(__kernel_write_iter, __kernel_write_iter, struct file *file, struct iov_iter *from, void *at,
	s64 ret)
{
	u64 count = READ(from, count) + (ret > 0 ? ret : 0), left;
	u64 bytes = 0;

	if (READ(from, iter_type) == bpf_core_enum_value(enum iter_type, ITER_KVEC)) {
		struct kvec *vector = READ(from, kvec);
		/* The callers give one buffer; behind it when it is used up. Pages (of a core dump, the
		 * other kind) are never the beginning of a file. */
		left = READ(from, nr_segs);
		bytes = (u64)READ(vector + left - 1, iov_base);
	}
	return kernel_wrote(file, bytes, count, pointer_argument(ctx, 2), ret);
}

/* ---- Attributes ---- */

/* int vfs_utimes(const struct path *path, struct timespec64 *times), fs/utimes.c, 5.10 to 7.2. What
 * was asked for may be `now` or `leave it`; what the inode has then is what was meant. */
ON_EXIT(vfs_utimes, vfs_utimes, struct path *path, struct timespec64 *times, s64 ret)
{
	struct inode *inode;
	struct scratch *s;

	if ((s32)ret)
		return 0;
	s = BEGIN(VFS_UTIMES);
	if (!s)
		return 0;
	inode = READ(path, dentry, d_inode);
	append_path(s, FIELD_VFS_UTIMES_PATHNAME, path);
	set_value(s, FIELD_VFS_UTIMES_DEV, inode_device(inode));
	set_value(s, FIELD_VFS_UTIMES_INODE, READ(inode, i_ino));
	set_value(s, FIELD_VFS_UTIMES_ATIME, INODE_TIME(inode, atime));
	set_value(s, FIELD_VFS_UTIMES_MTIME, INODE_TIME(inode, mtime));
	return FINISH(s);
}

static __always_inline int truncated(struct dentry *dentry, u64 length, struct file *file, s64 ret)
{
	struct vfsmount *mount = remembered_mount(dentry);
	struct inode *inode;
	struct scratch *s;

	if ((s32)ret)
		return 0;
	s = BEGIN(DO_TRUNCATE);
	if (!s)
		return 0;
	inode = READ(dentry, d_inode);
	if (file)
		append_path(s, FIELD_DO_TRUNCATE_PATHNAME, &file->f_path);
	else
		append_dentry(s, FIELD_DO_TRUNCATE_PATHNAME, dentry, mount);
	set_value(s, FIELD_DO_TRUNCATE_INODE, READ(inode, i_ino));
	set_value(s, FIELD_DO_TRUNCATE_DEV, inode_device(inode));
	set_value(s, FIELD_DO_TRUNCATE_LENGTH, length);
	return FINISH(s);
}

/* int do_truncate(struct mnt_idmap *idmap, struct dentry *dentry, loff_t length, unsigned int time_attrs,
 * struct file *filp), fs/open.c, 6.3 to 7.2; the first is a struct user_namespace * from 5.12 on. */
ON_EXIT(do_truncate, do_truncate, void *map, struct dentry *dentry, u64 length, u32 times,
	struct file *file, s64 ret)
{
	return truncated(dentry, length, file, ret);
}

/* int do_truncate(struct dentry *dentry, loff_t length, unsigned int time_attrs, struct file *filp), 5.10 */
ON_EXIT(do_truncate_before_5_12, do_truncate, struct dentry *dentry, u64 length, u32 times,
	struct file *file, s64 ret)
{
	return truncated(dentry, length, file, ret);
}

/* int chmod_common(const struct path *path, umode_t mode), fs/open.c, 5.10 to 7.2 */
ON_EXIT(chmod_common, chmod_common, struct path *path, u32 mode, s64 ret)
{
	struct scratch *s = BEGIN(CHMOD_COMMON);

	if (!s)
		return 0;
	append_path(s, FIELD_CHMOD_COMMON_PATHNAME, path);
	set_value(s, FIELD_CHMOD_COMMON_MODE, (u16)mode);
	set_value(s, FIELD_CHMOD_COMMON_RETURNVALUE, (s32)ret);
	return FINISH(s);
}

/* ---- Folders ---- */

#define SYS_CHDIR 80
#define SYS_CHDIR_COMPAT 12

/* void set_fs_pwd(struct fs_struct *fs, const struct path *path), fs/fs_struct.c, 5.10 to 7.2. Also for
 * fchdir and for setns to a mount namespace, which give no path. */
ON_ENTRY(set_fs_pwd, set_fs_pwd, struct fs_struct *fs, struct path *path)
{
	struct scratch *s = BEGIN(SET_FS_PWD);
	bool compat;

	if (!s)
		return 0;
	compat = s->record.flags & APUS_RECORD_COMPAT;
	if (s->record.syscall == (compat ? SYS_CHDIR_COMPAT : SYS_CHDIR))
		append_user_string(s, FIELD_SET_FS_PWD_UNRESOLVED_PATH, syscall_argument(1, compat));
	append_path(s, FIELD_SET_FS_PWD_RESOLVED_PATH, path);
	return FINISH(s);
}

/* The name has no NUL. */
static __always_inline int emit_zeroed_inode(const char *name, u32 length)
{
	struct scratch *s = BEGIN(ZEROED_INODES);

	if (!s)
		return 0;
	append_bytes(s, FIELD_ZEROED_INODES_DIRENT_NAME, name, length);
	return FINISH(s);
}

/* bool filldir64(struct dir_context *ctx, const char *name, int namlen, loff_t offset, u64 ino,
 * unsigned int d_type), fs/readdir.c, 6.1 to 7.2; returns an int before. For getdents64; filldir and
 * compat_filldir, the same for getdents of 64-bit and 32-bit callers. */
ON_ENTRY(zeroed_inodes, filldir64, void *context, const char *name, u32 length, s64 offset, u64 ino)
{
	return ino ? 0 : emit_zeroed_inode(name, length);
}

ON_ENTRY(zeroed_inodes_filldir, filldir, void *context, const char *name, u32 length, s64 offset, u64 ino)
{
	return ino ? 0 : emit_zeroed_inode(name, length);
}

ON_ENTRY(zeroed_inodes_compat_filldir, compat_filldir, void *context, const char *name, u32 length,
	 s64 offset, u64 ino)
{
	return ino ? 0 : emit_zeroed_inode(name, length);
}

/* int inotify_find_inode(const char __user *dirname, struct path *path, unsigned int flags, __u64 mask),
 * fs/notify/inotify/inotify_user.c, 5.10 to 7.2. Fills in the path. */
ON_EXIT(inotify_watch, inotify_find_inode, const void *name, struct path *path, u32 flags, u64 mask, s64 ret)
{
	struct inode *inode;
	struct scratch *s;

	if ((s32)ret)
		return 0;
	s = BEGIN(INOTIFY_WATCH);
	if (!s)
		return 0;
	inode = READ(path, dentry, d_inode);
	append_path(s, FIELD_INOTIFY_WATCH_PATHNAME, path);
	set_value(s, FIELD_INOTIFY_WATCH_INODE, READ(inode, i_ino));
	set_value(s, FIELD_INOTIFY_WATCH_DEV, inode_device(inode));
	return FINISH(s);
}

#endif
