/// A key that a scope may restrict. The raw values are the spelling on the command line and the
/// order is that of `enum apus_scope_key`.
public enum ScopeKey: String, CaseIterable, Sendable {
    case pid, uid, comm, mntns, pidns, uts, cgroup, tree

    /// Number of the key in the contract.
    public var index: Int { Self.allCases.firstIndex(of: self) ?? 0 }

    var takesRange: Bool { self == .pid || self == .uid }
}

/// A value of a scope key, as the kernel's maps hold it.
public enum ScopeValue: Hashable, Sendable {
    case number(UInt64)
    /// At most 15 bytes for `comm`, 63 for `uts`.
    case name([UInt8])
}

/// What the kernel decides of all policies' scopes: which policies take what.
public struct ScopePlan: Sendable {
    public struct Marks: Sendable, Equatable {
        /// Policies that name the value with `=`.
        public var equals: UInt64 = 0
        /// Policies that name it at all.
        public var mentioned: UInt64 = 0
        public init() {}
    }

    /// Policies that restrict the key, by ``ScopeKey/index``.
    public internal(set) var used = [UInt64](repeating: 0, count: ScopeKey.allCases.count)
    /// Policies that take a value nobody mentions, having used `!=` only.
    public internal(set) var otherwise = [UInt64](repeating: 0, count: ScopeKey.allCases.count)
    public internal(set) var values: [ScopeKey: [ScopeValue: Marks]] = [:]
    /// Inclusive ranges by policy, for `pid` and `uid`.
    public internal(set) var ranges: [ScopeKey: [Int: ClosedRange<UInt32>]] = [:]

    /// When Apus started, in nanoseconds since boot.
    public internal(set) var since: UInt64 = 0
    /// Policies that take processes only which were created since Apus started, or only others.
    public internal(set) var onlyNew: UInt64 = 0
    public internal(set) var onlyOld: UInt64 = 0
    /// Policies that take the descendants too of whom they take.
    public internal(set) var follow: UInt64 = 0
    public internal(set) var programs = Programs()

    /// Which policies restrict the programs that processes run.
    public struct Programs: Sendable {
        public internal(set) var used: UInt64 = 0
        /// Of them, those that name what they do not take.
        public internal(set) var negated: UInt64 = 0
        /// The policies that name a path, in a mount namespace or in all.
        public internal(set) var named: [ExecutablePath: UInt64] = [:]
        /// Where the kernel looks a path up: numbers of tests, and the namespace in which each counts, or 0.
        public internal(set) var tests: [(test: UInt32, mountNamespace: UInt32)] = []

        /// The policies that take a program.
        public func taking(_ path: [UInt8], mountNamespace: UInt32) -> UInt64 {
            let inAll = named[ExecutablePath(namespace: nil, bytes: path)] ?? 0
            let inOne = named[ExecutablePath(namespace: mountNamespace, bytes: path)] ?? 0
            return ~used | ((inAll | inOne) ^ negated)
        }
    }

    public init() {}

    /// Whether the kernel has to keep something of each process.
    public var concernsProcesses: Bool { programs.used | follow != 0 || used[ScopeKey.tree.index] != 0 }

    /// Takes another policy's scope in.
    public mutating func add(_ scope: Scope, policy: Int) {
        let bit: UInt64 = 1 << UInt64(policy)
        if scope.isNew == true { onlyNew |= bit }
        if scope.isNew == false { onlyOld |= bit }
        if scope.follows { follow |= bit }
        if !scope.executables.isEmpty {
            programs.used |= bit
            let isNegated = scope.executables.included.isEmpty
            if isNegated { programs.negated |= bit }
            for path in isNegated ? scope.executables.excluded : scope.executables.included {
                programs.named[path, default: 0] |= bit
            }
        }
        for (key, restriction) in scope.restrictions {
            // Patterns are a test of the records instead, see ``PolicyPlan``.
            guard restriction.includedPatterns.isEmpty && restriction.excludedPatterns.isEmpty else {
                continue
            }
            used[key.index] |= bit
            if !restriction.excluded.isEmpty && restriction.included.isEmpty && restriction.range == nil {
                otherwise[key.index] |= bit
            }
            if let range = restriction.range { ranges[key, default: [:]][policy] = range }
            for value in restriction.excluded {
                values[key, default: [:]][value, default: Marks()].mentioned |= bit
            }
            for value in restriction.included {
                values[key, default: [:]][value, default: Marks()].mentioned |= bit
                values[key, default: [:]][value, default: Marks()].equals |= bit
            }
        }
    }
}
