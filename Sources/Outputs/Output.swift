internal import CSystem
public import Catalog
public import Events
internal import Glibc

/// How events are written, and where to.
public struct OutputRequest: Sendable, Equatable {
    public enum Format: String, Sendable, CaseIterable {
        case json, table, strace, none
    }
    public var format: Format
    /// Nil for standard output.
    public var path: String?
    /// What is shown of environments.
    public var redaction = SecretRedaction()
    /// JSON says numbers in words where they have some; tables always do.
    public var isDecoded = false
    /// Bytes of what is read and written that are shown, 0 to 4,096.
    public var payload = 0
    /// Descriptors are shown with what they are open on.
    public var showsDescriptors = false

    /// Of strace's form: whether a table of all calls is written at the end.
    public enum Summary: Sendable {
        case none, added
        /// ... and nothing else.
        case only
    }
    public var summary = Summary.none
    /// Of strace's form: each line says how long the call took.
    public var showsDurations = false

    public init(format: Format, path: String?) {
        self.format = format
        self.path = path
        // As strace does.
        if format == .strace { payload = 32 }
    }

    /// Whether what system calls' pointers lead to is shown by its members.
    public var showsStructures: Bool {
        switch format {
        case .table: true
        case .strace: summary != .only
        case .json: isDecoded
        case .none: false
        }
    }

    /// Whether it is shown how long calls took.
    public var showsTimes: Bool { summary != .none || showsDurations }

    /// Parses `json`, `table:PATH`, `json:PATH,PATH` or `none`.
    public static func parse(_ text: String) throws(OutputError) -> [OutputRequest] {
        let parts = text.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
        guard let format = Format(rawValue: String(parts[0])) else {
            throw OutputError(
                "unknown output '\(parts[0])'; there are json, table, strace and none, as json or json:PATH")
        }
        guard parts.count == 2 else { return [OutputRequest(format: format, path: nil)] }
        guard format != .none else { throw OutputError("output 'none' takes no path") }
        let paths = parts[1].split(separator: ",", omittingEmptySubsequences: false)
        guard !paths.contains("") else { throw OutputError("output '\(text)' has an empty path") }
        return paths.map { OutputRequest(format: format, path: String($0)) }
    }
}

/// An encoder with its destination.
@safe public final class Output {
    // Behind pointers: as properties they would be checked for exclusive access at each event, which
    // costs a tenth of the whole, though only the pipeline's thread comes here.
    private var json: UnsafeMutablePointer<JSONEncoder>?
    private var table: UnsafeMutablePointer<TableEncoder>?
    private var strace: UnsafeMutablePointer<StraceEncoder>?
    private var summary: UnsafeMutablePointer<CallSummary>?
    private let sink: Sink?
    private var batch: Batch?
    private var counted: [UInt64]
    private var refused: UInt64 = 0

    public init(
        _ request: OutputRequest, catalog: Catalog = .builtIn, clock: Clock, policyNames: [String],
        executable: @escaping (_ process: UInt32, _ start: UInt64, _ time: UInt64) -> [UInt8],
        container: @escaping (_ group: UInt64, _ time: UInt64) -> ShownContainer?,
        lineage: LineageSource? = nil
    ) throws(OutputError) {
        counted = Array(repeating: 0, count: catalog.events.count)
        switch request.format {
        case .none:
            sink = nil
        case .json:
            unsafe json = .allocate(capacity: 1)
            unsafe json?.initialize(
                to: JSONEncoder(
                    catalog: catalog, clock: clock, policyNames: policyNames, executable: executable,
                    container: container, lineage: lineage, redaction: request.redaction,
                    isDecoded: request.isDecoded, showsPayload: request.payload > 0,
                    showsDescriptors: request.showsDescriptors))
            sink = try Sink(path: request.path, events: catalog.events.count)
        case .strace:
            if request.summary != .only {
                unsafe strace = .allocate(capacity: 1)
                unsafe strace?.initialize(
                    to: StraceEncoder(
                        catalog: catalog, clock: clock, redaction: request.redaction,
                        showsDurations: request.showsDurations,
                        showsDescriptors: request.showsDescriptors))
            }
            if request.summary != .none {
                unsafe summary = .allocate(capacity: 1)
                unsafe summary?.initialize(to: CallSummary(catalog))
            }
            sink = try Sink(path: request.path, events: catalog.events.count)
        case .table:
            let columns = request.path == nil ? Int(apus_terminal_columns(STDOUT_FILENO)) : 0
            var table = TableEncoder(
                catalog: catalog, clock: clock, columns: columns, lineage: lineage,
                redaction: request.redaction, showsDescriptors: request.showsDescriptors)
            sink = try Sink(path: request.path, events: catalog.events.count)
            batch = sink?.take()
            if let batch { unsafe table.encodeHeader(into: &batch.buffer.pointee) }
            unsafe self.table = .allocate(capacity: 1)
            unsafe self.table?.initialize(to: table)
        }
    }

    deinit {
        unsafe json?.deinitialize(count: 1)
        unsafe json?.deallocate()
        unsafe table?.deinitialize(count: 1)
        unsafe table?.deallocate()
        unsafe strace?.deinitialize(count: 1)
        unsafe strace?.deallocate()
        unsafe summary?.deinitialize(count: 1)
        unsafe summary?.deallocate()
    }

    /// Writes an event into the current batch.
    /// - Parameter container: another number where something else is shown of the event's container; 0 for none.
    public func write(_ event: EventView, index: Int, container: UInt64) {
        unsafe summary?.pointee.add(event, index: index)
        // What only goes into a table has arrived.
        let isOnlyCounted = unsafe strace == nil && summary != nil
        guard let sink, !isOnlyCounted else {
            counted[index] += 1
            return
        }
        if batch == nil { batch = sink.take() }
        guard let batch else {
            refused += 1
            return
        }
        unsafe json?.pointee.encode(
            event, index: index, container: container, into: &batch.buffer.pointee)
        unsafe table?.pointee.encode(event, index: index, into: &batch.buffer.pointee)
        unsafe strace?.pointee.encode(event, index: index, into: &batch.buffer.pointee)
        batch.counts[index] += 1
        if unsafe batch.buffer.pointee.count >= Batch.bytes { flush() }
    }

    /// Hands the current batch over.
    public func flush() {
        guard let full = batch, unsafe full.buffer.pointee.count > 0 else { return }
        batch = nil
        sink?.give(full)
    }

    /// Other policies are in force: the numbers in the events that follow are theirs.
    public func setPolicyNames(_ names: [String]) { unsafe json?.pointee.setPolicyNames(names) }

    /// A process executed another program.
    /// - Parameter isParent: others come from it, and show it as their ancestor.
    public func forget(process: UInt32, isParent: Bool) {
        unsafe json?.pointee.forget(process: process, isParent: isParent)
        if isParent { unsafe table?.pointee.forgetLineage() }
    }

    /// The errno with which the destination failed, or 0.
    public var failure: Int32 { sink?.failureCode ?? 0 }

    /// Ends the output; waits at most `seconds` for a reader that stopped.
    public func finish(waiting seconds: Int) -> (delivered: [UInt64], undelivered: UInt64) {
        if unsafe summary != nil {
            if batch == nil { batch = sink?.take() }
            if let batch { unsafe summary?.pointee.append(to: &batch.buffer.pointee) }
        }
        flush()
        guard let sink else { return (counted, 0) }
        let result = sink.finish(waiting: seconds)
        return (zip(result.delivered, counted).map { $0 + $1 }, result.undelivered + refused)
    }
}
