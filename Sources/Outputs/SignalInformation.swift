internal import Symbols

/// Why a signal came, by name: codes that all signals have, and those of one.
struct SignalCodes {
    private let common = SymbolTable.named("signal_code")
    private let own: [Int32: SymbolTable]

    // Signals, and a code (include/uapi/asm-generic/signal.h, siginfo.h).
    static let (ill, trap, bus, fpe): (Int32, Int32, Int32, Int32) = (4, 5, 7, 8)
    static let (kill, segv, chld, io, sys): (Int32, Int32, Int32, Int32, Int32) = (9, 11, 17, 29, 31)
    static let exited: Int32 = 1  // CLD_EXITED

    init() {
        let tables: [(Int32, SymbolTable?)] = [
            (Self.ill, SymbolTable.named("ill_code")), (Self.trap, SymbolTable.named("trap_code")),
            (Self.bus, SymbolTable.named("bus_code")), (Self.fpe, SymbolTable.named("fpe_code")),
            (Self.segv, SymbolTable.named("segv_code")), (Self.chld, SymbolTable.named("child_code")),
            (Self.io, SymbolTable.named("poll_code")), (Self.sys, SymbolTable.named("sys_code")),
        ]
        own = tables.reduce(into: [:]) { $0[$1.0] = $1.1 }
    }

    /// A number that has no name is hexadecimal. The room is the caller's.
    func append(code: Int32, of signal: Int32, _ buffer: inout ByteBuffer) {
        let value = UInt64(UInt32(bitPattern: code))
        if buffer.append(nameOf: value, by: common) || buffer.append(nameOf: value, by: own[signal]) {
            return
        }
        buffer.append(bits: value)
    }
}

/// What a program is told of a signal: `siginfo_t`, whose members depend on its code as in kernel/signal.c
/// (siginfo_layout).
struct SignalInformation {
    private let codes = SignalCodes()
    private let errors = SymbolTable.named("errno")
    private let notifications = NumberWords("sigevent_notify", width: 32)

    static let shared = SignalInformation()

    /// The most that ``append(_:to:)`` writes.
    static let room = 512

    private static let (user, timer, tkill): (Int32, Int32, Int32) = (0, -2, -6)
    private static let toThread: Int32 = 4  // SIGEV_THREAD_ID

    /// `{si_signo=SIGUSR1, si_code=SI_USER, si_pid=4711, si_uid=0}`, and `{}` where there is no signal. The room is the
    /// caller's.
    func append(_ bytes: RawSpan, to buffer: inout ByteBuffer) {
        guard let signal = number(bytes, 0), signal != 0, let code = number(bytes, 8) else {
            return buffer.append("{}")
        }
        buffer.append("{si_signo=")
        buffer.append(signal: UInt32(bitPattern: signal))
        buffer.append(", si_code=")
        codes.append(code: code, of: signal, &buffer)
        if let error = number(bytes, 4), error != 0 {
            buffer.append(", si_errno=")
            let value = UInt64(UInt32(bitPattern: error))
            if !buffer.append(nameOf: value, by: errors) { buffer.append(decimal: Int64(error)) }
        }
        if code <= 0 {
            appendFromProgram(bytes, code, &buffer)
        } else {
            appendFromKernel(bytes, signal, code, &buffer)
        }
        buffer.append("}")
    }

    /// `{sigev_value={sival_int=42, sival_ptr=0x2a}, sigev_signo=SIGUSR1, sigev_notify=SIGEV_SIGNAL}`, of `struct sigevent`
    /// (include/uapi/asm-generic/siginfo.h). The room is the caller's.
    func append(event bytes: RawSpan, to buffer: inout ByteBuffer) {
        buffer.append("{")
        let value = wide(bytes, 0)
        if value != 0 {
            buffer.append("sigev_value={sival_int=")
            buffer.append(decimal: Int64(Int32(truncatingIfNeeded: value)))
            buffer.append(", sival_ptr=")
            append(address: value, &buffer)
            buffer.append("}, ")
        }
        let way = number(bytes, 12) ?? 0
        buffer.append("sigev_signo=")
        buffer.append(signal: UInt32(bitPattern: number(bytes, 8) ?? 0))
        buffer.append(", sigev_notify=")
        _ = notifications.append(UInt64(UInt32(bitPattern: way)), to: &buffer)
        if way == Self.toThread { append(", sigev_notify_thread_id=", bytes, 16, &buffer) }
        buffer.append("}")
    }

    private func appendFromProgram(_ bytes: RawSpan, _ code: Int32, _ buffer: inout ByteBuffer) {
        switch code {
        case Self.user, Self.tkill: appendSource(bytes, &buffer)
        case Self.timer:
            append(", si_timerid=", bytes, 16, &buffer)
            append(", si_overrun=", bytes, 20, &buffer)
            appendValue(bytes, &buffer)
        default:
            appendSource(bytes, &buffer)
            if wide(bytes, 24) != 0 { appendValue(bytes, &buffer) }
        }
    }

    private func appendFromKernel(
        _ bytes: RawSpan, _ signal: Int32, _ code: Int32, _ buffer: inout ByteBuffer
    ) {
        switch signal {
        case SignalCodes.chld:
            appendSource(bytes, &buffer)
            buffer.append(", si_status=")
            let status = number(bytes, 24) ?? 0
            if code == SignalCodes.exited {
                buffer.append(decimal: Int64(status))
            } else {
                buffer.append(signal: UInt32(bitPattern: status))
            }
            appendWide(", si_utime=", bytes, 32, &buffer)
            appendWide(", si_stime=", bytes, 40, &buffer)
        case SignalCodes.ill, SignalCodes.trap, SignalCodes.bus, SignalCodes.fpe, SignalCodes.segv:
            buffer.append(", si_addr=")
            append(address: wide(bytes, 16), &buffer)
        case SignalCodes.io:
            appendWide(", si_band=", bytes, 16, &buffer)
            append(", si_fd=", bytes, 24, &buffer)
        default:
            if wide(bytes, 16) != 0 { appendSource(bytes, &buffer) }
            if wide(bytes, 24) != 0 { appendValue(bytes, &buffer) }
        }
    }

    private func appendSource(_ bytes: RawSpan, _ buffer: inout ByteBuffer) {
        append(", si_pid=", bytes, 16, &buffer)
        buffer.append(", si_uid=")
        buffer.append(decimal: UInt64(UInt32(bitPattern: number(bytes, 20) ?? 0)))
    }

    private func appendValue(_ bytes: RawSpan, _ buffer: inout ByteBuffer) {
        append(", si_int=", bytes, 24, &buffer)
        buffer.append(", si_ptr=")
        append(address: wide(bytes, 24), &buffer)
    }

    // MARK: Pieces

    private func number(_ bytes: RawSpan, _ at: Int) -> Int32? {
        guard at + 4 <= bytes.byteCount else { return nil }
        return unsafe bytes.unsafeLoadUnaligned(fromByteOffset: at, as: Int32.self)
    }

    private func wide(_ bytes: RawSpan, _ at: Int) -> UInt64 {
        guard at + 8 <= bytes.byteCount else { return 0 }
        return unsafe bytes.unsafeLoadUnaligned(fromByteOffset: at, as: UInt64.self)
    }

    private func append(_ name: StaticString, _ bytes: RawSpan, _ at: Int, _ buffer: inout ByteBuffer) {
        buffer.append(name)
        buffer.append(decimal: Int64(number(bytes, at) ?? 0))
    }

    private func appendWide(_ name: StaticString, _ bytes: RawSpan, _ at: Int, _ buffer: inout ByteBuffer) {
        guard at + 8 <= bytes.byteCount else { return }
        buffer.append(name)
        buffer.append(decimal: Int64(bitPattern: wide(bytes, at)))
    }

    private func append(address: UInt64, _ buffer: inout ByteBuffer) {
        if address == 0 { buffer.append("NULL") } else { buffer.append(hexadecimal: address) }
    }
}

extension ByteBuffer {
    /// The name of a number of 32 bits that has one; else nothing is written. The room is the caller's.
    mutating func append(nameOf value: UInt64, by table: SymbolTable?) -> Bool {
        guard let table else { return false }
        return append(nameOf: value, by: .names(table, width: 32, room: 0))
    }
}
