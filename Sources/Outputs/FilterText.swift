internal import Symbols

/// Instructions of classic BPF as C source has them: `BPF_STMT(BPF_RET|BPF_K, 0)` and `BPF_JUMP(BPF_JMP|BPF_K|BPF_JEQ, 0x6, 0,
/// 0x1)`. The bits are those of include/uapi/linux/bpf_common.h and filter.h.
enum FilterText {
    /// The most that ``ByteBuffer/append(instruction:isOfSeccomp:)`` writes.
    static let room = 192

    private static let actions = NumberWords("seccomp_action", width: 32)

    private static let classes: [StaticString] = [
        "BPF_LD", "BPF_LDX", "BPF_ST", "BPF_STX", "BPF_ALU", "BPF_JMP", "BPF_RET", "BPF_MISC",
    ]
    private static let sizes: [StaticString] = ["BPF_W", "BPF_H", "BPF_B", "BPF_DW"]
    private static let modes: [StaticString] = [
        "BPF_IMM", "BPF_ABS", "BPF_IND", "BPF_MEM", "BPF_LEN", "BPF_MSH",
    ]
    private static let operations: [StaticString] = [
        "BPF_ADD", "BPF_SUB", "BPF_MUL", "BPF_DIV", "BPF_OR", "BPF_AND", "BPF_LSH", "BPF_RSH", "BPF_NEG",
        "BPF_MOD",
        "BPF_XOR",
    ]
    private static let jumps: [StaticString] = ["BPF_JA", "BPF_JEQ", "BPF_JGT", "BPF_JGE", "BPF_JSET"]
    private static let values: [StaticString] = ["BPF_K", "BPF_X", "BPF_A"]

    fileprivate static func append(code: UInt16, _ buffer: inout ByteBuffer) {
        let kind = Int(code & 7)
        buffer.append(classes[kind])
        var rest = code & ~7
        switch kind {
        case 0, 1:
            append(sizes, code >> 3 & 3, unit: 8, &buffer)
            append(modes, code >> 5 & 7, unit: 0x20, &buffer)
            rest &= ~0xf8
        case 4, 5:
            append(values, code >> 3 & 1, unit: 8, &buffer)
            append(kind == 4 ? operations : jumps, code >> 4 & 15, unit: 0x10, &buffer)
            rest &= ~0xf8
        case 6:
            append(values, code >> 3 & 3, unit: 8, &buffer)
            rest &= ~0x18
        case 7:
            switch code & 0xf8 {
            case 0: buffer.append("|BPF_TAX")
            case 0x80: buffer.append("|BPF_TXA")
            default: append([], code >> 3 & 31, unit: 8, &buffer)
            }
            rest &= ~0xf8
        default: break
        }
        if rest != 0 {
            buffer.append("|")
            buffer.append(hexadecimal: UInt64(rest))
        }
    }

    /// - Parameter unit: What one of the numbers is in the code, where it has no name.
    private static func append(
        _ names: [StaticString], _ number: UInt16, unit: UInt16, _ buffer: inout ByteBuffer
    ) {
        buffer.append("|")
        if Int(number) < names.count {
            buffer.append(names[Int(number)])
        } else {
            buffer.append(hexadecimal: UInt64(number) * UInt64(unit))
        }
    }

    /// What a filter of seccomp returns: an action and its data.
    fileprivate static func append(action: UInt32, _ buffer: inout ByteBuffer) {
        _ = actions.append(UInt64(action & 0xffff_0000), to: &buffer)
        if action & 0xffff != 0 {
            buffer.append("|")
            buffer.append(hexadecimal: UInt64(action & 0xffff))
        }
    }
}

extension ByteBuffer {
    /// One instruction, of eight bytes. The room is the caller's.
    mutating func append(instruction: UInt64, isOfSeccomp: Bool) {
        let code = UInt16(truncatingIfNeeded: instruction)
        let (match, other) = (instruction >> 16 & 0xff, instruction >> 24 & 0xff)
        let operand = UInt32(truncatingIfNeeded: instruction >> 32)
        let isJump = match != 0 || other != 0
        append(isJump ? "BPF_JUMP(" : "BPF_STMT(")
        FilterText.append(code: code, &self)
        append(", ")
        // BPF_RET|BPF_K
        if isOfSeccomp && code == 6 {
            FilterText.append(action: operand, &self)
        } else {
            append(bits: UInt64(operand))
        }
        if isJump {
            append(", ")
            append(bits: match)
            append(", ")
            append(bits: other)
        }
        append(")")
    }
}
