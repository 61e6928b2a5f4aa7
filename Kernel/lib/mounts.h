/* Absolute paths of dentries, for hooks that are given no mount: which mount is it seen through? */
#ifndef APUS_MOUNTS_H
#define APUS_MOUNTS_H

/* Whether a mount with this namespace is in none: unmounted, or the kernel's own, for which it may also be
 * an error in place of a pointer. */
static __always_inline bool is_nowhere(struct mnt_namespace *ns)
{
	return !ns || IS_ERROR(ns);
}

/* The mounts of a file system: a list before 6.18, oldest first; since then a chain, newest first. */
#define HAS_MOUNT_CHAIN bpf_core_field_exists(struct mount___6_18, mnt_next_for_sb)

/* Whether the dentry noted at `walk.at` of the components is `walk.node`. Returns 0 at the end of the
 * search, when `walk.start` says whether it was found. */
__noinline long compare_ancestor(u32 self)
{
	struct scratch *s = scratch_at(self);

	if (!s || s->walk.at >= s->walk.depth)
		return 0;
	if (s->walk.components[s->walk.at & (MAX_COMPONENTS - 1)] == s->walk.node) {
		s->walk.start = 1;
		return 0;
	}
	s->walk.at++;
	return 1;
}

__noinline long compare_ancestor_stride(u32 self)
{
	for (u32 i = 0; i < STRIDE; i++)
		if (!compare_ancestor(self))
			return 0;
	return 1;
}

/* Whether a mount whose root is `walk.node` shows the dentry whose ancestors are noted. */
__noinline long shows_noted(u32 self)
{
	struct scratch *s = scratch_at(self);

	if (!s)
		return 0;
	if (s->walk.node == s->walk.dentry)
		return 1; /* the root of the whole file system */
	s->walk.at = s->walk.start = 0;
	for (u32 i = 0; i < MAX_COMPONENTS / STRIDE; i++)
		if (!compare_ancestor_stride(self))
			break;
	return s->walk.start;
}

/* The mount at `walk.address` goes to `walk.node`, and `walk.address` to the next. Two functions, so that
 * the compiler does not compute what one of them needs where only the other can. */
__noinline long next_in_chain(u32 self)
{
	struct scratch *s = scratch_at(self);
	struct mount___6_18 *mount;

	if (!s || !HAS_MOUNT_CHAIN)
		return 0;
	mount = (struct mount___6_18 *)s->walk.address;
	s->walk.node = (u64)mount;
	s->walk.address = (u64)BPF_CORE_READ(mount, mnt_next_for_sb);
	return 1;
}

__noinline long next_in_list(u32 self)
{
	struct scratch *s = scratch_at(self);
	struct list_head *link;

	if (!s || HAS_MOUNT_CHAIN || s->walk.address == s->from)
		return 0; /* the head of the list again */
	link = (struct list_head *)s->walk.address;
	s->walk.node = (u64)link - bpf_core_field_offset(struct mount, mnt_instance);
	s->walk.address = (u64)BPF_CORE_READ(link, next);
	return 1;
}

/* Considers the mount at `walk.address` and goes to the next. The best so far is `walk.mount`, and
 * `walk.vma` is 1 where that one is in the caller's mount namespace. Returns 0 at the end. */
__noinline long consider_mount(u32 self)
{
	struct scratch *s = scratch_at(self);
	struct mnt_namespace *ns;
	struct mount *mount;
	u64 own;

	if (!s || !s->walk.address)
		return 0;
	if (HAS_MOUNT_CHAIN ? !next_in_chain(self) : !next_in_list(self))
		return 0;
	mount = (struct mount *)s->walk.node;
	ns = READ(mount, mnt_ns);
	own = ns == TASK(current_task(), nsproxy, mnt_ns);
	if (is_nowhere(ns) || own < s->walk.vma)
		return 1;
	if (!HAS_MOUNT_CHAIN && s->walk.mount && own == s->walk.vma)
		return 1;
	s->walk.node = (u64)READ(mount, mnt.mnt_root);
	if (!shows_noted(self))
		return 1;
	s->walk.mount = (u64)mount;
	s->walk.vma = own;
	return 1;
}

__noinline long consider_mount_stride(u32 self)
{
	for (u32 i = 0; i < STRIDE; i++)
		if (!consider_mount(self))
			return 0;
	return 1;
}

#define MAX_MOUNTS 1024 /* of one file system */

/* The first mount of the file system `from`, to `walk.address`. */
__noinline int first_in_chain(u32 self)
{
	struct scratch *s = scratch_at(self);
	struct super_block___6_18 *sb;

	if (!s || !HAS_MOUNT_CHAIN)
		return 0;
	sb = (struct super_block___6_18 *)s->from;
	s->walk.address = (u64)BPF_CORE_READ(sb, s_mounts);
	return 0;
}

__noinline int first_in_list(u32 self)
{
	struct scratch *s = scratch_at(self);
	struct list_head *head;

	if (!s || HAS_MOUNT_CHAIN)
		return 0;
	head = (void *)s->from + bpf_core_field_offset(struct super_block, s_mounts);
	s->from = (u64)head;
	s->walk.address = (u64)BPF_CORE_READ(head, next);
	return 0;
}

/* Finds the mount through which the dentry `from` is seen, to `walk.mount`; 0: none. */
__noinline int find_mount(u32 self)
{
	struct scratch *s = scratch_at(self);
	struct dentry *dentry, *root;

	if (!s || !s->from)
		return 0;
	dentry = (struct dentry *)s->from;
	s->walk.dentry = s->from;
	s->walk.address = s->walk.mount = s->walk.vma = 0;
	s->walk.depth = 0;
	for (u32 i = 0; i < MAX_COMPONENTS / STRIDE; i++)
		if (!climb(self))
			break;
	/* Where the climb ended: the root of the whole file system. */
	root = dentry;
	if (s->walk.depth) {
		root = (struct dentry *)s->walk.components[(s->walk.depth - 1) & (MAX_COMPONENTS - 1)];
		root = READ(root, d_parent);
	}
	s->walk.dentry = (u64)root;
	s->from = (u64)READ(dentry, d_sb);
	if (HAS_MOUNT_CHAIN)
		first_in_chain(self);
	else
		first_in_list(self);
	for (u32 i = 0; i < MAX_MOUNTS / STRIDE; i++)
		if (!consider_mount_stride(self))
			break;
	return 0;
}

/* Appends the absolute path of a dentry. The mount is `known` where it is not null; else the oldest that
 * shows the dentry, in the caller's mount namespace if there is one. Where there is none at all, it is
 * the path within the file system. */
static __always_inline void append_dentry(struct scratch *s, u32 field, struct dentry *dentry,
					  struct vfsmount *known)
{
	if (!want_paths)
		return;
	if (known) {
		s->walk.mount = (u64)real_mount(known);
	} else {
		s->from = (u64)dentry;
		find_mount(s->self);
	}
	s->walk.dentry = (u64)dentry;
	append_walk(s->self, field);
}

/* Appends the absolute path of an open file. A layer of overlayfs, and what the kernel opened for itself,
 * may be open through a mount that is nowhere; it is told where the file is. */
static __always_inline void append_file_path(struct scratch *s, u32 field, struct file *file)
{
	struct mount *mount;

	if (!want_paths)
		return;
	mount = real_mount(READ(file, f_path.mnt));
	if (is_nowhere(READ(mount, mnt_ns)))
		append_dentry(s, field, READ(file, f_path.dentry), NULL);
	else
		append_path(s, field, &file->f_path);
}

/* ---- What the checks on inodes are not told, those on paths are (with CONFIG_SECURITY_PATH), just
 * before in the same task: through which mount a dentry is dealt with. ---- */

struct seen_path {
	u64 mount;
	u64 dentry;
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 4096);
	__type(key, u64); /* task */
	__type(value, struct seen_path);
} seen_paths SEC(".maps");

static __always_inline int remember_mount(struct path *path, struct dentry *dentry)
{
	struct seen_path seen = {.mount = (u64)READ(path, mnt), .dentry = (u64)dentry};
	u64 key = bpf_get_current_task();

	bpf_map_update_elem(&seen_paths, &key, &seen, BPF_ANY);
	return 0;
}

/* The mount of a dentry that the current task is just dealing with, or null. */
static __always_inline struct vfsmount *remembered_mount(struct dentry *dentry)
{
	u64 key = bpf_get_current_task();
	struct seen_path *seen = bpf_map_lookup_elem(&seen_paths, &key);
	struct vfsmount *mount = NULL;

	if (!seen)
		return NULL;
	if (seen->dentry == (u64)dentry)
		mount = (struct vfsmount *)seen->mount;
	bpf_map_delete_elem(&seen_paths, &key);
	return mount;
}

#endif
