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
    public internal(set) var containers = Containers()

    /// Which policies restrict the containers that they look into.
    public struct Containers: Sendable {
        /// Policies that take nothing outside a container, and nothing inside one.
        public internal(set) var inside: UInt64 = 0
        public internal(set) var outside: UInt64 = 0
        /// Only those made since Apus started, or before.
        public internal(set) var new: UInt64 = 0
        public internal(set) var old: UInt64 = 0
        /// Only those in which something was executed, or nothing was yet.
        public internal(set) var started: UInt64 = 0
        public internal(set) var unstarted: UInt64 = 0
        /// What each policy names, by its number: the ones it takes, and the ones it does not.
        public internal(set) var included: [Int: Set<String>] = [:]
        public internal(set) var excluded: [Int: Set<String>] = [:]

        /// Policies that restrict anything.
        public var used: UInt64 {
            inside | outside | excluded.keys.reduce(0) { $0 | 1 << UInt64($1) }
        }
        /// Policies that name what they take.
        public var named: UInt64 { included.keys.reduce(0) { $0 | 1 << UInt64($1) } }

        /// The policies that name a container, and those that leave it out by name.
        /// - Parameter id: of the container; a policy may name the beginning of it.
        public func naming(_ id: String) -> (included: UInt64, excluded: UInt64) {
            func policies(_ names: [Int: Set<String>]) -> UInt64 {
                names.reduce(0) {
                    $1.value.contains { id.utf8.starts(with: $0.utf8) } ? $0 | 1 << UInt64($1.key) : $0
                }
            }
            let included = policies(included)
            return (included, policies(excluded) & ~included)
        }

        /// Of some policies, those that take a control group.
        /// - Parameter container: whose group it is; nil for one that is no container's.
        public func taking(
            _ policies: UInt64, _ container: (id: String, isNew: Bool, isStarted: Bool)?
        ) -> UInt64 {
            guard let container else { return policies & ~inside }
            let names = naming(container.id)
            var taken = ~outside & ~(container.isNew ? old : new)
            taken &= container.isStarted ? ~unstarted : ~started
            taken &= ~named | names.included
            return policies & taken & ~names.excluded
        }

        mutating func add(_ scope: Scope.Containers, policy: Int) {
            let bit: UInt64 = 1 << UInt64(policy)
            if scope.isContainer == true { inside |= bit }
            if scope.isContainer == false { outside |= bit }
            if scope.isNew == true { new |= bit }
            if scope.isNew == false { old |= bit }
            if scope.isStarted == true { started |= bit }
            if scope.isStarted == false { unstarted |= bit }
            if !scope.included.isEmpty { included[policy] = scope.included }
            if !scope.excluded.isEmpty { excluded[policy] = scope.excluded }
        }
    }

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
        containers.add(scope.containers, policy: policy)
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
