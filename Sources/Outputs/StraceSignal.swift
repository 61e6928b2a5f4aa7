internal import Catalog
internal import Events
internal import Symbols

/// A signal as strace shows it, without brackets: `SIGCHLD {si_signo=SIGCHLD, si_code=CLD_EXITED, si_pid=4711, …}`.
struct StraceSignal {
    private let catalog: Catalog
    /// Indexes of the event's fields.
    private let code, error, process, user, status, userTime, systemTime, value, timer, overrun: Int
    private let address, band, descriptor, callAddress, call, architecture: Int
    private let codes = SignalCodes()
    private let errors = SymbolTable.named("errno")
    private let architectures = SymbolTable.named("audit_arch")

    private static let i386: UInt32 = 0x4000_0003  // AUDIT_ARCH_I386

    /// The most that ``append(_:to:)`` writes.
    static let room = 1024

    init(_ catalog: Catalog) {
        self.catalog = catalog
        let fields = catalog[EventID.signal_deliver]?.fields ?? []
        // One that is missing has no value in any record.
        func index(_ name: String) -> Int { fields.firstIndex { $0.name == name } ?? .max }
        (code, error, status) = (index("code"), index("error"), index("status"))
        (process, user) = (index("sender_pid"), index("sender_uid"))
        (userTime, systemTime) = (index("user_time"), index("system_time"))
        (value, timer, overrun) = (index("value"), index("timer"), index("overrun"))
        (address, band, descriptor) = (index("address"), index("band"), index("fd"))
        (callAddress, call, architecture) = (index("call_address"), index("syscall"), index("arch"))
    }

    /// The kernel ends a thread by SIGKILL without saying more, also those of a process that exits; strace shows only how
    /// each ended.
    func isShown(_ event: EventView) -> Bool {
        number(event, 0) != SignalCodes.kill || event.value(code) != nil
    }

    /// The room is the caller's.
    func append(_ event: EventView, to buffer: inout ByteBuffer) {
        guard let signal = number(event, 0) else { return buffer.append("? {}") }
        buffer.append(signal: UInt32(bitPattern: signal))
        buffer.append(" {si_signo=")
        buffer.append(signal: UInt32(bitPattern: signal))
        if let code = number(event, code) {
            buffer.append(", si_code=")
            codes.append(code: code, of: signal, &buffer)
            append(event, signal, code, &buffer)
        }
        buffer.append("}")
    }

    private func append(_ event: EventView, _ signal: Int32, _ code: Int32, _ buffer: inout ByteBuffer) {
        if let error = number(event, error), error != 0 {
            buffer.append(", si_errno=")
            append(error, by: errors, &buffer)
        }
        append(", si_pid=", event, process, &buffer)
        append(", si_uid=", event, user, isSigned: false, &buffer)
        if let status = number(event, status) {
            buffer.append(", si_status=")
            if code == SignalCodes.exited {
                buffer.append(decimal: Int64(status))
            } else {
                buffer.append(signal: UInt32(bitPattern: status))
            }
        }
        appendWide(", si_utime=", event, userTime, &buffer)
        appendWide(", si_stime=", event, systemTime, &buffer)
        append(", si_timerid=", event, timer, &buffer)
        append(", si_overrun=", event, overrun, &buffer)
        // As strace: a timer always has one, else only what is none is left out.
        if let value = event.value(value), value != 0 || event.value(timer) != nil {
            buffer.append(", si_int=")
            buffer.append(decimal: Int64(Int32(truncatingIfNeeded: value)))
            append(", si_ptr=", address: value, &buffer)
        }
        if let address = event.value(address) {
            append(", si_addr=", address: address, &buffer)
        } else if code > 0 {
            switch signal {
            case SignalCodes.ill, SignalCodes.trap, SignalCodes.bus, SignalCodes.fpe, SignalCodes.segv:
                buffer.append(", si_addr=NULL")
            default: break
            }
        }
        appendWide(", si_band=", event, band, &buffer)
        append(", si_fd=", event, descriptor, &buffer)
        appendCall(event, &buffer)
    }

    private func appendCall(_ event: EventView, _ buffer: inout ByteBuffer) {
        guard let address = event.value(callAddress), let number = number(event, call) else { return }
        let architecture = UInt32(truncatingIfNeeded: event.value(architecture) ?? 0)
        append(", si_call_addr=", address: address, &buffer)
        buffer.append(", si_syscall=")
        let name = catalog.systemCallName(Int(number), isCompat: architecture == Self.i386)
        if name.isEmpty {
            buffer.append(hexadecimal: UInt64(UInt32(bitPattern: number)))
        } else {
            buffer.append("__NR_")
            buffer.append(name)
        }
        buffer.append(", si_arch=")
        append(Int32(bitPattern: architecture), by: architectures, &buffer)
    }

    // MARK: Pieces

    private func number(_ event: EventView, _ field: Int) -> Int32? {
        event.value(field).map { Int32(truncatingIfNeeded: $0) }
    }

    private func append(
        _ name: StaticString, _ event: EventView, _ field: Int, isSigned: Bool = true,
        _ buffer: inout ByteBuffer
    ) {
        guard let value = number(event, field) else { return }
        buffer.append(name)
        buffer.append(decimal: isSigned ? Int64(value) : Int64(UInt32(bitPattern: value)))
    }

    private func appendWide(
        _ name: StaticString, _ event: EventView, _ field: Int, _ buffer: inout ByteBuffer
    ) {
        guard let value = event.value(field) else { return }
        buffer.append(name)
        buffer.append(decimal: Int64(bitPattern: value))
    }

    private func append(_ name: StaticString, address: UInt64, _ buffer: inout ByteBuffer) {
        buffer.append(name)
        if address == 0 { buffer.append("NULL") } else { buffer.append(hexadecimal: address) }
    }

    private func append(_ number: Int32, by table: SymbolTable?, _ buffer: inout ByteBuffer) {
        let value = UInt64(UInt32(bitPattern: number))
        if !buffer.append(nameOf: value, by: table) { buffer.append(bits: value) }
    }
}
