internal import Glibc

/// Writes processes as a tree for people, or as JSON for programs. They come in the order of the tree: a process before
/// those below it.
public enum ProcessListing {
    // MARK: JSON

    /// An array of objects, one on each line.
    /// - Parameter source: where all was read, which each object names.
    public static func json(_ processes: [ShownProcess], source: String) -> [UInt8] {
        var buffer = ByteBuffer(capacity: 256 * (processes.count + 1))
        var time = CachedSecond()
        buffer.append("[\n")
        for (number, process) in processes.enumerated() {
            append(process, source, &time, to: &buffer)
            buffer.reserve(4)
            buffer.append(number + 1 < processes.count ? ",\n" : "\n")
        }
        buffer.reserve(4)
        buffer.append("]\n")
        return unsafe buffer.withBytes { unsafe Array($0) }
    }

    private static func append(
        _ process: ShownProcess, _ source: String, _ time: inout CachedSecond, to buffer: inout ByteBuffer
    ) {
        let texts = process.name.count + process.executable.count + (process.userName?.utf8.count ?? 0)
        buffer.reserve(1024 + 6 * (texts + source.utf8.count) + 8 * (process.arguments?.count ?? 0))
        buffer.append("{\"pid\":")
        buffer.append(decimal: UInt64(process.process))
        buffer.append(",\"start_time\":\"")
        time.append(process.start, to: &buffer)
        buffer.append("\",\"parent\":")
        if let parent = process.parent {
            buffer.append("{\"pid\":")
            buffer.append(decimal: UInt64(parent.process))
            buffer.append(",\"start_time\":\"")
            time.append(parent.start, to: &buffer)
            buffer.append("\"}")
        } else if process.isParentUnknown {
            buffer.append("{")
            if process.unknownParent != 0 {
                buffer.append("\"pid\":")
                buffer.append(decimal: UInt64(process.unknownParent))
                buffer.append(",")
            }
            buffer.append("\"unknown\":true}")
        } else {
            buffer.append("null")
        }
        buffer.append(",\"depth\":")
        buffer.append(decimal: UInt64(max(0, process.depth)))
        buffer.append(",\"name\":")
        unsafe buffer.append(jsonString: process.name.span.bytes)
        if !process.executable.isEmpty {
            buffer.append(",\"executable\":{\"path\":")
            unsafe buffer.append(jsonString: process.executable.span.bytes)
            if process.isDeleted { buffer.append(",\"deleted\":true") }
            if process.isMemoryFile { buffer.append(",\"memfd\":true") }
            buffer.append("}")
        }
        if process.arguments != nil {
            buffer.append(",\"args\":[")
            process.forEachArgument { argument, isFirst in
                if !isFirst { buffer.append(",") }
                buffer.append(jsonString: argument)
            }
            buffer.append("]")
            if process.areArgumentsTruncated { buffer.append(",\"args_truncated\":true") }
        }
        buffer.append(",\"user\":{\"id\":")
        buffer.append(decimal: UInt64(process.user))
        if let name = process.userName {
            buffer.append(",\"name\":")
            unsafe buffer.append(jsonString: Array(name.utf8).span.bytes)
        }
        buffer.append("},\"kernel_thread\":")
        buffer.append(process.isKernelThread ? "true" : "false")
        if process.hasEnded { buffer.append(",\"ended\":true") }
        if let container = process.container {
            let text = container.json()
            buffer.reserve(text.count + 64 + 6 * process.runtime.utf8.count)
            buffer.append(text)
            if !process.runtime.isEmpty {
                buffer.append(",\"runtime\":")
                unsafe buffer.append(jsonString: Array(process.runtime.utf8).span.bytes)
            }
        }
        buffer.reserve(64 + 6 * source.utf8.count)
        buffer.append(",\"source\":")
        unsafe buffer.append(jsonString: Array(source.utf8).span.bytes)
        buffer.append("}")
    }

    // MARK: Table

    /// Columns of a terminal below which names are cut shorter.
    private static let narrow = 110
    /// Bytes of arguments for each column of a terminal: a character takes four at most.
    private static let bytesForColumn = 4
    /// Levels of the tree that are drawn.
    static let levelLimit = 63

    /// A table with the tree in its last column. On a terminal lines are cut to its width; elsewhere nothing is cut.
    /// - Parameters:
    ///   - columns: width of the terminal; 0 where the output is none.
    ///   - now: nanoseconds since 1970. Of today the time is shown, else the date.
    ///   - zone: seconds that local time is ahead of UTC at a second since 1970.
    public static func table(
        _ processes: [ShownProcess], columns: Int, now: UInt64,
        zone: @escaping (UInt64) -> Int = localZone
    ) -> [UInt8] {
        var buffer = ByteBuffer(capacity: 128 * (processes.count + 1))
        let isNarrow = (1..<narrow).contains(columns)
        var dates = Dates(now: now, zone: zone)
        let starts = processes.map { dates.text(of: $0.start) }
        let widths = Widths(
            process: processes.reduce(3) { max($0, String($1.process).utf8.count) },
            user: width(of: processes, least: 4, most: isNarrow ? 8 : 16) { user(of: $0) },
            start: starts.reduce(5) { max($0, $1.count) },
            container: width(of: processes, least: 9, most: isNarrow ? 14 : 28) { container(of: $0) })
        // The tree's column, of which the drawing may take half.
        let room = columns > 0 ? max(8, columns - widths.total) : 0
        let levels = columns > 0 ? max(2, min(levelLimit, room / 4)) : levelLimit
        let branches = branches(processes.map(\.level))

        let hasColour = columns > 0 && !(unsafe getenv("NO_COLOR").map { unsafe $0.pointee != 0 } ?? false)
        buffer.reserve(256)
        if hasColour { buffer.append("\u{1b}[1m") }
        let header = buffer.count
        for (title, width) in [
            ("PID", widths.process), ("USER", widths.user), ("START", widths.start),
            ("CONTAINER", widths.container),
        ] {
            cell(width, false, &buffer) { $0.append(title) }
        }
        buffer.append("PROCESS")
        if columns > 0 { buffer.cut(from: header, toWidth: columns) }
        if hasColour { buffer.append("\u{1b}[0m") }
        buffer.append("\n")

        for (number, process) in processes.enumerated() {
            let line = buffer.count
            buffer.reserve(256)
            cell(widths.process, false, &buffer) { $0.append(decimal: UInt64(process.process)) }
            cell(widths.user, columns > 0, &buffer) {
                unsafe $0.append(visible: Array(user(of: process).utf8).span.bytes)
            }
            cell(widths.start, false, &buffer) { $0.append(starts[number]) }
            cell(widths.container, columns > 0, &buffer) {
                unsafe $0.append(visible: Array(container(of: process).utf8).span.bytes)
            }
            append(branches[number], of: process, levels: levels, to: &buffer)
            append(command: process, columns: columns, to: &buffer)
            buffer.reserve(8)
            if columns > 0 { buffer.cut(from: line, toWidth: columns) }
            buffer.append("\n")
        }
        return unsafe buffer.withBytes { unsafe Array($0) }
    }

    private struct Widths {
        var process: Int
        var user: Int
        var start: Int
        var container: Int
        var total: Int { process + user + start + container + 8 }
    }

    /// A cell, and two blanks behind it.
    private static func cell(
        _ width: Int, _ isCut: Bool, _ buffer: inout ByteBuffer, _ body: (inout ByteBuffer) -> Void
    ) {
        buffer.reserve(64)
        let start = buffer.count
        body(&buffer)
        if isCut {
            buffer.reserve(8)
            buffer.cut(from: start, toWidth: width)
        }
        buffer.pad(to: buffer.count + max(0, width - buffer.width(from: start)) + 2)
    }

    private static func width(
        of processes: [ShownProcess], least: Int, most: Int, _ text: (ShownProcess) -> String
    ) -> Int {
        var widest = least
        var buffer = ByteBuffer(capacity: 256)
        var last = ""
        for process in processes {
            let text = text(process)
            // Most have what the one before has.
            if text == last { continue }
            last = text
            buffer.removeAll()
            unsafe buffer.append(visible: Array(text.utf8).span.bytes)
            widest = max(widest, buffer.width(from: 0))
            if widest >= most { return most }
        }
        return widest
    }

    static func user(of process: ShownProcess) -> String { process.userName ?? String(process.user) }

    /// The name of the container, or the 12 characters that runtimes print of an id.
    static func container(of process: ShownProcess) -> String {
        guard let container = process.container else { return "-" }
        let name = container.name.isEmpty ? String(container.id.prefix(12)) : container.name
        return process.runtime.isEmpty ? name : "\(process.runtime):\(name)"
    }

    // MARK: The tree

    /// What is drawn before a process.
    struct Branch: Equatable {
        /// Nothing is below its parent after it.
        var isLast = true
        /// Of the levels above, those that go on below: a bit for each, from 0.
        var open: UInt64 = 0
    }

    /// From the levels of the lines, in their order, what is drawn before each.
    static func branches(_ levels: [Int]) -> [Branch] {
        var branches = [Branch](repeating: Branch(), count: levels.count)
        // From the end: whether a level has one more before it goes up to a level above.
        var open: [Bool] = []
        for number in levels.indices.reversed() {
            let level = max(0, levels[number])
            if open.count > level + 1 { open.removeLast(open.count - level - 1) }
            while open.count <= level { open.append(false) }
            branches[number].isLast = !open[level]
            for above in 1..<max(1, min(level, 64)) where open[above] {
                branches[number].open |= 1 << UInt64(above)
            }
            open[level] = true
        }
        return branches
    }

    private static func append(
        _ branch: Branch, of process: ShownProcess, levels: Int, to buffer: inout ByteBuffer
    ) {
        buffer.reserve(8 * (levelLimit + 8))
        guard process.level > 0 else {
            // Somebody is above it, and nobody knows who.
            if process.isParentUnknown { buffer.append("?─") }
            return
        }
        for above in 1..<max(1, min(process.level, levels)) {
            buffer.append(branch.open >> UInt64(above) & 1 == 1 ? "│ " : "  ")
        }
        guard process.level <= levels else {
            // Too deep to be drawn: how deep it is.
            buffer.append("┄")
            buffer.append(decimal: UInt64(process.level))
            buffer.append("┄")
            return
        }
        buffer.append(branch.isLast ? "└─" : "├─")
    }

    /// The name, and what was executed.
    private static func append(command process: ShownProcess, columns: Int, to buffer: inout ByteBuffer) {
        if process.isKernelThread {
            buffer.append("[")
            unsafe buffer.append(visible: process.name.span.bytes)
            buffer.reserve(8)
            buffer.append("]")
            return
        }
        unsafe buffer.append(visible: process.name.span.bytes)
        buffer.reserve(64)
        if process.hasEnded {
            buffer.append(" (ended)")
            return
        }
        if !process.executable.isEmpty {
            buffer.append(" ")
            unsafe buffer.append(visible: process.executable.span.bytes)
            buffer.reserve(64)
            if process.isMemoryFile {
                buffer.append(" (memfd)")
            } else if process.isDeleted {
                buffer.append(" (deleted)")
            }
        }
        var left = columns > 0 ? columns * bytesForColumn : .max
        let hasPath = !process.executable.isEmpty
        process.forEachArgument { argument, isFirst in
            // The first is what the program was called; the path says more, unless it was made a title.
            if isFirst, hasPath, !contains(argument, UInt8(ascii: " ")) { return }
            guard left > 0 else { return }
            let piece = argument.extracting(first: left)
            left -= piece.byteCount
            buffer.reserve(16)
            buffer.append(" ")
            if argument.isEmpty { buffer.append("''") } else { buffer.append(visible: piece) }
        }
        buffer.reserve(16)
        if process.areArgumentsTruncated { buffer.append("…") }
    }

    private static func contains(_ bytes: RawSpan, _ wanted: UInt8) -> Bool {
        for index in 0..<bytes.byteCount
        where unsafe bytes.unsafeLoad(fromByteOffset: index, as: UInt8.self) == wanted { return true }
        return false
    }

    // MARK: Dates

    /// How far local time is ahead of UTC, as the machine's time zone says.
    public static func localZone(_ second: UInt64) -> Int {
        var time = time_t(clamping: second)
        var local = unsafe tm()
        guard unsafe localtime_r(&time, &local) != nil else { return 0 }
        return unsafe Int(local.tm_gmtoff)
    }

    /// When processes started, in local time.
    private struct Dates {
        private let zone: (UInt64) -> Int
        private let today: ArraySlice<UInt8>
        private var time = CachedSecond()

        init(now: UInt64, zone: @escaping (UInt64) -> Int) {
            self.zone = zone
            var time = CachedSecond()
            today = Self.local(now, zone, &time)[..<10]
        }

        mutating func text(of start: UInt64) -> [UInt8] {
            let local = Self.local(start, zone, &time)
            return Array(local[..<10] == today ? local[11..<19] : local[..<10])
        }

        /// `2026-01-02T03:04:05`, and perhaps more.
        private static func local(
            _ start: UInt64, _ zone: (UInt64) -> Int, _ time: inout CachedSecond
        ) -> [UInt8] {
            let second = start / 1_000_000_000
            let shifted = Int64(clamping: second).addingReportingOverflow(Int64(zone(second))).partialValue
            var buffer = ByteBuffer(capacity: 64)
            // Years of five digits are none that a process can have.
            time.append(UInt64(clamping: max(0, min(shifted, 9_000_000_000))) * 1_000_000_000, to: &buffer)
            return unsafe buffer.withBytes { unsafe Array($0) }
        }
    }
}
