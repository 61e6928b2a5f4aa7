/* The maps, and the constants that the loader sets before the programs are verified. */
#ifndef APUS_MAPS_H
#define APUS_MAPS_H

/* Constants. The verifier drops what they make unreachable, so what nobody asked for costs nothing. */
const volatile u32 self_pid;                        /* the agent, which is never traced: its number in */
const volatile u32 self_pid_ns;                     /* its own pid namespace */
const volatile u32 ring_mask;                       /* number of bulk rings - 1, a power of two - 1 */
const volatile u64 wanted[INDEX_FIRST_SYSCALL];     /* policies, for each event that is no system call */
const volatile struct apus_scope_plan scope;
const volatile bool has_scope;                      /* `scope` restricts anything at all */
/* The maps below judge, not `wanted` and `scope`: there are filters, or policies may change. */
const volatile bool has_plan;
const volatile u32 state_mask;                      /* number of states - 1, a power of two - 1 */
const volatile bool want_paths = true;              /* of kernel objects, in any event */
const volatile bool want_arguments;                 /* `argv` for the process tree, whoever wants the event */
const volatile bool want_environment;               /* sched_process_exec with `env` */
const volatile bool follows_pointers;               /* in structures, and reads what commands take */
const volatile bool want_fd_paths;                  /* descriptors of system calls with what they are open on */
const volatile bool want_times;                     /* system calls with the time of their entry */
const volatile bool has_rdonly_cast;                /* the kernel has this function */
const volatile bool has_group_dead;                 /* sched_process_exit says whether it is the last */

const volatile u32 legacy_controller;               /* where version 1 alone is mounted, whose hierarchy tells groups */
const volatile u32 group_hierarchy;                 /* the number of that hierarchy, or 0 for that of version 2 */
const volatile bool has_containers;                 /* and scopes may ask for containers */
const volatile bool has_limits;                     /* and policies may have rate limits, see limit.h */
const volatile bool sheds;                          /* bulk events give way to others, see loss.h */
const volatile u64 tight_above;                     /* bytes that wait in a bulk ring when it is nearly full */

struct ring {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096);
};

/* Process lifecycle has a ring of its own, so that a flood cannot cost us the process tree. */
struct ring lifecycle SEC(".maps"); /* the loader sets its size */

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, 64);
	__type(key, u32);
	__array(values, struct ring);
} bulk SEC(".maps"); /* the loader puts the rings in */

/* The loader multiplies it by the number of plans, where there is more than one. */
#define SYSCALL_ROWS (2 * APUS_SYSCALL_SLOTS)
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, SYSCALL_ROWS);
	__type(key, u32);
	__type(value, struct apus_syscall_row);
} syscalls SEC(".maps");

/* What calls take by one of their arguments, and structures with pointers. The same for all plans. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1); /* or what the loader sets */
	__type(key, struct apus_form_key);
	__type(value, struct apus_form);
} forms SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, APUS_MAX_STRUCTURES);
	__type(key, u32);
	__type(value, struct apus_structure);
} structures SEC(".maps");

/* ---- Plans. What a plan has of each is apart from what the other has ---- */

/* The number of the plan that judges: what happens from now on, and what is then found in the stash. */
volatile u32 current_plan;

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, APUS_PLANS * APUS_MAX_EVENTS);
	__type(key, u32);
	__type(value, struct apus_event_plan);
} event_plans SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, APUS_PLANS);
	__type(key, u32);
	__type(value, struct apus_scope_plan);
} scope_plans SEC(".maps");

/* The loader sets the sizes of the following. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct apus_test);
} tests SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct apus_bound);
} bounds SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct apus_hits);
} hits SEC(".maps");

/* All states are one value, so that a step is a load and not a look-up. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct apus_state);
} states SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, APUS_MAX_EVENTS);
	__type(key, u32);
	__type(value, struct apus_counters);
} counters SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 2);
	__type(key, u32);
	__type(value, struct apus_loss_total);
} loss_totals SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_HASH);
	__uint(max_entries, APUS_LOSS_KEYS);
	__type(key, struct apus_loss_key);
	__type(value, u64);
} loss_policies SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, APUS_LOSERS);
	__type(key, struct apus_loser);
	__type(value, u64);
} losers SEC(".maps");

/* The policies of each plan that have rate limits. */
volatile u64 limited_policies[APUS_PLANS];

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, APUS_PLANS * APUS_MAX_POLICIES);
	__type(key, u32);
	__type(value, struct apus_limits);
} limits SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, APUS_PLANS * APUS_MAX_POLICIES);
	__type(key, u32);
	__type(value, struct apus_bucket);
} buckets SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, APUS_LIMITED_GROUPS);
	__type(key, struct apus_group_key);
	__type(value, struct apus_bucket);
} group_buckets SEC(".maps");

/* For each bulk ring, whether it was nearly full when somebody looked. */
#define MAX_RINGS 64
volatile u8 tight_rings[MAX_RINGS];

#define SCOPE_MAP(name, key_type)                                                                          \
	struct {                                                                                           \
		__uint(type, BPF_MAP_TYPE_HASH);                                                           \
		__uint(max_entries, 2048);                                                                 \
		__type(key, key_type);                                                                     \
		__type(value, struct apus_scope_value);                                                    \
	} name SEC(".maps")

struct uts_name {
	char bytes[APUS_UTS_BYTES];
};

struct comm {
	char bytes[APUS_COMM_BYTES];
};

SCOPE_MAP(scope_pid, u32);
SCOPE_MAP(scope_uid, u32);
SCOPE_MAP(scope_comm, struct comm);
SCOPE_MAP(scope_mntns, u32);
SCOPE_MAP(scope_pidns, u32);
SCOPE_MAP(scope_uts, struct uts_name);
SCOPE_MAP(scope_cgroup, u64);

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 32768);
	__type(key, u32); /* host pid */
	__type(value, struct apus_process);
} scope_processes SEC(".maps");

/* The same of processes whose number is still that of one which the kernel is about to free: see sched_process_free. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4096);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, u32); /* host pid */
	__type(value, struct apus_process);
} scope_heirs SEC(".maps");

/* Control groups of containers, by id. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, APUS_MAX_CONTAINER_GROUPS);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, u64);
	__type(value, struct apus_container);
} containers SEC(".maps");

/* Of them, those in which something was executed. Apart, as only the kernel writes it. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, APUS_MAX_CONTAINER_GROUPS);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, u64);
	__type(value, u8);
} started_containers SEC(".maps");

/* A path on its way from a dentry to the root and back; or the search for a memory area, whose
 * nodes are copied to `components`. */
#define MAX_COMPONENTS 512
struct walk {
	u64 address, node, vma;
	u64 dentry, mount;
	u32 depth, at, start, truncated;
	u64 components[MAX_COMPONENTS];
};

#define MAX_HELD 64 /* descriptors in what the arguments of one record point at */

/* Where a record is put together. The data is longer than a record may be, so that a bounded read
 * always fits. Each CPU has several, as a program may interrupt another, and where the kernel is
 * preemptible another task's: who begins a record claims one, who submits it gives it back. An array
 * over all CPUs, as values of a per-CPU array end at 32 KiB. */
struct scratch {
	u64 claims;
	u32 self;   /* its own key */
	u32 index;  /* of the event, for the counters */
	u32 offset; /* where the next blob goes */
	u32 length; /* of what is to be appended, */
	u64 from;   /* which lies there */
	struct apus_tests tests; /* that the record has to pass */
	u64 args[8]; /* of the system call, its return value, and 1: indexed by enum apus_reader_length */
	u32 room;    /* that the call was given, where it says behind a pointer how much it would need */
	struct apus_record record;
	u8 data[APUS_RECORD_DATA + 4096 + APUS_MAX_STRING + 64];
	struct walk walk;
	u32 array_flags;     /* of the blob of a string array, while it is read */
	u32 gaps;            /* a bit for each argument of the call that is an array of which strings were not resident */
	u32 row, which;      /* key of the call's row, and the phase of its arguments: see append_arguments */
	u32 following;       /* the structure of an argument whose pointers are to be followed; 0: none */
	u32 follow_flags;    /* field and flags of what is read behind pointers in structures */
	u64 given;           /* bytes that the call gave and that were not read yet; NOTHING_GIVEN: none, yet or ever */
	u32 followed;        /* pointers in this record */
	u32 appended;        /* where began what was last read of a call at its exit */
	u32 missed;          /* one of an argument's led to memory that was not resident */
	u32 held;            /* descriptors in what arguments point at, some of which are noted in: */
	u64 holds[MAX_HELD + 1]; /* the field, and in the lower half the number */
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, APUS_SCRATCHES); /* the loader multiplies it by the number of CPUs */
	__type(key, u32);
	__type(value, struct scratch);
} scratches SEC(".maps");

/* What a task's system call in progress was given, kept from entry to exit. */
#define STASH_DATA 384
struct stash {
	u64 args[APUS_SYSCALL_ARGS];
	u64 policies;
	u64 entered; /* ns since boot, where anybody wants it */
	u32 plan;    /* that judged the entry */
	u32 judged;  /* its inputs have passed their tests */
	u32 slot;    /* slot of the system call + 1; 0: none */
	u32 room;    /* see struct scratch */
	u16 length;  /* bytes of data */
	u8 retry;    /* bit for each argument that was not resident and is to be read at exit */
	u8 spilled;  /* the data is in `spills`, being too long */
	char previous_comm[APUS_COMM_BYTES];
	u8 data[STASH_DATA];
};

struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct stash);
} stashes SEC(".maps");

/* The same for kernels without task storage (before 5.11). A task takes its own away when it ends. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 8192);
	__type(key, u64); /* task */
	__type(value, struct stash);
} stash_table SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct stash);
} empty_stash SEC(".maps");

/* Long inputs of calls in progress: few at a time, as such calls are short. Bounded; when it is
 * full the record says that the input was not read, and the counter `unspilled` grows. */
#define SPILL_DATA 24576
struct spill {
	u8 data[SPILL_DATA];
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 64);
	__type(key, u64); /* task, whose number may change in an execve */
	__type(value, struct spill);
} spills SEC(".maps");

#endif
