internal import Catalog
internal import Expressions
internal import Policies

/// Conditions, scopes and lists in words.
enum Words {
    static func count(_ count: Int, _ thing: String) -> String { "\(count) \(thing)\(count == 1 ? "" : "s")" }

    /// Names with commas, as many as a line takes behind its start.
    static func listed(_ names: [String], after start: String, width: Int) -> String {
        var text = start
        for (place, name) in names.enumerated() {
            let isLast = place == names.count - 1
            let rest = isLast ? "" : ", and \(names.count - place - 1) more"
            let next = (place == 0 ? "" : ", ") + name
            if place > 0, text.count + next.count + rest.count > width {
                return text + " and \(names.count - place) more"
            }
            text += next
        }
        return text
    }

    /// Alternatives: `a`, `a or b`, `a, b or c`.
    static func either(_ texts: [String]) -> String {
        guard let last = texts.last, texts.count > 1 else { return texts.first ?? "" }
        return texts.dropLast().joined(separator: ", ") + " or " + last
    }

    /// What comes from outside, for a terminal: control characters and marks that turn text are escaped.
    static func shown(_ text: String) -> String { printable(text) }

    static func shown(_ bytes: [UInt8]) -> String { shown(String(decoding: bytes, as: UTF8.self)) }

    // MARK: Conditions

    /// What a test wants of its field, to stand behind the field's name and a colon.
    static func condition(_ test: FieldTest, type: FieldType, _ catalog: Catalog) -> String {
        switch test.condition {
        case .numbers(let ranges, let isSigned):
            if test.subject == .identity(.syscall) { return calls(ranges, catalog) }
            return numbers(ranges, isSigned, type)
        case .bits(let mask, let value):
            return "0x\(String(value, radix: 16)) of the bits 0x\(String(mask, radix: 16))"
        case .strings(let patterns, let isNegated): return strings(patterns, isNegated)
        }
    }

    private static func strings(_ patterns: Set<StringPattern>, _ isNegated: Bool) -> String {
        if patterns.count == 1, let pattern = patterns.first {
            let text = shown(pattern.bytes)
            switch pattern.kind {
            case .exact: return isNegated ? "not \(text)" : "exactly \(text)"
            case .prefix: return isNegated ? "does not begin with \(text)" : "begins with \(text)"
            case .suffix: return isNegated ? "does not end with \(text)" : "ends with \(text)"
            case .contains: return isNegated ? "does not contain \(text)" : "contains \(text)"
            }
        }
        let kinds: [(StringPattern.Kind, String)] = [
            (.exact, "whole text"), (.prefix, "beginning"), (.suffix, "ending"), (.contains, "part"),
        ]
        let counts = kinds.compactMap { kind, name in
            let number = patterns.count { $0.kind == kind }
            return number == 0 ? nil : count(number, name)
        }
        return (isNegated ? "none of " : "one of ") + either(counts)
    }

    /// Ranges in the order of the numbers, as signed or unsigned numbers made of text.
    private static func numbers(_ ranges: [ClosedRange<Int64>], _ isSigned: Bool, _ type: FieldType) -> String
    {
        let text: (Int64) -> String = { isSigned ? String($0) : String(UInt64(bitPattern: $0)) }
        if ranges.isEmpty { return "no number" }
        if type == .bool { return ranges == [0...0] ? "false" : ranges == [1...1] ? "true" : "true or false" }
        // Two that touch where signed numbers end are one.
        var bounds: [(low: Int64, high: Int64)] = []
        for range in ranges {
            if let last = bounds.last, last.high == .max, !isSigned, range.lowerBound == .min {
                bounds[bounds.count - 1].high = range.upperBound
            } else {
                bounds.append((range.lowerBound, range.upperBound))
            }
        }
        let (least, greatest) = limits(type)
        guard let first = bounds.first, let last = bounds.last else { return "no number" }
        if first.low == least && last.high == greatest {
            if bounds.count == 1 { return "any number" }
            var gaps: [String] = []
            for (one, next) in zip(bounds, bounds.dropFirst()) where one.high &+ 2 == next.low {
                gaps.append(text(one.high &+ 1))
            }
            if gaps.count == bounds.count - 1 {
                return gaps.count > 4 ? "none of \(gaps.count) numbers" : "not \(either(gaps))"
            }
        }
        if bounds.count > 4 {
            let areSingle = bounds.allSatisfy { $0.low == $0.high }
            return "one of \(bounds.count) \(areSingle ? "numbers" : "ranges")"
        }
        return either(
            bounds.map { low, high in
                if low == high { return text(low) }
                if low == least && high == -1 && isSigned { return "negative" }
                if low == least && (isSigned || bounds.count == 1) { return "\(text(high)) or less" }
                if high == greatest { return "\(text(low)) or more" }
                return "\(text(low)) to \(text(high))"
            })
    }

    /// The least and the greatest value, as bit patterns.
    private static func limits(_ type: FieldType) -> (Int64, Int64) {
        switch type {
        case .int32: (Int64(Int32.min), Int64(Int32.max))
        case .int64: (.min, .max)
        case .uint16: (0, Int64(UInt16.max))
        case .uint32: (0, Int64(UInt32.max))
        case .uint64, .pointer, .time, .bool, .string, .stringArray, .bytes, .uint64Array, .credentials,
            .socketAddress, .int32Pair, .timespec:
            (0, -1)
        }
    }

    /// Numbers of system calls by their names; those of both tables are one.
    private static func calls(_ ranges: [ClosedRange<Int64>], _ catalog: Catalog) -> String {
        let isNegated = ranges.first?.lowerBound == .min && ranges.last?.upperBound == .max
        // What lies between the ranges, or in them: not more than there are calls.
        let gaps = zip(ranges, ranges.dropFirst()).compactMap { one, next -> ClosedRange<Int64>? in
            next.lowerBound > one.upperBound &+ 1 ? one.upperBound &+ 1...next.lowerBound &- 1 : nil
        }
        let numbers = (isNegated ? gaps : ranges).flatMap { $0.prefix(1024) }
        var names: [String] = []
        for number in numbers {
            let isCompat = number >= IdentityField.compatCall
            let plain = Int(clamping: isCompat ? number - IdentityField.compatCall : number)
            let name = catalog.systemCallName(plain, isCompat: isCompat)
            let shown = name.isEmpty ? String(plain) : name
            if !names.contains(shown) { names.append(shown) }
        }
        if names.count > 4 { return "\(isNegated ? "none" : "one") of \(names.count) system calls" }
        return (isNegated ? "not " : "") + either(names)
    }

    // MARK: Scopes

    /// A scope as items that one could write.
    static func items(_ scope: Scope) -> [String] {
        var items: [String] = []
        for key in ScopeKey.allCases {
            guard let restriction = scope.restrictions[key] else { continue }
            let name = key.rawValue
            let included = texts(restriction.included, restriction.includedPatterns)
            let excluded = texts(restriction.excluded, restriction.excludedPatterns)
            if !included.isEmpty { items.append("\(name)=\(included)") }
            if !excluded.isEmpty { items.append("\(name)!=\(excluded)") }
            if let range = restriction.range {
                if range.lowerBound > 0 { items.append("\(name)>=\(range.lowerBound)") }
                if range.upperBound < .max { items.append("\(name)<=\(range.upperBound)") }
            }
        }
        for (paths, operation) in [(scope.executables.included, "="), (scope.executables.excluded, "!=")]
        where !paths.isEmpty {
            let texts = paths.map { path in
                (path.namespace.map { "\($0):" } ?? "") + shown(path.bytes)
            }
            items.append("exec\(operation)\(texts.sorted().joined(separator: ","))")
        }
        if let isNew = scope.isNew { items.append("pid\(isNew ? "" : "!")=new") }
        let containers = scope.containers
        if let isContainer = containers.isContainer, containers.isNew == nil, containers.isStarted == nil,
            containers.included.isEmpty
        {
            items.append(isContainer ? "container" : "not-container")
        }
        if let isNew = containers.isNew { items.append("container\(isNew ? "" : "!")=new") }
        if let isStarted = containers.isStarted {
            items.append("container\(isStarted ? "" : "!")=started")
        }
        for (ids, operation) in [(containers.included, "="), (containers.excluded, "!=")] where !ids.isEmpty {
            items.append("container\(operation)\(ids.sorted().joined(separator: ","))")
        }
        if scope.follows { items.append("follow") }
        return items
    }

    private static func texts(_ values: Set<ScopeValue>, _ patterns: Set<StringPattern>) -> String {
        var numbers: [UInt64] = []
        var names: [String] = []
        for value in values {
            switch value {
            case .number(let number): numbers.append(number)
            case .name(let name): names.append(shown(name))
            }
        }
        for pattern in patterns {
            let text = shown(pattern.bytes)
            switch pattern.kind {
            case .exact: names.append(text)
            case .prefix: names.append(text + "*")
            case .suffix: names.append("*" + text)
            case .contains: names.append("*" + text + "*")
            }
        }
        return (numbers.sorted().map(String.init) + names.sorted()).joined(separator: ",")
    }
}
