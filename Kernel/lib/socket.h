/* Sockets and their addresses: those that the kernel holds, not those that user space gave. */
#ifndef APUS_SOCKET_H
#define APUS_SOCKET_H

#define SYS_SOCKETCALL_COMPAT 102
#define SOCKADDR_STORAGE 128 /* the longest address of any family */

enum { ADDRESS_UNIX = 1, ADDRESS_INET = 2, ADDRESS_INET6 = 10, ADDRESS_NETLINK = 16 }; /* AF_* */
enum { LOCAL_ADDRESS, REMOTE_ADDRESS };

/* As in struct sockaddr_in6; of IPv4 the first eight bytes count, and the address is in `word`. */
struct socket_address {
	u16 family;
	u16 port;
	u32 word;
	u8 bytes[16];
	u32 scope;
};

#define INET_LENGTH 16
#define INET6_LENGTH 28

/* What getsockname and getpeername would give (inet_getname, inet6_getname, unix_getname, 5.10 to 7.2). */
__noinline int append_socket_address_from(u32 self, u32 field, u32 remote)
{
	struct scratch *s = scratch_at(self);
	struct socket_address *to;
	u32 offset, length = sizeof(u16);
	struct sock *sock;
	u16 family;

	if (!s || !s->from)
		return 0;
	offset = s->offset;
	if (offset > APUS_RECORD_DATA - 16)
		return 0;
	sock = (struct sock *)s->from;
	family = READ(sock, __sk_common.skc_family);
	to = (void *)&s->data[OFFSET(offset) + sizeof(struct apus_blob)];
	__builtin_memset(to, 0, sizeof(*to));
	to->family = family;
	if (family == ADDRESS_INET || family == ADDRESS_INET6)
		to->port = remote ? READ(sock, __sk_common.skc_dport)
				  : READ((struct inet_sock *)sock, inet_sport);
	if (family == ADDRESS_INET) {
		u32 address = READ(sock, __sk_common.skc_daddr);
		if (!remote) {
			address = READ(sock, __sk_common.skc_rcv_saddr);
			if (!address)
				address = READ((struct inet_sock *)sock, inet_saddr);
		}
		to->word = address;
		length = INET_LENGTH;
	} else if (family == ADDRESS_INET6) {
		if (remote)
			bpf_core_read(to->bytes, sizeof(to->bytes), &sock->__sk_common.skc_v6_daddr);
		else
			bpf_core_read(to->bytes, sizeof(to->bytes), &sock->__sk_common.skc_v6_rcv_saddr);
		if (!remote && !*(u64 *)to->bytes && !*(u64 *)&to->bytes[8]) {
			struct ipv6_pinfo *own = READ((struct inet_sock *)sock, pinet6);
			bpf_core_read(to->bytes, sizeof(to->bytes), &own->saddr);
		}
		if (to->bytes[0] == 0xfe && (to->bytes[1] & 0xc0) == 0x80) /* link-local */
			to->scope = READ(sock, __sk_common.skc_bound_dev_if);
		length = INET6_LENGTH;
	} else if (family == ADDRESS_UNIX && bpf_core_type_exists(struct unix_sock)) {
		struct unix_address *address;

		if (remote)
			sock = READ((struct unix_sock *)sock, peer);
		address = sock ? READ((struct unix_sock *)sock, addr) : NULL;
		if (address) {
			u32 named = READ(address, len);
			if (named > SOCKADDR_STORAGE)
				named = SOCKADDR_STORAGE;
			barrier_var(named);
			named &= 2 * SOCKADDR_STORAGE - 1;
			if (named > length && bpf_probe_read_kernel(to, named, (void *)address +
						bpf_core_field_offset(struct unix_address, name)) == 0)
				length = named;
		}
	}
	s->offset = close_blob(s, offset, field, 0, 1, length);
	return 0;
}

/* Appends an address of a socket as a struct sockaddr; of families other than IP and Unix, and of
 * sockets without a name, just the family. */
static __always_inline void append_socket_address(struct scratch *s, u32 field, struct sock *sock, u32 which)
{
	s->from = (u64)sock;
	append_socket_address_from(s->self, field, which);
}

/* Appends a struct sockaddr that the kernel has copied. */
static __always_inline void append_sockaddr(struct scratch *s, u32 field, const void *address, s32 length)
{
	if (length <= 0)
		return;
	append_bytes(s, field, address, length > SOCKADDR_STORAGE ? SOCKADDR_STORAGE : length);
}

/* The same from user memory. */
static __always_inline void append_user_sockaddr(struct scratch *s, u32 field, const void *address,
						 s32 length)
{
	if (length > 0)
		append_user_bytes(s, field, (u64)address, length > SOCKADDR_STORAGE ? SOCKADDR_STORAGE : length);
}

/* The socket of a file, or null where it is none. */
static __always_inline struct socket *socket_of(struct file *file)
{
	if (!file || file_type(file) != S_IFSOCK)
		return NULL;
	return READ(file, private_data);
}

/* The first argument of the system call in progress, where it is a descriptor of this file; else -1:
 * io_uring and the kernel itself act on files without one. Those of the i386 socketcall lie in memory,
 * which the process may have changed, but what is not the descriptor of this file is not taken. */
static __always_inline s32 descriptor_of(struct file *file)
{
	struct task_struct *task = current_task();
	struct pt_regs *regs;
	u32 fd = 0;

	if (!file || current_syscall() < 0)
		return -1;
	regs = user_registers(task);
	if (!in_compat_syscall(task))
		fd = REGISTER(regs, di);
	else if ((u32)REGISTER(regs, orig_ax) == SYS_SOCKETCALL_COMPAT)
		bpf_probe_read_user(&fd, sizeof(fd), (void *)(REGISTER(regs, cx) & 0xffffffff));
	else
		fd = REGISTER(regs, bx);
	return file_of(task, fd) == file ? fd : -1;
}

#endif
