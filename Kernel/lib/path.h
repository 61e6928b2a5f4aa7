/* Paths of kernel objects: from a struct path, not from what user space said. */
#ifndef APUS_PATH_H
#define APUS_PATH_H

#define NAME_MAX 255 /* bytes of one component, include/uapi/linux/limits.h */

static __always_inline struct mount *real_mount(struct vfsmount *mnt)
{
	return (void *)mnt - bpf_core_field_offset(struct mount, mnt);
}

/* The walk goes in strides of 16 steps, each a call of a global function, so that the verifier sees
 * 16 + 32 steps and not 512. What the steps add up to lies in the scratch, where it tells no states apart. */
#define STRIDE 16

/* Towards the root: components are noted and mounts crossed. Returns 0 at the root. */
__noinline long climb(u32 self)
{
	struct scratch *s = scratch_at(self);
	struct dentry *dentry, *parent;
	struct mount *mount, *above;

	if (!s)
		return 0;
	dentry = (struct dentry *)s->walk.dentry;
	mount = (struct mount *)s->walk.mount;
	for (u32 i = 0; i < STRIDE; i++) {
		if (mount && dentry == READ(mount, mnt.mnt_root)) {
			above = READ(mount, mnt_parent);
			if (above == mount)
				return 0;
			dentry = READ(mount, mnt_mountpoint);
			mount = above;
			continue;
		}
		parent = READ(dentry, d_parent);
		if (parent == dentry)
			return 0;
		s->walk.components[s->walk.depth++ & (MAX_COMPONENTS - 1)] = (u64)dentry;
		dentry = parent;
	}
	s->walk.dentry = (u64)dentry;
	s->walk.mount = (u64)mount;
	return 1;
}

/* Away from the root: writes the components that are not written yet. Returns 0 when none is left. */
__noinline long descend(u32 self)
{
	struct scratch *s = scratch_at(self);

	if (!s)
		return 0;
	for (u32 i = 0; i < STRIDE; i++) {
		struct dentry *component;
		u32 at = s->walk.at, length;

		/* What is too long is cut in the end. */
		if (s->walk.depth == 0 || at - s->walk.start >= APUS_MAX_STRING)
			return 0;
		component = (struct dentry *)s->walk.components[--s->walk.depth & (MAX_COMPONENTS - 1)];
		s->data[at & 0x7fff] = '/';
		length = READ(component, d_name.len) & NAME_MAX;
		barrier_var(length);
		length &= NAME_MAX;
		bpf_probe_read_kernel(&s->data[(at + 1) & 0x7fff], length, READ(component, d_name.name));
		s->walk.at = at + 1 + length;
	}
	return 1;
}

/* Appends the path from walk.dentry and walk.mount (0: within the file system only) to the root. */
__noinline int append_walk(u32 self, u32 field)
{
	struct scratch *s = scratch_at(self);
	struct dentry *start;
	u32 length, flags = 0;

	if (!s || !s->walk.dentry || s->offset > APUS_RECORD_DATA - 16)
		return 0;
	start = (struct dentry *)s->walk.dentry;
	s->walk.start = s->walk.at = OFFSET(s->offset) + sizeof(struct apus_blob);
	s->walk.depth = 0;
	s->walk.truncated = 1;
	for (u32 i = 0; i < MAX_COMPONENTS / STRIDE; i++) {
		if (!climb(self)) {
			s->walk.truncated = 0;
			break;
		}
	}
	if (s->walk.truncated) {
		/* Its beginning is missing: an ellipsis in place of a path that looks whole. */
		s->walk.at += put_ellipsis(&s->data[s->walk.at & 0x7fff]) - 1;
		flags = APUS_BLOB_TRUNCATED;
	}
	if (s->walk.depth == 0) {
		/* The root, or what hangs on no mount (memfd, pipe), whose bare name it is. */
		long n = bpf_probe_read_kernel_str(&s->data[s->walk.at & 0x7fff], 256, READ(start, d_name.name));
		s->walk.at += n > 0 ? n - 1 : 0;
	}
	for (u32 i = 0; i < MAX_COMPONENTS / STRIDE; i++)
		if (!descend(self))
			break;
	length = s->walk.at - s->walk.start;
	if (length >= APUS_MAX_STRING) {
		length = APUS_MAX_STRING - 1;
		flags = APUS_BLOB_TRUNCATED;
	}
	s->offset = close_blob(s, s->offset, field, flags, 1, length & 0x1fff);
	return 0;
}

/* Appends the absolute path of a struct path in its mount namespace. A file that hangs on no mount
 * (memfd, pipe) is its bare name. */
static __always_inline void append_path(struct scratch *s, u32 field, struct path *path)
{
	struct vfsmount *mount;

	if (!want_paths)
		return;
	mount = READ(path, mnt);
	s->walk.dentry = mount ? (u64)READ(path, dentry) : 0;
	s->walk.mount = (u64)real_mount(mount);
	append_walk(s->self, field);
}

/* Appends the path of a dentry from the root of its file system, for hooks that are given no mount. */
static __always_inline void append_dentry_path(struct scratch *s, u32 field, struct dentry *dentry)
{
	if (!want_paths)
		return;
	s->walk.dentry = (u64)dentry;
	s->walk.mount = 0;
	append_walk(s->self, field);
}

/* Since 6.13 the top bit of i_ctime_nsec says that someone has looked (I_CTIME_QUERIED, include/linux/fs.h). */
#define CTIME_QUERIED 0x80000000U

/* A time of an inode (atime, mtime, ctime), whatever its kernel keeps it in, as ns since 1970. */
#define INODE_TIME(inode, time)                                                                            \
	({                                                                                                 \
		u64 ns;                                                                                    \
		if (bpf_core_field_exists((inode)->i_##time##_sec))                                        \
			ns = READ(inode, i_##time##_sec) * 1000000000ULL +                                 \
			     (READ(inode, i_##time##_nsec) & ~CTIME_QUERIED);                              \
		else if (bpf_core_field_exists(((struct inode___6_6 *)(inode))->__i_##time))               \
			ns = BPF_CORE_READ((struct inode___6_6 *)(inode), __i_##time.tv_sec) *             \
				     1000000000ULL +                                                       \
			     BPF_CORE_READ((struct inode___6_6 *)(inode), __i_##time.tv_nsec);             \
		else                                                                                       \
			ns = BPF_CORE_READ((struct inode___old *)(inode), i_##time.tv_sec) * 1000000000ULL + \
			     BPF_CORE_READ((struct inode___old *)(inode), i_##time.tv_nsec);               \
		ns;                                                                                        \
	})

static __always_inline u64 inode_ctime(struct inode *inode)
{
	return INODE_TIME(inode, ctime);
}

/* Types of files: include/uapi/linux/stat.h */
#define S_IFMT 0170000
#define S_IFSOCK 0140000
#define S_IFREG 0100000
#define S_IFIFO 0010000

static __always_inline u32 file_type(struct file *file)
{
	return READ(file, f_inode, i_mode) & S_IFMT;
}

/* The first eight bytes of the name of a file, by which those of no file system are told apart. */
static __always_inline u64 beginning_of_name(struct file *file)
{
	u64 name = 0;

	bpf_probe_read_kernel(&name, sizeof(name), READ(file, f_path.dentry, d_name.name));
	return name;
}

static __always_inline u32 inode_device(struct inode *inode)
{
	return READ(inode, i_sb, s_dev);
}

/* Sets three fields in a row: device, inode number and last change. */
static __always_inline void set_inode(struct scratch *s, u32 dev, struct inode *inode)
{
	set_value(s, dev, inode_device(inode));
	set_value(s, dev + 1, READ(inode, i_ino));
	set_value(s, dev + 2, inode_ctime(inode));
}

/* The file behind a descriptor of a task. */
static __always_inline struct file *file_of(struct task_struct *task, u32 fd)
{
	struct fdtable *table = TASK(task, files, fdt);
	struct file **fds = READ(table, fd), *file = NULL;

	if (fd < READ(table, max_fds))
		bpf_probe_read_kernel(&file, sizeof(file), &fds[fd]);
	return file;
}

#endif
