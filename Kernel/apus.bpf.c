/* The one object: every program of Apus. The loader loads only those that the policies need. */
#include "vmlinux.h"
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "contract.h"
#include "catalog.h" /* generated: EVENT_*, INDEX_*, FIELD_* and FIELDS_* */

#include "lib/maps.h"
#include "lib/task.h"
#include "lib/scope.h"
#include "lib/record.h"
#include "lib/read.h"
#include "lib/path.h"

#include "probes/syscalls.bpf.h"
#include "probes/lifecycle.bpf.h"
#include "probes/cgroups.bpf.h"
#include "probes/modules.bpf.h"

char LICENSE[] SEC("license") = "GPL";
