/* Paths of kernel objects: from a struct path, not from what user space said. */
#ifndef APUS_PATH_H
#define APUS_PATH_H

static __always_inline struct mount *real_mount(struct vfsmount *mnt)
{
	return (void *)mnt - bpf_core_field_offset(struct mount, mnt);
}

/* The walk keeps its state in the scratch and takes each step in a global function, so that the
 * verifier sees one step and not the product of all. */

/* One step towards the root: a component is noted, or a mount crossed. Returns 0 at the root. */
__noinline long climb(void)
{
	struct scratch *s = scratch_of_this_cpu();
	struct dentry *dentry, *parent;
	struct mount *mount;

	if (!s)
		return 0;
	dentry = (struct dentry *)s->walk.dentry;
	mount = (struct mount *)s->walk.mount;
	if (dentry == BPF_CORE_READ(mount, mnt.mnt_root)) {
		struct mount *above = BPF_CORE_READ(mount, mnt_parent);
		if (above == mount)
			return 0;
		s->walk.dentry = (u64)BPF_CORE_READ(mount, mnt_mountpoint);
		s->walk.mount = (u64)above;
		return 1;
	}
	parent = BPF_CORE_READ(dentry, d_parent);
	if (parent == dentry)
		return 0;
	s->walk.components[s->walk.depth & (MAX_COMPONENTS - 1)] = (u64)dentry;
	s->walk.depth++;
	s->walk.dentry = (u64)parent;
	return 1;
}

/* Writes the component nearest to the root that is not written yet. Returns 0 when none is left. */
__noinline long descend(void)
{
	struct scratch *s = scratch_of_this_cpu();
	struct dentry *component;
	u32 at;
	long n;

	if (!s || s->walk.depth == 0)
		return 0;
	at = s->walk.at;
	if (at - s->walk.start > APUS_MAX_STRING - 258) {
		s->walk.truncated = 1;
		return 0;
	}
	s->walk.depth--;
	component = (struct dentry *)s->walk.components[s->walk.depth & (MAX_COMPONENTS - 1)];
	s->data[at & 0x7fff] = '/';
	n = bpf_probe_read_kernel_str(&s->data[(at + 1) & 0x7fff], 256, BPF_CORE_READ(component, d_name.name));
	s->walk.at = at + (n > 0 ? n : 1); /* the slash instead of the NUL */
	return 1;
}

/* Appends the absolute path of a struct path in its mount namespace as a blob; returns the new offset.
 * A file that hangs on no mount (memfd, pipe) is its bare name. */
__noinline long append_path(u64 path, u32 offset, u32 field)
{
	struct scratch *s = scratch_of_this_cpu();
	struct vfsmount *vfsmount;
	u32 length;

	if (!s || offset > APUS_RECORD_DATA - 16)
		return offset;
	vfsmount = BPF_CORE_READ((struct path *)path, mnt);
	s->walk.dentry = (u64)BPF_CORE_READ((struct path *)path, dentry);
	if (!s->walk.dentry || !vfsmount)
		return offset;
	s->walk.mount = (u64)real_mount(vfsmount);
	s->walk.start = s->walk.at = OFFSET(offset) + sizeof(struct apus_blob);
	s->walk.depth = 0;
	s->walk.truncated = 1;
	for (u32 i = 0; i < MAX_COMPONENTS; i++) {
		if (!climb()) {
			s->walk.truncated = 0;
			break;
		}
	}
	if (s->walk.truncated) {
		/* Its beginning is missing: an ellipsis (U+2026) in place of a path that looks whole. */
		s->data[s->walk.at & 0x7fff] = 0xe2;
		s->data[(s->walk.at + 1) & 0x7fff] = 0x80;
		s->data[(s->walk.at + 2) & 0x7fff] = 0xa6;
		s->walk.at += 3;
	}
	if (s->walk.depth == 0) {
		struct dentry *only = BPF_CORE_READ((struct path *)path, dentry);
		long n = bpf_probe_read_kernel_str(&s->data[s->walk.at & 0x7fff], 256, BPF_CORE_READ(only, d_name.name));
		s->walk.at += n > 0 ? n - 1 : 0;
	}
	for (u32 i = 0; i < MAX_COMPONENTS; i++)
		if (!descend())
			break;
	length = s->walk.at - s->walk.start;
	return close_blob(s, offset, field, s->walk.truncated ? APUS_BLOB_TRUNCATED : 0, 1, length & 0x1fff);
}

/* Since 6.13 the top bit of the nanoseconds says that someone has looked (I_CTIME_QUERIED, include/linux/fs.h). */
#define CTIME_QUERIED 0x80000000U

static __always_inline u64 inode_ctime(struct inode *inode)
{
	if (bpf_core_field_exists(inode->i_ctime_sec))
		return BPF_CORE_READ(inode, i_ctime_sec) * 1000000000ULL +
		       (BPF_CORE_READ(inode, i_ctime_nsec) & ~CTIME_QUERIED);
	if (bpf_core_field_exists(((struct inode___6_6 *)inode)->__i_ctime))
		return BPF_CORE_READ((struct inode___6_6 *)inode, __i_ctime.tv_sec) * 1000000000ULL +
		       BPF_CORE_READ((struct inode___6_6 *)inode, __i_ctime.tv_nsec);
	return BPF_CORE_READ((struct inode___old *)inode, i_ctime.tv_sec) * 1000000000ULL +
	       BPF_CORE_READ((struct inode___old *)inode, i_ctime.tv_nsec);
}

#endif
