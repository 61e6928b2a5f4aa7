/* What descriptors are open on: their files as the kernel has them at that moment. Who asks /proc for it afterwards may
 * find another. Where nobody wants it the verifier drops all of this. */
#ifndef APUS_DESCRIPTOR_H
#define APUS_DESCRIPTOR_H

#define AT_FDCWD (-100) /* include/uapi/linux/fcntl.h */
/* include/uapi/linux/magic.h */
#define NSFS_MAGIC 0x6e736673
#define SOCKFS_MAGIC 0x534f434b

/* The most that is appended of one, and some: where there is less room, nothing is. */
#define DESCRIPTOR_ROOM 5120

/* Beside the number of a field. */
#define DESCRIPTOR_DIRECTORY 0x100 /* AT_FDCWD stands for one, too */
#define DESCRIPTOR_HELD 0x200      /* it stands in what the field points at */

/* Says of the blob at `at`, if there is one, which part of a descriptor it is. */
static __always_inline void set_part(struct scratch *s, u32 at, u32 part)
{
	struct apus_blob *blob = (void *)&s->data[OFFSET(at)];

	if (s->offset == at)
		return;
	blob->flags |= 1 << APUS_BLOB_LEVEL_SHIFT;
	blob->count = part;
}

/* Appends what is told of a file in numbers: that of the walk's dentry and mount. Returns the magic number of its file
 * system where it is nowhere; else 0. */
__noinline u32 append_descriptor_numbers(u32 self, u32 field, u32 number)
{
	struct scratch *s = scratch_at(self);
	struct dentry *dentry, *parent;
	struct apus_descriptor *to;
	struct mount *mount;
	u32 flags = 0, magic;

	if (!want_fd_paths || !s || s->offset > APUS_RECORD_DATA - 16)
		return 0;
	dentry = (struct dentry *)s->walk.dentry;
	mount = (struct mount *)s->walk.mount;
	to = (void *)&s->data[OFFSET(s->offset) + sizeof(struct apus_blob)];
	__builtin_memset(to, 0, sizeof(*to));
	to->inode = READ(dentry, d_inode, i_ino);
	to->number = number;
	magic = READ(dentry, d_sb, s_magic);
	to->file_system = magic;
	parent = READ(dentry, d_parent);
	/* As d_path() tells them (fs/d_path.c, 5.10 to 7.2). */
	if (parent != dentry)
		flags = READ(dentry, d_hash.pprev) ? 0 : APUS_DESCRIPTOR_DELETED;
	else if (dentry != READ(mount, mnt.mnt_root))
		flags = APUS_DESCRIPTOR_NOWHERE;
	to->flags = flags;
	s->offset = close_blob(s, s->offset, field & 0xff, APUS_BLOB_DESCRIPTOR, field & DESCRIPTOR_HELD ? 0 : 1,
			       sizeof(*to));
	return flags & APUS_DESCRIPTOR_NOWHERE ? magic : 0;
}

/* The inode of a socket that user space has, or 0. */
static __always_inline u64 socket_inode(struct sock *sock)
{
	struct socket *socket = sock ? READ(sock, sk_socket) : NULL;
	struct file *file = socket ? READ(socket, file) : NULL;

	return file ? READ(file, f_inode, i_ino) : 0;
}

/* Appends the addresses of the socket `from` behind its numbers, which are at `at`, and adds to these what a socket has. */
__noinline int append_socket_parts(u32 self, u32 field, u32 at)
{
	struct scratch *s = scratch_at(self);
	struct apus_descriptor *to;
	struct sock *sock;
	u32 offset, family;

	if (!want_fd_paths || !s || !s->from)
		return 0;
	sock = (struct sock *)s->from;
	to = (void *)&s->data[OFFSET(at) + sizeof(struct apus_blob)];
	family = READ(sock, __sk_common.skc_family);
	to->family = family;
	to->protocol = READ(sock, sk_protocol);
	if (family == ADDRESS_NETLINK && bpf_core_type_exists(struct netlink_sock))
		to->port = READ((struct netlink_sock *)sock, portid);
	if (family == ADDRESS_UNIX && bpf_core_type_exists(struct unix_sock))
		to->peer = socket_inode(READ((struct unix_sock *)sock, peer));
	if (family != ADDRESS_UNIX && family != ADDRESS_INET && family != ADDRESS_INET6)
		return 0;
	offset = s->offset;
	append_socket_address_from(self, field & 0xff, LOCAL_ADDRESS);
	set_part(s, offset, APUS_DESCRIPTOR_LOCAL);
	if (family == ADDRESS_UNIX)
		return 0;
	offset = s->offset;
	append_socket_address_from(self, field & 0xff, REMOTE_ADDRESS);
	set_part(s, offset, APUS_DESCRIPTOR_REMOTE);
	return 0;
}

/* Appends the kind of a name space, which has no other name: `mnt`. */
__noinline int append_namespace_kind(u32 self, u32 field)
{
	struct scratch *s = scratch_at(self);
	struct ns_common *ns;
	struct dentry *dentry;

	if (!want_fd_paths || !s || !bpf_core_field_exists(((struct ns_common *)0)->ops))
		return 0;
	dentry = (struct dentry *)s->walk.dentry;
	ns = READ(dentry, d_inode, i_private);
	s->from = (u64)READ(ns, ops, name);
	append_string_from(self, field);
	return 0;
}

/* Appends what a descriptor of the current task is open on; nothing where it is not open. Global, and in parts, so that
 * each is verified once and none needs much of the stack. */
__noinline int append_descriptor(u32 self, u32 field, u32 number)
{
	struct scratch *s = scratch_at(self);
	struct task_struct *task;
	struct file *file = NULL;
	struct vfsmount *mount;
	u32 offset, at, magic;
	struct path *path;

	if (!want_fd_paths || !s || s->offset > SPILL_DATA - DESCRIPTOR_ROOM)
		return 0;
	task = current_task();
	if ((s32)number == AT_FDCWD && field & DESCRIPTOR_DIRECTORY) {
		struct fs_struct *fs = TASK(task, fs);
		path = &fs->pwd;
	} else {
		file = file_of(task, number);
		if (!file)
			return 0;
		path = &file->f_path;
	}
	mount = READ(path, mnt);
	s->walk.dentry = (u64)READ(path, dentry);
	if (!mount || !s->walk.dentry)
		return 0;
	s->walk.mount = (u64)real_mount(mount);
	at = s->offset;
	magic = append_descriptor_numbers(self, field, number);
	if (s->offset == at)
		return 0;
	offset = s->offset;
	if (magic == NSFS_MAGIC)
		append_namespace_kind(self, field & 0xff);
	else
		append_walk(self, field & 0xff);
	set_part(s, offset, APUS_DESCRIPTOR_NAME);
	if (magic == SOCKFS_MAGIC && file) {
		struct socket *socket = READ(file, private_data);

		s->from = (u64)READ(socket, sk);
		append_socket_parts(self, field, at);
	}
	return 0;
}

/* Appends what the two descriptors are open on that stand in the blob of a call that made them. */
static __always_inline void append_pair(struct scratch *s, u32 pairs)
{
	struct apus_blob *blob = (void *)&s->data[OFFSET(s->appended)];
	u32 field = blob->field;
	u64 pair = *(u64 *)(blob + 1);

	if (s->offset - s->appended < sizeof(*blob) + sizeof(pair) || blob->length != sizeof(pair) ||
	    !(pairs >> (field & 7) & 1))
		return;
	append_descriptor(s->self, field | DESCRIPTOR_HELD, pair);
	append_descriptor(s->self, field | DESCRIPTOR_HELD, pair >> 32);
}

#endif
