/* Types of the kernel: io_uring. Included by vmlinux.h, whose rules are these too. */

struct filename {
	const char *name;
};

struct delayed_filename {
	struct filename *__incomplete_filename;
};

struct io_cqe {
	u64 user_data;
	int fd;
};

struct io_uring_sqe {
	u8 opcode;
	int fd;
};

struct io_ring_ctx {
	unsigned int flags;
	u32 *sq_array;
	struct io_uring_sqe *sq_sqes;
	unsigned int cached_sq_head, sq_entries;
};

struct io_kiocb {
	struct file *file;
	u8 opcode;
	struct io_cqe cqe; /* since 5.19 */
	struct io_ring_ctx *ctx;
	void *async_data;
};

struct io_kiocb___5_18 {
	u32 flags;
	u64 user_data;
};

/* What a request keeps for itself, at its beginning. */
struct io_open {
	int dfd;
	struct filename *filename;
};

struct io_open___7_0 {
	struct delayed_filename filename;
};

struct io_unlink {
	int dfd;
	struct filename *filename;
};

struct io_unlink___7_0 {
	struct delayed_filename filename;
};

struct io_mkdir {
	int dfd;
	struct filename *filename;
};

struct io_mkdir___7_0 {
	struct delayed_filename filename;
};

struct io_rename {
	int old_dfd;
	struct filename *oldpath, *newpath;
};

struct io_rename___7_0 {
	struct delayed_filename oldpath, newpath;
};

struct io_link {
	int old_dfd, new_dfd;
	struct filename *oldpath, *newpath;
};

struct io_link___7_0 {
	struct delayed_filename oldpath, newpath;
};

struct io_hardlink { /* before 5.19 */
	int old_dfd;
	struct filename *oldpath, *newpath;
};

struct io_symlink {
	int new_dfd;
	struct filename *oldpath, *newpath;
};

struct io_close {
	int fd;
};

struct io_connect {
	void *addr;
	int addr_len;
};

struct io_bind {
	int addr_len;
};

struct io_async_connect { /* before 6.10 */
	u64 address;
};
