/// What is mounted where, by mount namespace. Namespaces are those that somebody asked to be read; the one that was
/// used longest ago goes when there are too many. For one thread.
public final class MountStore {
    public struct Limits: Sendable {
        public var namespaces = 256
        /// Mounts of one namespace; what is listed later is left out.
        public var mounts = 8192
        /// Bytes of one `mountinfo`. Of a longer one nothing is taken.
        public var textBytes = 4 << 20
        /// Bytes of all namespaces together.
        public var bytes = 32 << 20
        public init() {}
    }

    private let limits: Limits
    private let procRoot: String
    private var tables: [UInt32: Table] = [:]
    private var uses: UInt64 = 0
    /// What all tables take, about.
    public private(set) var byteCount = 0
    /// Namespaces forgotten as there were too many.
    public private(set) var evictions: UInt64 = 0
    /// Mounts left out as a namespace had too many.
    public private(set) var leftOut: UInt64 = 0
    /// Namespaces that are known.
    public var count: Int { tables.count }

    public init(limits: Limits = Limits(), procRoot: String = "/proc") {
        self.limits = limits
        self.procRoot = procRoot
    }

    // MARK: Taking in

    /// Reads the mounts that a process sees, anew if its namespace is known already.
    /// - Returns: the namespace; nil where the process is gone or may not be looked at, and where there is too much.
    public func read(process: UInt32) -> UInt32? {
        let before = HostSystem.Namespaces(ofProcess: process, procRoot: procRoot).mount
        guard let namespace = before,
            let text = try? BoundedFile.read(
                "\(procRoot)/\(process)/mountinfo", limit: limits.textBytes),
            // It may have gone to another namespace, or its number to another process.
            HostSystem.Namespaces(ofProcess: process, procRoot: procRoot).mount == namespace
        else { return nil }
        take(text, of: namespace)
        return namespace
    }

    /// Takes in the lines of a `mountinfo`. Lines of another form are left out.
    public func take(_ text: [UInt8], of namespace: UInt32) {
        forget(namespace)
        guard text.count <= limits.textBytes else { return }
        var table = Table()
        for line in text.split(separator: UInt8(ascii: "\n")) {
            guard let mount = Mount(line: line) else { continue }
            guard table.entries.count < limits.mounts else {
                leftOut += 1
                continue
            }
            table.append(mount)
        }
        table.index()
        uses += 1
        table.used = uses
        byteCount += table.byteCount
        tables[namespace] = table
        makeRoom(keeping: namespace)
    }

    /// Forgets a namespace, as when its last process has ended.
    public func forget(_ namespace: UInt32) {
        if let old = tables.removeValue(forKey: namespace) { byteCount -= old.byteCount }
    }

    private func makeRoom(keeping kept: UInt32) {
        while tables.count > limits.namespaces || byteCount > limits.bytes {
            let oldest = tables.filter { $0.key != kept }.min { $0.value.used < $1.value.used }
            guard let oldest else { return }
            forget(oldest.key)
            evictions += 1
        }
    }

    // MARK: Look-ups

    /// Whether the mounts of a namespace are known.
    public func knows(_ namespace: UInt32) -> Bool { tables[namespace] != nil }

    /// All mounts of a namespace in the kernel's order; nil for one that is not known.
    public func mounts(in namespace: UInt32) -> [Mount]? {
        use(namespace)
        return tables[namespace].map { table in table.entries.map(table.mount) }
    }

    /// The mount of a device, as records carry it: of several the first that shows the whole file system, else the
    /// first.
    public func mount(ofDevice device: UInt32, in namespace: UInt32) -> Mount? {
        use(namespace)
        guard let table = tables[namespace], let place = table.byDevice[device] else { return nil }
        return table.mount(table.entries[Int(place)])
    }

    /// The mount that an absolute path is on: the one whose place is the longest that the path begins with, by whole
    /// components. Of several on one place the last, which covers the others. The path is taken as it is: `..` and
    /// links are not followed, and a mount that another hides, being mounted above it later, is taken all the same.
    public func mount(holding path: [UInt8], in namespace: UInt32) -> Mount? {
        use(namespace)
        guard let table = tables[namespace], path.first == UInt8(ascii: "/") else { return nil }
        var best: Table.Entry?
        for entry in table.entries where entry.place.count >= best?.place.count ?? 0 {
            if table.isPrefix(entry.place, of: path) { best = entry }
        }
        return best.map(table.mount)
    }

    private func use(_ namespace: UInt32) {
        uses += 1
        tables[namespace]?.used = uses
    }
}

/// The mounts of one namespace, their texts in one piece.
private struct Table {
    struct Entry {
        var id: UInt32
        var parent: UInt32
        var major: UInt32
        var minor: UInt32
        var root: Range<Int>
        var place: Range<Int>
        var type: Range<Int>
        var source: Range<Int>
    }

    private(set) var entries: [Entry] = []
    private(set) var texts: [UInt8] = []
    private(set) var byDevice: [UInt32: UInt32] = [:]
    var used: UInt64 = 0

    var byteCount: Int {
        entries.count * MemoryLayout<Entry>.stride + texts.count + byDevice.count * 16 + 256
    }

    mutating func append(_ mount: Mount) {
        entries.append(
            Entry(
                id: mount.id, parent: mount.parent, major: mount.major, minor: mount.minor,
                root: add(mount.root), place: add(mount.place), type: add(mount.type),
                source: add(mount.source)))
    }

    private mutating func add(_ bytes: [UInt8]) -> Range<Int> {
        let start = texts.count
        texts += bytes
        return start..<texts.count
    }

    mutating func index() {
        for (number, entry) in entries.enumerated() {
            let device = entry.major << 20 | entry.minor
            let isWhole = { (entry: Entry) in entry.root.count == 1 }
            if let known = byDevice[device], isWhole(entries[Int(known)]) || !isWhole(entry) { continue }
            byDevice[device] = UInt32(number)
        }
    }

    func mount(_ entry: Entry) -> Mount {
        Mount(
            id: entry.id, parent: entry.parent, major: entry.major, minor: entry.minor,
            root: Array(texts[entry.root]), place: Array(texts[entry.place]), type: Array(texts[entry.type]),
            source: Array(texts[entry.source]))
    }

    /// Whether a path is a place, or below it.
    func isPrefix(_ place: Range<Int>, of path: [UInt8]) -> Bool {
        guard place.count <= path.count, path.starts(with: texts[place]) else { return false }
        return place.count == path.count || place.count == 1 || path[place.count] == UInt8(ascii: "/")
    }
}
