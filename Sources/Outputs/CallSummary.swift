internal import Catalog
internal import Events

/// Counts system calls, their errors and how long they took, and writes the table of `strace -c -w` with percentiles:
///
///     % time     seconds  usecs/call   p50 usecs   p99 usecs   max usecs     calls    errors syscall
///     ------ ----------- ----------- ----------- ----------- ----------- --------- --------- ----------------
///      61.02    0.000407        22.6         4.5       210.0       301.4        18         3 openat
///
/// A call that had begun before it could be seen counts without time; one in which its process was killed counts as failed,
/// where strace leaves it out. `exit` and `exit_group` are left out, as there: they
/// never return. What one call adds takes no memory; each kind of calls takes 15 KiB, once.
struct CallSummary: ~Copyable {
    private var calls: [Calls]
    private let names: [String]
    /// By event: the field of its result, or one of the marks below.
    private let results: [Int]

    private static let isNotCounted = -1
    private static let hasNoResult = -2

    private struct Calls {
        var count: UInt64 = 0
        var errors: UInt64 = 0
        var times: LatencyHistogram?
    }

    init(_ catalog: Catalog) {
        calls = Array(repeating: Calls(), count: catalog.events.count)
        names = catalog.events.map(\.name)
        results = catalog.events.map { event in
            guard case .systemCall(_, _, let trait) = event.source else { return Self.isNotCounted }
            guard trait == .noReturn else { return event.fields.count - 1 }
            return event.name.hasPrefix("exit") ? Self.isNotCounted : Self.hasNoResult
        }
    }

    mutating func add(_ event: EventView, index: Int) {
        let result = results[index]
        guard result != Self.isNotCounted else { return }
        calls[index].count += 1
        if let value = event.value(result), NumberWords.failures.contains(Int64(bitPattern: value)) {
            calls[index].errors += 1
        }
        guard let duration = event.duration else { return }
        if calls[index].times == nil { calls[index].times = LatencyHistogram() }
        calls[index].times?.add(duration)
    }

    // MARK: The table

    private static let rule =
        "------ ----------- ----------- ----------- ----------- ----------- --------- --------- ----------------\n"

    func append(to buffer: inout ByteBuffer) {
        let kinds = calls.indices.filter { calls[$0].count > 0 }.sorted {
            let (a, b) = (calls[$0], calls[$1])
            let (first, second) = (a.times?.sum ?? 0, b.times?.sum ?? 0)
            if first != second { return first > second }
            return a.count != b.count ? a.count > b.count : names[$0] < names[$1]
        }
        var all = Calls()
        var times = LatencyHistogram()
        for kind in kinds {
            all.count += calls[kind].count
            all.errors += calls[kind].errors
            if let some = calls[kind].times { times.add(some) }
        }
        all.times = times
        var text =
            "% time     seconds  usecs/call   p50 usecs   p99 usecs   max usecs     calls    errors syscall\n"
        text += Self.rule
        for kind in kinds { text += Self.row(calls[kind], of: times.sum, names[kind]) }
        text += Self.rule + Self.row(all, of: times.sum, "total")
        buffer.reserve(text.utf8.count)
        buffer.append(text)
    }

    private static func row(_ calls: Calls, of total: UInt64, _ name: String) -> String {
        let sum = calls.times?.sum ?? 0
        let share = total > 0 ? (Double(sum) / Double(total) * 10000).rounded() : 0
        var columns = [column(decimal(UInt64(share), 2), 6), column(decimal(rounded(sum, 1000), 6), 11)]
        if let times = calls.times, times.count > 0 {
            for time in [
                sum / times.count, times.percentile(50), times.percentile(99), times.largest,
            ] {
                columns.append(column(decimal(rounded(time, 100), 1), 11))
            }
        } else {
            columns += Array(repeating: column("", 11), count: 4)
        }
        columns += [column("\(calls.count)", 9), column(calls.errors > 0 ? "\(calls.errors)" : "", 9), name]
        return columns.joined(separator: " ") + "\n"
    }

    private static func rounded(_ value: UInt64, _ unit: UInt64) -> UInt64 {
        value / unit + (value % unit >= unit / 2 ? 1 : 0)
    }

    /// A number of which the last digits are a fraction.
    private static func decimal(_ value: UInt64, _ digits: Int) -> String {
        let text = String(value)
        let filled = String(repeating: "0", count: max(0, digits + 1 - text.count)) + text
        return "\(filled.dropLast(digits)).\(filled.suffix(digits))"
    }

    private static func column(_ text: String, _ width: Int) -> String {
        String(repeating: " ", count: max(0, width - text.utf8.count)) + text
    }
}
