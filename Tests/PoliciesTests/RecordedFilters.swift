import CContract
import Catalog
import Expressions
import TestSupport

/// Random conditions on an event, made of values that were recorded of it.
struct RecordedFilters {
    private let models: [RecordedEvent]

    /// - Parameter models: of one event, at least one.
    init(_ models: [RecordedEvent]) { self.models = models }

    /// One to three filters as of a rule; at times with what only an expression says: bits, alternatives, a
    /// negation, whether a field is there.
    func expression(_ random: inout SplitMix64) -> Expression {
        // Those of one event go together, so that all of a rule's match more often.
        let model = models[random.below(models.count)]
        let written = Filter.combine(filters(model, 1 + random.below(3), &random))
        switch random.below(10) {
        case 0, 1: return bits(model, &random).map { .all([written, $0]) } ?? written
        case 2: return bits(model, &random) ?? written
        case 3:
            let other = models[random.below(models.count)]
            return .any([written, Filter.combine(filters(other, 1, &random))])
        case 4: return .not(written)
        case 5:
            guard let field = field(of: model, &random) else { return written }
            return .all([random.below(2) == 0 ? .has(field) : .not(.has(field)), written])
        default: return written
        }
    }

    private func filters(_ model: RecordedEvent, _ count: Int, _ random: inout SplitMix64) -> [Filter] {
        var filters: [Filter] = []
        while filters.count < count {
            let text =
                random.below(4) == 0 || model.event.fields.isEmpty
                ? identity(model, &random) : data(model, random.below(model.event.fields.count), &random)
            // A text with a star inside has no way to be written, and no number is below the least.
            guard let text, let filter = try? Filter.parse(text, event: model.event) else { continue }
            filters.append(filter)
        }
        return filters
    }

    // MARK: Filters as they are written

    private func data(_ model: RecordedEvent, _ index: Int, _ random: inout SplitMix64) -> String? {
        let field = model.event.fields[index]
        let name = field.name == "returnValue" && random.below(2) == 0 ? "retval" : "data.\(field.name)"
        let values = values(model, &random) { $0.texts[index] }
        switch field.type {
        case .bool:
            return name + ["=true", "=false", "!=true", "=\(values.first ?? "true")"][random.below(4)]
        case .int32, .uint32, .int64, .uint64, .uint16, .pointer, .time:
            return name + numbers(values, &random)
        case .string, .stringArray, .bytes, .uint64Array, .credentials, .socketAddress, .int32Pair, .timespec:
            return name + patterns(values, &random)
        }
    }

    private func identity(_ model: RecordedEvent, _ random: inout SplitMix64) -> String? {
        func header(_ get: (RecordedEvent) -> some BinaryInteger) -> String {
            numbers(values(model, &random) { ["\(get($0))"] }, &random)
        }
        switch random.below(10) {
        case 0, 1: return "comm" + patterns(values(model, &random) { [$0.name] }, &random)
        case 2: return "uid" + header { $0.record.header.uid }
        case 3: return "pid" + header { $0.record.header.pid }
        case 4: return "tid" + header { $0.record.header.tid }
        case 5: return "ppid" + header { $0.record.header.ppid }
        case 6: return "hostPid" + header { $0.record.header.host_pid }
        case 7: return "scope.hostParentProcessId" + header { $0.record.header.host_ppid }
        case 8:
            let calls = values(model, &random) { recorded in
                let isCompat = recorded.record.header.flags != 0
                let number = Int(recorded.record.header.syscall)
                return [Catalog.builtIn.systemCallName(number, isCompat: isCompat)].filter { $0 != "" }
            }
            return calls.isEmpty ? nil : "syscall" + sign(&random) + calls.joined(separator: ",")
        default: return "hostName" + sign(&random) + ["box", "*ox", "other"][random.below(3)]
        }
    }

    /// Values of one to three of the events, of the model first.
    private func values(
        _ model: RecordedEvent, _ random: inout SplitMix64, _ texts: (RecordedEvent) -> [String]
    ) -> [String] {
        var values: [String] = []
        var from = random.below(6) == 0 ? models[random.below(models.count)] : model
        for _ in 0..<1 + random.below(3) {
            let all = texts(from)
            if !all.isEmpty { values.append(all[random.below(all.count)]) }
            from = models[random.below(models.count)]
        }
        return values
    }

    private func sign(_ random: inout SplitMix64) -> String { random.below(3) == 0 ? "!=" : "=" }

    private func numbers(_ values: [String], _ random: inout SplitMix64) -> String {
        guard let value = values.first else { return sign(&random) + "\(random.below(3))" }
        switch random.below(8) {
        case 0, 1, 2: return sign(&random) + values.joined(separator: ",")
        case 3: return sign(&random) + "\(value.prefix(1 + random.below(value.count)))*"
        default:
            // The value itself and its neighbours are where a bound is wrong.
            let near = Int64(value).map { $0 &+ Int64(random.below(3)) &- 1 }.map { "\($0)" } ?? value
            return ["<", ">", "<=", ">="][random.below(4)] + near
        }
    }

    private func patterns(_ values: [String], _ random: inout SplitMix64) -> String {
        let patterns = (values.isEmpty ? ["x"] : values).map { value -> String in
            let characters = Array(value.unicodeScalars)
            func piece(_ range: Range<Int>) -> String {
                var text = String.UnicodeScalarView()
                text.append(contentsOf: characters[range])
                return String(text)
            }
            let (one, other) = (random.below(characters.count + 1), random.below(characters.count + 1))
            switch random.below(4) {
            case 0: return value
            case 1: return piece(0..<one) + "*"
            case 2: return "*" + piece(one..<characters.count)
            default: return "*" + piece(min(one, other)..<max(one, other)) + "*"
            }
        }
        return sign(&random) + patterns.joined(separator: ",")
    }

    // MARK: What only expressions say

    private func field(of model: RecordedEvent, _ random: inout SplitMix64) -> FieldReference? {
        guard !model.event.fields.isEmpty else { return nil }
        return FieldReference(random.below(model.event.fields.count), of: model.event)
    }

    /// Some bits of a number are those of the model, or are all set, or not all clear.
    private func bits(_ model: RecordedEvent, _ random: inout SplitMix64) -> Expression? {
        guard let field = field(of: model, &random), case .data(let index) = field.subject else { return nil }
        let value = model.record.values[index]
        let mask =
            random.below(2) == 0
            ? 1 << UInt64(random.below(random.below(2) == 0 ? 64 : 16))
            : random.next() >> UInt64(random.below(60))
        func literal(_ bits: UInt64) -> Literal? {
            switch field.valueType {
            case .int: .int(Int64(bitPattern: bits))
            case .uint: .uint(bits)
            case .bool, .double, .string, .bytes, .structure: nil
            }
        }
        let wanted = [value & mask, mask, 0][random.below(3)]
        guard let first = literal(mask), let second = literal(wanted) else { return nil }
        let masked = Expression.arithmetic(.bitAnd, .field(field), .literal(first))
        return .compare(random.below(4) == 0 ? .notEqual : .equal, masked, .literal(second))
    }
}
