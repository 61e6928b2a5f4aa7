/// The processes of a ``ProcessTree`` as flat arrays: nodes, and the programs that each ran, newest first. What may go
/// stands in two lists, so that making room never searches.
///
/// A node with children stays, so a parent's place is valid while somebody refers to it.
struct ProcessNodes {
    static let none = FlatIndex.none
    static let tick = ProcessSnapshot.tickNanoseconds

    struct Flags: OptionSet {
        let rawValue: UInt8
        /// `start` is the beginning of the clock tick in which it started.
        static let startInTicks = Flags(rawValue: 1)
        static let ended = Flags(rawValue: 2)
        /// No record told the end.
        static let endAssumed = Flags(rawValue: 4)
        /// Nothing but the key is known.
        static let unknown = Flags(rawValue: 8)
        /// `/proc` was asked since the last exec.
        static let asked = Flags(rawValue: 16)
        /// The kernel made it.
        static let root = Flags(rawValue: 32)
        /// The parent is who forked.
        static let creatorKnown = Flags(rawValue: 64)
    }

    enum List: UInt8 { case no, leaves, tombstones }

    struct Node {
        var start: UInt64
        var end: UInt64 = 0
        var process: UInt32
        var parent = ProcessNodes.none
        var children: UInt32 = 0
        /// Newest program.
        var image = ProcessNodes.none
        /// In its list; `next` also in the list of free nodes.
        var previous = ProcessNodes.none
        var next = ProcessNodes.none
        var imageCount: UInt8 = 0
        var flags: Flags = []
        var list = List.no

        var key: ProcessKey { ProcessKey(process: process, start: start) }
        var isLiving: Bool { flags.isDisjoint(with: [.ended, .unknown]) }
    }

    struct Image {
        var since: UInt64
        var name: ProcessName
        var executable = TextStore.none
        var arguments = TextStore.none
        var interpreter = TextStore.none
        /// Also in the list of free images.
        var older = ProcessNodes.none
        var user: UInt32
        var argumentsTruncated = false
        /// It was seen, not told by a record, and taken to have run before `since` too, unless a record tells otherwise.
        var reachesBack = false
    }

    /// A list through the nodes.
    struct Ends {
        var first = ProcessNodes.none
        var last = ProcessNodes.none

        mutating func append(_ at: UInt32, _ nodes: inout [Node]) {
            nodes[Int(at)].previous = last
            if last == ProcessNodes.none { first = at } else { nodes[Int(last)].next = at }
            last = at
        }

        mutating func prepend(_ at: UInt32, _ nodes: inout [Node]) {
            nodes[Int(at)].next = first
            if first == ProcessNodes.none { last = at } else { nodes[Int(first)].previous = at }
            first = at
        }

        mutating func unlink(_ at: UInt32, _ nodes: inout [Node]) {
            let (previous, next) = (nodes[Int(at)].previous, nodes[Int(at)].next)
            if previous == ProcessNodes.none { first = next } else { nodes[Int(previous)].next = next }
            if next == ProcessNodes.none { last = previous } else { nodes[Int(next)].previous = previous }
            nodes[Int(at)].previous = ProcessNodes.none
            nodes[Int(at)].next = ProcessNodes.none
        }
    }

    var nodes: [Node] = []
    var images: [Image] = []
    private var firstFreeNode = Self.none
    var firstFreeImage = Self.none
    private(set) var nodeCount = 0
    var imageCount = 0
    private(set) var livingCount = 0
    private let maximumNodes: Int
    private let maximumImages: Int
    let imagesEach: Int

    private var byKey = FlatIndex()
    /// Living ones by number alone.
    private var byProcess = FlatIndex()
    private let hash = FlatHash()
    /// Last one found, which is often the next one too.
    private var lastFound = Self.none
    /// Living ones without children: those at the front were not heard of for longest.
    var leaves = Ends()
    /// Ended ones without children: those at the front ended first, or nearly so.
    var tombstones = Ends()

    var texts: TextStore
    var losses = ProcessTreeLosses()
    private let grace: UInt64

    init(memoryLimit: Int, grace: UInt64, imagesEach: Int) {
        let limit = max(ProcessTree.minimumMemory, memoryLimit)
        texts = TextStore(memoryLimit: limit / 2)
        self.grace = grace
        self.imagesEach = min(max(1, imagesEach), 64)
        // Two programs for each process: what it forked with, and what it executed.
        let each = MemoryLayout<Node>.stride + 2 * MemoryLayout<Image>.stride
        var count = limit / 2 / each
        while count * each + 2 * FlatIndex.byteCount(for: count) > limit / 2 { count -= count / 32 + 1 }
        maximumNodes = count
        maximumImages = 2 * count
        nodes.reserveCapacity(maximumNodes)
        images.reserveCapacity(maximumImages)
    }

    /// Bytes taken.
    var memory: Int {
        nodes.count * MemoryLayout<Node>.stride + images.count * MemoryLayout<Image>.stride + byKey.byteCount
            + byProcess.byteCount + texts.memory
    }

    subscript(_ at: UInt32) -> Node {
        @inline(__always) get { nodes[Int(at)] }
    }

    mutating func setFlags(_ flags: Flags, of at: UInt32) { nodes[Int(at)].flags.formUnion(flags) }
    mutating func clearFlags(_ flags: Flags, of at: UInt32) { nodes[Int(at)].flags.subtract(flags) }

    // MARK: Finding

    @inline(__always)
    private func keyHash(_ key: ProcessKey) -> UInt32 { hash(key.start, UInt64(key.process)) }

    /// The node of a process. One whose start was known in ticks only gets its exact key.
    @inline(__always)
    mutating func find(_ key: ProcessKey) -> UInt32 {
        if Int(lastFound) < nodes.count, isNode(Int(lastFound), key) { return lastFound }
        let found = byKey.find(keyHash(key)) { isNode($0, key) }
        guard found != Self.none else { return findByTicks(key) }
        lastFound = found
        return found
    }

    @inline(__always)
    private func isNode(_ at: Int, _ key: ProcessKey) -> Bool {
        nodes[at].start == key.start && nodes[at].process == key.process && key.process != 0
    }

    /// The path of what a process ran at a time.
    @inline(__always)
    mutating func executable(of key: ProcessKey, at time: UInt64) -> UInt32 {
        let at = find(key)
        guard at != Self.none else { return TextStore.none }
        let image = image(of: at, at: time)
        return image == Self.none ? TextStore.none : images[Int(image)].executable
    }

    private mutating func findByTicks(_ key: ProcessKey) -> UInt32 {
        let at = living(key.process)
        guard at != Self.none, nodes[Int(at)].start / Self.tick == key.start / Self.tick else {
            return Self.none
        }
        // Whoever asks may know ticks only.
        if key.start % Self.tick == 0 { return at }
        guard nodes[Int(at)].flags.contains(.startInTicks) else { return Self.none }
        byKey.remove(at, hash: keyHash(nodes[Int(at)].key))
        nodes[Int(at)].start = key.start
        nodes[Int(at)].flags.remove(.startInTicks)
        byKey.insert(at, hash: keyHash(key))
        return at
    }

    /// The living process with a number.
    func living(_ process: UInt32) -> UInt32 {
        byProcess.find(hash(UInt64(process))) { nodes[$0].process == process }
    }

    // MARK: Entering and removing

    /// Evicts until there is room for both. Must come before places are kept: it may take any node without children.
    @inline(__always)
    mutating func makeRoom(nodes: Int, images: Int) {
        while maximumNodes - nodeCount < nodes || maximumImages - imageCount < images {
            guard evictTombstone() || evictLeaf() else { return }
        }
    }

    mutating func evictTombstone() -> Bool {
        guard tombstones.first != Self.none else { return false }
        losses.ended += 1
        remove(tombstones.first)
        return true
    }

    mutating func evictLeaf() -> Bool {
        guard leaves.first != Self.none else { return false }
        losses.living += 1
        remove(leaves.first)
        return true
    }

    /// Takes away those that ended long enough ago: a few each time, so that no record waits for many.
    @inline(__always)
    mutating func expire(_ now: UInt64) {
        for _ in 0..<4 {
            let at = tombstones.first
            guard at != Self.none, hasExpired(nodes[Int(at)].end, now) else { return }
            remove(at)
        }
    }

    @inline(__always)
    private func hasExpired(_ end: UInt64, _ now: UInt64) -> Bool { now >= end && now - end >= grace }

    /// A node of which nothing is known yet and which is in no list: link it, or say what it is.
    mutating func add(_ key: ProcessKey, _ flags: Flags = []) -> UInt32 {
        let node = Node(start: key.start, process: key.process, flags: flags.union(.unknown))
        let at: UInt32
        if firstFreeNode != Self.none {
            at = firstFreeNode
            firstFreeNode = nodes[Int(at)].next
            nodes[Int(at)] = node
        } else {
            at = UInt32(nodes.count)
            nodes.append(node)
        }
        byKey.insert(at, hash: keyHash(key))
        nodeCount += 1
        return at
    }

    private mutating func remove(_ at: UInt32) {
        unlist(at)
        let node = nodes[Int(at)]
        if node.isLiving { forgetNumber(at) }
        byKey.remove(at, hash: keyHash(node.key))
        var image = node.image
        while image != Self.none { image = releaseImage(image) }
        // Number and start 0 are nobody's.
        nodes[Int(at)] = Node(start: 0, process: 0)
        nodes[Int(at)].next = firstFreeNode
        firstFreeNode = at
        nodeCount -= 1
        if node.parent != Self.none { leave(node.parent) }
    }

    // MARK: Life and end

    /// It did something at a time, so it lives, unless it is known to have ended. Its number is nobody else's then.
    mutating func revive(_ at: UInt32, at time: UInt64) {
        if nodes[Int(at)].flags.contains(.endAssumed), time > nodes[Int(at)].end {
            clearFlags([.ended, .endAssumed], of: at)
            // So that it is not taken for one that lives already.
            setFlags(.unknown, of: at)
        }
        let node = nodes[Int(at)]
        if node.flags.contains(.ended) {
            clearFlags(.unknown, of: at)
            return
        }
        let other = living(node.process)
        if other == at {
            list(at)
            return
        }
        if other != Self.none {
            losses.ends += 1
            guard nodes[Int(other)].start <= node.start else {
                clearFlags(.unknown, of: at)
                setEnd(at, nodes[Int(other)].start, [.ended, .endAssumed])
                return
            }
            forgetNumber(other)
            setEnd(other, node.start, [.ended, .endAssumed])
        }
        clearFlags(.unknown, of: at)
        byProcess.insert(at, hash: hash(UInt64(node.process)))
        livingCount += 1
        list(at)
    }

    mutating func end(_ at: UInt32, at time: UInt64, isAssumed: Bool) {
        let node = nodes[Int(at)]
        if node.flags.contains(.ended) {
            // Two last threads may both be told to be the last: then the later one was.
            if !isAssumed {
                nodes[Int(at)].end = node.flags.contains(.endAssumed) ? time : max(node.end, time)
                clearFlags(.endAssumed, of: at)
            }
            return
        }
        if isAssumed { losses.ends += 1 }
        if node.isLiving { forgetNumber(at) }
        setEnd(at, time, isAssumed ? [.ended, .endAssumed] : .ended)
    }

    /// A process of which nothing was known when `/proc` did not have it either.
    mutating func missed(_ at: UInt32, at time: UInt64) {
        guard nodes[Int(at)].flags.contains(.unknown) else { return }
        setEnd(at, time, [.ended, .endAssumed])
    }

    private mutating func setEnd(_ at: UInt32, _ time: UInt64, _ flags: Flags) {
        nodes[Int(at)].end = time
        setFlags(flags, of: at)
        list(at)
    }

    private mutating func forgetNumber(_ at: UInt32) {
        byProcess.remove(at, hash: hash(UInt64(nodes[Int(at)].process)))
        livingCount -= 1
    }

    // MARK: Parents

    /// Makes one process the parent of another. False where that cannot be: a parent starts no later.
    @discardableResult
    mutating func setParent(_ at: UInt32, _ parent: UInt32, isCreator: Bool) -> Bool {
        guard canBeParent(parent, of: at) else { return false }
        if isCreator { setFlags(.creatorKnown, of: at) }
        let old = nodes[Int(at)].parent
        guard old != parent else { return true }
        unlist(parent)
        nodes[Int(at)].parent = parent
        nodes[Int(parent)].children += 1
        clearFlags(.root, of: at)
        if old != Self.none { leave(old) }
        return true
    }

    /// Whether a process with this key may be the parent.
    func canBeParent(_ key: ProcessKey, isInTicks: Bool = false, of at: UInt32) -> Bool {
        let child = nodes[Int(at)]
        if key.process == child.process && key.start == child.start { return false }
        if key.start <= child.start { return true }
        return (isInTicks || child.flags.contains(.startInTicks))
            && key.start / Self.tick <= child.start / Self.tick
    }

    private func canBeParent(_ parent: UInt32, of at: UInt32) -> Bool {
        let node = nodes[Int(parent)]
        guard
            parent != at, canBeParent(node.key, isInTicks: node.flags.contains(.startInTicks), of: at)
        else { return false }
        if nodes[Int(at)].children == 0 { return true }
        // Starts only fall on the way up, so a circle would lie within one tick.
        let start = nodes[Int(at)].start / Self.tick
        var up = parent
        for _ in 0..<64 {
            if up == at { return false }
            up = nodes[Int(up)].parent
            guard up != Self.none, nodes[Int(up)].start / Self.tick >= start else { return true }
        }
        return false
    }

    /// A parent has a child less.
    private mutating func leave(_ parent: UInt32) {
        nodes[Int(parent)].children -= 1
        guard nodes[Int(parent)].children == 0 else { return }
        let flags = nodes[Int(parent)].flags
        // A mere key is of use only as a parent.
        if flags.contains(.unknown), !flags.contains(.ended) {
            remove(parent)
        } else {
            list(parent, wasParent: true)
        }
    }
}
