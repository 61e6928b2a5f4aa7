internal import CContract
internal import Catalog
internal import Events
internal import Outputs

/// Adds the hash of the file to events that tell of an executable or a library: the field `sha256`, behind what the kernel
/// told. An event waits for its hash, for half a second at most; without one it comes as it is.
final class ExecutableDigests {
    private struct Fields {
        let kind: ExecutableFile.Kind
        let path, device, inode, changed, digest: Int

        init?(_ kind: ExecutableFile.Kind, _ event: EventDefinition?) {
            let place = { (name: String) in event?.fields.firstIndex { $0.name == name } }
            guard let path = place("pathname"), let device = place("dev"), let inode = place("inode"),
                let changed = place("ctime"), let digest = place("sha256")
            else { return nil }
            self.kind = kind
            self.path = path
            self.device = device
            self.inode = inode
            self.changed = changed
            self.digest = digest
        }
    }

    private let hashes: ExecutableHashes
    private let containers: ContainerWatch
    private let program, library: Fields
    /// Events from before wait for nothing, ns since boot.
    private var waitsFrom: UInt64 = 0
    /// The record that is shown now, with what is added.
    private var completed: [UInt8] = []

    private static let longestWait: UInt64 = 500_000_000

    /// Nil where nothing is to be hashed.
    init?(_ mode: HashMode, _ catalog: Catalog, _ containers: ContainerWatch) {
        guard mode != .none, let program = Fields(.executable, catalog[.sched_process_exec]),
            let library = Fields(.library, catalog[.shared_object_loaded])
        else { return nil }
        hashes = ExecutableHashes(mode: mode)
        self.containers = containers
        self.program = program
        self.library = library
    }

    /// The event's hash is computed at the moment. Asks for it where nobody did.
    @inline(__always)
    func isAwaited(_ event: EventView) -> Bool {
        guard event.policies != 0, let fields = fields(of: event.event) else { return false }
        guard answer(event, fields) == .pending else { return false }
        return event.time >= waitsFrom && Clock.sinceBoot() < event.time &+ Self.longestWait
    }

    /// Waits for nothing that happened until now.
    func stopWaiting() { waitsFrom = Clock.sinceBoot() }

    /// Files that could not be hashed, or were not taken as too many waited.
    var missing: UInt64 { hashes.counters.failed &+ hashes.counters.refused }

    func end() { hashes.end() }

    /// Shows an event with its hash. False where it has none.
    @inline(__always)
    func complete(_ event: EventView, _ record: RawSpan, _ show: (EventView) -> Void) -> Bool {
        guard event.policies != 0, let fields = fields(of: event.event) else { return false }
        guard case .known(let digest) = answer(event, fields), event.value(fields.digest - 1) != nil,
            event.value(fields.digest) == nil
        else { return false }
        make(record, digest, fields)
        let bytes = completed
        guard let whole = unsafe EventView(bytes.span.bytes) else { return false }
        show(whole)
        return true
    }

    @inline(__always)
    private func fields(of event: EventID) -> Fields? {
        event == .sched_process_exec ? program : event == .shared_object_loaded ? library : nil
    }

    private func answer(_ event: EventView, _ fields: Fields) -> ExecutableHashes.Answer {
        guard let path = event.string(fields.path), let device = event.value(fields.device),
            let inode = event.value(fields.inode), let changed = event.value(fields.changed)
        else { return .unavailable(.vanished) }
        var file = ExecutableHashes.File(
            fields.kind, of: event.hostProcess, path: path, device: UInt32(truncatingIfNeeded: device),
            inode: inode, changed: changed)
        file.neighbour = event.hostParent
        file.image = containers.imageDigest(of: event)
        return hashes.digest(of: file)
    }

    /// A record with one value more, and the text that belongs to it: the layout is that of `struct apus_record`.
    private func make(_ record: RawSpan, _ digest: HexDigest, _ fields: Fields) {
        let values = MemoryLayout<apus_record>.size + fields.digest * 8
        completed.removeAll(keepingCapacity: true)
        let size = min(
            record.byteCount, Int(unsafe record.unsafeLoadUnaligned(fromByteOffset: 12, as: UInt32.self)))
        guard size >= values else { return }
        let blob = apus_blob(
            field: UInt8(truncatingIfNeeded: fields.digest), flags: 0, count: 1, length: 64)
        unsafe record.extracting(0..<values).withUnsafeBytes { unsafe completed.append(contentsOf: $0) }
        for _ in 0..<8 { completed.append(0) }
        unsafe record.extracting(values..<size).withUnsafeBytes { unsafe completed.append(contentsOf: $0) }
        while completed.count % 8 != 0 { completed.append(0) }
        unsafe withUnsafeBytes(of: blob) { unsafe completed.append(contentsOf: $0) }
        unsafe digest.digits.span.bytes.withUnsafeBytes { unsafe completed.append(contentsOf: $0) }
        let total = UInt32(completed.count)
        unsafe withUnsafeBytes(of: total) { bytes in
            for at in bytes.indices { completed[12 + at] = unsafe bytes[at] }
        }
        completed[99] = UInt8(truncatingIfNeeded: fields.digest + 1)
    }
}
