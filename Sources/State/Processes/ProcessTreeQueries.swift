/// Lineage, and what there is now.
extension ProcessTree {
    /// Walks from a process to the first one, through those who made each other, as of a time (ns since boot): what
    /// each of them ran then. What a parent ran when it forked is ``executable(of:at:)`` of it at the child's start.
    ///
    /// The process itself is no step. Where it is not known who comes next, a last step says so.
    /// - Parameters:
    ///   - limit: steps at most.
    ///   - body: called for each step, nearest first.
    @discardableResult
    public func ancestry(
        of key: ProcessKey, at time: UInt64, limit: Int = 64, _ body: (ProcessAncestor) -> Void
    ) -> AncestryEnd {
        var at = known(key)
        guard at != ProcessNodes.none else {
            guard limit > 0 else { return .limit }
            body(ProcessAncestor(key: nil, isCreator: false))
            return .unknown
        }
        for _ in 0..<max(0, limit) {
            if nodes[at].flags.contains(.root) { return .root }
            let isCreator = nodes[at].flags.contains(.creatorKnown)
            let parent = nodes[at].parent
            // What is asked may be entered, and what is entered may take another's place.
            at = parent == ProcessNodes.none ? parent : known(nodes[parent].key)
            guard at != ProcessNodes.none else {
                body(ProcessAncestor(key: nil, isCreator: false))
                return .unknown
            }
            var step = ProcessAncestor(key: nodes[at].key, isCreator: isCreator)
            step.isUnknown = nodes[at].flags.contains(.unknown)
            let image = nodes.image(of: at, at: time)
            if image != ProcessNodes.none {
                let image = nodes.images[Int(image)]
                step.user = image.user
                step.name = image.name
                step.executable = nodes.texts[image.executable]
                step.arguments = image.arguments == TextStore.none ? nil : nodes.texts[image.arguments]
            }
            body(step)
            if step.isUnknown { return .unknown }
        }
        return nodes[at].flags.contains(.root) ? .root : .limit
    }

    /// Whether others come from a process, as far as is known.
    public func isParent(_ key: ProcessKey) -> Bool {
        let at = nodes.find(key)
        return at != ProcessNodes.none && nodes[at].children > 0
    }

    /// All living processes, by number.
    public var processes: [ProcessInfo] {
        nodes.nodes.indices.filter { nodes.nodes[$0].isLiving && nodes.nodes[$0].process != 0 }
            .map { nodes.info(UInt32($0), at: .max) }
            .sorted { $0.key.process < $1.key.process }
    }

    /// All living processes, each below its parent, siblings by number. Ended and unknown ones are there if somebody
    /// below them lives.
    public var tree: [ProcessTreeLine] {
        var isShown = [Bool](repeating: false, count: nodes.nodes.count)
        for place in nodes.nodes.indices where nodes.nodes[place].isLiving && nodes.nodes[place].process != 0
        {
            var up = UInt32(place)
            while up != ProcessNodes.none, !isShown[Int(up)] {
                isShown[Int(up)] = true
                up = nodes[up].parent
            }
        }
        var children: [UInt32: [UInt32]] = [:]
        for place in isShown.indices where isShown[place] {
            children[nodes.nodes[place].parent, default: []].append(UInt32(place))
        }
        // The last to be shown is put down first.
        let isLater = { (a: UInt32, b: UInt32) in
            (self.nodes[a].process, self.nodes[a].start) > (self.nodes[b].process, self.nodes[b].start)
        }
        var lines: [ProcessTreeLine] = []
        var rest = (children[ProcessNodes.none] ?? []).sorted(by: isLater).map { (at: $0, depth: 0) }
        while let (at, depth) = rest.popLast() {
            lines.append(ProcessTreeLine(process: nodes.info(at, at: .max), depth: depth))
            rest += (children[at] ?? []).sorted(by: isLater).map { (at: $0, depth: depth + 1) }
        }
        return lines
    }
}

extension ProcessNodes {
    /// What is known of a process at a time.
    func info(_ at: UInt32, at time: UInt64) -> ProcessInfo {
        let node = nodes[Int(at)]
        var info = ProcessInfo(key: node.key)
        info.isStartInTicks = node.flags.contains(.startInTicks)
        if node.parent != Self.none {
            info.parent = nodes[Int(node.parent)].key
            info.isParentCreator = node.flags.contains(.creatorKnown)
        }
        info.isRoot = node.flags.contains(.root)
        info.isUnknown = node.flags.contains(.unknown)
        if node.flags.contains(.ended), node.end <= time { info.end = node.end }
        let place = image(of: at, at: time)
        guard place != Self.none else { return info }
        let image = images[Int(place)]
        info.user = image.user
        info.name = image.name
        info.executable = texts[image.executable]
        info.interpreter = texts[image.interpreter]
        info.arguments = image.arguments == TextStore.none ? nil : texts[image.arguments]
        info.areArgumentsTruncated = image.argumentsTruncated
        info.programSince = image.since
        return info
    }
}
