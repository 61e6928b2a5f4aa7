/* Memory areas of a process, found by address without the kernel's locks: bpf_find_vma (5.17) fails
 * whenever another thread holds them, which a hostile program could arrange. The areas are in a
 * red-black tree before 6.1 and in a maple tree since (include/linux/maple_tree.h). What is read while
 * it changes may be wrong, but is bounded. */
#ifndef APUS_VMA_H
#define APUS_VMA_H

#define HAS_MAPLE_TREE bpf_core_field_exists(struct mm_struct, mm_mt)
#define RB_DEPTH 48       /* more than a balanced tree of 65530 areas has */
#define MAPLE_DEPTH 12
#define MAPLE_SLOTS 16
#define MAPLE_TYPE_SHIFT 3
#define MAPLE_TYPE_MASK 15
#define MAPLE_NODE_MASK 255
#define MAPLE_ROOT_NODE 2 /* xa_is_node: the low bits of a root that is a node and no single area */

/* One level down. Returns 1 while there is another, 0 when `walk.vma` holds the slot of `address`. */
__noinline long descend_maple(u32 self)
{
	struct scratch *s = scratch_at(self);
	u32 type, pivots, slots, slot, offset;
	u64 node, entry = 0, *words;

	/* A global function is verified even where nobody calls it. */
	if (!s || !HAS_MAPLE_TREE)
		return 0;
	entry = s->walk.node;
	type = entry >> MAPLE_TYPE_SHIFT & MAPLE_TYPE_MASK;
	node = entry & ~(u64)MAPLE_NODE_MASK;
	s->walk.vma = 0;
	words = s->walk.components;
	if (type == bpf_core_enum_value(enum maple_type, maple_arange_64)) {
		pivots = bpf_core_field_offset(struct maple_arange_64, pivot);
		slots = bpf_core_field_offset(struct maple_arange_64, slot);
	} else {
		pivots = bpf_core_field_offset(struct maple_range_64, pivot);
		slots = bpf_core_field_offset(struct maple_range_64, slot);
	}
	if (bpf_probe_read_kernel(words, 256, (void *)node))
		return 0;
	/* A pivot is the last address of its slot; the last slot has none, and 0 ends a node early. */
	for (slot = 0; slot < MAPLE_SLOTS - 1; slot++) {
		u64 pivot;

		offset = pivots / 8 + slot;
		if (offset * 8 >= slots)
			break;
		pivot = words[offset & 31];
		if (!pivot && slot)
			break;
		if (s->walk.address <= pivot)
			break;
	}
	entry = words[(slots / 8 + slot) & 31];
	if (type == bpf_core_enum_value(enum maple_type, maple_leaf_64)) {
		s->walk.vma = entry;
		return 0;
	}
	s->walk.node = entry;
	return entry != 0;
}

/* One level down a red-black tree of areas, as find_vma() did. */
__noinline long descend_rb(u32 self)
{
	struct scratch *s = scratch_at(self);
	struct vm_area_struct___6_0 *vma;
	struct rb_node *node;

	if (!s || !s->walk.node || HAS_MAPLE_TREE)
		return 0;
	node = (struct rb_node *)s->walk.node;
	vma = (void *)node - bpf_core_field_offset(struct vm_area_struct___6_0, vm_rb);
	if (BPF_CORE_READ(vma, vm_end) > s->walk.address) {
		s->walk.vma = (u64)vma;
		if (BPF_CORE_READ(vma, vm_start) <= s->walk.address)
			return 0;
		s->walk.node = (u64)BPF_CORE_READ(node, rb_left);
	} else {
		s->walk.node = (u64)BPF_CORE_READ(node, rb_right);
	}
	return 1;
}

/* The area that holds the address `walk.address` of the memory `from`, in `walk.vma`; 0: none. */
__noinline int find_vma_from(u32 self)
{
	struct scratch *s = scratch_at(self);
	struct vm_area_struct *vma;
	struct mm_struct *mm;

	if (!s || !s->from)
		return 0;
	mm = (struct mm_struct *)s->from;
	s->walk.vma = 0;
	if (HAS_MAPLE_TREE) {
		s->walk.node = (u64)READ(mm, mm_mt.ma_root);
		if ((s->walk.node & 3) != MAPLE_ROOT_NODE)
			return 0; /* one area or none: not a process that runs */
		for (u32 i = 0; i < MAPLE_DEPTH; i++)
			if (!descend_maple(self))
				break;
	} else {
		s->walk.node = (u64)BPF_CORE_READ((struct mm_struct___6_0 *)mm, mm_rb.rb_node);
		for (u32 i = 0; i < RB_DEPTH; i++)
			if (!descend_rb(self))
				break;
	}
	vma = (struct vm_area_struct *)s->walk.vma;
	if (vma && (READ(vma, vm_start) > s->walk.address || READ(vma, vm_end) <= s->walk.address))
		s->walk.vma = 0;
	return 0;
}

/* The memory area that holds an address, or null. Uses the path walk's place in the scratch. */
static __always_inline struct vm_area_struct *find_vma(struct scratch *s, struct mm_struct *mm, u64 address)
{
	s->from = (u64)mm;
	s->walk.vma = 0;
	s->walk.address = address;
	find_vma_from(s->self);
	return (struct vm_area_struct *)s->walk.vma;
}

#endif
