internal import Catalog
public import Expressions

/// Whom one policy traces: restrictions by key, all of which must hold.
public struct Scope: Sendable {
    /// For one key: a value in `included`, or that fits one of `includedPatterns`, matches; else one in
    /// `excluded`, or that fits one of `excludedPatterns`, does not; else the range decides; else only a
    /// restriction that just excludes matches.
    public struct Restriction: Sendable, Equatable {
        public var included: Set<ScopeValue> = []
        public var excluded: Set<ScopeValue> = []
        public var range: ClosedRange<UInt32>?
        /// Of `comm` and `uts`: what has a star. None is `exact`; the kernel's maps hold whole values only.
        public var includedPatterns: Set<StringPattern> = []
        public var excludedPatterns: Set<StringPattern> = []
    }

    /// The programs that processes run: one in `included` matches; else one in `excluded` does not; else only
    /// a restriction that just excludes matches. Both empty restricts nothing.
    public struct Executables: Sendable, Equatable {
        public var included: Set<ExecutablePath> = []
        public var excluded: Set<ExecutablePath> = []
        public var isEmpty: Bool { included.isEmpty && excluded.isEmpty }
    }

    /// In which containers. All that is said must hold.
    public struct Containers: Sendable, Equatable {
        /// In a container, or on the host; nil for both. True also where what else is said needs a container.
        public var isContainer: Bool?
        /// The container was created after, or before, Apus started.
        public var isNew: Bool?
        /// The container's entry point was executed, or was not.
        public var isStarted: Bool?
        /// Ids, or beginnings of ids, as they were written: one of these containers, if there are any.
        public var included: Set<String> = []
        /// Ids, or beginnings of ids: none of these containers, but for those in `included`.
        public var excluded: Set<String> = []
        public var isEmpty: Bool { self == Containers() }
    }

    public internal(set) var restrictions: [ScopeKey: Restriction] = [:]
    public internal(set) var executables = Executables()
    public internal(set) var containers = Containers()
    /// The process was created after, or before, Apus started; nil for both.
    public internal(set) var isNew: Bool?
    /// Descendants of a process that matched the rest match too.
    public internal(set) var follows = false
    /// It was said that everything is meant. Nothing else is then said.
    public internal(set) var isGlobal = false

    public init() {}

    /// Whether nothing was said at all.
    public var isEmpty: Bool {
        restrictions.isEmpty && executables.isEmpty && containers.isEmpty && isNew == nil && !follows
            && !isGlobal
    }

    /// Parses one `--scope` item, as `uid=0,1000`, `comm!=ba*`, `pid>100` or `container`, and adds it. An item
    /// with a mistake changes nothing. Spaces around the item do not count.
    /// - Parameters:
    ///   - hostMountNamespace: the number of the mount namespace that `exec=host:/PATH` means.
    ///   - resolveGroup: gives the id of a control group by its path.
    public mutating func add(
        _ item: String, hostMountNamespace: UInt32? = nil,
        resolveGroup: (String) -> UInt64? = { _ in nil }
    ) throws(PolicyError) {
        let item = try ScopeItem(item)
        guard !isGlobal, isEmpty || item.name != "global" else {
            throw PolicyError(
                "scope '\(item.shown)': global means everything and stands alone; remove it or the others")
        }
        var changed = self
        switch item.name {
        case "global", "follow", "not-container":
            guard item.operation == nil else {
                throw PolicyError("scope '\(item.shown)': \(item.name) takes no value; write \(item.name)")
            }
            switch item.name {
            case "global": changed.isGlobal = true
            case "follow": changed.follows = true
            default: try Self.set(&changed.containers.isContainer, false, item)
            }
        case "container": try changed.containers.add(item)
        case "exec": try changed.executables.add(item, hostMountNamespace)
        default:
            guard let key = ScopeKey(rawValue: item.name) else { throw item.unknownKey }
            if key == .pid, try item.isFlag("new") {
                try Self.set(&changed.isNew, item.operation == .equal, item)
            } else {
                var restriction = restrictions[key] ?? Restriction()
                try restriction.add(item, key, resolveGroup)
                changed.restrictions[key] = restriction
            }
        }
        self = changed
    }

    /// Adds a value as `=` does.
    public mutating func include(_ key: ScopeKey, _ value: ScopeValue) {
        restrictions[key, default: Restriction()].included.insert(value)
    }

    /// Says yes or no to what may have been said already.
    fileprivate static func set(_ flag: inout Bool?, _ value: Bool, _ item: ScopeItem) throws(PolicyError) {
        guard flag == nil || flag == value else {
            throw PolicyError("scope '\(item.shown)' can match nothing beside the items before it")
        }
        flag = value
    }
}

/// A program's file.
public struct ExecutablePath: Hashable, Sendable {
    /// Number of the mount namespace in which the path is meant; nil for any.
    public var namespace: UInt32?
    /// Absolute, without `//`, `.` and `..`; at most 256.
    public var bytes: [UInt8]

    public init(namespace: UInt32?, bytes: [UInt8]) {
        self.namespace = namespace
        self.bytes = bytes
    }
}

extension Scope.Restriction {
    fileprivate mutating func add(
        _ item: ScopeItem, _ key: ScopeKey, _ resolveGroup: (String) -> UInt64?
    ) throws(PolicyError) {
        guard let operation = item.operation else {
            throw PolicyError("scope '\(item.shown)' lacks an operator; write \(key.rawValue)=VALUE")
        }
        let texts = try item.values()
        switch operation {
        case .equal, .notEqual:
            let isIncluded = operation == .equal
            for text in texts {
                if key.takesPatterns, text.contains("*") {
                    let pattern = try item.pattern(text, limit: key.nameLimit)
                    if isIncluded {
                        includedPatterns.insert(pattern)
                    } else {
                        excludedPatterns.insert(pattern)
                    }
                    continue
                }
                let value = try item.value(text, key, resolveGroup)
                if isIncluded { included.insert(value) } else { excluded.insert(value) }
            }
        case .less, .lessOrEqual, .greater, .greaterOrEqual:
            guard key.takesRange else { throw item.equalityOnly }
            guard texts.count == 1 else {
                throw PolicyError("scope '\(item.shown)': \(operation.rawValue) takes one number")
            }
            let bound = try item.number(texts[0])
            range = try Self.narrow(range ?? 0...UInt32.max, operation, bound, item)
        }
    }

    private static func narrow(
        _ range: ClosedRange<UInt32>, _ operation: ScopeItem.Operation, _ bound: UInt32, _ item: ScopeItem
    ) throws(PolicyError) -> ClosedRange<UInt32> {
        var (low, high) = (UInt64(range.lowerBound), UInt64(range.upperBound))
        switch operation {
        case .less: high = min(high, UInt64(bound) &- 1)
        case .lessOrEqual: high = min(high, UInt64(bound))
        case .greater: low = max(low, UInt64(bound) + 1)
        case .greaterOrEqual: low = max(low, UInt64(bound))
        case .equal, .notEqual: break
        }
        guard low <= high, high <= UInt64(UInt32.max), !(operation == .less && bound == 0) else {
            throw PolicyError("scope '\(item.shown)' can match nothing")
        }
        return UInt32(low)...UInt32(high)
    }
}

extension Scope.Containers {
    fileprivate mutating func add(_ item: ScopeItem) throws(PolicyError) {
        guard let operation = item.operation else { return try Scope.set(&isContainer, true, item) }
        guard operation == .equal || operation == .notEqual else { throw item.equalityOnly }
        let isEqual = operation == .equal
        if try item.isFlag("new") {
            try Scope.set(&isContainer, true, item)
            return try Scope.set(&isNew, isEqual, item)
        }
        if try item.isFlag("started") {
            try Scope.set(&isContainer, true, item)
            return try Scope.set(&isStarted, isEqual, item)
        }
        let ids = try item.values()
        for id in ids where id.utf8.count > 128 || !id.utf8.allSatisfy(Self.isOfIDs) {
            throw PolicyError(
                "scope '\(item.shown)': '\(printable(id))' is no id of a container; write its digits, or the first of them"
            )
        }
        if isEqual {
            try Scope.set(&isContainer, true, item)
            included.formUnion(ids)
        } else {
            excluded.formUnion(ids)
        }
    }

    /// Runtimes name containers with letters, digits and these three.
    private static func isOfIDs(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), UInt8(ascii: "."), UInt8(ascii: "-"):
            true
        default: false
        }
    }
}

extension Scope.Executables {
    fileprivate mutating func add(_ item: ScopeItem, _ hostMountNamespace: UInt32?) throws(PolicyError) {
        guard let operation = item.operation else {
            throw PolicyError("scope '\(item.shown)' lacks an operator; write exec=/PATH")
        }
        guard operation == .equal || operation == .notEqual else { throw item.equalityOnly }
        for text in try item.values() {
            let path = try item.executable(text, hostMountNamespace)
            if operation == .equal { included.insert(path) } else { excluded.insert(path) }
        }
    }
}

/// What is wrong with what the user asked for, in a sentence.
public struct PolicyError: Error, CustomStringConvertible, Sendable {
    public let description: String
    public init(_ description: String) { self.description = description }
}
