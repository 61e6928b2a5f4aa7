import Catalog
import Testing

@Suite struct CatalogTests {
    private let events = Catalog.builtIn.events

    private var systemCalls: [EventDefinition] {
        events.filter { if case .systemCall = $0.source { true } else { false } }
    }

    @Test func identifiersAreUnique() {
        #expect(Set(events.map(\.id)).count == events.count)
        #expect(Set(events.map(\.name)).count == events.count)
        let numbers = systemCalls.compactMap { event -> Int? in
            guard case .systemCall(let number, _, _) = event.source else { return nil }
            return number
        }
        #expect(Set(numbers).count == numbers.count)
        let compatNumbers = systemCalls.compactMap { event -> Int? in
            guard case .systemCall(_, let number, _) = event.source else { return nil }
            return number
        }
        #expect(Set(compatNumbers).count == compatNumbers.count)
    }

    @Test func indexesAreDenseWithHooksFirst() {
        #expect(events.map(\.index) == Array(events.indices))
        let isCall = events.map { if case .systemCall = $0.source { true } else { false } }
        #expect(isCall == isCall.sorted { !$0 && $1 })
        #expect(systemCalls.map(\.id) == systemCalls.map(\.id).sorted())
    }

    @Test func lookUps() throws {
        let catalog = Catalog.builtIn
        for event in events {
            #expect(catalog[event.id]?.name == event.name)
            #expect(catalog[event.name]?.id == event.id)
            #expect(catalog.index(of: event.id) == event.index)
            guard case .systemCall(let number, let compat, _) = event.source else { continue }
            if let number {
                #expect(catalog.systemCallName(number, isCompat: false) == event.name)
            }
            if let compat { #expect(catalog.systemCallName(compat, isCompat: true) == event.name) }
        }
        #expect(catalog["no_such_event"] == nil)
        #expect(catalog[EventID(rawValue: 0)] == nil)
        #expect(catalog.index(of: EventID(rawValue: .max)) == nil)
        for number in [-1, 335 + 4, 511, 512, Int.max, Int.min] {
            #expect(catalog.systemCallName(number, isCompat: false) == "", "\(number)")
        }
        #expect(catalog.sets == Set(events.flatMap(\.sets)).sorted())
    }

    /// Read in one place on some kernels and in the other on others.
    private static let readHereOrThere = ["io_uring_submit.address"]

    @Test func everyFieldSaysWhereItIsRead() {
        for event in events {
            #expect(!event.about.isEmpty, "\(event.name)")
            #expect(event.fields.count <= 64, "\(event.name)")
            #expect(Set(event.fields.map(\.name)).count == event.fields.count, "\(event.name)")
            for field in event.fields {
                let place = "\(event.name).\(field.name)"
                let provenance = field.provenance
                #expect(!provenance.isDisjoint(with: [.kernel, .user, .agent]), "\(place)")
                if provenance.contains([.kernel, .user]) {
                    #expect(Self.readHereOrThere.contains(place), "\(place)")
                }
                #expect(provenance.contains(.optional) == field.isOptional, "\(place)")
                // What the kernel holds cannot change between two reads of it.
                #expect(!provenance.contains(.raceable) || provenance.contains(.user), "\(place)")
            }
        }
    }

    @Test func systemCallsEndWithTheirReturnValue() {
        for event in systemCalls {
            #expect(event.fields.count <= 7, "\(event.name)")
            #expect(event.fields.last?.name == "returnValue", "\(event.name)")
            #expect(event.fields.last?.type == .int64, "\(event.name)")
            #expect(event.fields.last?.provenance == .kernel, "\(event.name)")
            #expect(event.sets.contains("syscalls"), "\(event.name)")
        }
    }

    @Test func pointersOfSystemCallsHaveADirection() {
        let pointing: [FieldType] = [
            .pointer, .string, .stringArray, .socketAddress, .int32Pair, .timespec,
        ]
        for event in systemCalls {
            for field in event.fields {
                #expect(
                    (field.direction != nil) == pointing.contains(field.type),
                    "\(event.name).\(field.name)")
                if field.type == .pointer {
                    #expect(field.provenance.contains(.kernel), "\(event.name).\(field.name)")
                    #expect(
                        (field.targetProvenance == nil) == (field.direction == .opaque),
                        "\(event.name).\(field.name)")
                }
            }
        }
    }

    @Test func inputsReadFromUserMemoryAreRaceable() {
        var strings = 0
        for event in systemCalls {
            for field in event.fields {
                let read = field.type == .pointer ? field.targetProvenance : field.provenance
                guard let read, field.direction != nil else { continue }
                let isInput = field.direction == .in || field.direction == .inout
                #expect(read.contains(.user), "\(event.name).\(field.name)")
                #expect(read.contains(.raceable) == isInput, "\(event.name).\(field.name)")
                if field.type == .string && isInput { strings += 1 }
            }
        }
        #expect(strings > 100)
    }

    @Test func nearestNames() {
        let names = events.map(\.name)
        #expect(Catalog.nearest(to: "opnat", among: names).first == "openat")
        #expect(Catalog.nearest(to: "openta", among: names).first == "openat")
        #expect(Catalog.nearest(to: "OPENAT", among: names).first == "openat")
        #expect(Catalog.nearest(to: "execv", among: names).first == "execve")
        #expect(
            Catalog.nearest(to: "sched_process_exce", among: names).first == "sched_process_exec")
        #expect(Catalog.nearest(to: "nothing like an event", among: names) == [])
        #expect(Catalog.nearest(to: "read", among: []) == [])
        #expect(names.allSatisfy { Catalog.nearest(to: $0, among: names).first == $0 })
        #expect(names.allSatisfy { Catalog.nearest(to: $0, among: names).count <= 3 })
    }

    @Test func nearestCountsEdits() {
        // One swap of neighbours is one edit, as is one letter more, less or other.
        #expect(
            Catalog.nearest(to: "abcdef", among: ["abcdfe", "abcde", "abcdefg", "abcdex"]).count
                == 3)
        #expect(Catalog.nearest(to: "ab", among: ["cd", "abcde", "ba"]) == ["ba", "cd"])
        // Of what is equally near, the first by name.
        #expect(Catalog.nearest(to: "cat", among: ["rat", "bat", "cab"]) == ["bat", "cab", "rat"])
        // A third of a long name may be wrong, and no more.
        #expect(Catalog.nearest(to: "abcdefghi", among: ["abcdefxyz"]) == ["abcdefxyz"])
        #expect(Catalog.nearest(to: "abcdefghi", among: ["abcdewxyz"]) == [])
    }
}
