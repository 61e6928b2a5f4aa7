internal import CContract
internal import CSystem
internal import Catalog
internal import Glibc
internal import Outputs
internal import State

/// Events that the agent itself makes, as records like the kernel's.
enum AgentEvents {
    /// The record of an event that comes from the agent once, at start; nil for any other. The kernel was not asked for which
    /// of these policies it is.
    static func record(
        of event: EventDefinition, policies: UInt64, version: String, clock: Clock
    ) -> [UInt8]? {
        guard [.init_namespaces, .tracee_info].contains(event.id) else { return nil }
        let now = Clock.sinceBoot()
        var values: [UInt64] = []
        var texts: [RecordBlob] = []
        for (index, field) in event.fields.enumerated() {
            switch (event.id, field.name) {
            case (.init_namespaces, let name): values.append(namespace(name))
            case (.tracee_info, "boot_time"): values.append(clock.bootOffset)
            case (.tracee_info, "start_time"): values.append(now)
            default:
                values.append(0)
                texts.append(RecordBlob(index, Array(version.utf8)))
            }
        }
        return record(event.id, policies, at: now, values, texts)
    }

    /// The record of losses.
    /// - Parameter plan: number of the plan whose policies `policies` are.
    static func record(of losses: LossReport, policies: UInt64, plan: UInt32) -> [UInt8] {
        let lists = [losses.events, losses.causes, losses.policies, losses.processes]
        return record(
            .lost_events, policies, plan: plan, at: Clock.sinceBoot(),
            [losses.from, losses.to, losses.count, 0, 0, 0, 0],
            lists.enumerated().map { RecordBlob($0.offset + 3, strings: $0.element.map(\.text)) })
    }

    /// The record of a rate limit that began to hold, or ended.
    static func record(of limit: LimitReport, policies: UInt64, plan: UInt32) -> [UInt8] {
        let texts = [limit.isHolding ? "started" : "ended", limit.policy, limit.limit]
        return record(
            .rate_limit, policies, plan: plan, at: Clock.sinceBoot(),
            [0, 0, 0, limit.group, limit.from, limit.count],
            texts.enumerated().map { RecordBlob($0.offset, Array($0.element.utf8)) })
    }

    /// The event that tells what happened to a container.
    static func event(of what: ContainerWatch.Telling.What) -> EventID {
        switch what {
        case .existed: .existing_container
        case .created: .container_create
        case .removed: .container_remove
        }
    }

    /// The record of something that happened to a container.
    static func record(
        of event: EventDefinition, container: Container, policies: UInt64, plan: UInt32, clock: Clock
    ) -> [UInt8] {
        let details = container.details
        var values: [UInt64] = []
        var texts: [RecordBlob] = []
        for (index, field) in event.fields.enumerated() {
            var text: String?
            var value: UInt64 = 0
            switch field.name {
            case "runtime": text = container.identity.runtime.rawValue
            case "container_id": text = container.identity.id
            case "ctime": value = container.seen &+ clock.bootOffset
            case "container_image": text = details?.image
            case "container_image_digest": text = details?.imageDigest
            case "container_name": text = details?.name
            case "pod_name": text = details?.pod?.name
            case "pod_namespace": text = details?.pod?.namespace
            case "pod_uid": text = details?.pod?.uid ?? container.identity.podUID
            default: value = details?.pod?.isSandbox == true ? 1 : 0
            }
            values.append(value)
            if let text { texts.append(RecordBlob(index, Array(text.utf8))) }
        }
        return record(
            event.id, policies, plan: plan, at: Clock.sinceBoot(), values, texts,
            controlGroup: container.group)
    }

    /// The places of these in the catalogue.
    static let lossesIndex = Catalog.builtIn.index(of: .lost_events) ?? -1
    static let limitIndex = Catalog.builtIn.index(of: .rate_limit) ?? -1

    /// Number of one of process 1's namespaces; 0 where it cannot be read.
    private static func namespace(_ name: String) -> UInt64 {
        var information = stat()
        guard unsafe stat("/proc/1/ns/\(name)", &information) == 0 else { return 0 }
        return UInt64(information.st_ino)
    }

    /// When a process started, in nanoseconds since boot; 0 where there is none.
    private static func start(of process: UInt32) -> UInt64 {
        (ProcessStat(of: process)?.startTicks ?? 0) * ProcessSnapshot.tickNanoseconds
    }

    /// Read once: records are made while events flow.
    private static let ownStart = start(of: UInt32(getpid()))

    private static func record(
        _ event: EventID, _ policies: UInt64, plan: UInt32 = 0, at time: UInt64, _ values: [UInt64],
        _ blobs: [RecordBlob], controlGroup: UInt64 = 0
    ) -> [UInt8] {
        var header = apus_record()
        let own = UInt32(getpid())
        header.time = time
        header.event = event.rawValue
        header.policies = policies
        header.plan = plan
        header.cgroup_id = controlGroup
        header.flags = UInt8(APUS_RECORD_UNDECIDED)
        header.process_start = ownStart
        header.thread_start = header.process_start
        header.host_tid = own
        header.host_pid = own
        header.host_ppid = UInt32(getppid())
        header.parent_start = start(of: header.host_ppid)
        header.tid = own
        header.pid = own
        header.ppid = header.host_ppid
        header.uid = getuid()
        header.syscall = -1
        return recordBytes(header, name: "apus", values: values, blobs: blobs)
    }
}
