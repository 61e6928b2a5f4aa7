/* The part of the contract that says how system calls are read: see contract.h, whose version is this one's too. */
#ifndef APUS_CONTRACT_CALLS_H
#define APUS_CONTRACT_CALLS_H

#include "contract.h"

/* ---- What to trace: one row for each system call ------------------------------------------- */

#define APUS_SYSCALL_ARGS 6
#define APUS_SYSCALL_SLOTS 512 /* numbers 0..511 of x86-64; then as many of i386 */

enum apus_reader_kind {
	APUS_READ_NONE,         /* the register is the value */
	APUS_READ_STRING,       /* NUL-terminated */
	APUS_READ_STRING_ARRAY, /* NULL-terminated array of such strings */
	APUS_READ_BYTES,        /* a number of bytes given by `length` and `element` */
	APUS_READ_BITS,         /* the same, where `length` gives a number of bits */
};

enum apus_reader_phase {
	APUS_AT_ENTRY,
	APUS_AT_EXIT,             /* when the call succeeded */
	APUS_AT_EXIT_INTERRUPTED, /* the time that an interrupted sleep had left */
	APUS_AT_BOTH,             /* at entry, and when the call succeeded */
	APUS_AT_NO_EXIT = APUS_AT_BOTH, /* of a call, not of a reader: it failed, and only missed inputs are read */
};

/* Where a reader's number of elements comes from: the argument of that index, or one of these. */
enum apus_reader_length {
	APUS_LENGTH_RETURN_VALUE = 6,
	APUS_LENGTH_ONE = 7,
	APUS_LENGTH_POINTED = 8, /* + index: the u32 that argument points at */
};
#define APUS_ROOM_SHIFT 4             /* above it 1 + the index of what says how much the caller had room for; 0: enough */
#define APUS_ROOM_ALL_OR_NOTHING 0x80 /* where that is less nothing was written */

/* How one argument of a system call is read. A new structure is one more of these, not a program. */
struct apus_reader {
	__u8 kind;
	__u8 phase;
	__u8 length;
	__u8 structure; /* in the table of those that lead on; 0: it does not */
	__u16 element;  /* bytes of one element */
	__u16 limit;    /* bytes at most; <= APUS_MAX_STRING */
};

#define APUS_FOLLOWS 4           /* pointers in one structure that are followed */
#define APUS_MAX_STRUCTURES 128  /* that have such pointers or descriptors, and 1 */
#define APUS_FOLLOW_FILLED 0x01  /* room for what the call gives: as many bytes as it gave */
#define APUS_FOLLOW_FILLS 0x02   /* to such room, and the structure says how many bytes the call gave */
#define APUS_FOLLOW_LEFT 0x04    /* not read before the call has returned */

/* A pointer in a structure, and how what it leads to is read: `phase` and `length` of the reader do not count. */
struct apus_follow {
	struct apus_reader reader;
	__u16 offset;     /* bytes from the structure's beginning to the pointer */
	__u16 count_at;   /* and to the number of elements; or this is the number */
	__u8 count_bytes; /* of the number: 2, 4 or 8; 0: see there */
	__u8 flags;       /* APUS_FOLLOW_* */
	__u16 given_at;   /* with APUS_FOLLOW_FILLS: to those 4 bytes */
};

#define APUS_HELD 4 /* descriptors in one structure; instead of their number one of: */
#define APUS_HELD_BITS 0xff     /* all of it is a set of them */
#define APUS_HELD_MESSAGES 0xfe /* it is messages beside a message, which may carry some */

/* A structure with pointers that are followed, or with descriptors. */
struct apus_structure {
	__u16 size;
	__u8 count; /* of follows */
	__u8 held_count;
	__u8 is_given; /* the caller's: what it leads to is not read again when the call has returned */
	__u8 reserved[3];
	struct apus_follow follows[APUS_FOLLOWS];
	__u16 held[APUS_HELD]; /* bytes from the structure's beginning to each, which has 4 */
};

/* What the arguments of a call are where one of them has a value: instead of its row's readers. */
struct apus_form_key {
	__u32 slot;  /* of the row */
	__u32 value; /* of the argument that decides, masked */
};

struct apus_form {
	struct apus_reader readers[APUS_SYSCALL_ARGS];
	__u8 reads[4]; /* by enum apus_reader_phase, but for the last: a bit for each reader that then reads */
	__u8 descriptors; /* a bit for each argument that is one, and for the return value */
	__u8 directories; /* of them, those that may be AT_FDCWD */
	__u8 reserved[2];
};

#define APUS_MAX_FORMS 2048

#define APUS_ROW_EMIT_AT_ENTRY 0x01     /* never returns to where it was called from */
#define APUS_ROW_NEEDS_ENTRY 0x02       /* something is read at entry, or its time kept */
#define APUS_ROW_REPLACES_MEMORY 0x04   /* execve: on success the caller's memory and registers are gone */
#define APUS_ROW_RETURNS_TWICE 0x08     /* fork and its kin: 0 is the child's return, not a call's */
#define APUS_ROW_READS_AT_EXIT 0x10     /* something is read at exit */
#define APUS_ROW_HAS_FORMS 0x20         /* the argument `selector` decides what the others are */
#define APUS_ROW_SWAPS 0x40             /* 32-bit callers have its fourth and fifth argument the other way round */
#define APUS_ROW_INT_RESULT 0x80        /* the upper half of its result is 0 where it is negative */

struct apus_syscall_row {
	__u64 policies; /* that asked for it; 0: not traced */
	__u32 event;    /* catalogue id */
	__u16 index;    /* dense index, for the counters */
	__u8 flags;
	__u8 arg_count;
	struct apus_reader readers[APUS_SYSCALL_ARGS];
	struct apus_tests tests;
	__u32 mask; /* of the selector's low half */
	__u8 selector;
	__u8 reads[4]; /* as in struct apus_form */
	__u8 descriptors;
	__u8 directories;
	__u8 pairs; /* a bit for each argument that points at two descriptors which the call makes */
	__u8 room;  /* 1 + index of the argument that points at how much room there is, and then at how much there were */
	__u8 joins; /* a bit for each argument that takes two registers of a 32-bit caller, the low half first */
	__u8 halves; /* a bit for each argument of which the kernel takes the low half of the register */
	__u8 signs;  /* and of those, for each that may be negative */
};

_Static_assert(sizeof(struct apus_reader) == 8, "apus_reader");
_Static_assert(sizeof(struct apus_follow) == 16, "apus_follow");
_Static_assert(sizeof(struct apus_structure) == 80, "apus_structure");
_Static_assert(sizeof(struct apus_form) == 56, "apus_form");
_Static_assert(sizeof(struct apus_syscall_row) == 88, "apus_syscall_row");

#endif
