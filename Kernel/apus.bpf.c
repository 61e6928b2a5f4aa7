/* The one object: every program of Apus. The loader loads only those that the policies need. */
#include "vmlinux.h"
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "contract_calls.h" /* and contract.h */
#include "catalog.h" /* generated: EVENT_*, INDEX_*, FIELD_* and FIELDS_* */

#include "lib/maps.h"
#include "lib/task.h"
#include "lib/scratch.h"
#include "lib/scope.h"
#include "lib/loss.h"
#include "lib/limit.h"
#include "lib/filter.h"
#include "lib/record.h"
#include "lib/hook.h"
#include "lib/read.h"
#include "lib/path.h"
#include "lib/mounts.h"
#include "lib/user.h"
#include "lib/vma.h"
#include "lib/strings.h"
#include "lib/execution.h"
#include "lib/socket.h"
#include "lib/descriptor.h"
#include "lib/structures.h"
#include "lib/registers.h"
#include "lib/call.h"

#include "probes/syscalls.bpf.h"
#include "probes/lifecycle.bpf.h"
#include "probes/cgroups.bpf.h"
#include "probes/snapshot.bpf.h"
#include "probes/modules.bpf.h"
#include "probes/processes.bpf.h"
#include "probes/credentials.bpf.h"
#include "probes/signals.bpf.h"
#include "probes/memory.bpf.h"
#include "probes/origin.bpf.h"
#include "probes/files.bpf.h"
#include "probes/file_changes.bpf.h"
#include "probes/file_security.bpf.h"
#include "probes/sockets.bpf.h"
#include "probes/kernel.bpf.h"
#include "probes/bpf.bpf.h"
#include "probes/io_uring.bpf.h"
#include "probes/mismatch.bpf.h"

char LICENSE[] SEC("license") = "GPL";
