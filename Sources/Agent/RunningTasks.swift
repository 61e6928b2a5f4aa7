internal import Outputs
internal import Probes
internal import State

extension ProcessSnapshot {
    /// The processes that there are, told by the kernel's iterator, or by `/proc` where it has none; nil where neither is
    /// there. Paths and arguments are not in it: the tree asks for them when they are needed.
    init?(_ sensor: Sensor) {
        let began = Clock.sinceBoot()
        guard let processes = sensor.snapshot() else {
            guard let read = try? ProcessSnapshot.read(arguments: false) else { return nil }
            self = read
            return
        }
        let rows = processes.map { process in
            var row = ProcessRow(
                process: process.pid, parent: process.parent, start: .nanoseconds(process.start),
                user: process.uid,
                name: process.name)
            row.seen = began
            return row
        }
        self.init(rows: rows, began: began)
    }
}
