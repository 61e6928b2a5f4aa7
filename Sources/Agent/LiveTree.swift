internal import Glibc
public import Outputs
internal import State

/// The processes that there are now, with who runs them and the containers they are in. Nothing is attached for it:
/// `/proc`, the control groups, files and the sockets of runtimes are read, once.
public struct LiveTree {
    /// The order of the tree: each process before those below it, siblings by number.
    public private(set) var processes: [ShownProcess]
    /// What could not be seen, and what to do: one sentence each.
    public private(set) var notes: [String]
    /// Where the processes were read.
    public let source = "proc"

    /// Bytes that the tree may take.
    private static let memoryLimit = 96 << 20

    /// Reads all.
    /// - Parameter runtimes: who is asked for the names of containers, two seconds in all.
    /// - Throws: where there is no `/proc`.
    public static func read(_ runtimes: RuntimeRequest = RuntimeRequest()) throws(AgentError) -> LiveTree {
        var snapshot: ProcessSnapshot
        do throws(ProcessSnapshotError) {
            snapshot = try ProcessSnapshot.read(arguments: false)
        } catch {
            throw AgentError(error.description)
        }
        // Threads of the kernel and those that have ended have none.
        let asked = snapshot.rows.filter { !$0.hasEnded && $0.executable != [] }
        let read = LiveArguments(asked.map(\.process))
        for index in snapshot.rows.indices {
            let row = snapshot.rows[index]
            guard let arguments = read.found[row.process],
                // Another process may have the number by now.
                let stat = ProcessStat(of: row.process), row.start == .ticks(stat.startTicks)
            else { continue }
            snapshot.rows[index].arguments = arguments.bytes
            snapshot.rows[index].areArgumentsTruncated = arguments.isTruncated
        }
        var tree = LiveTree(withParents(snapshot), runtimes)
        if !read.stuck.isEmpty {
            let numbers = read.stuck.map(String.init).joined(separator: ", ")
            tree.notes.append(
                "the arguments of \(numbers) could not be read within half a second: such a process hides them, or hangs; "
                    + "see what it is")
        }
        if read.leftOut > 0 {
            tree.notes.append(
                "the arguments of \(read.leftOut) processes were not read: those before are too long, or could not be read"
            )
        }
        return tree
    }

    /// Reads again who was given to another parent meanwhile.
    private static func withParents(_ read: ProcessSnapshot) -> ProcessSnapshot {
        var snapshot = read
        for _ in 0..<3 {
            let present = Set(snapshot.rows.map(\.process))
            var hasChanged = false
            for index in snapshot.rows.indices {
                let row = snapshot.rows[index]
                guard row.parent != 0, !present.contains(row.parent),
                    let new = ProcessSnapshot.row(of: row.process), new.start == row.start,
                    new.parent != row.parent
                else { continue }
                snapshot.rows[index].parent = new.parent
                hasChanged = true
            }
            if !hasChanged { break }
        }
        return snapshot
    }

    private init(_ read: ProcessSnapshot, _ runtimes: RuntimeRequest) {
        var snapshot = read
        var rows: [UInt32: ProcessRow] = [:]
        for index in snapshot.rows.indices {
            rows[snapshot.rows[index].process] = snapshot.rows[index]
            // The tree would leave them out.
            snapshot.rows[index].hasEnded = false
        }
        let tree = ProcessTree(memoryLimit: Self.memoryLimit, procRoot: nil)
        tree.enter(snapshot)

        let clock = Clock()
        let accounts = Accounts()
        var userNames: [UInt32: String?] = [:]
        var containers = LiveContainers()
        let lines = tree.tree
        processes = []
        processes.reserveCapacity(lines.count)
        var owners: [LiveContainers.Place?] = []
        owners.reserveCapacity(lines.count)
        var unread = 0
        for line in lines {
            let info = line.process
            guard let row = rows[info.key.process] else { continue }
            var shown = ShownProcess(process: info.key.process, start: info.key.start &+ clock.bootOffset)
            shown.depth = line.depth
            shown.level = line.depth
            if let parent = info.parent {
                shown.parent = ShownProcess.Parent(
                    process: parent.process, start: parent.start &+ clock.bootOffset)
            }
            shown.isKernelThread = row.executable?.isEmpty ?? false
            // Who came into our pid namespace from outside has no parent that can be seen either.
            let isFirst = row.parent == 0 && (row.process == 1 || shown.isKernelThread)
            shown.isParentUnknown = info.parent == nil && !isFirst
            shown.unknownParent = shown.isParentUnknown ? row.parent : 0
            shown.name = row.name
            shown.executable = info.executable
            shown.hasEnded = row.hasEnded
            if let arguments = row.arguments, !shown.isKernelThread { shown.arguments = arguments }
            shown.areArgumentsTruncated = row.areArgumentsTruncated
            shown.user = row.user
            if userNames[row.user] == nil { userNames[row.user] = .some(accounts.name(ofUser: row.user)) }
            shown.userName = userNames[row.user] ?? nil
            if row.executable == nil, !row.hasEnded { unread += 1 }
            if !shown.executable.isEmpty { Self.mark(&shown) }
            owners.append(shown.isKernelThread ? nil : containers.place(of: row.process))
            processes.append(shown)
        }
        notes = containers.findNames(runtimes)
        for index in processes.indices {
            guard let place = owners[index], let container = containers.container(at: place) else { continue }
            processes[index].container = container.shown
            processes[index].runtime = container.runtime
        }
        note(unread, leftOut: snapshot.leftOut, tree.losses, containers)
    }

    /// Marks a program whose file is gone, or that never was one. The kernel adds a word to the path of such a file,
    /// which the snapshot has taken away.
    private static func mark(_ shown: inout ShownProcess) {
        var path = [CChar](repeating: 0, count: 4096)
        let length = unsafe readlink("/proc/\(shown.process)/exe", &path, path.count)
        guard length > 0 else { return }
        let bytes = path[..<length].map(UInt8.init(bitPattern:))
        // It may have executed something else meanwhile.
        guard bytes.starts(with: shown.executable) else { return }
        shown.isDeleted = bytes.dropFirst(shown.executable.count).elementsEqual(" (deleted)".utf8)
        shown.isMemoryFile = shown.isDeleted && shown.executable.starts(with: "/memfd:".utf8)
    }

    private mutating func note(
        _ unread: Int, leftOut: Int, _ losses: ProcessTreeLosses, _ containers: LiveContainers
    ) {
        if unread > 0, geteuid() != 0 {
            notes.insert(
                "the executables of \(unread) processes of others cannot be seen, nor the names of some containers; "
                    + "run it as root", at: 0)
        }
        if leftOut > 0 {
            notes.append(
                "\(leftOut) processes, paths or arguments were left out, as there are too many to keep; name PIDs to see theirs"
            )
        }
        if losses.living > 0 {
            notes.append("\(losses.living) processes were left out, as there are too many to keep")
        }
        if containers.leftOut > 0 {
            notes.append(
                "the control groups of \(containers.leftOut) processes were left out, as there are too many to keep"
            )
        }
    }
}

/// Which part of the tree is shown.
extension LiveTree {
    /// What somebody asked for.
    public struct Selection: Sendable {
        /// These, all below them, and those above them; empty for all.
        public var processes: [UInt32] = []
        /// Those in a container: its id, 12 or more characters that only its id begins with, or its name.
        public var container: String?
        /// Threads of the kernel too.
        public var showsKernelThreads = false
        public init() {}
    }

    /// The processes that were asked for, their levels as they are drawn: one whose parent is not shown stands at the
    /// left.
    /// - Throws: where a process or a container is not there.
    public func selected(_ selection: Selection) throws(AgentError) -> [ShownProcess] {
        try Self.select(selection, from: processes)
    }

    static func select(
        _ selection: Selection, from processes: [ShownProcess]
    ) throws(AgentError) -> [ShownProcess] {
        let parents = parents(of: processes)
        var isShown = processes.map { selection.showsKernelThreads || !$0.isKernelThread }
        if !selection.processes.isEmpty {
            let wanted = Set(selection.processes)
            let missing = wanted.subtracting(processes.map(\.process)).min()
            if let missing {
                throw AgentError("there is no process \(missing); `apus ps` without a number shows all")
            }
            // Who asks for a thread of the kernel wants to see it.
            isShown = [Bool](repeating: false, count: processes.count)
            for index in processes.indices {
                let isBelow = parents[index].map { isShown[$0] } ?? false
                isShown[index] = isBelow || wanted.contains(processes[index].process)
            }
        }
        if let word = selection.container {
            let ids = try containers(word, in: processes)
            for index in processes.indices {
                isShown[index] =
                    isShown[index] && processes[index].container.map { ids.contains($0.id) } ?? false
            }
        } else {
            // Those above. From the end: children come before their parents.
            for index in processes.indices.reversed() where isShown[index] {
                if let parent = parents[index] { isShown[parent] = true }
            }
        }
        var levels = [Int](repeating: 0, count: processes.count)
        var shown: [ShownProcess] = []
        for index in processes.indices where isShown[index] {
            if let parent = parents[index], isShown[parent] { levels[index] = levels[parent] + 1 }
            var process = processes[index]
            process.level = levels[index]
            shown.append(process)
        }
        return shown
    }

    /// Where the parent of each is, by the order of the tree.
    private static func parents(of processes: [ShownProcess]) -> [Int?] {
        var above: [Int] = []
        return processes.indices.map { index in
            let depth = max(0, processes[index].depth)
            if above.count > depth { above.removeLast(above.count - depth) }
            let parent = processes[index].parent == nil ? nil : above.last
            above.append(index)
            return parent
        }
    }

    /// The ids that a word means, as scopes take it.
    private static func containers(
        _ word: String, in processes: [ShownProcess]
    ) throws(AgentError) -> Set<String> {
        let all = processes.compactMap(\.container)
        for exact in [all.filter { $0.id == word }, all.filter { !word.isEmpty && $0.name == word }] {
            if !exact.isEmpty { return Set(exact.map(\.id)) }
        }
        let begun = word.utf8.count >= 12 ? Set(all.map(\.id).filter { $0.hasPrefix(word) }) : []
        if begun.count > 1 {
            throw AgentError("'\(word)' begins the ids of \(begun.count) containers; give more of it")
        }
        guard begun.isEmpty else { return begun }
        throw AgentError(
            "no process is in a container '\(word)'; give its name, its id, or at least 12 characters of it")
    }
}
