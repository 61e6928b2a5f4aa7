internal import CContract
internal import CSystem
internal import Catalog
internal import Glibc
internal import Outputs
internal import State

/// Events that the agent itself makes, once at start, as records like the kernel's.
enum AgentEvents {
    /// The record of an event that comes from the agent; nil for any other. The kernel was not asked for which
    /// of these policies it is.
    static func record(
        of event: EventDefinition, policies: UInt64, version: String, clock: Clock
    ) -> [UInt8]? {
        guard case .agent = event.source else { return nil }
        let now = Clock.sinceBoot()
        var values: [UInt64] = []
        var texts: [(field: Int, text: String)] = []
        for (index, field) in event.fields.enumerated() {
            switch (event.id, field.name) {
            case (.init_namespaces, let name): values.append(namespace(name))
            case (.tracee_info, "boot_time"): values.append(clock.bootOffset)
            case (.tracee_info, "start_time"): values.append(now)
            default:
                values.append(0)
                texts.append((index, version))
            }
        }
        return record(event.id, policies, at: now, values, texts)
    }

    /// Number of one of process 1's namespaces; 0 where it cannot be read.
    private static func namespace(_ name: String) -> UInt64 {
        var information = stat()
        guard unsafe stat("/proc/1/ns/\(name)", &information) == 0 else { return 0 }
        return UInt64(information.st_ino)
    }

    private static func record(
        _ event: EventID, _ policies: UInt64, at time: UInt64, _ values: [UInt64],
        _ texts: [(field: Int, text: String)]
    ) -> [UInt8] {
        var header = apus_record()
        let own = UInt32(getpid())
        let tick = ProcessStat.tickNanoseconds
        header.time = time
        header.event = event.rawValue
        header.policies = policies
        header.flags = UInt8(APUS_RECORD_UNDECIDED)
        header.process_start = (ProcessStat(of: own)?.startTicks ?? 0) * tick
        header.thread_start = header.process_start
        header.host_tid = own
        header.host_pid = own
        header.host_ppid = UInt32(getppid())
        header.parent_start = (ProcessStat(of: header.host_ppid)?.startTicks ?? 0) * tick
        header.tid = own
        header.pid = own
        header.ppid = header.host_ppid
        header.uid = getuid()
        header.syscall = -1
        let blobs = texts.map { (field: UInt8($0.field), bytes: Array($0.text.utf8)) }
        return recordBytes(header, name: "apus", values: values, blobs: blobs)
    }
}
