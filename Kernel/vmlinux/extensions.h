/* Types of the kernel: programs that it starts, code that adds to it, and BPF. Included by vmlinux.h, whose rules are
 * these too. */

struct linux_binprm {
	struct mm_struct *mm; /* the new one, until it is in use */
	struct file *file;
	const char *filename;
	const char *interp;
	int argc, envc;
};

struct subprocess_info {
	const char *path;
	char **argv;
	char **envp;
};

struct kprobe {
	void *addr;
	const char *symbol_name;
	void *pre_handler, *post_handler;
};

struct kobject {
	const char *name;
};

struct device {
	struct kobject kobj;
	struct device *parent;
};

struct proc_dir_entry {
	const void *proc_ops;
	char *name;
	unsigned short mode;
};

/* ---- BPF ---- */

struct bpf_insn {
	u8 code;
};

struct bpf_prog_aux {
	u32 id;
	char name[16];
	const char *attach_func_name;
	struct bpf_trampoline *dst_trampoline;
};

struct bpf_prog {
	enum bpf_prog_type type;
	u32 len;
	struct bpf_prog_aux *aux;
	struct bpf_insn insnsi[0];
};

struct bpf_map {
	u32 id;
	char name[16];
};

struct tracepoint {
	const char *name;
};

struct bpf_raw_event_map {
	struct tracepoint *tp;
};

struct bpf_link {
	enum bpf_link_type type;
	struct bpf_prog *prog;
};

struct bpf_raw_tp_link {
	struct bpf_raw_event_map *btp;
};

struct bpf_trampoline {
	struct {
		void *addr;
	} func;
};

struct bpf_perf_link {
	struct file *perf_file;
};

struct trace_event_call {
	const char *name; /* and tp lie in a union */
	struct tracepoint *tp;
	void *filter; /* until 6.11 */
	void *module; /* `mod` before 5.15 */
	int flags;
};

struct perf_event {
	struct trace_event_call *tp_event;
};

struct trace_probe_event {
	struct trace_event_call call;
	struct list_head probes;
};

struct trace_probe {
	struct list_head list;
};

struct kretprobe {
	struct kprobe kp;
	void *handler;
};

struct trace_kprobe {
	struct kretprobe rp;
	const char *symbol;
	struct trace_probe tp;
};

struct uprobe_consumer {
	void *ret_handler;
};

struct trace_uprobe {
	struct uprobe_consumer consumer;
	char *filename;
	unsigned long offset;
	struct trace_probe tp;
};
