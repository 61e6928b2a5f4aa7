/* The record of a system call: its row of the table, what its pointers led to, from entry to return in the stash, and
 * the handing over. */
#ifndef APUS_CALL_H
#define APUS_CALL_H

/* The handlers are compiled twice, as what is kept in registers for plans and rings that are nearly full would cost those
 * who have neither. `simple` says for which they are; the verifier takes one of both. */
static __always_inline bool is_simple(void)
{
	return !has_plan && !sheds;
}

static __always_inline bool is_planned(bool simple)
{
	return !simple && has_plan;
}

/* The kernel takes the low half of the register for the number, so that is what counts here too. */
static __always_inline u32 syscall_slot(u32 number, bool compat)
{
	if (!compat)
		number &= ~X32_BIT;
	if (number >= APUS_SYSCALL_SLOTS)
		return 2 * APUS_SYSCALL_SLOTS;
	return compat ? number + APUS_SYSCALL_SLOTS : number;
}

/* Whether a slot is execve's or execveat's. A successful one that changes between 64 and 32 bits
 * returns as the other kind's execve (set_personality_ia32, arch/x86/kernel/process_64.c). */
static __always_inline bool is_execve(u32 slot)
{
	return slot == SYS_EXECVE || slot == SYS_EXECVEAT || slot == APUS_SYSCALL_SLOTS + SYS_EXECVE_COMPAT ||
	       slot == APUS_SYSCALL_SLOTS + SYS_EXECVEAT_COMPAT;
}

static __always_inline u32 row_key(u32 slot, u32 plan)
{
	return plan % APUS_PLANS * SYSCALL_ROWS + slot;
}

/* The row of a slot in the plan that judges. */
static __always_inline struct apus_syscall_row *syscall_row(u32 slot, u32 plan)
{
	u32 key = row_key(slot, plan);

	return slot < SYSCALL_ROWS ? bpf_map_lookup_elem(&syscalls, &key) : NULL;
}

#define ROOM_UNKNOWN (~0u)
#define ERESTART_RESTARTBLOCK 516 /* include/linux/errno.h */

/* The u32 that an argument points at. */
static __always_inline u32 pointed_number(u64 address, u32 otherwise)
{
	u32 number;

	return bpf_probe_read_user(&number, sizeof(number), (void *)address) ? otherwise : number;
}

/* How many elements a reader is to read: no more than the caller had room for, as what is behind them is older. */
static __always_inline u64 reader_elements(struct apus_reader *reader, struct scratch *s)
{
	u64 value = s->args[reader->length & 7], room;
	u32 source = reader->length >> APUS_ROOM_SHIFT & 7;

	if (reader->length & APUS_LENGTH_POINTED) {
		value = pointed_number(value, 0);
		return value < s->room ? value : s->room;
	}
	if (!source)
		return value;
	room = value_at(s->args, source - 1);
	if (value <= room)
		return value;
	return reader->length & APUS_ROOM_ALL_OR_NOTHING ? 0 : room;
}

/* Beside the phase of the arguments to append: the caller is a 32-bit one; and the bits of arguments to read again. */
#define APPEND_COMPAT 0x100
#define APPEND_AGAIN 16
#define APPEND_FAULT (1ULL << 32)

/* What the arguments of a call are where its row says that one of them decides; NULL where they are as in the row. */
static __always_inline struct apus_form *form_of(struct apus_syscall_row *row, u32 key, u64 *args)
{
	struct apus_form_key form_key = {.slot = key % SYSCALL_ROWS};

	if (!(row->flags & APUS_ROW_HAS_FORMS))
		return NULL;
	form_key.value = (u32)args[row->selector & 7] & row->mask;
	return bpf_map_lookup_elem(&forms, &form_key);
}

/* How the argument `i` is read in a phase, as flags of the reader. */
static __always_inline u32 read_flags(u32 self, u32 which, u32 i)
{
	return i | self << READ_SCRATCH | (which & APPEND_COMPAT ? READ_COMPAT : 0) |
	       (which >> APPEND_AGAIN & (1u << i) ? READ_LATE : 0);
}

/* Appends what argument `number` points at, by the row and the phase in the scratch, and says there what that leads to.
 * Returns the new offset, or APPEND_FAULT beside it where memory was not resident. Global, so that it is verified once. */
__noinline u64 append_argument(u32 self, u32 number, u32 offset)
{
	struct scratch *s = scratch_at(self);
	struct apus_syscall_row *row;
	u32 i = number & 7, which, flags;
	struct apus_form *form;
	union packed_reader packed;
	long next;

	if (!follows_pointers || !s || i >= APUS_SYSCALL_ARGS)
		return offset;
	which = s->which;
	row = bpf_map_lookup_elem(&syscalls, &s->row);
	if (!row)
		return offset;
	form = form_of(row, s->row, s->args);
	packed.reader = form ? form->readers[i] : row->readers[i];
	flags = read_flags(self, which, i);
	if (packed.reader.phase == APUS_AT_BOTH && (which & 0xff) != APUS_AT_ENTRY)
		flags |= READ_RESULT;
	next = read_argument(s->args[i], packed.bits, reader_elements(&packed.reader, s), offset, flags);
	if (next < 0)
		return offset | APPEND_FAULT;
	if (!packed.reader.structure || next <= offset)
		return next;
	s->follow_flags = flags;
	s->following = packed.reader.structure;
	s->given = (which & 0xff) == APUS_AT_EXIT      ? s->args[APUS_LENGTH_RETURN_VALUE] :
		   packed.reader.phase == APUS_AT_BOTH ? NOTHING_GIVEN : ALL_GIVEN;
	return next;
}

/* Of the following functions one part is never called, as `follows_pointers` says, and ends at once: kernels before 6.8
 * verify all global functions. */

/* Appends what the arguments of one phase point at, of the call whose row is at `key`, where nobody asks for more. Returns
 * the new offset, and in the upper half bits of the arguments whose memory was not resident. Global, so that it is verified
 * once. */
__noinline u64 append_plain_arguments(u32 self, u32 key, u32 which, u32 offset)
{
	struct apus_syscall_row *row = bpf_map_lookup_elem(&syscalls, &key);
	struct scratch *s = scratch_at(self);
	u32 faults = 0, reads;

	if (follows_pointers || !row || !s)
		return offset;
	reads = row->reads[which & 3] | which >> APPEND_AGAIN;
	for (u32 i = 0; i < APUS_SYSCALL_ARGS; i++) {
		union packed_reader packed;
		long next;

		if (!(reads >> i & 1) || !s->args[i])
			continue;
		packed.reader = row->readers[i];
		next = read_argument(s->args[i], packed.bits, reader_elements(&packed.reader, s), offset,
				     read_flags(self, which, i));
		if (next >= 0)
			offset = next;
		else
			faults |= 1u << i;
	}
	return offset | (u64)faults << 32;
}

/* The same, with what forms say and what pointers in structures lead to. That is followed from here, with little that has
 * to be kept meanwhile, as all functions within each other have 512 bytes of stack before 6.12. */
__noinline u64 append_followed_arguments(u32 self, u32 key, u32 which, u32 offset)
{
	struct apus_syscall_row *row = bpf_map_lookup_elem(&syscalls, &key);
	struct scratch *s = scratch_at(self);
	u32 faults = 0, reads, phase = which & 3;
	struct apus_form *form;

	if (!follows_pointers || !row || !s)
		return offset;
	form = form_of(row, key, s->args);
	reads = (form ? form->reads[phase] : row->reads[phase]) | which >> APPEND_AGAIN;
	s->row = key;
	s->which = which;
	s->followed = 0;
	s->held = 0;
	for (u32 i = 0; i < APUS_SYSCALL_ARGS; i++) {
		u64 next;

		if (!(reads >> i & 1) || !s->args[i])
			continue;
		s->following = 0;
		next = append_argument(self, i, offset);
		if (next & APPEND_FAULT)
			faults |= 1u << i;
		if (s->following) {
			s->missed = 0;
			next = follow_argument(self, offset, next);
			/* Then all of it is read again at exit, where it stands a second time. */
			if (s->missed && !(s->which >> APPEND_AGAIN >> i & 1))
				faults |= 1u << i;
		}
		offset = (u32)next;
	}
	return offset | (u64)faults << 32;
}

static __always_inline u64 append_arguments(u32 self, u32 key, u32 which, u32 offset)
{
	u64 appended;

	if (!follows_pointers)
		return append_plain_arguments(self, key, which, offset);
	appended = append_followed_arguments(self, key, which, offset);
	if (want_fd_paths)
		appended = (appended & ~0xffffffffULL) | append_held(self, appended);
	return appended;
}

/* Appends what the descriptors of a call are open on: those that it was given when it is entered, what it gives when it
 * returned without failing. Returns the new offset. */
__noinline u32 append_descriptors(u32 self, u32 key, u32 phase, u32 offset)
{
	struct apus_syscall_row *row = bpf_map_lookup_elem(&syscalls, &key);
	struct scratch *s = scratch_at(self);
	u32 descriptors, directories;
	struct apus_form *form;

	if (!want_fd_paths || !row || !s)
		return offset;
	form = form_of(row, key, s->args);
	descriptors = form ? form->descriptors : row->descriptors;
	directories = form ? form->directories : row->directories;
	s->offset = offset;
	if (phase == APUS_AT_ENTRY) {
		for (u32 i = 0; i < APUS_SYSCALL_ARGS; i++)
			if (descriptors >> i & 1)
				append_descriptor(self, i | (directories >> i & 1 ? DESCRIPTOR_DIRECTORY : 0), s->args[i]);
		return s->offset;
	}
	if (descriptors >> APUS_LENGTH_RETURN_VALUE & 1)
		append_descriptor(self, row->arg_count, s->args[APUS_LENGTH_RETURN_VALUE]);
	if (row->pairs)
		append_pair(s, row->pairs);
	return s->offset;
}

/* The registers, as the record's values. */
static __always_inline void set_arguments(struct apus_syscall_row *row, struct scratch *s)
{
	u32 n = row->arg_count;

	for (u32 i = 0; i < APUS_SYSCALL_ARGS; i++)
		if (i < n) /* blobs follow */
			((u64 *)s->data)[i] = s->args[i];
	if (n <= APUS_SYSCALL_ARGS)
		((u64 *)s->data)[n] = s->args[APUS_LENGTH_RETURN_VALUE];
}

/* Whether the inputs at the beginning of the record, whose blobs end at `offset`, are what any policy wants. */
static __always_inline bool wants_inputs(struct apus_syscall_row *row, struct scratch *s, u64 *policies, u32 offset)
{
	set_arguments(row, s);
	s->tests = row->tests;
	s->record.flags = 0;
	s->record.value_count = row->arg_count + 1;
	s->record.policies = *policies;
	s->offset = offset;
	apply_tests(s->self, 0, row->tests.inputs);
	*policies = s->record.policies;
	return *policies != 0;
}

/* Keeps the inputs of a call until it returns, if any policy wants them. Where none does nothing is kept, by which its
 * return knows: so that what is rejected costs as little as can be. */
static __always_inline void stash_call(struct apus_syscall_row *row, struct scratch *s,
				       u32 slot, u64 policies, bool compat, u32 plan, bool simple)
{
	u64 key = bpf_get_current_task();
	u32 values = (row->arg_count + 1) * 8, offset = values, length, faults;
	u64 appended;
	bool judged = false;
	struct stash *stash;

	if (values > (APUS_SYSCALL_ARGS + 1) * 8)
		return;
	/* First, so that there is room for them, however much the other arguments have. */
	if (want_fd_paths)
		offset = append_descriptors(s->self, row_key(slot, plan), APUS_AT_ENTRY, offset);
	s->gaps = 0;
	/* Of what the call counts all that there is room for. */
	s->args[APUS_LENGTH_RETURN_VALUE] = ALL_GIVEN;
	appended = append_arguments(s->self, row_key(slot, plan), APUS_AT_ENTRY | (compat ? APPEND_COMPAT : 0), offset);
	length = (u32)appended - values;
	faults = appended >> 32 | s->gaps;
	/* What could not be read now may be read at exit, and is judged then. */
	if (is_planned(simple) && row->tests.inputs && !faults) {
		judged = true;
		if (!wants_inputs(row, s, &policies, values + length)) {
			count(row->index, COUNT_FILTERED);
			stash = stash_of_current(false);
			if (stash)
				stash->slot = 0;
			return;
		}
	}
	stash = stash_of_current(true);
	if (!stash) {
		if (is_planned(simple) && row->tests.inputs)
			lose(row->index, policies, APUS_LOSS_SCRATCH, plan);
		return;
	}
	if (stash->spilled)
		bpf_map_delete_elem(&spills, &key); /* of a call whose return was not seen */
	for (u32 i = 0; i < APUS_SYSCALL_ARGS; i++)
		stash->args[i] = s->args[i];
	stash->policies = policies;
	stash->plan = plan;
	stash->judged = judged;
	if (want_times)
		stash->entered = bpf_ktime_get_boot_ns();
	stash->spilled = 0;
	if (length <= STASH_DATA) {
		bpf_probe_read_kernel(stash->data, length, &s->data[OFFSET(values)]);
	} else {
		if (length <= SPILL_DATA && bpf_map_update_elem(&spills, &key, &s->data[OFFSET(values)], BPF_ANY) == 0) {
			stash->spilled = 1;
		} else {
			length = 0;
			count(row->index, COUNT_UNSPILLED);
		}
	}
	stash->length = length;
	stash->retry = faults;
	stash->room = row->room ? pointed_number(value_at(s->args, row->room - 1), ROOM_UNKNOWN) : ROOM_UNKNOWN;
	stash->slot = slot + 1;
}

/* Emits a call nothing was read for: the whole record is registers. */
static __always_inline void emit_plain(struct task_struct *task, struct apus_syscall_row *row, struct scratch *s,
				       s32 number, u64 policies, bool compat, u32 plan, bool simple)
{
	struct plain {
		struct apus_record record;
		u64 values[APUS_SYSCALL_ARGS + 1];
	} *p;
	void *ring = bulk_ring();
	u32 n = row->arg_count;
	u64 time;

	/* The agent takes the rings away when it has heard enough. */
	if (!ring)
		return;
	if (!simple && gives_way()) {
		lose(row->index, policies, APUS_LOSS_SHED, plan);
		return;
	}
	p = bpf_ringbuf_reserve(ring, sizeof(*p), 0);
	if (!p) {
		lose(row->index, policies, APUS_LOSS_RING, plan);
		return;
	}
	fill_identity(&p->record, task, number, compat);
	p->record.event = row->event;
	p->record.plan = plan;
	/* Registers behind the values must not be taken for blobs. */
	p->record.size = sizeof(p->record) + (n + 1) * 8;
	p->record.policies = policies;
	p->record.value_count = n + 1;
	for (u32 i = 0; i < APUS_SYSCALL_ARGS; i++)
		p->values[i] = s->args[i];
	p->values[APUS_SYSCALL_ARGS] = 0;
	if (n <= APUS_SYSCALL_ARGS)
		p->values[n] = s->args[APUS_LENGTH_RETURN_VALUE];
	time = p->record.time;
	bpf_ringbuf_submit(p, BPF_RB_NO_WAKEUP);
	if (!simple)
		look_at_ring(time);
	count(row->index, COUNT_EMITTED);
}

/* Hands over the record of a call, unless its policies are over their limits or it gives way. Global, as the verifier
 * comes here by thousands of ways. */
__noinline int finish_call(u32 self)
{
	struct scratch *s = scratch_at(self);

	if (!s)
		return 0;
	if (has_plan && has_limits) {
		s->record.policies = limited(s->index, s->record.policies, s->record.plan);
		if (!s->record.policies)
			return 0;
	}
	if (sheds)
		submit_bulk(self);
	else
		submit(bulk_ring(), s);
	return 0;
}

/* Emits a call with what its pointers led to, at entry (kept in the stash) and now. */
static __always_inline void emit_full(struct task_struct *task, struct apus_syscall_row *row, struct scratch *s,
				      struct stash *stash, s32 number, u64 policies, bool compat, u32 plan,
				      bool simple)
{
	u32 n = row->arg_count, slot = syscall_slot(number, compat), values, offset, retry = 0, phase;
	bool failed = (s64)s->args[APUS_LENGTH_RETURN_VALUE] < 0, judged = false;
	bool interrupted = (s64)s->args[APUS_LENGTH_RETURN_VALUE] == -ERESTART_RESTARTBLOCK;
	bool timed = want_times && stash;

	if (n > APUS_SYSCALL_ARGS)
		return;
	s->record.event = row->event;
	s->record.plan = plan;
	s->record.policies = policies;
	s->record.value_count = n + 1;
	values = offset = (n + 1) * 8;
	if (timed) {
		set_value(s, n + 1, stash->entered);
		s->record.value_count++;
		values = offset = (n + 2) * 8;
	}
	if (stash) {
		u32 length = stash->length;
		if (stash->spilled) {
			u64 key = bpf_get_current_task();
			struct spill *spill = bpf_map_lookup_elem(&spills, &key);
			if (spill && length <= SPILL_DATA)
				bpf_probe_read_kernel(&s->data[OFFSET(values)], length, spill->data);
			else
				length = 0;
			bpf_map_delete_elem(&spills, &key);
			stash->spilled = 0;
		} else if (length <= STASH_DATA) {
			bpf_probe_read_kernel(&s->data[OFFSET(values)], length, stash->data);
		}
		offset += length;
		retry = stash->retry;
		judged = stash->judged;
		stash->slot = 0;
	} else {
		/* In progress when the hook was attached, or entered outside the scope. */
		retry = row->reads[APUS_AT_ENTRY];
	}
	if ((row->flags & APUS_ROW_REPLACES_MEMORY) && !failed) {
		if (retry)
			offset = append_executed(s->self, retry, row->readers[0].kind != APUS_READ_STRING, offset);
		retry = 0;
	}
	phase = !failed ? APUS_AT_EXIT : interrupted ? APUS_AT_EXIT_INTERRUPTED : APUS_AT_NO_EXIT;
	if (want_fd_paths)
		s->appended = offset;
	if (retry || (row->flags & APUS_ROW_READS_AT_EXIT))
		offset = append_arguments(s->self, row_key(slot, plan),
					  phase | (compat ? APPEND_COMPAT : 0) | retry << APPEND_AGAIN, offset);
	if (want_fd_paths && !failed && row->flags & APUS_ROW_READS_AT_EXIT)
		offset = append_descriptors(s->self, row_key(slot, plan), APUS_AT_EXIT, offset);
	set_arguments(row, s);
	s->index = row->index;
	s->offset = offset;
	if (is_planned(simple) && row->tests.all) {
		s->tests = row->tests;
		s->record.flags = 0;
		apply_tests(s->self, judged ? row->tests.inputs : 0, row->tests.data);
		if (s->record.policies) {
			fill_identity(&s->record, task, number, compat);
			apply_tests(s->self, row->tests.data, row->tests.all);
		}
		if (!s->record.policies) {
			count(s->index, COUNT_FILTERED);
			return;
		}
	} else {
		fill_identity(&s->record, task, number, compat);
	}
	if (timed)
		s->record.flags |= APUS_RECORD_TIMED;
	if (!simple)
		finish_call(s->self);
	else
		submit(bulk_ring(), s);
}

static __always_inline void emit(struct task_struct *task, struct apus_syscall_row *row, struct scratch *s,
				 struct stash *stash, s32 number, u64 policies, bool compat, u32 plan, bool simple)
{
	bool is_plain = !(row->flags & (APUS_ROW_NEEDS_ENTRY | APUS_ROW_READS_AT_EXIT));

	if (is_plain && !(is_planned(simple) && (has_limits || row->tests.all)))
		emit_plain(task, row, s, number, policies, compat, plan, simple);
	else
		emit_full(task, row, s, stash, number, policies, compat, plan, simple);
}

#endif
