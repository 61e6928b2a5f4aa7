/* io_uring: what is asked of the kernel without a system call for each. The tracepoint comes behind the
 * request's own preparation, so the paths in it are those that the kernel has copied and will act on. */
#ifndef APUS_IO_URING_H
#define APUS_IO_URING_H

#define SETUP_SQPOLL 2    /* IORING_SETUP_SQPOLL, include/uapi/linux/io_uring.h */
#define FIXED_FILE 1      /* REQ_F_FIXED_FILE, include/linux/io_uring_types.h */
#define SQE_SIZE 64

enum { /* enum io_uring_op, include/uapi/linux/io_uring.h */
	RING_CONNECT = 16,
	RING_OPENAT = 18,
	RING_CLOSE = 19,
	RING_OPENAT2 = 28,
	RING_RENAMEAT = 35,
	RING_UNLINKAT = 36,
	RING_MKDIRAT = 37,
	RING_SYMLINKAT = 38,
	RING_LINKAT = 39,
	RING_BIND = 56,
	RING_URING_CMD128 = 64,
};

/* The operations that act on a file, of which the request keeps the descriptor (`needs_file` in
 * io_issue_defs, io_uring/opdef.c): those up to 13, reads and writes, sockets, attributes. */
#define FILE_OPERATIONS                                                                                     \
	(0x7eULL | 1ULL << 8 | 1ULL << 9 | 1ULL << 10 | 1ULL << 13 | 1ULL << 16 | 1ULL << 17 | 1ULL << 22 |    \
	 1ULL << 23 | 1ULL << 24 | 1ULL << 26 | 1ULL << 27 | 1ULL << 30 | 1ULL << 33 | 1ULL << 34 |            \
	 1ULL << 41 | 1ULL << 43 | 7ULL << 46 | 1ULL << 49 | 0xffULL << 54)

static __always_inline bool acts_on_file(u32 operation)
{
	return operation == RING_URING_CMD128 || (operation < 64 && FILE_OPERATIONS >> operation & 1);
}

/* The descriptor of a request. Before 5.19 it is kept nowhere but in the ring, which the process may
 * change; so it is taken from there only where it is that of the request's file. */
static __always_inline s32 descriptor_of_request(struct io_kiocb *req)
{
	struct io_ring_ctx *ring;
	u32 head, entries, at = 0;
	s32 fd = -1;
	u64 sqe;

	if (bpf_core_field_exists(req->cqe))
		return READ(req, cqe.fd);
	if (BPF_CORE_READ((struct io_kiocb___5_18 *)req, flags) & FIXED_FILE)
		return -1;
	ring = READ(req, ctx);
	head = READ(ring, cached_sq_head) - 1;
	entries = READ(ring, sq_entries);
	bpf_probe_read_kernel(&at, sizeof(at), READ(ring, sq_array) + (head & (entries - 1)));
	if (at >= entries)
		return -1;
	sqe = (u64)READ(ring, sq_sqes) + (u64)at * SQE_SIZE;
	bpf_core_read(&fd, sizeof(fd), &((struct io_uring_sqe *)sqe)->fd);
	return file_of(current_task(), fd) == READ(req, file) ? fd : -1;
}

/* Appends the name that a request keeps at this place. Since 7.0 a struct delayed_filename holds the
 * pointer; barriers keep the compiler from taking the offset of the one where there is the other. */
#define APPEND_REQUEST_PATH(s, field, req, type, member)                                                      \
	do {                                                                                                 \
		u64 at = (u64)(req);                                                                         \
		struct filename *path = NULL;                                                                \
		if (bpf_core_field_exists(struct type##___7_0, member)) {                                    \
			at += bpf_core_field_offset(struct type##___7_0, member);                            \
			barrier_var(at);                                                                     \
		} else {                                                                                     \
			at += bpf_core_field_offset(struct type, member);                                    \
			barrier_var(at);                                                                     \
		}                                                                                            \
		bpf_probe_read_kernel(&path, sizeof(path), (void *)at);                                      \
		if (path)                                                                                    \
			append_string(s, field, READ(path, name));                                           \
	} while (0)

#define PATH FIELD_IO_URING_SUBMIT_PATH
#define NEW_PATH FIELD_IO_URING_SUBMIT_NEW_PATH

/* Before 5.19 links had structs of their own. */
static __always_inline void append_old_links(struct scratch *s, struct io_kiocb *req, u32 operation)
{
	if (!bpf_core_type_exists(struct io_hardlink) || !bpf_core_type_exists(struct io_symlink))
		return;
	if (operation == RING_LINKAT) {
		set_value(s, FIELD_IO_URING_SUBMIT_FD, READ((struct io_hardlink *)req, old_dfd));
		append_string(s, PATH, BPF_CORE_READ((struct io_hardlink *)req, oldpath, name));
		append_string(s, NEW_PATH, BPF_CORE_READ((struct io_hardlink *)req, newpath, name));
	} else {
		set_value(s, FIELD_IO_URING_SUBMIT_FD, READ((struct io_symlink *)req, new_dfd));
		append_string(s, PATH, BPF_CORE_READ((struct io_symlink *)req, oldpath, name));
		append_string(s, NEW_PATH, BPF_CORE_READ((struct io_symlink *)req, newpath, name));
	}
}

/* The address of a connect or bind: all that is at `async_data` in 6.12 and 7.2 (io_connect_prep,
 * io_uring/net.c). Before 6.10 the kernel reads it when it connects. */
static __always_inline void append_request_address(struct scratch *s, struct io_kiocb *req, s32 length)
{
	if (!bpf_core_type_exists(struct io_async_connect)) {
		append_sockaddr(s, FIELD_IO_URING_SUBMIT_ADDRESS, READ(req, async_data), length);
	} else {
		append_user_sockaddr(s, FIELD_IO_URING_SUBMIT_ADDRESS, READ((struct io_connect *)req, addr),
				     length);
	}
}

static __always_inline int emit_request(struct io_kiocb *req)
{
	struct scratch *s = BEGIN(IO_URING_SUBMIT);
	u32 operation;

	if (!s)
		return 0;
	operation = READ(req, opcode);
	set_value(s, FIELD_IO_URING_SUBMIT_OPCODE, operation);
	set_value(s, FIELD_IO_URING_SUBMIT_FD, acts_on_file(operation) ? descriptor_of_request(req) : -1);
	if (bpf_core_field_exists(req->cqe))
		set_value(s, FIELD_IO_URING_SUBMIT_USER_DATA, READ(req, cqe.user_data));
	else
		set_value(s, FIELD_IO_URING_SUBMIT_USER_DATA,
			  BPF_CORE_READ((struct io_kiocb___5_18 *)req, user_data));
	set_value(s, FIELD_IO_URING_SUBMIT_POLLED, !!(READ(req, ctx, flags) & SETUP_SQPOLL));
	switch (operation) {
	case RING_OPENAT:
	case RING_OPENAT2:
		set_value(s, FIELD_IO_URING_SUBMIT_FD, READ((struct io_open *)req, dfd));
		APPEND_REQUEST_PATH(s, PATH, req, io_open, filename);
		break;
	case RING_UNLINKAT:
		set_value(s, FIELD_IO_URING_SUBMIT_FD, READ((struct io_unlink *)req, dfd));
		APPEND_REQUEST_PATH(s, PATH, req, io_unlink, filename);
		break;
	case RING_MKDIRAT:
		set_value(s, FIELD_IO_URING_SUBMIT_FD, READ((struct io_mkdir *)req, dfd));
		APPEND_REQUEST_PATH(s, PATH, req, io_mkdir, filename);
		break;
	case RING_RENAMEAT:
		set_value(s, FIELD_IO_URING_SUBMIT_FD, READ((struct io_rename *)req, old_dfd));
		APPEND_REQUEST_PATH(s, PATH, req, io_rename, oldpath);
		APPEND_REQUEST_PATH(s, NEW_PATH, req, io_rename, newpath);
		break;
	case RING_SYMLINKAT:
	case RING_LINKAT:
		if (!bpf_core_type_exists(struct io_link)) {
			append_old_links(s, req, operation);
			break;
		}
		if (operation == RING_LINKAT)
			set_value(s, FIELD_IO_URING_SUBMIT_FD, READ((struct io_link *)req, old_dfd));
		else
			set_value(s, FIELD_IO_URING_SUBMIT_FD, READ((struct io_link *)req, new_dfd));
		APPEND_REQUEST_PATH(s, PATH, req, io_link, oldpath);
		APPEND_REQUEST_PATH(s, NEW_PATH, req, io_link, newpath);
		break;
	case RING_CLOSE:
		set_value(s, FIELD_IO_URING_SUBMIT_FD, READ((struct io_close *)req, fd));
		break;
	case RING_CONNECT:
		append_request_address(s, req, READ((struct io_connect *)req, addr_len));
		break;
	case RING_BIND:
		if (bpf_core_type_exists(struct io_bind))
			append_request_address(s, req, READ((struct io_bind *)req, addr_len));
		break;
	}
	return FINISH(s);
}

/* TP_PROTO(struct io_kiocb *req), include/trace/events/io_uring.h, 6.5 to 7.2 */
SEC("tp_btf/io_uring_submit_req")
int io_uring_submit_req(u64 *ctx)
{
	return emit_request((struct io_kiocb *)ctx[0]);
}

/* TP_PROTO(struct io_kiocb *req, bool force_nonblock), 6.0 to 6.4; before, TP_PROTO(void *ctx, void *req,
 * ...), whose second is the request of the first, include/trace/events/io_uring.h */
SEC("tp_btf/io_uring_submit_sqe")
int io_uring_submit_sqe(u64 *ctx)
{
	u64 first = ctx[0], second = ctx[1];
	struct io_ring_ctx *ring = NULL;

	bpf_core_read(&ring, sizeof(ring), &((struct io_kiocb *)second)->ctx);
	return emit_request((struct io_kiocb *)((u64)ring == first ? second : first));
}

#undef PATH
#undef NEW_PATH

#endif
