"""What may go wrong, and what users and hostile programs may do: each test raises Failure."""

import faults_accounting
import faults_containers
import faults_decoding
import faults_descriptors
import faults_enrichment
import faults_filters
import faults_hashes
import faults_hostile
import faults_lineage
import faults_output
import faults_outputs
import faults_policies
import faults_processes
import faults_ps
import faults_random
import faults_reload
import faults_runtimes
import faults_scope
import faults_strace
import faults_usage
import strace
from support import Failure, nothing_left  # noqa: F401  (run knows Failure from here)

TESTS = [
    nothing_left(test)
    for module in (
        faults_usage, faults_policies, faults_filters, faults_random, faults_reload, faults_output, faults_scope,
        faults_processes, faults_hostile, faults_containers, faults_runtimes, faults_enrichment, faults_ps, faults_lineage,
        faults_hashes, faults_decoding, faults_outputs, faults_descriptors, faults_accounting, faults_strace, strace)
    for test in module.TESTS
]
