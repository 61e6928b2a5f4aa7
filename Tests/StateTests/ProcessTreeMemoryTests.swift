import Glibc
import TestSupport
import Testing

@testable import State

/// Limits: what goes when memory is short, and how much there is in all.
@Suite(.serialized) struct ProcessTreeMemoryTests {
    private let first = Lifecycle.first

    private func key(_ process: Int, _ start: UInt64) -> ProcessKey {
        ProcessKey(process: UInt32(process), start: start)
    }

    @Test func endedProcessesGoBeforeLivingOnes() throws {
        let tree = ProcessTree(memoryLimit: 64 << 10, procRoot: nil)
        var life = Lifecycle(tree)
        var time: UInt64 = 10_000
        // Living ones, half of which will have ended.
        var keys: [ProcessKey] = []
        for index in 0..<100 {
            time += 10
            keys.append(key(100 + index, time))
            life.fork(first, keys[index], at: time + 1)
            life.exec(keys[index], "/bin/\(index % 3)", at: time + 2)
        }
        for index in stride(from: 0, to: 100, by: 2) { life.exit(keys[index], at: time + UInt64(index)) }
        let capacity = tree.count + 50
        var added = 0
        while tree.losses.ended < 20 {
            time += 1000
            life.fork(first, key(1000 + added, time), at: time + 1)
            added += 1
            try #require(added < 1000)
        }
        // The oldest ended ones have gone, and nobody else.
        #expect(tree.losses.living == 0)
        #expect(tree.count <= capacity + added)
        for index in 0..<100 {
            let isGone = index % 2 == 0 && index / 2 < 20
            #expect((tree.process(keys[index], at: time) == nil) == isGone, "\(index)")
        }
        while tree.losses.ended < 50 || tree.losses.living < 30 {
            time += 1000
            life.fork(first, key(1000 + added, time), at: time + 1)
            added += 1
            try #require(added < 1000)
        }
        // Then the living that were not heard of for longest. The first has children, and stays.
        #expect(tree.losses.ended == 50)
        #expect(tree.losses.living == 30)
        for index in 0..<100 {
            let isGone = index % 2 == 0 || index / 2 < 30
            #expect((tree.process(keys[index], at: time) == nil) == isGone, "\(index)")
        }
        #expect(tree.process(first, at: time) != nil)
        // Everybody who was there is there or counted.
        #expect(UInt64(tree.count) + tree.losses.ended + tree.losses.living == UInt64(1 + 100 + added))
        #expect(tree.memory <= 64 << 10)
        #expect(tree.faults == [])
    }

    @Test func endedProcessesGoWhenTheirTimeIsOver() {
        let tree = ProcessTree(grace: 1000, procRoot: nil)
        var life = Lifecycle(tree)
        for index in 0..<20 {
            life.fork(first, key(10 + index, 5000), at: 5001)
            life.exit(key(10 + index, 5000), at: 6000)
        }
        #expect(tree.count == 21)
        // A few with each record, that none waits for many.
        life.exec(first, "/init", at: 6999)
        #expect(tree.count == 21)
        for round in 1...5 {
            life.exec(first, "/init", at: 7000)
            #expect(tree.count == 21 - round * 4)
        }
        #expect(tree.losses == ProcessTreeLosses())
        #expect(tree.faults == [])
    }

    /// A parent that ended before its last child waits for that only.
    @Test func aParentGoesRightAfterItsLastChild() {
        let tree = ProcessTree(grace: 1000, procRoot: nil)
        var life = Lifecycle(tree)
        let (parent, child, other) = (key(10, 100), key(11, 110), key(12, 120))
        life.exec(first, "/init", at: 1)
        life.fork(first, other, at: 121, grandparent: first)
        life.fork(first, parent, at: 122)
        life.fork(parent, child, at: 123)
        life.exit(parent, at: 200)
        life.exit(child, at: 300)
        life.exit(other, at: 900)
        life.exec(first, "/init", at: 1299)
        #expect(tree.count == 4)
        life.exec(first, "/init", at: 1300)
        #expect(tree.process(parent, at: 1300) == nil)
        #expect(tree.process(other, at: 1300) != nil)
        #expect(tree.count == 2)
        #expect(tree.faults == [])
    }

    /// A chain of parents and children that all ended goes from its end.
    @Test func longChainsGoToo() {
        let tree = ProcessTree(grace: 1000, procRoot: nil)
        var life = Lifecycle(tree)
        var parent = first
        for index in 0..<1000 {
            let child = key(10 + index, 2000 + UInt64(index) * 10)
            life.fork(parent, child, at: child.start + 1)
            parent = child
        }
        for index in 0..<1000 { life.exit(key(10 + index, 2000 + UInt64(index) * 10), at: 20_000) }
        #expect(tree.count == 1001)
        #expect(tree.faults == [])
        for _ in 0..<250 { life.exec(first, "/init", at: 21_000) }
        #expect(tree.count == 1)
        #expect(tree.faults == [])
    }

    @Test func argumentsAreLeftOutBeforeLivingProcessesGo() {
        let tree = ProcessTree(memoryLimit: 64 << 10, procRoot: nil)
        var life = Lifecycle(tree)
        for index in 0..<40 {
            let child = key(10 + index, 2000 + UInt64(index) * 10)
            life.fork(first, child, at: child.start + 1)
            let arguments = [UInt8](repeating: UInt8(index), count: 4000) + [0]
            life.exec(child, "/bin/\(index)", at: child.start + 2, arguments: arguments)
            #expect(tree.memory <= 64 << 10)
        }
        #expect(tree.losses.arguments > 20)
        #expect(tree.losses.living == 0)
        #expect(tree.count == 41)
        for index in 0..<40 {
            let child = key(10 + index, 2000 + UInt64(index) * 10)
            #expect(tree.path(child, child.start + 2) == "/bin/\(index)")
        }
        #expect(tree.process(key(10, 2000), at: 2002)?.arguments?.count == 4001)
        #expect(tree.process(key(49, 2390), at: 2392)?.arguments == nil)
        // Paths that fill the memory make processes go.
        for index in 0..<40 {
            let child = key(10 + index, 2000 + UInt64(index) * 10)
            life.exec(child, "/\(index)/" + String(repeating: "x", count: 4000), at: child.start + 3)
            #expect(tree.memory <= 64 << 10)
        }
        #expect(tree.losses.living > 10)
        #expect(tree.faults == [])
    }

    @Test func manyProcessesStaySmall() throws {
        let before = Self.residentBytes()
        let limit = 24 << 20
        let tree = ProcessTree(memoryLimit: limit, procRoot: nil)
        var life = Lifecycle(tree)
        var time: UInt64 = 1_000_000
        var records = (0..<64).map {
            life.execRecord("/usr/bin/program-\($0)", arguments: Array("program\0--number\0\($0)\0".utf8))
        }
        var own = life.execRecord("/usr/bin/cc", arguments: Array("cc\0-c\0main-0000000000000.c\0".utf8))
        let place = try #require(own.firstRange(of: Array("0000000000000".utf8))).lowerBound
        func run(_ process: Int, ends: Bool) {
            time += 10_000
            let child = key(process, time)
            life.fork(first, child, at: time + 100)
            if process % 2 == 0 {
                // Half have arguments that nobody else has.
                for (index, digit) in String(time).utf8.enumerated() where index < 13 {
                    own[place + index] = digit
                }
                life.exec(child, record: &own, at: time + 200)
            } else {
                life.exec(child, record: &records[process % 64], at: time + 200)
            }
            if ends { life.exit(child, at: time + 300) }
        }
        for index in 0..<10_000 { run(100 + index, ends: false) }
        for index in 0..<100_000 { run(20_000 + index, ends: true) }
        #expect(tree.livingCount == 10_001)
        #expect(tree.losses.living == 0)
        #expect(tree.losses.arguments == 0)
        #expect(tree.count > 50_000)
        #expect(UInt64(tree.count) + tree.losses.ended == 110_001)
        let memory = tree.memory
        #expect(memory <= limit)
        #expect(memory > limit / 3)
        let resident = Self.residentBytes()
        #expect(resident - before < 48 << 20, "grew by \(resident - before) bytes")
        // More of the same changes nothing.
        for index in 0..<20_000 { run(20_000 + index, ends: true) }
        #expect(tree.memory <= limit)
        #expect(abs(tree.memory - memory) < limit / 50)
        let later = Self.residentBytes()
        #expect(later - resident < 4 << 20, "grew by \(later - resident) bytes more")
        #expect(tree.livingCount == 10_001)
        #expect(tree.faults == [])
    }

    /// Bytes of memory that this process has: the second number of statm (proc(5)), in pages.
    private static func residentBytes() -> Int {
        guard let file = unsafe fopen("/proc/self/statm", "re") else { return 0 }
        defer { unsafe _ = fclose(file) }
        var line = [CChar](repeating: 0, count: 256)
        guard unsafe fgets(&line, 255, file) != nil else { return 0 }
        let text = String(decoding: line.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
        return (text.split(separator: " ").dropFirst().first.flatMap { Int($0) } ?? 0) * Int(getpagesize())
    }

    /// Whatever comes, in little memory.
    @Test func randomRecordsStayWithinLimits() {
        var random = SplitMix64(seed: 99)
        for round in 0..<4 {
            let tree = ProcessTree(
                memoryLimit: 64 << 10, grace: UInt64(1 << (4 + round * 4)), programsEach: 1 + round,
                procRoot: nil)
            var life = Lifecycle(tree)
            var time: UInt64 = 10_000
            for step in 0..<5000 {
                time += UInt64(random.below(20))
                // Half of it makes no sense at all.
                let anyone = { (random: inout SplitMix64) in
                    ProcessKey(
                        process: UInt32(random.below(100)),
                        start: random.below(50) == 0 ? random.number() : UInt64(random.below(6)) * 16)
                }
                let moment = random.below(20) == 0 ? random.number() : time
                let text = String(repeating: "abc/", count: random.below(16) == 0 ? random.below(1000) : 3)
                switch random.below(5) {
                case 0, 1:
                    life.fork(anyone(&random), anyone(&random), at: moment, grandparent: anyone(&random))
                case 2, 3:
                    life.exec(
                        anyone(&random), text + "\(random.below(40))", at: moment,
                        arguments: random.bytes(random.below(8) == 0 ? random.below(5000) : 8),
                        parent: anyone(&random),
                        interpreter: random.below(3) == 0 ? "/ld\(random.below(9))" : nil)
                default: life.exit(anyone(&random), at: moment, parent: anyone(&random))
                }
                _ = tree.path(anyone(&random), moment)
                _ = tree.lineage(anyone(&random), moment)
                guard tree.memory <= 64 << 10 else {
                    Issue.record("\(tree.memory) bytes after step \(step)")
                    return
                }
                if step % 250 == 0 { #expect(tree.faults == [], "step \(step) of round \(round)") }
            }
            #expect(tree.losses.living + tree.losses.ended > 100)
            #expect(tree.losses.images > 0)
            #expect(tree.tree.count >= tree.processes.count)
            #expect(tree.faults == [])
        }
    }
}

extension ProcessTree {
    /// What does not fit together inside.
    var faults: [String] {
        var faults: [String] = []
        let none = ProcessNodes.none
        var children: [UInt32: UInt32] = [:]
        var living = 0
        var count = 0
        var images = 0
        var references: [UInt32: Int] = [:]
        for place in nodes.nodes.indices where nodes.nodes[place].process != 0 {
            let node = nodes.nodes[place]
            count += 1
            if node.isLiving {
                living += 1
                if nodes.living(node.process) != UInt32(place) {
                    faults.append("\(node.key) is not found by number")
                }
            }
            if node.parent != none {
                children[node.parent, default: 0] += 1
                if nodes.nodes[Int(node.parent)].process == 0 {
                    faults.append("\(node.key) has a parent that went")
                }
            }
            var seen = 0
            var image = node.image
            var last = UInt64.max
            while image != none {
                let own = nodes.images[Int(image)]
                for text in [own.executable, own.arguments, own.interpreter] where text != none {
                    references[text, default: 0] += 1
                }
                if own.since > last { faults.append("\(node.key) has programs out of order") }
                last = own.since
                seen += 1
                image = own.older
            }
            images += seen
            if seen != Int(node.imageCount) { faults.append("\(node.key) miscounts its programs") }
            let wanted: ProcessNodes.List = node.children > 0 ? .no : node.isLiving ? .leaves : .tombstones
            if node.list != wanted { faults.append("\(node.key) is in \(node.list), not \(wanted)") }
        }
        for place in nodes.nodes.indices where nodes.nodes[place].process != 0 {
            if nodes.nodes[place].children != children[UInt32(place)] ?? 0 {
                faults.append("\(nodes.nodes[place].key) miscounts its children")
            }
        }
        if count != nodes.nodeCount { faults.append("\(count) nodes, counted \(nodes.nodeCount)") }
        if living != nodes.livingCount { faults.append("\(living) living, counted \(nodes.livingCount)") }
        if images != nodes.imageCount { faults.append("\(images) programs, counted \(nodes.imageCount)") }
        if references.count != nodes.texts.count { faults.append("texts that nobody has, or that went") }
        for (text, count) in references where nodes.texts.references(to: text) != count {
            faults.append("text \(text) is miscounted")
        }
        return faults
    }
}
