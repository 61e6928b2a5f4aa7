import CContract
import Catalog
import Events
import State
import TestSupport

/// Makes lifecycle records as the kernel programs do, and feeds them to a tree. Records are made once and written into,
/// as some tests need hundreds of thousands.
struct Lifecycle {
    typealias Key = ProcessKey

    let tree: ProcessTree
    private var fork: [UInt8]
    private var exit: [UInt8]

    /// First process, as parent of whoever is told no other.
    static let first = Key(process: 1, start: 1000)

    init(_ tree: ProcessTree) {
        self.tree = tree
        fork = RecordBuilder(values: Array(repeating: 0, count: Self.count("sched_process_fork"))).build()
        exit = RecordBuilder(values: Array(repeating: 0, count: Self.count("sched_process_exit"))).build()
        Self.put(EventID.sched_process_fork.rawValue, 8, &fork)
        Self.put(EventID.sched_process_exit.rawValue, 8, &exit)
    }

    private static func count(_ event: String) -> Int { Catalog.builtIn[event]?.fields.count ?? 0 }

    private static func place(_ event: String, _ field: String) -> Int {
        Catalog.builtIn[event]?.fields.firstIndex { $0.name == field } ?? 200
    }

    private static let child = (
        thread: place("sched_process_fork", "child_tid"), process: place("sched_process_fork", "child_pid"),
        start: place("sched_process_fork", "start_time")
    )
    private static let isLast = place("sched_process_exit", "process_group_exit")
    private static let executable = place("sched_process_exec", "pathname")
    private static let interpreter = place("sched_process_exec", "interpreter_pathname")
    private static let arguments = place("sched_process_exec", "argv")

    private static func put<T: BitwiseCopyable>(_ value: T, _ at: Int, _ record: inout [UInt8]) {
        unsafe record.withUnsafeMutableBytes {
            unsafe $0.storeBytes(of: value, toByteOffset: at, as: T.self)
        }
    }

    private static func putValue(_ value: UInt64, _ field: Int, _ record: inout [UInt8]) {
        put(value, 120 + field * 8, &record)
    }

    /// Offsets of `struct apus_record`, which the tests of views hold against the contract.
    private static func putHead(
        _ key: Key, _ parent: Key, _ time: UInt64, _ name: String, _ user: UInt32, _ record: inout [UInt8]
    ) {
        put(time, 0, &record)
        put(key.start, 32, &record)
        put(key.start, 40, &record)
        put(parent.start, 48, &record)
        put(key.process, 56, &record)
        put(key.process, 60, &record)
        put(parent.process, 64, &record)
        put(user, 80, &record)
        var index = 104
        for byte in name.utf8.prefix(15) {
            record[index] = byte
            index += 1
        }
        while index < 120 {
            record[index] = 0
            index += 1
        }
    }

    static func feed(_ record: [UInt8], _ tree: ProcessTree) {
        guard let event = unsafe EventView(record.span.bytes) else { return }
        tree.update(event)
    }

    mutating func fork(
        _ parent: Key, _ child: Key, at time: UInt64, name: String = "sh", user: UInt32 = 0,
        grandparent: Key = first, thread: UInt32? = nil
    ) {
        Self.putHead(
            parent, parent == Self.first ? Key(process: 0, start: 0) : grandparent, time, name, user, &fork)
        Self.putValue(UInt64(thread ?? child.process), Self.child.thread, &fork)
        Self.putValue(UInt64(child.process), Self.child.process, &fork)
        Self.putValue(child.start, Self.child.start, &fork)
        Self.feed(fork, tree)
    }

    func exec(
        _ key: Key, _ path: String?, at time: UInt64, arguments: [UInt8]? = nil, name: String = "prog",
        user: UInt32 = 0, parent: Key = first, interpreter: String? = nil
    ) {
        var builder = RecordBuilder(values: Array(repeating: 0, count: Self.count("sched_process_exec")))
        if let path {
            builder.blobs.append(.init(field: UInt8(Self.executable), bytes: Array((path + "\0").utf8)))
        }
        if let interpreter {
            builder.blobs.append(
                .init(field: UInt8(Self.interpreter), bytes: Array((interpreter + "\0").utf8)))
        }
        if let arguments { builder.blobs.append(.init(field: UInt8(Self.arguments), bytes: arguments)) }
        var record = builder.build()
        Self.put(EventID.sched_process_exec.rawValue, 8, &record)
        Self.putHead(key, parent, time, name, user, &record)
        Self.feed(record, tree)
    }

    /// A record of an execve to be fed again and again.
    func execRecord(_ path: String, arguments: [UInt8]) -> [UInt8] {
        var builder = RecordBuilder(values: Array(repeating: 0, count: Self.count("sched_process_exec")))
        builder.blobs.append(.init(field: UInt8(Self.executable), bytes: Array((path + "\0").utf8)))
        builder.blobs.append(.init(field: UInt8(Self.arguments), bytes: arguments))
        var record = builder.build()
        Self.put(EventID.sched_process_exec.rawValue, 8, &record)
        return record
    }

    func exec(_ key: Key, record: inout [UInt8], at time: UInt64, parent: Key = first) {
        Self.putHead(key, parent, time, "prog", 0, &record)
        Self.feed(record, tree)
    }

    mutating func exit(_ key: Key, at time: UInt64, parent: Key = first, isLast: Bool = true) {
        Self.putHead(key, parent, time, "prog", 0, &exit)
        Self.putValue(isLast ? 1 : 0, Self.isLast, &exit)
        Self.feed(exit, tree)
    }
}

extension ProcessTree {
    func path(_ key: ProcessKey, _ time: UInt64) -> String {
        String(decoding: executable(of: key, at: time), as: UTF8.self)
    }

    func named(_ key: ProcessKey, _ time: UInt64) -> String? {
        name(of: key, at: time).map { String(decoding: $0.bytes, as: UTF8.self) }
    }

    /// Numbers of the ancestors, nearest first; 0 for one that nobody knows, negative where only the key is known.
    func lineage(_ key: ProcessKey, _ time: UInt64, limit: Int = 64) -> (numbers: [Int], end: AncestryEnd) {
        var numbers: [Int] = []
        let end = ancestry(of: key, at: time, limit: limit) { step in
            numbers.append(step.key.map { Int($0.process) * (step.isUnknown ? -1 : 1) } ?? 0)
        }
        return (numbers, end)
    }
}
