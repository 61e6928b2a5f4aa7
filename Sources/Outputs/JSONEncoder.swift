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
    /// Numbers are said in words where they have some, and structures by their members.
    private let isDecoded: Bool
    /// Buffers are shown by their contents, where these were read.
    private let showsPayload: Bool
    /// A descriptor is text with what it is open on: `3=/etc/passwd`.
    private let showsDescriptors: Bool
    private var layouts: FieldLayouts

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
        redaction: SecretRedaction = SecretRedaction(),
        isDecoded: Bool = false, showsPayload: Bool = false, showsDescriptors: Bool = false
    ) {
        self.catalog = catalog
        self.isDecoded = isDecoded
        self.showsPayload = showsPayload
        self.showsDescriptors = showsDescriptors
        layouts = FieldLayouts(catalog)
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
        let form = template.hasForms ? layouts.of(catalog.events[index], event) : nil
        let room = template.room + (form?.room ?? 0)
        buffer.reserve(256 + room + thread.head.count + thread.tail.count + 6 * event.byteCount)
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
            let words = form?.fields[field].words ?? frame.words
            let type = form?.fields[field].type ?? frame.type
            if showsDescriptors, append(descriptors: field, event, type, 256 + room, &buffer) { continue }
            if case .names = words, let value = event.value(field) {
                buffer.append(",\"str\":\"")
                _ = words.append(value, to: &buffer)
                buffer.append("\"}")
            } else if isDecoded, type == .pointer,
                case let layout = form ?? layouts.of(catalog.events[index], event),
                let structure = layout.structure(of: field, event), let blob = layout.blob(field, event)
            {
                buffer.append(",\"struct\":")
                let after = 256 + room + 6 * event.byteCount
                let field = layout.fields[field]
                buffer.append(
                    blob, of: event, as: structure, isArray: field.isArray,
                    bits: field.countOfBits.flatMap { event.value($0) }, .json, after: after)
                buffer.append("}")
            } else if showsPayload, form?.fields[field].isBuffer ?? frame.isBuffer,
                let blob = event.blob(field)
            {
                buffer.append(",\"bytes\":\"")
                buffer.append(base64: blob.bytes)
                buffer.append("\"}")
            } else {
                append(event, field, form?.typeInJSON(of: field, event) ?? frame.type, &buffer)
            }
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
        templates[index] = Template(
            policies: policies, head: Array(head.utf8), event: event, isDecoded: isDecoded)
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

    /// Writes a field that is a descriptor which was open, or two of them, with what each was open on.
    private func append(
        descriptors field: Int, _ event: EventView, _ type: FieldType, _ after: Int,
        _ buffer: inout ByteBuffer
    ) -> Bool {
        let after = after + 6 * event.byteCount
        if type == .int32Pair, let blob = event.blob(field), blob.bytes.byteCount >= 8 {
            buffer.append(",\"str_array\":{\"value\":")
            buffer.append(descriptors: blob, of: event, separator: ",", .json, after: after)
            buffer.append("}}")
            return true
        }
        guard let value = event.value(field), let descriptor = event.descriptor(field) else { return false }
        buffer.append(",\"str\":\"")
        buffer.append(decimal: Int64(Int32(truncatingIfNeeded: value)))
        buffer.append(descriptor, of: event, .json, after: after)
        buffer.append("\"}")
        return true
    }

    private func appendStructure(
        _ event: EventView, _ index: Int, _ type: FieldType, _ buffer: inout ByteBuffer
    ) {
        guard let blob = event.blob(index) else { return }
        let bytes = blob.bytes
        switch type {
        case .stringArray: append(strings: blob, index, event, &buffer)
        case .int32Pair:
            guard bytes.byteCount >= 8 else { return }
            buffer.append(",\"int32_array\":{\"value\":")
            buffer.append(int32Pair: bytes, separator: ",")
            buffer.append("}")
        case .timespec:
            guard let time = Timespec(bytes) else { return }
            buffer.append(",\"timespec\":{\"value\":")
            time.append(to: &buffer)
            buffer.append("}")
        case .socketAddress:
            guard let address = SocketAddress(bytes) else { return }
            buffer.append(",\"sockaddr\":")
            buffer.append(json: address)
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

    private func append(
        strings blob: BlobView, _ index: Int, _ event: EventView, _ buffer: inout ByteBuffer
    ) {
        buffer.append(",\"str_array\":{\"value\":[")
        var isFirst = true
        environment.forEachShown(blob, at: index, of: event) { head, isHidden, tail in
            if !isFirst { buffer.append(",") }
            isFirst = false
            guard isHidden else { return buffer.append(jsonString: head) }
            buffer.append("\"")
            buffer.append(jsonText: head)
            buffer.append(SecretRedaction.mark)
            buffer.append(jsonText: tail)
            buffer.append("\"")
        }
        buffer.append("]}")
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
