import State
import TestSupport
import Testing

/// The tree against a simple model with dictionaries and lists, on random lives of processes: numbers are used again, and
/// records are lost or late.
@Suite struct ProcessTreeModelTests {
    private typealias Key = ProcessKey

    private struct Model {
        struct Image {
            var since: UInt64
            var path: String
            var reachesBack: Bool
        }
        struct Process {
            var parent: Key?
            var isRoot = false
            var isUnknown = true
            var images: [Image] = []
            var end: UInt64?
            var isEndAssumed = false
        }
        var processes: [Key: Process] = [:]
        var living: [UInt32: Key] = [:]

        func path(_ key: Key, _ time: UInt64) -> String { image(key, time)?.path ?? "" }

        private func image(_ key: Key, _ time: UInt64) -> Image? {
            let images = processes[key]?.images ?? []
            if let image = images.last(where: { $0.since <= time }) { return image }
            return images.first.flatMap { $0.reachesBack ? $0 : nil }
        }

        func lineage(_ key: Key) -> [Int] {
            var numbers: [Int] = []
            var at = key
            while let process = processes[at], !process.isRoot {
                guard let parent = process.parent else { return numbers + [0] }
                if processes[parent]?.isUnknown != false { return numbers + [-Int(parent.process)] }
                numbers.append(Int(parent.process))
                at = parent
            }
            return numbers
        }

        private mutating func add(_ image: Image, _ key: Key) {
            processes[key]?.images.removeAll { $0.since == image.since }
            processes[key]?.images.append(image)
            processes[key]?.images.sort { $0.since < $1.since }
        }

        private mutating func link(_ key: Key, _ head: Key) {
            guard let process = processes[key], process.parent == nil, !process.isRoot else { return }
            if head.process == 0 {
                processes[key]?.isRoot = true
            } else {
                processes[key]?.parent = head
                if processes[head] == nil { processes[head] = Process() }
            }
        }

        private mutating func end(_ key: Key, _ time: UInt64) {
            processes[key]?.end = time
            processes[key]?.isEndAssumed = true
        }

        private mutating func revive(_ key: Key, _ time: UInt64) {
            processes[key]?.isUnknown = false
            if let process = processes[key], let end = process.end {
                guard process.isEndAssumed, time > end else { return }
                processes[key]?.end = nil
                processes[key]?.isEndAssumed = false
            }
            if let other = living[key.process], other != key {
                if other.start > key.start { return end(key, other.start) }
                end(other, key.start)
            }
            living[key.process] = key
        }

        private mutating func act(_ key: Key, _ head: Key, _ time: UInt64) {
            if processes[key] == nil { processes[key] = Process() }
            if processes[key]?.images.isEmpty == true {
                add(Image(since: key.start, path: "", reachesBack: true), key)
            }
            link(key, head)
            revive(key, time)
        }

        mutating func fork(_ key: Key, _ child: Key, _ head: Key, _ time: UInt64) {
            act(key, head, time)
            if processes[child] == nil { processes[child] = Process() }
            add(Image(since: child.start, path: path(key, time), reachesBack: true), child)
            processes[child]?.parent = key
            processes[child]?.isRoot = false
            revive(child, time)
        }

        mutating func exec(_ key: Key, _ path: String, _ head: Key, _ time: UInt64) {
            if processes[key] == nil { processes[key] = Process() }
            add(Image(since: time, path: path, reachesBack: false), key)
            link(key, head)
            revive(key, time)
        }

        mutating func exit(_ key: Key, _ head: Key, _ time: UInt64) {
            act(key, head, time)
            guard let process = processes[key] else { return }
            if let end = process.end {
                processes[key]?.end = process.isEndAssumed ? time : max(end, time)
            } else {
                processes[key]?.end = time
                living[key.process] = nil
            }
            processes[key]?.isEndAssumed = false
        }
    }

    private enum Record {
        case fork(Key, Key, Key, UInt64)
        case exec(Key, String, Key, UInt64)
        case exit(Key, Key, UInt64)
    }

    @Test(arguments: 1...12) func randomLives(seed: UInt64) {
        var random = SplitMix64(seed: seed)
        let tree = ProcessTree(grace: .max, programsEach: 64, procRoot: nil)
        var life = Lifecycle(tree)
        var model = Model()
        // What really happens: who lives, and who is whose parent now.
        var parents: [Key: Key] = [Lifecycle.first: Key(process: 0, start: 0)]
        var all: [Key] = [Lifecycle.first]
        var late: [(after: Int, Record)] = []
        var time: UInt64 = 1_000_000
        var forks = 0

        func feed(_ record: Record) {
            switch record {
            case .fork(let key, let child, let head, let time):
                life.fork(key, child, at: time, grandparent: head)
                model.fork(key, child, head, time)
                forks += 1
            case .exec(let key, let path, let head, let time):
                life.exec(key, path, at: time, parent: head)
                model.exec(key, path, head, time)
            case .exit(let key, let head, let time):
                life.exit(key, at: time, parent: head)
                model.exit(key, head, time)
            }
        }
        func compare(_ step: Int) {
            #expect(Set(tree.processes.map(\.key)) == Set(model.living.values), "living, step \(step)")
            for key in all {
                for _ in 0..<3 {
                    let moment = random.below(8) == 0 ? key.start : time - UInt64(random.below(3000))
                    #expect(
                        tree.path(key, moment) == model.path(key, moment), "\(key) at \(moment), step \(step)"
                    )
                }
                if model.processes[key] != nil {
                    #expect(tree.lineage(key, time).numbers == model.lineage(key), "\(key), step \(step)")
                    #expect(
                        tree.process(key, at: .max)?.end == model.processes[key]?.end, "\(key), step \(step)")
                }
            }
        }

        for step in 0..<600 {
            time += 1 + UInt64(random.below(60))
            let living = parents.keys.sorted { $0.start < $1.start }
            let someone = living[random.below(living.count)]
            let head = parents[someone] ?? Lifecycle.first
            var record: Record
            switch random.below(10) {
            case 0...3:
                let number = UInt32(2 + random.below(30))
                if parents.keys.contains(where: { $0.process == number }) { continue }
                let child = Key(process: number, start: time)
                parents[child] = someone
                all.append(child)
                time += 1
                record = .fork(someone, child, head, time)
            case 4...6:
                record = .exec(someone, "/bin/\(random.below(9))", head, time)
            default:
                if someone == Lifecycle.first { continue }
                parents[someone] = nil
                for (child, parent) in parents where parent == someone { parents[child] = Lifecycle.first }
                record = .exit(someone, head, time)
            }
            switch random.below(12) {
            case 0: break
            case 1: late.append((step + 1 + random.below(4), record))
            default: feed(record)
            }
            while let index = late.firstIndex(where: { $0.after <= step }) { feed(late.remove(at: index).1) }
            if step % 60 == 0 { compare(step) }
        }
        compare(600)
        #expect(forks > 100)
    }
}
