/* Files whose content was changed through a descriptor, or could be through a pipe. */
#ifndef APUS_FILE_CHANGES_H
#define APUS_FILE_CHANGES_H

/* ---- file_modification: from the open, through the updates of the times that a write brings, to the
 * close, where what file systems did in their own way (btrfs, overlayfs) shows in time or size. */

#define FMODE_WRITE 0x2 /* include/linux/fs.h */

/* A regular file that is open for writing. */
struct open_file {
	u64 inode;
	u64 ctime, size; /* when it was opened */
	u64 before;      /* change time when the update in progress began */
	u32 reported;
	u32 touched;     /* written to, while the clock of the file system showed the same time */
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16384);
	__type(key, u64); /* struct file */
	__type(value, struct open_file);
} open_files SEC(".maps");

static __always_inline struct open_file *open_file_of(struct file *file)
{
	u64 key = (u64)file;
	struct open_file *open = bpf_map_lookup_elem(&open_files, &key);

	return open && open->inode == (u64)READ(file, f_inode) ? open : NULL;
}

static __always_inline bool is_last_reference(struct file *file)
{
	if (bpf_core_field_exists(file->f_ref))
		return READ(file, f_ref.refcnt.counter) == 0; /* FILE_REF_ONEREF, include/linux/file_ref.h */
	return BPF_CORE_READ((struct file___6_12 *)file, f_count.counter) <= 1;
}

static __always_inline void report_modification(struct file *file, struct open_file *open, u64 before,
						u64 after)
{
	struct inode *inode = READ(file, f_inode);
	struct scratch *s = BEGIN(FILE_MODIFICATION);

	if (!s)
		return;
	open->reported = 1;
	append_path(s, FIELD_FILE_MODIFICATION_FILE_PATH, &file->f_path);
	set_value(s, FIELD_FILE_MODIFICATION_DEV, inode_device(inode));
	set_value(s, FIELD_FILE_MODIFICATION_INODE, READ(inode, i_ino));
	set_value(s, FIELD_FILE_MODIFICATION_OLD_CTIME, before);
	set_value(s, FIELD_FILE_MODIFICATION_NEW_CTIME, after);
	FINISH(s);
}

/* void fd_install(unsigned int fd, struct file *file), fs/file.c, 5.10 to 7.2 */
ON_ENTRY(file_modification_opened, fd_install, u32 fd, struct file *file)
{
	struct open_file open = {};
	struct inode *inode;
	u64 key = (u64)file;

	if (!(READ(file, f_mode) & FMODE_WRITE))
		return 0;
	inode = READ(file, f_inode);
	if ((READ(inode, i_mode) & S_IFMT) != S_IFREG)
		return 0;
	if (!is_last_reference(file) && open_file_of(file))
		return 0; /* a further descriptor for it */
	open.inode = (u64)inode;
	open.ctime = inode_ctime(inode);
	open.size = READ(inode, i_size);
	bpf_map_update_elem(&open_files, &key, &open, BPF_ANY);
	return 0;
}

static __always_inline int update_begins(struct file *file)
{
	struct open_file *open = open_file_of(file);

	if (open && !open->reported)
		open->before = inode_ctime(READ(file, f_inode));
	return 0;
}

static __always_inline int update_ends(struct file *file, s64 ret)
{
	struct open_file *open = open_file_of(file);
	u64 now;

	if (!open || open->reported || (s32)ret)
		return 0;
	now = inode_ctime(READ(file, f_inode));
	if (!open->before || open->before == now)
		open->touched = 1; /* to be told at the close */
	else
		report_modification(file, open, open->before, now);
	return 0;
}

/* int file_update_time(struct file *file), int file_modified(struct file *file) and, since 6.0,
 * int kiocb_modified(struct kiocb *iocb), fs/inode.c, 5.10 to 7.2: the ways in. What they have in common is
 * a function of its own on some kernels, part of each on others, so they may also be nested. */
ON_ENTRY(file_update_begins, file_update_time, struct file *file)
{
	return update_begins(file);
}

ON_EXIT(file_update_ends, file_update_time, struct file *file, s64 ret)
{
	return update_ends(file, ret);
}

ON_ENTRY(file_modified_begins, file_modified, struct file *file)
{
	return update_begins(file);
}

ON_EXIT(file_modified_ends, file_modified, struct file *file, s64 ret)
{
	return update_ends(file, ret);
}

ON_ENTRY(kiocb_modified_begins, kiocb_modified, struct kiocb *request)
{
	return update_begins(READ(request, ki_filp));
}

ON_EXIT(kiocb_modified_ends, kiocb_modified, struct kiocb *request, s64 ret)
{
	return update_ends(READ(request, ki_filp), ret);
}

/* A descriptor is closed; others, and mappings, may still refer to the file. */
static __always_inline int descriptor_closed(struct file *file)
{
	struct open_file *open = open_file_of(file);
	struct inode *inode;
	u64 key = (u64)file, now;

	if (!open)
		return 0;
	if (!open->reported) {
		inode = READ(file, f_inode);
		now = inode_ctime(inode);
		if (open->touched || now != open->ctime || READ(inode, i_size) != open->size)
			report_modification(file, open, open->ctime, now);
	}
	if (is_last_reference(file))
		bpf_map_delete_elem(&open_files, &key);
	return 0;
}

/* int filp_close(struct file *filp, fl_owner_t id), fs/open.c, 5.10 to 7.2 */
ON_ENTRY(file_modification_closed, filp_close, struct file *file)
{
	return descriptor_closed(file);
}

/* int filp_flush(struct file *filp, fl_owner_t id), fs/open.c, 6.6 to 7.2, where close(2) calls it only */
ON_ENTRY(file_modification_flushed, filp_flush, struct file *file)
{
	return descriptor_closed(file);
}

/* ---- dirty_pipe_splice ---- */

#define PAGE_SIZE 4096
#define PIPE_BUF_FLAG_CAN_MERGE 0x10 /* include/linux/pipe_fs_i.h, since 5.8 */

/* `moved` bytes went from `in` to the pipe `out`; `position` is where in the file that ended. */
static __always_inline int spliced(struct file *in, struct file *out, s64 position, s64 moved)
{
	struct pipe_inode_info *pipe;
	struct pipe_buffer *last;
	u32 head, size, flags, used;
	s64 exposed, rest;
	struct scratch *s;

	if (moved <= 0 || file_type(in) != S_IFREG || file_type(out) != S_IFIFO)
		return 0;
	pipe = READ(out, f_inode, i_pipe);
	head = READ(pipe, head);
	size = READ(pipe, ring_size);
	if (!size || head == READ(pipe, tail))
		return 0; /* read already */
	last = (void *)READ(pipe, bufs);
	last = (void *)last + (u64)((head - 1) & (size - 1)) * bpf_core_type_size(struct pipe_buffer);
	flags = READ(last, flags);
	/* A page with a mapping is a file's; what was written to the pipe is in pages without. */
	if (!(flags & PIPE_BUF_FLAG_CAN_MERGE) || !READ(last, page, mapping))
		return 0;
	s = BEGIN(DIRTY_PIPE_SPLICE);
	if (!s)
		return 0;
	/* The rest of the page, up to the end of the file. */
	used = READ(last, offset) + READ(last, len);
	exposed = used < PAGE_SIZE ? PAGE_SIZE - used : 0;
	rest = READ(in, f_inode, i_size) - position;
	if (rest < 0)
		rest = 0;
	set_value(s, FIELD_DIRTY_PIPE_SPLICE_INODE_IN, READ(in, f_inode, i_ino));
	set_value(s, FIELD_DIRTY_PIPE_SPLICE_IN_FILE_TYPE, S_IFREG);
	append_path(s, FIELD_DIRTY_PIPE_SPLICE_IN_FILE_PATH, &in->f_path);
	set_value(s, FIELD_DIRTY_PIPE_SPLICE_EXPOSED_DATA_START_OFFSET, position);
	set_value(s, FIELD_DIRTY_PIPE_SPLICE_EXPOSED_DATA_LEN, exposed < rest ? exposed : rest);
	set_value(s, FIELD_DIRTY_PIPE_SPLICE_INODE_OUT, READ(out, f_inode, i_ino));
	set_value(s, FIELD_DIRTY_PIPE_SPLICE_OUT_PIPE_LAST_BUFFER_FLAGS, flags);
	return FINISH(s);
}

/* The position at `offset`, which has been moved along, or the file's own where that is null. */
static __always_inline s64 position_after(struct file *file, u64 offset)
{
	s64 position = 0;

	if (!offset)
		return READ(file, f_pos);
	bpf_probe_read_kernel(&position, sizeof(position), (void *)offset);
	return position;
}

/* ssize_t do_splice(struct file *in, loff_t *off_in, struct file *out, loff_t *off_out, size_t len,
 * unsigned int flags), fs/splice.c, 5.10 to 7.2; returns a long before 6.8. For io_uring too. */
ON_EXIT(dirty_pipe_splice, do_splice, struct file *in, void *offset_in, struct file *out, void *offset_out,
	u64 length,
	u32 flags, s64 ret)
{
	return spliced(in, out, position_after(in, pointer_argument(ctx, 1)), ret);
}

/* ssize_t do_sendfile(int out_fd, int in_fd, loff_t *ppos, size_t count, loff_t max), fs/read_write.c,
 * 5.10 to 7.2. To a pipe it is a splice, since 5.12. */
ON_EXIT(dirty_pipe_sendfile, do_sendfile, u32 out, u32 in, void *offset, u64 length, s64 max, s64 ret)
{
	struct task_struct *task = current_task();
	struct file *from = file_of(task, in), *to = file_of(task, out);

	if (!from || !to)
		return 0;
	return spliced(from, to, position_after(from, pointer_argument(ctx, 2)), ret);
}

#endif
