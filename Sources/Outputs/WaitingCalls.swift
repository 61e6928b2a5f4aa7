internal import Catalog
internal import Events

/// What a call that waits for descriptors is given and changes: sets of descriptors, descriptors to poll, or a time.
struct WaitedField {
    enum Kind {
        case set, polled, time
    }
    let kind: Kind
    let given: StructureLayout
    let left: StructureLayout

    init?(_ field: FieldDefinition) {
        guard field.direction == .inout, let structure = field.structure else { return nil }
        switch structure.name {
        case "pollfd":
            kind = .polled
            given = StructureLayout(structure, without: "revents")
            left = StructureLayout(structure, without: "events", tellsDescriptors: false)
        case "fd_set":
            kind = .set
            given = StructureLayout(structure)
            left = StructureLayout(structure, tellsDescriptors: false)
        default: (kind, given, left) = (.time, StructureLayout(structure), StructureLayout(structure))
        }
    }
}

extension ByteBuffer {
    /// ` (in [3], left {tv_sec=1, tv_usec=0})`, ` ([{fd=3, revents=POLLIN}])` or ` (Timeout)`. Makes its own room and leaves
    /// `after`.
    mutating func append(
        leftBy event: EventView, _ layout: EventLayout, isOver: Bool, after: Int
    ) {
        reserve(64 + after)
        guard !isOver else { return append(" (Timeout)") }
        var (sets, isFirst) = (0, true)
        for number in layout.used {
            let field = layout.fields[number]
            guard let waited = field.waited else { continue }
            defer { if waited.kind == .set { sets += 1 } }
            guard let blob = event.blob(number), blob.isResult else { continue }
            let bits = field.countOfBits.flatMap { event.value($0) }
            if waited.kind == .set && !Self.hasBits(blob.bytes, bits) { continue }
            append(isFirst ? " (" : ", ")
            isFirst = false
            switch waited.kind {
            case .set: append(sets == 0 ? "in " : sets == 1 ? "out " : "except ")
            case .time: append("left ")
            case .polled:
                append(polled: blob, of: event, as: waited.left, after: after)
                continue
            }
            append(
                blob, of: event, as: waited.left, isArray: field.isArray, bits: bits, .words,
                after: 64 + after)
        }
        if !isFirst { append(")") }
    }

    private static func hasBits(_ bytes: RawSpan, _ bits: UInt64?) -> Bool {
        var hasAny = false
        bytes.forEachBit(of: bits) { _ in hasAny = true }
        return hasAny
    }
}
