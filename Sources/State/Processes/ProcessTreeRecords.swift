internal import Events

/// What records and rows say, as nodes.
extension ProcessNodes {
    // MARK: Records

    /// The process that a record is about, as the head of the record tells it. Needs room for two nodes and an image.
    private mutating func actor(_ event: EventView) -> UInt32 {
        let key = ProcessKey(process: event.hostProcess, start: event.processStart)
        var at = find(key)
        if at == Self.none { at = add(key) }
        if nodes[Int(at)].image == Self.none {
            var image = Image(since: key.start, name: ProcessName(event.name), user: event.user)
            image.reachesBack = true
            addImage(image, to: at)
        }
        link(at, to: event)
        revive(at, at: event.time)
        return at
    }

    /// Gives a process without a known parent the one that the head of a record tells. It may not be who made it.
    private mutating func link(_ at: UInt32, to event: EventView) {
        guard nodes[Int(at)].parent == Self.none, !nodes[Int(at)].flags.contains(.root) else { return }
        guard event.hostParent != 0 else {
            setFlags(.root, of: at)
            return
        }
        let key = ProcessKey(process: event.hostParent, start: event.parentStart)
        guard key.start != 0, canBeParent(key, of: at) else { return }
        let parent = find(key)
        if parent != Self.none {
            setParent(at, parent, isCreator: false)
        } else {
            setParent(at, add(key), isCreator: false)
        }
    }

    mutating func takeFork(_ event: EventView, child key: ProcessKey) {
        guard event.hostProcess != 0 else { return }
        expire(event.time)
        makeRoom(nodes: 3, images: 3)
        let parent = actor(event)
        var at = find(key)
        if at == Self.none { at = add(key) }
        guard at != parent else { return }
        let image = image(of: parent, at: event.time)
        var own = Image(since: key.start, name: ProcessName(event.name), user: event.user)
        if image != Self.none { own = copyImage(image, since: key.start) }
        own.reachesBack = true
        // The thread that forked may have a name and a user of its own, which the child takes over.
        own.name = ProcessName(event.name)
        own.user = event.user
        addImage(own, to: at)
        setParent(at, parent, isCreator: true)
        revive(at, at: event.time)
    }

    mutating func takeExec(_ event: EventView, path: RawSpan?, interpreter: RawSpan?, arguments: BlobView?) {
        expire(event.time)
        var image = Image(since: event.time, name: ProcessName(event.name), user: event.user)
        // Texts first: to make room for them may take any process.
        if let path { image.executable = self.path(path) }
        if let interpreter { image.interpreter = self.path(interpreter) }
        if let arguments {
            let limit = ProcessSnapshot.argumentLimit
            image.arguments = self.arguments(arguments.bytes.extracting(first: limit))
            image.argumentsTruncated = arguments.isTruncated || arguments.bytes.byteCount > limit
        }
        makeRoom(nodes: 2, images: 2)
        let key = ProcessKey(process: event.hostProcess, start: event.processStart)
        var at = find(key)
        if at == Self.none { at = add(key) }
        addImage(image, to: at)
        clearFlags(.asked, of: at)
        link(at, to: event)
        revive(at, at: event.time)
    }

    mutating func takeExit(_ event: EventView) {
        expire(event.time)
        makeRoom(nodes: 2, images: 2)
        end(actor(event), at: event.time, isAssumed: false)
    }

    // MARK: Rows

    /// Whether `/proc` may tell more of a process: nothing told what it runs, and it was not asked for yet.
    @inline(__always)
    func isWorthAsking(_ at: UInt32) -> Bool {
        guard at != Self.none else { return true }
        let node = nodes[Int(at)]
        guard node.flags.isDisjoint(with: [.ended, .asked]) else { return false }
        return node.image == Self.none || images[Int(node.image)].executable == TextStore.none
    }

    /// Takes in what was seen of a process. None where a record told its end since.
    mutating func enter(_ row: ProcessRow, _ key: ProcessKey, seen: UInt64, isInTicks: Bool) -> UInt32 {
        var image = Image(since: seen, name: ProcessName(row.name), user: row.user)
        image.reachesBack = true
        if let path = row.executable { image.executable = unsafe self.path(path.span.bytes) }
        if let bytes = row.arguments {
            let limit = ProcessSnapshot.argumentLimit
            image.arguments = unsafe arguments(bytes.span.bytes.extracting(first: limit))
            image.argumentsTruncated = row.areArgumentsTruncated || bytes.count > limit
        }
        makeRoom(nodes: 1, images: 2)
        var at = find(key)
        if at == Self.none { at = add(key, isInTicks ? .startInTicks : []) }
        guard !nodes[Int(at)].flags.contains(.ended) else {
            releaseTexts(image)
            return Self.none
        }
        let newest = nodes[Int(at)].image
        if newest == Self.none {
            addImage(image, to: at)
        } else if images[Int(newest)].executable == TextStore.none {
            // Records told that it runs something, but not what. Alone it holds for what was before, too.
            let isAlone = images[Int(newest)].older == Self.none
            if !isAlone { image.since = images[Int(newest)].since }
            replaceImage(newest, image)
        } else {
            complete(newest, image)
        }
        if row.hasEnded {
            end(at, at: seen, isAssumed: false)
            clearFlags(.unknown, of: at)
        } else {
            revive(at, at: seen)
        }
        return at
    }

    /// The arguments of a program whose record did not have them.
    private mutating func complete(_ place: UInt32, _ image: Image) {
        let known = images[Int(place)]
        guard known.arguments == TextStore.none, known.executable == image.executable,
            known.since <= image.since
        else {
            releaseTexts(image)
            return
        }
        images[Int(place)].arguments = image.arguments
        images[Int(place)].argumentsTruncated = image.argumentsTruncated
        texts.release(image.executable)
        texts.release(image.interpreter)
    }

    /// Gives a process without a known parent the living one with a number, if that did not start later.
    mutating func link(_ at: UInt32, to parent: UInt32) {
        guard nodes[Int(at)].parent == Self.none, !nodes[Int(at)].flags.contains(.root) else { return }
        if parent == 0 {
            setFlags(.root, of: at)
            return
        }
        let parent = living(parent)
        if parent != Self.none { setParent(at, parent, isCreator: false) }
    }

    mutating func enter(_ snapshot: ProcessSnapshot) {
        // Ended ones are not found by ticks. If one of them is in the snapshot, its end is the later news.
        var ended: Set<ProcessKey> = []
        for node in nodes where node.flags.contains(.ended) {
            ended.insert(ProcessKey(process: node.process, start: node.start / Self.tick))
        }
        var present: Set<UInt32> = []
        var entered: [(key: ProcessKey, parent: UInt32)] = []
        for row in snapshot.rows {
            guard row.process != 0, let start = row.startNanoseconds else { continue }
            present.insert(row.process)
            if ended.contains(ProcessKey(process: row.process, start: start / Self.tick)) { continue }
            let key = ProcessKey(process: row.process, start: start)
            let seen = row.seen == 0 ? snapshot.began : row.seen
            let at = enter(row, key, seen: seen, isInTicks: row.isStartInTicks)
            if at != Self.none { entered.append((nodes[Int(at)].key, row.parent)) }
        }
        // All are there now, in whatever order they came.
        for (key, parent) in entered {
            let at = find(key)
            if at != Self.none { link(at, to: parent) }
        }
        guard snapshot.isWhole else { return }
        for place in nodes.indices {
            let node = nodes[place]
            guard node.isLiving, node.process != 0, !present.contains(node.process),
                isOlder(node, than: snapshot.began)
            else { continue }
            end(UInt32(place), at: snapshot.began, isAssumed: true)
        }
    }

    /// Whether all that is known of a process was before a time.
    private func isOlder(_ node: Node, than time: UInt64) -> Bool {
        guard node.start / Self.tick < time / Self.tick else { return false }
        return node.image == Self.none || images[Int(node.image)].since < time
    }
}

extension ProcessRow {
    /// Nil where no clock could say so.
    var startNanoseconds: UInt64? {
        switch start {
        case .nanoseconds(let start): return start
        case .ticks(let ticks):
            let (start, overflow) = ticks.multipliedReportingOverflow(by: ProcessNodes.tick)
            return overflow ? nil : start
        }
    }

    var isStartInTicks: Bool {
        if case .ticks = start { return true }
        return false
    }
}
