/* Types of the kernel: files, inodes, directory entries and mounts. Included by vmlinux.h, whose rules are these too. */

struct qstr {
	u32 len;
	unsigned char *name;
};

typedef u32 dev_t;

struct file_system_type {
	const char *name;
};

struct super_block {
	dev_t s_dev;
	unsigned long s_magic;
	struct list_head s_mounts; /* of struct mount, before 6.18 */
	struct file_system_type *s_type;
};

struct super_block___6_18 {
	struct mount *s_mounts;
};

struct timespec64 {
	s64 tv_sec;
	long tv_nsec;
};

struct inode {
	unsigned short i_mode;
	struct super_block *i_sb;
	unsigned long i_ino;
	unsigned int i_nlink;
	s64 i_ctime_sec; /* since 6.11 */
	u32 i_ctime_nsec;
	s64 i_size;
	s64 i_atime_sec, i_mtime_sec; /* since 6.11 */
	u32 i_atime_nsec, i_mtime_nsec;
	struct pipe_inode_info *i_pipe;
	void *i_private;
};

struct inode___6_6 {
	struct timespec64 __i_ctime; /* 6.6 to 6.10 */
	struct timespec64 __i_atime, __i_mtime; /* 6.7 to 6.10 */
};

struct inode___old {
	struct timespec64 i_ctime; /* before 6.6 */
	struct timespec64 i_atime, i_mtime; /* before 6.7 */
};

struct hlist_bl_node {
	struct hlist_bl_node **pprev;
};

struct dentry {
	struct hlist_bl_node d_hash;
	struct dentry *d_parent;
	struct qstr d_name;
	struct inode *d_inode;
	struct super_block *d_sb;
};

struct vfsmount {
	struct dentry *mnt_root;
	struct super_block *mnt_sb;
};

struct mount {
	struct mount *mnt_parent;
	struct dentry *mnt_mountpoint;
	struct vfsmount mnt;
	struct list_head mnt_instance; /* before 6.18 */
	struct mnt_namespace *mnt_ns;
};

struct mount___6_18 {
	struct mount *mnt_next_for_sb;
};

struct path {
	struct vfsmount *mnt;
	struct dentry *dentry;
};

typedef struct {
	s64 counter;
} atomic64_t;

typedef struct {
	atomic64_t refcnt;
} file_ref_t;

struct file {
	void *private_data;
	struct path f_path;
	struct inode *f_inode;
	unsigned int f_flags;
	unsigned int f_mode;
	s64 f_pos;
	file_ref_t f_ref; /* since 6.13 */
};

struct file___6_12 {
	atomic64_t f_count; /* before 6.13 */
};
