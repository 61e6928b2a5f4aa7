internal import Events

/// A process above another, as outputs show it. Names, paths and arguments hold any bytes.
public struct ShownAncestor: Sendable, Equatable {
    /// 0 where it is not known who comes here.
    public var process: UInt32 = 0
    /// Nanoseconds since boot.
    public var start: UInt64 = 0
    public var user: UInt32 = 0
    public var name: [UInt8] = []
    /// Absolute path; empty where there is none, or where it is not known.
    public var executable: [UInt8] = []
    /// Each with a NUL behind it; nil where they are not known.
    public var arguments: [UInt8]?
    /// Nothing but perhaps the number is known, and nothing of who comes above.
    public var isUnknown = false
    public init() {}
}

/// Tells who made a process, and who made that one, up to the first: nearest first, as of a time (ns since boot).
public typealias LineageSource = (_ process: UInt32, _ start: UInt64, _ time: UInt64) -> [ShownAncestor]

extension ByteBuffer {
    /// Appends ancestors as an array of Tracee's `Process`, and what that has no place for: `args`, `unknown`.
    /// - Parameter parent: numbers of the parent, on the host and in its own pid namespace, which only records know.
    mutating func append(
        json ancestors: [ShownAncestor], parent: (host: UInt32, own: UInt32), clock: Clock,
        _ time: inout CachedSecond
    ) {
        append("[")
        for (number, ancestor) in ancestors.enumerated() {
            let texts = ancestor.name.count + ancestor.executable.count + (ancestor.arguments?.count ?? 0)
            reserve(512 + 8 * texts)
            append(number == 0 ? "{" : ",{")
            if ancestor.process != 0 {
                append("\"unique_id\":")
                append(decimal: UInt64(entityID(number: ancestor.process, start: ancestor.start)))
                append(",\"host_pid\":")
                append(decimal: UInt64(ancestor.process))
                if ancestor.process == parent.host {
                    append(",\"pid\":")
                    append(decimal: UInt64(parent.own))
                }
                if ancestor.isUnknown { append(",") }
            }
            if ancestor.isUnknown {
                append("\"unknown\":true}")
                continue
            }
            append(",\"real_user\":{\"id\":")
            append(decimal: UInt64(ancestor.user))
            append("},\"thread\":{\"start_time\":\"")
            time.append(ancestor.start &+ clock.bootOffset, to: &self)
            append("\",\"name\":")
            unsafe append(jsonString: ancestor.name.span.bytes)
            append("}")
            if !ancestor.executable.isEmpty {
                append(",\"executable\":{\"path\":")
                unsafe append(jsonString: ancestor.executable.span.bytes)
                append("}")
            }
            if let arguments = ancestor.arguments {
                append(",\"args\":[")
                var start = 0
                while start < arguments.count {
                    let end = arguments[start...].firstIndex(of: 0) ?? arguments.count
                    if start > 0 { append(",") }
                    unsafe append(jsonString: arguments.span.bytes.extracting(start..<end))
                    start = end + 1
                }
                append("]")
            }
            append("}")
        }
        append("]")
    }

    /// Appends the names and numbers of ancestors, the first process first: `systemd:1>sshd:700>bash:812`.
    mutating func append(words ancestors: [ShownAncestor]) {
        for (number, ancestor) in ancestors.reversed().enumerated() {
            reserve(64 + 4 * ancestor.name.count)
            if number > 0 { append(">") }
            if ancestor.isUnknown { append("?") } else { unsafe append(visible: ancestor.name.span.bytes) }
            guard ancestor.process != 0 else { continue }
            append(":")
            append(decimal: UInt64(ancestor.process))
        }
        if ancestors.isEmpty { append("-") }
    }
}

/// The lineages of a table's lines as they were written last, by process.
struct LineageCells {
    private struct Cell {
        var key: (process: UInt32, start: UInt64) = (0, 0)
        var text: [UInt8] = []
    }

    private let source: LineageSource
    private var cells = [Cell](repeating: Cell(), count: 512)

    init(_ source: @escaping LineageSource) { self.source = source }

    /// What is written is not right any more: a process that others come from executed another program.
    mutating func forget() { cells = [Cell](repeating: Cell(), count: cells.count) }

    mutating func text(of event: EventView) -> [UInt8] {
        let key = (process: event.hostProcess, start: event.processStart)
        let place = Int(key.process) % cells.count
        if cells[place].key != key || cells[place].text.isEmpty {
            var buffer = ByteBuffer(capacity: 256)
            buffer.reserve(16)
            buffer.append(words: source(key.process, key.start, event.time))
            cells[place] = Cell(key: key, text: unsafe buffer.withBytes { unsafe Array($0) })
        }
        return cells[place].text
    }
}
