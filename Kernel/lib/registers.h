/* The arguments of a system call, in the registers of its caller. */
#ifndef APUS_REGISTERS_H
#define APUS_REGISTERS_H

static __always_inline void read_registers(u64 *args, struct pt_regs *regs, bool compat)
{
	/* The i386 convention is bx, cx, dx, si, di, bp; user space may leave anything above 32 bits. */
	args[0] = compat ? (u32)REGISTER(regs, bx) : REGISTER(regs, di);
	args[1] = compat ? (u32)REGISTER(regs, cx) : REGISTER(regs, si);
	args[2] = compat ? (u32)REGISTER(regs, dx) : REGISTER(regs, dx);
	args[3] = compat ? (u32)REGISTER(regs, si) : REGISTER(regs, r10);
	args[4] = compat ? (u32)REGISTER(regs, di) : REGISTER(regs, r8);
	args[5] = compat ? (u32)REGISTER(regs, bp) : REGISTER(regs, r9);
}

/* The value at a place that the compiler believes to be in bounds, and the verifier does not. */
static __always_inline u64 value_at(u64 *args, u32 place)
{
	barrier_var(place);
	return args[place & 7];
}

/* What the registers of a 32-bit caller are in the order of the row's arguments (arch/x86/kernel/sys_ia32.c). */
static __always_inline void arrange_registers(struct apus_syscall_row *row, u64 *args)
{
	u32 joins = row->joins, from = 0;

	if (row->flags & APUS_ROW_SWAPS) {
		u64 fourth = args[3];

		args[3] = args[4];
		args[4] = fourth;
	}
	if (!joins)
		return;
	for (u32 i = 0; i < APUS_SYSCALL_ARGS; i++, from++) {
		u64 value = from < APUS_SYSCALL_ARGS ? value_at(args, from) : 0;

		if (joins >> i & 1 && ++from < APUS_SYSCALL_ARGS)
			value |= value_at(args, from) << 32;
		args[i] = value;
	}
}

/* Of some arguments the kernel takes 32 bits, whatever else the caller left in the register. */
static __always_inline void cut_registers(struct apus_syscall_row *row, u64 *args)
{
	u32 halves = row->halves, signs = row->signs;

	if (!halves)
		return;
	for (u32 i = 0; i < APUS_SYSCALL_ARGS; i++)
		if (halves >> i & 1)
			args[i] = signs >> i & 1 ? (u64)(s32)args[i] : (u32)args[i];
}

/* The arguments of a call, as its row has them. */
static __always_inline void read_call(struct apus_syscall_row *row, u64 *args, struct pt_regs *regs, bool compat)
{
	read_registers(args, regs, compat);
	if (compat)
		arrange_registers(row, args);
	cut_registers(row, args);
}

#endif
