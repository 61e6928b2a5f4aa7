public import Catalog
internal import Events

/// Writes events as Tracee's v1beta1 event JSON, one object a line.
///
/// What does not change from event to event is written once and copied: for an event of the catalogue
/// its id, name and the frame of each field; for a thread its whole `workload`. A thread's copy is
/// used while everything that it shows is the same.
public struct JSONEncoder: ~Copyable {
    private let catalog: Catalog
    private let clock: Clock
    private var policyNames: [String]
    /// Gives the path of a process's executable at a time, or nothing when it is not known.
    private let executable: (_ process: UInt32, _ start: UInt64, _ time: UInt64) -> [UInt8]
    /// Gives what is shown of the container of a control group, if it is one's, at a time.
    private let container: (_ group: UInt64, _ time: UInt64) -> ShownContainer?
    private let lineage: LineageSource?
    private let environment: EnvironmentField

    private var time = CachedSecond()
    private var threadTime = CachedSecond()
    // Fragments in memory of our own: arrays would be retained and released several times an event.
    private var templates: [Template]
    private var threads: [CachedThread]
    /// `,"syscall":"NAME"` by number, x86-64's and then i386's.
    private var systemCallNames: [Fragment]

    private static let threadSlots = 2048

    public init(
        catalog: Catalog = .builtIn, clock: Clock, policyNames: [String],
        executable: @escaping (_ process: UInt32, _ start: UInt64, _ time: UInt64) -> [UInt8],
        container: @escaping (_ group: UInt64, _ time: UInt64) -> ShownContainer? = { _, _ in nil },
        lineage: LineageSource? = nil,
        redaction: SecretRedaction = SecretRedaction()
    ) {
        self.catalog = catalog
        self.clock = clock
        self.policyNames = policyNames
        self.executable = executable
        self.container = container
        self.lineage = lineage
        environment = EnvironmentField(catalog, redaction)
        templates = Array(repeating: Template(), count: catalog.events.count)
        threads = Array(repeating: CachedThread(), count: Self.threadSlots)
        systemCallNames = [false, true].flatMap { isCompat in
            (0..<512).map { number in
                let name = catalog.systemCallName(number, isCompat: isCompat)
                return Fragment(name.isEmpty ? [] : Array(",\"syscall\":\"\(name)\"".utf8))
            }
        }
    }

    deinit {
        for template in templates { template.free() }
        for thread in threads { thread.free() }
        for name in systemCallNames { name.free() }
    }

    /// Other policies are in force.
    mutating func setPolicyNames(_ names: [String]) {
        policyNames = names
        for index in templates.indices {
            templates[index].free()
            templates[index] = Template()
        }
    }

    /// Forgets what was written of a process, after it executed another program.
    /// - Parameter isParent: others come from it, and show it as their ancestor.
    mutating func forget(process: UInt32, isParent: Bool) {
        if isParent && lineage != nil {
            for slot in threads.indices {
                threads[slot].free()
                threads[slot] = CachedThread()
            }
            return
        }
        let slot = Int(process) & (Self.threadSlots - 1)
        threads[slot].free()
        threads[slot] = CachedThread()
    }

    /// Decodes and writes the same record again and again, for the benchmark.
    public static func measure(_ encoder: inout JSONEncoder, _ record: RawSpan, index: Int, count: Int) {
        var buffer = ByteBuffer(capacity: Batch.bytes + 65536)
        for number in 0..<count {
            guard let event = EventView(record) else { return }
            encoder.encode(event, index: index, into: &buffer)
            if number & 255 == 255 { buffer.removeAll() }
        }
    }

    // MARK: One event

    /// - Parameter stamp: of the event's container: another where something else is shown of it; 0 for none.
    mutating func encode(
        _ event: EventView, index: Int, container stamp: UInt64 = 0, into buffer: inout ByteBuffer
    ) {
        if unsafe templates[index].policies != event.policies || templates[index].fields == nil {
            makeTemplate(index, event.policies)
        }
        let slot = Int(event.hostThread) & (Self.threadSlots - 1)
        let identity = event.identity
        if threads[slot].head.count == 0 || threads[slot].identity != identity
            || threads[slot].container != stamp
        {
            makeThread(slot, event, identity, stamp)
        }
        let template = templates[index]
        let thread = threads[slot]
        buffer.reserve(256 + template.room + thread.head.count + thread.tail.count + 6 * event.byteCount)
        buffer.append("{\"timestamp\":\"")
        time.append(event.time &+ clock.bootOffset, to: &buffer)
        buffer.append(template.head)
        buffer.append(thread.head)
        let number = Int(event.systemCall) & ~0x4000_0000
        if number >= 0 && number < 512 {
            buffer.append(systemCallNames[event.isCompat ? number + 512 : number])
        }
        if event.isCompat { buffer.append(",\"compat\":true") }
        buffer.append(thread.tail)
        guard let fields = unsafe template.fields else { return }
        let count =
            event.value(template.kernelFieldCount) == nil ? template.kernelFieldCount : template.fieldCount
        for field in 0..<count {
            let frame = unsafe fields[field]
            buffer.append(frame.text)
            append(event, field, frame.type, &buffer)
        }
        buffer.append("]}\n")
    }

    // MARK: Fields

    private mutating func makeTemplate(_ index: Int, _ policies: UInt64) {
        let event = catalog.events[index]
        var head = "\",\"id\":\(event.id.rawValue),\"name\":\"\(event.name)\""
        let matched = policyNames.enumerated().filter { policies >> UInt64($0.offset) & 1 == 1 }.map(
            \.element)
        if !matched.isEmpty {
            head += ",\"policies\":{\"matched\":[\(matched.map(Self.quoted).joined(separator: ","))]}"
        }
        head += ",\"workload\":{\"process\":{"
        templates[index].free()
        templates[index] = Template(policies: policies, head: Array(head.utf8), event: event)
    }

    @inline(__always)
    private func append(_ event: EventView, _ index: Int, _ type: FieldType, _ buffer: inout ByteBuffer) {
        guard let value = event.value(index) else { return buffer.append("}") }
        switch type {
        case .int32:
            buffer.append(",\"int32\":")
            buffer.append(decimal: Int64(Int32(truncatingIfNeeded: value)))
        case .uint32:
            buffer.append(",\"u_int32\":")
            buffer.append(decimal: UInt64(UInt32(truncatingIfNeeded: value)))
        case .uint16:
            buffer.append(",\"u_int32\":")
            buffer.append(decimal: UInt64(UInt16(truncatingIfNeeded: value)))
        case .int64:
            buffer.append(",\"int64\":\"")
            buffer.append(decimal: Int64(bitPattern: value))
            buffer.append("\"")
        case .uint64:
            buffer.append(",\"u_int64\":\"")
            buffer.append(decimal: value)
            buffer.append("\"")
        case .time:
            buffer.append(",\"u_int64\":\"")
            buffer.append(decimal: value &+ clock.bootOffset)
            buffer.append("\"")
        case .pointer:
            buffer.append(",\"pointer\":\"")
            buffer.append(decimal: value)
            buffer.append("\"")
        case .bool:
            buffer.append(",\"bool\":")
            if value != 0 { buffer.append("true") } else { buffer.append("false") }
        case .string:
            guard let text = event.string(index) else { break }
            buffer.append(",\"str\":")
            buffer.append(jsonString: text)
        case .stringArray, .int32Pair, .timespec, .socketAddress, .bytes, .uint64Array, .credentials:
            appendStructure(event, index, type, &buffer)
        }
        buffer.append("}")
    }

    private func appendStructure(
        _ event: EventView, _ index: Int, _ type: FieldType, _ buffer: inout ByteBuffer
    ) {
        guard let blob = event.blob(index) else { return }
        let bytes = blob.bytes
        switch type {
        case .stringArray: append(strings: blob, isEnvironment: environment.isAt(index, of: event), &buffer)
        case .int32Pair:
            guard bytes.byteCount >= 8 else { return }
            buffer.append(",\"int32_array\":{\"value\":[")
            buffer.append(decimal: Int64(unsafe bytes.unsafeLoadUnaligned(fromByteOffset: 0, as: Int32.self)))
            buffer.append(",")
            buffer.append(decimal: Int64(unsafe bytes.unsafeLoadUnaligned(fromByteOffset: 4, as: Int32.self)))
            buffer.append("]}")
        case .timespec:
            guard let time = Timespec(bytes) else { return }
            buffer.append(",\"timespec\":{\"value\":")
            time.append(to: &buffer)
            buffer.append("}")
        case .socketAddress:
            guard let address = SocketAddress(bytes) else { return }
            buffer.append(",\"sockaddr\":{\"sa_family\":\"")
            Self.append(address, &buffer)
            buffer.append("}")
        case .bytes:
            buffer.append(",\"bytes\":\"")
            buffer.append(base64: bytes)
            buffer.append("\"")
        case .uint64Array:
            buffer.append(",\"u_int64_array\":{\"value\":[")
            for at in stride(from: 0, to: bytes.byteCount & ~7, by: 8) {
                buffer.append(at == 0 ? "\"" : ",\"")
                buffer.append(
                    decimal: unsafe bytes.unsafeLoadUnaligned(fromByteOffset: at, as: UInt64.self))
                buffer.append("\"")
            }
            buffer.append("]}")
        case .credentials:
            guard let credentials = Credentials(bytes) else { return }
            buffer.append(",\"credentials\":{")
            buffer.append(json: credentials)
            buffer.append("}")
        case .int32, .uint32, .int64, .uint64, .uint16, .bool, .pointer, .string, .time: return
        }
    }

    private func append(strings blob: BlobView, isEnvironment: Bool, _ buffer: inout ByteBuffer) {
        buffer.append(",\"str_array\":{\"value\":[")
        var isFirst = true
        blob.forEachString { string in
            let verdict = isEnvironment ? environment.redaction.verdict(on: string) : .shown
            if verdict == .leftOut { return }
            if !isFirst { buffer.append(",") }
            if case .hidden(let range) = verdict {
                buffer.append("\"")
                buffer.append(jsonText: string.extracting(first: range.lowerBound))
                buffer.append(SecretRedaction.mark)
                buffer.append(jsonText: string.extracting(droppingFirst: range.upperBound))
                buffer.append("\"")
            } else {
                buffer.append(jsonString: string)
            }
            isFirst = false
        }
        buffer.append("]}")
    }

    private static func append(_ address: borrowing SocketAddress, _ buffer: inout ByteBuffer) {
        switch address {
        case .ipv4(let bits, let port):
            buffer.append("AF_INET\",\"sin_addr\":\"")
            buffer.append(ipv4: bits)
            buffer.append("\",\"sin_port\":")
            buffer.append(decimal: UInt64(port))
        case .ipv6(let bytes, let port, let flow, let scope):
            buffer.append("AF_INET6\",\"sin6_addr\":\"")
            buffer.append(ipv6: bytes)
            buffer.append("\",\"sin6_port\":")
            buffer.append(decimal: UInt64(port))
            buffer.append(",\"sin6_flowinfo\":")
            buffer.append(decimal: UInt64(flow))
            buffer.append(",\"sin6_scopeid\":")
            buffer.append(decimal: UInt64(scope))
        case .unix(let path, let isAbstract):
            buffer.append("AF_UNIX\",\"sun_path\":\"")
            if isAbstract { buffer.append("@") }
            buffer.append(jsonText: path)
            buffer.append("\"")
        case .other(let family):
            buffer.append(SocketAddress.familyName(family))
            buffer.append("\"")
        }
    }

    // MARK: Threads

    private mutating func makeThread(
        _ slot: Int, _ event: EventView, _ identity: ThreadIdentity, _ stamp: UInt64
    ) {
        let path = executable(event.hostProcess, event.processStart, event.time)
        var head = ByteBuffer(capacity: 1024)
        head.reserve(1024 + ByteBuffer.jsonRoom(path.count))
        if !path.isEmpty {
            head.append("\"executable\":{\"path\":")
            unsafe head.append(jsonString: path.span.bytes)
            head.append("},")
        }
        head.append("\"unique_id\":")
        head.append(decimal: UInt64(entityID(number: event.hostProcess, start: event.processStart)))
        head.append(",\"host_pid\":")
        head.append(decimal: UInt64(event.hostProcess))
        head.append(",\"pid\":")
        head.append(decimal: UInt64(event.process))
        head.append(",\"real_user\":{\"id\":")
        head.append(decimal: UInt64(event.user))
        head.append("},\"thread\":{\"start_time\":\"")
        threadTime.append(event.threadStart &+ clock.bootOffset, to: &head)
        head.append("\",\"name\":")
        head.append(jsonString: event.name)
        head.append(",\"unique_id\":")
        head.append(decimal: UInt64(entityID(number: event.hostThread, start: event.threadStart)))
        head.append(",\"host_tid\":")
        head.append(decimal: UInt64(event.hostThread))
        head.append(",\"tid\":")
        head.append(decimal: UInt64(event.thread))
        var tail = ByteBuffer(capacity: 256)
        tail.append("}")
        if let lineage {
            let ancestors = lineage(event.hostProcess, event.processStart, event.time)
            tail.append(",\"ancestors\":")
            tail.append(
                json: ancestors, parent: (event.hostParent, event.parent), clock: clock, &threadTime)
            tail.reserve(16)
        } else if event.hostParent != 0 {
            tail.append(",\"ancestors\":[{\"unique_id\":")
            tail.append(decimal: UInt64(entityID(number: event.hostParent, start: event.parentStart)))
            tail.append(",\"host_pid\":")
            tail.append(decimal: UInt64(event.hostParent))
            tail.append(",\"pid\":")
            tail.append(decimal: UInt64(event.parent))
            tail.append("}]")
        }
        tail.append("}")
        if stamp != 0, let text = container(event.cgroup, event.time)?.json() {
            tail.reserve(text.count)
            tail.append(text)
        }
        tail.reserve(16)
        tail.append("},\"data\":[")
        threads[slot].free()
        threads[slot] = unsafe CachedThread(
            identity: identity, container: stamp, head: Fragment(head.withBytes { unsafe Array($0) }),
            tail: Fragment(tail.withBytes { unsafe Array($0) }))
    }

    static func quoted(_ text: String) -> String {
        var buffer = ByteBuffer(capacity: 64)
        buffer.reserve(ByteBuffer.jsonRoom(text.utf8.count))
        unsafe buffer.append(jsonString: Array(text.utf8).span.bytes)
        return unsafe buffer.withBytes { unsafe String(decoding: $0, as: UTF8.self) }
    }
}
