internal import Symbols

/// Signals, and how processes end.
extension ByteBuffer {
    private static let signals = SymbolTable.named("signal")

    /// `SIGTERM`, or a number that has no name. At most 32 bytes; the room is the caller's.
    mutating func append(signal: UInt32) {
        guard let table = Self.signals else { return append(decimal: UInt64(signal)) }
        append(UInt64(signal), by: table, width: 32, unknown: .decimal)
    }

    /// A set of signals, the first being bit 0: `[INT TERM]`, and `~[KILL STOP]` where most are in it; in JSON the names as
    /// strings. At most 1,024 bytes; the room is the caller's.
    mutating func append(signals set: UInt64, _ style: StructureStyle) {
        var set = set
        if style == .words {
            if set.nonzeroBitCount > 32 {
                append("~")
                set = ~set
            }
            append("[")
        }
        var isFirst = true
        while set != 0 {
            let signal = UInt32(set.trailingZeroBitCount + 1)
            set &= set - 1
            if !isFirst { append(style == .words ? " " : ",") }
            isFirst = false
            if style == .json { append("\"") }
            append(shortSignal: signal, style)
            if style == .json { append("\"") }
        }
        if style == .words { append("]") }
    }

    /// Signals from SIGRTMIN on, of which the C library takes two (signal(7)).
    private static let firstRealTime: UInt32 = 32

    private mutating func append(shortSignal signal: UInt32, _ style: StructureStyle) {
        if signal == Self.firstRealTime && style == .words { return append("RTMIN") }
        if signal >= Self.firstRealTime {
            append(style == .words ? "RT_" : "SIGRT_")
            return append(decimal: UInt64(signal - Self.firstRealTime))
        }
        guard style == .words, let table = Self.signals else { return append(signal: signal) }
        table.forEachPart(of: UInt64(signal), width: 32) { part in
            switch part {
            // Without SIG, as there are many.
            case .name(let name): append(name.bytes.extracting(droppingFirst: 3))
            case .number(let number): append(decimal: number)
            }
        }
    }

    /// What wait4() gives, by the macros of wait(2), as strace does: `{WIFEXITED(s) && WEXITSTATUS(s) == 0}`. At most 96
    /// bytes; the room is the caller's.
    mutating func append(waitStatus status: UInt32) {
        let signal = status & 0x7f
        if status == 0xffff {
            append("{WIFCONTINUED(s)}")
        } else if status & 0xff == 0x7f {
            append("{WIFSTOPPED(s) && WSTOPSIG(s) == ")
            append(signal: status >> 8 & 0xff)
            append("}")
        } else if signal != 0 {
            append("{WIFSIGNALED(s) && WTERMSIG(s) == ")
            append(signal: signal)
            append(status & 0x80 != 0 ? " && WCOREDUMP(s)}" : "}")
        } else {
            append("{WIFEXITED(s) && WEXITSTATUS(s) == ")
            append(decimal: UInt64(status >> 8 & 0xff))
            append("}")
        }
    }
}
