internal import Outputs
internal import Probes
internal import State

extension ProcessSnapshot {
    /// The processes that there are, told by the kernel's iterator, or by `/proc` where it has none; nil where neither is
    /// there. Paths are not in it: the tree asks for them when they are needed. Arguments are where they are asked for.
    init?(_ sensor: Sensor, arguments: Bool) {
        let began = Clock.sinceBoot()
        guard let processes = sensor.snapshot() else {
            guard let read = try? ProcessSnapshot.read(arguments: false) else { return nil }
            self = read
            return
        }
        let found = arguments ? LiveArguments(processes.map(\.pid)).found : [:]
        let rows = processes.map { process in
            var row = ProcessRow(
                process: process.pid, parent: process.parent, start: .nanoseconds(process.start),
                user: process.uid,
                name: process.name)
            row.seen = began
            row.arguments = found[process.pid]?.bytes
            row.areArgumentsTruncated = found[process.pid]?.isTruncated ?? false
            return row
        }
        self.init(rows: rows, began: began)
    }
}
