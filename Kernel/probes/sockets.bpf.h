/* Sockets: what is asked of them, before LSMs decide; and those that were accepted or duplicated. */
#ifndef APUS_SOCKETS_H
#define APUS_SOCKETS_H

/* int security_socket_create(int family, int type, int protocol, int kern), security/security.c, 5.10 to
 * 7.2 */
ON_ENTRY(security_socket_create, security_socket_create, s32 family, s32 type, s32 protocol, s32 kern)
{
	struct scratch *s = BEGIN(SECURITY_SOCKET_CREATE);

	if (!s)
		return 0;
	set_value(s, FIELD_SECURITY_SOCKET_CREATE_FAMILY, family);
	set_value(s, FIELD_SECURITY_SOCKET_CREATE_TYPE, type);
	set_value(s, FIELD_SECURITY_SOCKET_CREATE_PROTOCOL, protocol);
	set_value(s, FIELD_SECURITY_SOCKET_CREATE_KERN, kern);
	return FINISH(s);
}

/* int security_socket_listen(struct socket *sock, int backlog), security/security.c, 5.10 to 7.2 */
ON_ENTRY(security_socket_listen, security_socket_listen, struct socket *socket, s32 backlog)
{
	struct scratch *s = BEGIN(SECURITY_SOCKET_LISTEN);

	if (!s)
		return 0;
	set_value(s, FIELD_SECURITY_SOCKET_LISTEN_SOCKFD, descriptor_of(READ(socket, file)));
	append_socket_address(s, FIELD_SECURITY_SOCKET_LISTEN_LOCAL_ADDR, READ(socket, sk), LOCAL_ADDRESS);
	set_value(s, FIELD_SECURITY_SOCKET_LISTEN_BACKLOG, backlog);
	return FINISH(s);
}

/* int security_socket_connect(struct socket *sock, struct sockaddr *address, int addrlen),
 * security/security.c, 5.10 to 7.2. The address is the kernel's copy. */
ON_ENTRY(security_socket_connect, security_socket_connect, struct socket *socket, void *address, s32 length)
{
	struct scratch *s = BEGIN(SECURITY_SOCKET_CONNECT);

	if (!s)
		return 0;
	set_value(s, FIELD_SECURITY_SOCKET_CONNECT_SOCKFD, descriptor_of(READ(socket, file)));
	set_value(s, FIELD_SECURITY_SOCKET_CONNECT_TYPE, READ(socket, type));
	append_sockaddr(s, FIELD_SECURITY_SOCKET_CONNECT_REMOTE_ADDR, address, length);
	return FINISH(s);
}

/* int security_socket_accept(struct socket *sock, struct socket *newsock), security/security.c, 5.10 to
 * 7.2. Nobody has connected yet: the new socket is empty. */
ON_ENTRY(security_socket_accept, security_socket_accept, struct socket *socket)
{
	struct scratch *s = BEGIN(SECURITY_SOCKET_ACCEPT);

	if (!s)
		return 0;
	set_value(s, FIELD_SECURITY_SOCKET_ACCEPT_SOCKFD, descriptor_of(READ(socket, file)));
	append_socket_address(s, FIELD_SECURITY_SOCKET_ACCEPT_LOCAL_ADDR, READ(socket, sk), LOCAL_ADDRESS);
	return FINISH(s);
}

/* int security_socket_bind(struct socket *sock, struct sockaddr *address, int addrlen),
 * security/security.c, 5.10 to 7.2. The address is the kernel's copy. */
ON_ENTRY(security_socket_bind, security_socket_bind, struct socket *socket, void *address, s32 length)
{
	struct scratch *s = BEGIN(SECURITY_SOCKET_BIND);

	if (!s)
		return 0;
	set_value(s, FIELD_SECURITY_SOCKET_BIND_SOCKFD, descriptor_of(READ(socket, file)));
	append_sockaddr(s, FIELD_SECURITY_SOCKET_BIND_LOCAL_ADDR, address, length);
	return FINISH(s);
}

/* int security_socket_setsockopt(struct socket *sock, int level, int optname), security/security.c,
 * 5.10 to 7.2 */
ON_ENTRY(security_socket_setsockopt, security_socket_setsockopt, struct socket *socket, s32 level,
	 s32 option)
{
	struct scratch *s = BEGIN(SECURITY_SOCKET_SETSOCKOPT);

	if (!s)
		return 0;
	set_value(s, FIELD_SECURITY_SOCKET_SETSOCKOPT_SOCKFD, descriptor_of(READ(socket, file)));
	set_value(s, FIELD_SECURITY_SOCKET_SETSOCKOPT_LEVEL, level);
	set_value(s, FIELD_SECURITY_SOCKET_SETSOCKOPT_OPTNAME, option);
	append_socket_address(s, FIELD_SECURITY_SOCKET_SETSOCKOPT_LOCAL_ADDR, READ(socket, sk), LOCAL_ADDRESS);
	return FINISH(s);
}

/* ---- socket_accept ---- */

static __always_inline int emit_accepted(s32 listening, struct file *file)
{
	struct socket *socket = socket_of(file);
	struct scratch *s;
	struct sock *sock;

	if (!socket)
		return 0;
	s = BEGIN(SOCKET_ACCEPT);
	if (!s)
		return 0;
	sock = READ(socket, sk);
	set_value(s, FIELD_SOCKET_ACCEPT_SOCKFD, listening);
	append_socket_address(s, FIELD_SOCKET_ACCEPT_LOCAL_ADDR, sock, LOCAL_ADDRESS);
	append_socket_address(s, FIELD_SOCKET_ACCEPT_REMOTE_ADDR, sock, REMOTE_ADDRESS);
	return FINISH(s);
}

/* struct file *do_accept(struct file *file, unsigned int file_flags, struct sockaddr *upeer_sockaddr,
 * int *upeer_addrlen, int flags), net/socket.c, 5.10 to 6.1; the second is a struct proto_accept_arg *
 * in 6.12 to 7.2. Both accept, accept4 and io_uring come here. The new file has no descriptor yet. */
ON_EXIT(socket_accept, do_accept, struct file *file, u64 second, void *address, void *length, s32 flags,
	s64 ret)
{
	if (!ret || IS_ERROR(ret))
		return 0;
	return emit_accepted(descriptor_of(file), (struct file *)ret);
}

/* For kernels where that is not to be had. */
SEC("tracepoint/syscalls/sys_exit_accept")
int socket_accept__calls(struct syscall_exit_context *context)
{
	struct task_struct *task = current_task();
	struct pt_regs *regs = user_registers(task);

	if (context->ret < 0)
		return 0;
	return emit_accepted(REGISTER(regs, di), file_of(task, context->ret));
}

/* ---- socket_dup ---- */

static __always_inline int emit_duplicated(s32 old, s64 new)
{
	struct socket *socket;
	struct scratch *s;

	if ((s32)new < 0 || old == (s32)new)
		return 0;
	socket = socket_of(file_of(current_task(), new));
	if (!socket)
		return 0;
	s = BEGIN(SOCKET_DUP);
	if (!s)
		return 0;
	set_value(s, FIELD_SOCKET_DUP_OLDFD, old);
	set_value(s, FIELD_SOCKET_DUP_NEWFD, (s32)new);
	append_socket_address(s, FIELD_SOCKET_DUP_REMOTE_ADDR, READ(socket, sk), REMOTE_ADDRESS);
	return FINISH(s);
}

/* long __x64_sys_dup(const struct pt_regs *regs), fs/file.c, and its kin, 5.10 to 7.2. The registers are
 * those of the caller. A system call's own function is watched and not all system calls. */
ON_EXIT(socket_dup, __x64_sys_dup, struct pt_regs *regs, s64 ret)
{
	return emit_duplicated(READ(regs, di), ret);
}

ON_EXIT(socket_dup2, __x64_sys_dup2, struct pt_regs *regs, s64 ret)
{
	return emit_duplicated(READ(regs, di), ret);
}

ON_EXIT(socket_dup3, __x64_sys_dup3, struct pt_regs *regs, s64 ret)
{
	return emit_duplicated(READ(regs, di), ret);
}

ON_EXIT(socket_dup_compat, __ia32_sys_dup, struct pt_regs *regs, s64 ret)
{
	return emit_duplicated(READ(regs, bx), ret);
}

ON_EXIT(socket_dup2_compat, __ia32_sys_dup2, struct pt_regs *regs, s64 ret)
{
	return emit_duplicated(READ(regs, bx), ret);
}

ON_EXIT(socket_dup3_compat, __ia32_sys_dup3, struct pt_regs *regs, s64 ret)
{
	return emit_duplicated(READ(regs, bx), ret);
}

/* int f_dupfd(unsigned int from, struct file *file, unsigned flags), fs/file.c, 5.10 to 7.2: fcntl's
 * F_DUPFD and F_DUPFD_CLOEXEC, which do the same. */
ON_EXIT(socket_dup_fcntl, f_dupfd, u32 from, struct file *file, u32 flags, s64 ret)
{
	if ((s32)ret < 0 || !socket_of(file))
		return 0;
	return emit_duplicated(descriptor_of(file), ret);
}

SEC("tracepoint/syscalls/sys_exit_dup")
int socket_dup__calls(struct syscall_exit_context *context)
{
	struct pt_regs *regs = user_registers(current_task());

	return emit_duplicated(REGISTER(regs, di), context->ret);
}

#endif
