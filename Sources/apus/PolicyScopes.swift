internal import Expressions
internal import Policies

/// What a scope can never take, or says in vain.
enum ScopeLimits {
    /// What is worth knowing of a scope by itself.
    static func notes(_ scope: Scope) -> [String] {
        var notes: [String] = []
        for key in ScopeKey.allCases {
            guard let restriction = scope.restrictions[key] else { continue }
            let name = key.rawValue
            let hasIncluded = !restriction.included.isEmpty || !restriction.includedPatterns.isEmpty
            let hasExcluded = !restriction.excluded.isEmpty || !restriction.excludedPatterns.isEmpty
            if hasIncluded && hasExcluded && restriction.range == nil {
                notes.append("\(name)!= changes nothing: only what \(name)= names is taken")
            }
            if !hasIncluded, isEmpty(restriction) {
                notes.append(
                    "never matches: all numbers from \(bounds(restriction)) are excluded by \(name)!=")
            }
        }
        return notes
    }

    /// Why a test can never hold for what the scope takes.
    static func contradiction(_ test: FieldTest, _ scope: Scope) -> String? {
        guard case .identity(let field) = test.subject, let key = key(of: field),
            let restriction = scope.restrictions[key], restriction.includedPatterns.isEmpty,
            !restriction.included.isEmpty || restriction.range != nil
        else { return nil }
        for value in restriction.included where holds(test.condition, value) { return nil }
        if let range = restriction.range {
            guard case .numbers(let wanted, isSigned: false) = test.condition else { return nil }
            let taken = UInt64(range.lowerBound)...UInt64(range.upperBound)
            let overlaps = wanted.contains {
                UInt64(bitPattern: $0.lowerBound) <= taken.upperBound
                    && UInt64(bitPattern: $0.upperBound) >= taken.lowerBound
            }
            if overlaps { return nil }
        }
        return "the scope's \(key.rawValue) leaves out everything that it wants"
    }

    /// Fields that are the same thing as a key. Not `pid`, which may be that of a thread.
    private static func key(of field: IdentityField) -> ScopeKey? {
        switch field {
        case .userId: .uid
        case .processName: .comm
        case .mountNamespace: .mntns
        case .pidNamespace: .pidns
        case .cgroupId: .cgroup
        case .timestamp, .processorId, .processId, .threadId, .parentProcessId, .hostProcessId, .hostThreadId,
            .hostParentProcessId, .hostName, .isContainer, .containerId, .containerImage, .containerName,
            .containerImageDigest, .podName, .podNamespace, .podUid, .podSandbox, .syscall:
            nil
        }
    }

    private static func holds(_ condition: FieldCondition, _ value: ScopeValue) -> Bool {
        switch (condition, value) {
        case (.numbers(let ranges, isSigned: false), .number(let number)):
            return ranges.contains {
                UInt64(bitPattern: $0.lowerBound) <= number && number <= UInt64(bitPattern: $0.upperBound)
            }
        case (.strings(let patterns, let isNegated), .name(let name)):
            return patterns.contains { $0.matches(name) } != isNegated
        case (.numbers, _), (.bits, _), (.strings, _): return true
        }
    }

    /// All of a range's numbers are excluded one by one.
    private static func isEmpty(_ restriction: Scope.Restriction) -> Bool {
        guard let range = restriction.range, range.count <= restriction.excluded.count else { return false }
        return range.allSatisfy { restriction.excluded.contains(.number(UInt64($0))) }
    }

    private static func bounds(_ restriction: Scope.Restriction) -> String {
        restriction.range.map { "\($0.lowerBound) to \($0.upperBound)" } ?? ""
    }
}
