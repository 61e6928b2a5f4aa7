internal import CContract
internal import Catalog

/// The structures with pointers that are followed or with descriptors, as the kernel's programs know them: by numbers from 1.
struct FollowedStructures {
    /// The first is number 1.
    private(set) var rows: [apus_structure] = []
    private var numbers: [String: UInt8] = [:]
    private let payload: Int
    private let tellsDescriptors: Bool

    init(_ catalog: Catalog, _ targets: PointerTargets) {
        payload = targets.payload
        tellsDescriptors = targets.descriptors
        guard targets.structures else { return }
        for event in catalog.events {
            for field in event.fields { add(field.structure) }
            for one in event.forms?.cases ?? [] {
                for (_, field) in one.arguments { add(field.structure) }
            }
        }
    }

    /// 0 where a structure leads nowhere and has no descriptors, or there was no room for it.
    func number(of structure: StructureDefinition) -> UInt8 { numbers[structure.name] ?? 0 }

    private mutating func add(_ structure: StructureDefinition?) {
        guard let structure, numbers[structure.name] == nil else { return }
        var row = apus_structure()
        row.size = UInt16(structure.size)
        row.is_given = structure.isGiven ? 1 : 0
        var follows: [apus_follow] = []
        for (member, pointer) in structure.pointers {
            add(member.structure)
            if let follow = follow(member, pointer, of: structure) { follows.append(follow) }
        }
        if tellsDescriptors { addDescriptors(of: structure, to: &row) }
        guard !follows.isEmpty || row.held_count > 0, rows.count + 1 < Int(APUS_MAX_STRUCTURES) else {
            return
        }
        row.count = UInt8(follows.count)
        unsafe withUnsafeMutableBytes(of: &row.follows) { bytes in
            for (index, follow) in follows.prefix(Int(APUS_FOLLOWS)).enumerated() {
                unsafe bytes.storeBytes(
                    of: follow, toByteOffset: index * MemoryLayout<apus_follow>.stride, as: apus_follow.self)
            }
        }
        rows.append(row)
        numbers[structure.name] = UInt8(rows.count)
    }

    private func addDescriptors(of structure: StructureDefinition, to row: inout apus_structure) {
        let members = structure.descriptors
        row.held_count = UInt8(members.count)
        if structure.name == "control_messages" { row.held_count = UInt8(APUS_HELD_MESSAGES) }
        if members.first?.type == .set { row.held_count = UInt8(APUS_HELD_BITS) }
        unsafe withUnsafeMutableBytes(of: &row.held) { bytes in
            for (index, member) in members.enumerated() {
                unsafe bytes.storeBytes(
                    of: UInt16(member.offset), toByteOffset: index * MemoryLayout<UInt16>.stride,
                    as: UInt16.self)
            }
        }
    }

    private func follow(
        _ member: StructureMember, _ pointer: PointerMember, of structure: StructureDefinition
    ) -> apus_follow? {
        var follow = apus_follow()
        follow.offset = UInt16(member.offset)
        follow.reader.kind = UInt8(APUS_READ_BYTES.rawValue)
        follow.reader.element = 1
        switch pointer.target {
        case .text:
            follow.reader.kind = UInt8(APUS_READ_STRING.rawValue)
            follow.reader.limit = UInt16(APUS_MAX_STRING)
        case .bytes:
            guard payload > 0 else { return nil }
            follow.reader.limit = UInt16(min(payload, Int(APUS_MAX_STRING)))
        case .socketAddress: follow.reader.limit = 128  // sizeof(struct sockaddr_storage)
        case .structure(_, let isArray):
            guard let target = member.structure else { return nil }
            if isArray || pointer.count == .number(1) { follow.reader.element = UInt16(target.size) }
            follow.reader.limit = SystemCallTable.limit(target, isArray: isArray)
            follow.reader.structure = number(of: target)
        }
        switch pointer.count {
        case .number(let number): follow.count_at = UInt16(clamping: number)
        case .member(let name):
            guard let member = structure.members.first(where: { $0.name == name }) else { return nil }
            follow.count_at = UInt16(member.offset)
            follow.count_bytes = UInt8(member.type.size)
        }
        if pointer.isFilled { follow.flags |= UInt8(APUS_FOLLOW_FILLED) }
        if member.isOfSuccess { follow.flags |= UInt8(APUS_FOLLOW_LEFT) }
        if let fill = pointer.fill {
            guard let member = structure.members.first(where: { $0.name == fill }) else { return nil }
            follow.given_at = UInt16(member.offset)
            follow.flags |= UInt8(APUS_FOLLOW_FILLS)
        }
        return follow
    }
}
