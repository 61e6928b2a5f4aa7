/* The contract between the kernel programs and the Swift side: every struct and number that crosses.
 *
 * Compiled twice: by clang for BPF (Kernel/) and by the Swift importer (module CContract). There is no other definition of
 * these layouts. A change of any of them raises APUS_ABI_VERSION, since recordings carry it. All integers are in the byte
 * order of the machine; all structs are padded by hand, so that sizes are what the assertions at the end say on both sides.
 */
#ifndef APUS_CONTRACT_H
#define APUS_CONTRACT_H

#ifndef __bpf__
#include <linux/types.h>
#endif

#define APUS_ABI_VERSION 7

/* ---- Records ------------------------------------------------------------------------------- */

#define APUS_COMM_BYTES 16

/* Every record starts with this. It is followed by `value_count` 64-bit values, one for each field of the event in catalogue
 * order (a scalar, or the address that a pointer held; -1 sign-extends) and behind them one for each of the flags TIMED and
 * ABSENT, in this order; and then by blobs for what was read through pointers. */
struct apus_record {
	__u64 time;          /* ns since boot, CLOCK_BOOTTIME */
	__u32 event;         /* catalogue id */
	__u32 size;          /* bytes of the whole record */
	__u64 policies;      /* one bit for each policy that matched; 0: for the state stores only */
	__u64 cgroup_id;     /* id in the default (v2) hierarchy */
	__u64 thread_start;  /* ns since boot */
	__u64 process_start; /* start of the thread group leader */
	__u64 parent_start;  /* start of the parent process */
	__u32 host_tid;      /* ids as the initial pid namespace sees them */
	__u32 host_pid;
	__u32 host_ppid;
	__u32 tid; /* ids as the task's own pid namespace sees them */
	__u32 pid;
	__u32 ppid;
	__u32 uid; /* real uid, in the initial user namespace */
	__u32 mount_ns;
	__u32 pid_ns;
	__s32 syscall; /* x86-64 number of the system call in progress, or i386's where compat; -1: none */
	__u16 cpu;
	__u8 flags; /* APUS_RECORD_* */
	__u8 value_count;
	__u32 plan;   /* number of the plan that judged it, whose policies `policies` are */
	char comm[APUS_COMM_BYTES];
};

#define APUS_RECORD_COMPAT 0x01    /* a 32-bit system call is in progress */
#define APUS_RECORD_UNDECIDED 0x02 /* too long for the kernel's filters: they are to be asked again */
#define APUS_RECORD_TIMED 0x04     /* a value says when the call was entered, in ns since boot */
#define APUS_RECORD_ABSENT 0x08    /* a value has a bit for each field that has none in this record */

/* What was read through a pointer: `length` bytes follow, padded with anything to 8. */
struct apus_blob {
	__u8 field; /* index into the event's fields */
	__u8 flags; /* APUS_BLOB_* */
	__u16 count; /* elements of a string array; bytes to the pointer that led here from a blob; 1 otherwise */
	__u32 length;
};

#define APUS_BLOB_TRUNCATED 0x01 /* there was more than the limit */
#define APUS_BLOB_AT_EXIT 0x02   /* an input that was not resident at entry and was read at exit */
#define APUS_BLOB_RESULT 0x04    /* what a call left of what it was given, of which there is a blob before */
/* Of a string array: an ellipsis (U+2026) stands for each string that was not resident. */
#define APUS_BLOB_GAPS 0x40
#define APUS_BLOB_DESCRIPTOR 0x08 /* what a descriptor is open on, see struct apus_descriptor */

/* In a blob's flags: how many pointers it is away from the one that the field is. A pointer in the structures of
 * level 0 leads to a blob of level 1, and so on; what a blob leads to stands behind it, before the next of its level. */
#define APUS_BLOB_LEVEL_SHIFT 4
#define APUS_BLOB_LEVELS 3

/* What a descriptor was open on: an argument when the call was entered, a result when it returned; one that was not open
 * has none. `count` is 1 for the field's own, and 0 for one in what it points at, which is told by its number: without
 * bytes and truncated, of this field and those behind it there were more. */
struct apus_descriptor {
	__u64 inode;
	__u64 peer;        /* inode of a Unix socket's other end; 0: none */
	__s32 number;      /* the descriptor, or AT_FDCWD */
	__u32 file_system; /* its magic number: include/uapi/linux/magic.h */
	__u32 flags;       /* APUS_DESCRIPTOR_* */
	__u16 family;      /* of a socket */
	__u16 protocol;
	__u32 port; /* of a netlink socket */
	__u32 reserved;
};

#define APUS_DESCRIPTOR_DELETED 0x01 /* the name is gone */
#define APUS_DESCRIPTOR_NOWHERE 0x02 /* on no mount that anybody sees: pipes, sockets, memory */

/* What stands behind it, one level on, by `count`: its path, or of what is nowhere the bare name, of a socket that of its
 * protocol; and addresses of a socket. */
enum apus_descriptor_part { APUS_DESCRIPTOR_NAME, APUS_DESCRIPTOR_LOCAL, APUS_DESCRIPTOR_REMOTE };

/* A field of type `credentials`: user and group ids in the initial user namespace, and capabilities. */
struct apus_credentials {
	__u32 uid, gid, suid, sgid, euid, egid, fsuid, fsgid;
	__u32 user_ns, securebits;
	__u64 inheritable, permitted, effective, bounding, ambient;
};

#define APUS_MAX_VALUES 64
#define APUS_MAX_STRING 4096    /* PATH_MAX, with its NUL */
#define APUS_MAX_ARRAY 8192     /* all strings of one string array together */
#define APUS_MAX_ELEMENTS 256   /* strings in one string array */
#define APUS_SCRATCHES 4        /* records in the making on one CPU: programs interrupt each other */
#define APUS_RECORD_DATA 28672  /* values and blobs of one record */

/* Where version 2's control groups are not mounted: the controller in whose hierarchy of version 1 groups are looked up. */
enum apus_legacy_controller {
	APUS_LEGACY_NONE,
	APUS_LEGACY_PIDS,
	APUS_LEGACY_MEMORY,
	APUS_LEGACY_CPU,
};

/* ---- Filters: what of an event's records a policy wants ---------------------------------------
 *
 * A plan is what the kernel knows of a set of policies. There is room for two, of which one judges: the
 * other is written, and takes over with one store. */

#define APUS_PLANS 2

/* Some tests, one after the other: those on the inputs of a system call, which its entry decides; then those
 * on other values and blobs; then those on the record's header. */
struct apus_tests {
	__u32 first;
	__u8 inputs; /* how many */
	__u8 data;   /* of them and the next */
	__u8 all;
	__u8 reserved;
};

enum apus_test_kind {
	APUS_TEST_NUMBER, /* in one of some ranges */
	APUS_TEST_BITS,   /* `value & mask` */
	APUS_TEST_STRING, /* whole strings, beginnings and endings */
};

/* How the 64 bits of a value are to be taken. Signed ones are compared with the sign bit turned over. */
enum apus_convert {
	APUS_CONVERT_NONE,
	APUS_CONVERT_S64,
	APUS_CONVERT_S32,
	APUS_CONVERT_U32,
	APUS_CONVERT_U16,
	APUS_CONVERT_BOOL,
	APUS_CONVERT_CALL, /* S32, and 1 << 32 more where the record says that the caller is a 32-bit one */
};

#define APUS_FIELD_HEADER 0x80 /* in `field`: below it, an offset into struct apus_record */

/* What all policies want of one field. A field that is missing passes for those without the test only. */
struct apus_test {
	__u64 used;    /* policies that have it */
	__u64 negated; /* of them, those that want the opposite */
	__u64 mask;    /* BITS: of which `value` is wanted */
	__u64 value;
	__u32 first;   /* NUMBER: the first of `count` bounds; STRING: root of whole strings and beginnings, or 0 */
	__u32 count;
	__u32 endings; /* STRING: root of endings, which is followed backwards, or 0 */
	__u8 kind;
	__u8 field;
	__u8 convert;
	__u8 reserved;
};

/* Where numbers begin that these policies want; up to the next bound. The first is 0. */
struct apus_bound {
	__u64 low, policies;
};

/* A state of a trie, in a double array: from state s a byte leads to state base + byte, if its check is s. */
struct apus_state {
	__u32 base;
	__u32 check;
	__u32 hits; /* what a string says that comes to this state */
	__u32 reserved;
};

struct apus_hits {
	__u64 whole;     /* policies that want a string which ends here */
	__u64 beginning; /* policies that want one which begins with, or ends in, what led here */
};

/* The tests of an event that is no system call, in a plan. */
struct apus_event_plan {
	__u64 policies;
	struct apus_tests tests;
};

/* ---- Scope: whom to trace ------------------------------------------------------------------- */

enum apus_scope_key {
	APUS_SCOPE_PID,
	APUS_SCOPE_UID,
	APUS_SCOPE_COMM,
	APUS_SCOPE_MNTNS,
	APUS_SCOPE_PIDNS,
	APUS_SCOPE_UTS,
	APUS_SCOPE_CGROUP,
	APUS_SCOPE_TREE,
	APUS_SCOPE_KEYS,
	/* Further bits of `keys`. */
	APUS_SCOPE_PROGRAM = APUS_SCOPE_KEYS,
	APUS_SCOPE_FOLLOW,
	APUS_SCOPE_AGE,
	APUS_SCOPE_CONTAINER,
};

#define APUS_UTS_BYTES 64
#define APUS_MAX_POLICIES 64

/* Which policies of a plan name this value with `=`, and which name it at all. */
struct apus_scope_marks {
	__u64 equals, mentioned;
};

/* The value of a scope map. */
struct apus_scope_value {
	struct apus_scope_marks marks[APUS_PLANS];
};

/* What the scopes of each plan say of a process. It passes to its children; only those are kept of which any scope
 * says something. */
struct apus_process {
	struct apus_scope_marks tree[APUS_PLANS];
	__u64 programs[APUS_PLANS]; /* policies that take the program which it runs */
	__u64 follows[APUS_PLANS];  /* policies that follow, and took its parent or follow that */
	__u64 start;         /* ns since boot; 0: not known */
	__u32 pending;       /* waits for its first execve: nothing else of it is traced yet */
	__u32 knows_program; /* `programs` are filled in */
};

/* A control group that is, or may be, a container's. Groups that are not there are none's. */
struct apus_container {
	__u64 named[APUS_PLANS];    /* policies that name the container with `=` */
	__u64 excluded[APUS_PLANS]; /* policies that name it with `!=`, and not with `=` */
	__u32 is_known;             /* it is a container's; otherwise the agent has to find out yet */
	__u32 is_new;               /* made since Apus started */
};

#define APUS_MAX_CONTAINER_GROUPS 16384

struct apus_range {
	__u32 min, max;
};

/* A look-up of programs by their paths. */
struct apus_program_test {
	__u32 test;     /* number of a test of strings */
	__u32 mount_ns; /* it counts in this namespace only; 0: in all */
};

#define APUS_MAX_PROGRAM_TESTS 8

struct apus_scope_plan {
	__u64 used[APUS_SCOPE_KEYS];     /* policies that restrict this key */
	__u64 otherwise[APUS_SCOPE_KEYS]; /* of them, those that match a value nobody mentions (`!=` only) */
	__u64 ranged[2];                 /* of them, those with a range, for PID and UID */
	__u64 keys;                      /* a bit for each enum apus_scope_key that any policy restricts */
	__u64 since;                     /* processes are new that began later, in ns since boot */
	__u64 only_new;                  /* policies that take new processes only */
	__u64 only_old;
	__u64 follow;                    /* policies that take the descendants too of whom they take */
	__u64 programs_used;             /* policies that restrict the programs */
	__u64 programs_negated;          /* of them, those that name what they do not take */
	/* Containers: policies that take nothing outside one, nothing inside one, those made since Apus started only, those
	 * made before only, those in which something was executed only, those in which nothing was; and those that name the
	 * ones that they take. */
	__u64 in_container, in_none, in_new, in_old, in_started, in_unstarted, in_named;
	__u32 program_count;
	__u32 reserved;
	struct apus_program_test programs[APUS_MAX_PROGRAM_TESTS];
	struct apus_range ranges[2][APUS_MAX_POLICIES];
};

/* ---- Snapshot: the processes that are there ---------------------------------------------------- */

/* One process, as the iterator of tasks writes it. */
struct apus_task {
	__u64 start;        /* ns since boot */
	__u64 parent_start;
	__u64 cgroup_id;
	__u32 pid; /* as the host sees it */
	__u32 ppid;
	__u32 uid, pid_ns;
	char comm[APUS_COMM_BYTES];
};

/* ---- Rate limits: how often policies take events ---------------------------------------------- */

/* Each event takes `interval` of time, which may be up to `burst` ahead of the clock. */
struct apus_limit {
	__u64 interval; /* ns; 0: no limit */
	__u64 burst;    /* ns */
};

/* Of one policy of a plan. */
struct apus_limits {
	struct apus_limit policy; /* all that it takes */
	struct apus_limit cgroup; /* what it takes of each control group */
};

struct apus_bucket {
	__u64 until;   /* up to when time is taken, ns since boot */
	__u64 refused; /* events that found none left */
};

struct apus_group_key {
	__u64 cgroup;
	__u32 plan; /* number of the plan */
	__u32 policy;
};

#define APUS_LIMITED_GROUPS 4096 /* buckets of control groups; the one that was used longest ago goes */

/* ---- Counters ------------------------------------------------------------------------------ */

#define APUS_MAX_EVENTS 1024
#define APUS_COUNTER_TREE_FULL (APUS_MAX_EVENTS - 1) /* `lost`: children that the tree scope had no room for */
#define APUS_COUNTER_UNPAIRED (APUS_MAX_EVENTS - 2)  /* `lost`: returns of functions whose entry was not kept */
#define APUS_COUNTER_NAMELESS (APUS_MAX_EVENTS - 3)  /* `lost`: losses that the table by policy had no room for */
#define APUS_COUNTER_CONTAINERS_FULL (APUS_MAX_EVENTS - 4) /* `lost`: control groups that were one too many */

/* Why a record did not come into a ring. */
enum apus_loss_cause {
	APUS_LOSS_RING,    /* the ring had no room */
	APUS_LOSS_SCRATCH, /* there was nowhere to put it together */
	APUS_LOSS_SHED,    /* the ring was nearly full, and events of its class give way to others */
	APUS_LOSS_LIMIT,   /* its policies were over their limits */
	APUS_LOSS_CAUSES,
};

/* Per CPU and event. */
struct apus_counters {
	__u64 emitted;    /* records submitted to a ring, those for the state stores among them */
	__u64 filtered;   /* outside all policies' scopes, or not what their filters want */
	__u64 unspilled;  /* emitted, but its long input could not be kept between entry and exit */
	__u64 state_lost; /* for the state stores only, and lost by whatever cause */
	__u64 lost[APUS_LOSS_CAUSES]; /* records that a policy asked for */
};

/* The same losses by policy, per CPU. */
struct apus_loss_key {
	__u32 plan; /* number of the plan that the policy is in */
	__u16 index;
	__u8 policy;
	__u8 cause;
};

/* And by process, of which the last that lost something are kept. */
struct apus_loser {
	__u64 start; /* of the process, ns since boot */
	__u32 pid;   /* as the initial pid namespace sees it */
	__u32 reserved;
};

/* All of them together, in two rows: what only grows, and when it began to since the reader looked last. */
struct apus_loss_total {
	__u64 count;
	__u64 time; /* of the last in row 0, of the first in row 1; ns since boot */
};

#define APUS_LOSS_KEYS 8192
#define APUS_LOSERS 1024

_Static_assert(sizeof(struct apus_record) == 120, "apus_record");
_Static_assert(sizeof(struct apus_blob) == 8, "apus_blob");
_Static_assert(sizeof(struct apus_credentials) == 80, "apus_credentials");
_Static_assert(sizeof(struct apus_descriptor) == 40, "apus_descriptor");
_Static_assert(sizeof(struct apus_test) == 48, "apus_test");
_Static_assert(sizeof(struct apus_state) == 16, "apus_state");
_Static_assert(sizeof(struct apus_event_plan) == 16, "apus_event_plan");
_Static_assert(sizeof(struct apus_scope_value) == 32, "apus_scope_value");
_Static_assert(sizeof(struct apus_process) == 80, "apus_process");
_Static_assert(sizeof(struct apus_container) == 40, "apus_container");
_Static_assert(sizeof(struct apus_task) == 56, "apus_task");
_Static_assert(sizeof(struct apus_counters) == 64, "apus_counters");
_Static_assert(sizeof(struct apus_limits) == 32, "apus_limits");
_Static_assert(sizeof(struct apus_bucket) == 16, "apus_bucket");
_Static_assert(sizeof(struct apus_group_key) == 16, "apus_group_key");
_Static_assert(sizeof(struct apus_loss_key) == 8, "apus_loss_key");
_Static_assert(sizeof(struct apus_loser) == 16, "apus_loser");
_Static_assert(sizeof(struct apus_loss_total) == 16, "apus_loss_total");

#endif
