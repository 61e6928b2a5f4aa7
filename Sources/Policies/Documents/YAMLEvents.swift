internal import CYaml

/// The parts of a YAML stream in their order, from libyaml.
@safe struct YAMLEvents: ~Copyable {
    struct Event {
        enum Part {
            case streamEnd, documentStart, alias
            case scalar(String, ScalarStyle)
            case sequenceStart, sequenceEnd, mappingStart, mappingEnd
            /// The start of the stream, or the end of a document: nothing to know.
            case other
        }
        let part: Part
        /// From 0.
        let line, column: Int
        let hasAnchor: Bool
        /// Empty where none is written.
        let tag: String
    }

    /// What libyaml says, and where, from 0.
    struct Fault: Error {
        let problem: String
        let line, column: Int
        /// Where what is at fault began, as an open quote.
        let startLine, startColumn: Int
    }

    // libyaml keeps pointers into the parser itself and into its input, so both need places that stay.
    private let parser: UnsafeMutablePointer<yaml_parser_t>
    private let event: UnsafeMutablePointer<yaml_event_t>
    private let input: UnsafeMutableBufferPointer<UInt8>
    private let isReady: Bool

    init(_ bytes: [UInt8]) {
        unsafe parser = .allocate(capacity: 1)
        unsafe event = .allocate(capacity: 1)
        unsafe parser.initialize(to: yaml_parser_t())
        unsafe event.initialize(to: yaml_event_t())
        unsafe input = .allocate(capacity: max(1, bytes.count))
        unsafe _ = input.initialize(from: bytes)
        isReady = unsafe yaml_parser_initialize(parser) == 1
        guard isReady else { return }
        unsafe yaml_parser_set_input_string(parser, input.baseAddress, bytes.count)
        unsafe yaml_parser_set_encoding(parser, YAML_UTF8_ENCODING)
    }

    deinit {
        if isReady { unsafe yaml_parser_delete(parser) }
        unsafe parser.deallocate()
        unsafe event.deallocate()
        unsafe input.deallocate()
    }

    /// Nothing may be asked for behind the end of the stream, or behind a fault.
    mutating func next() throws(Fault) -> Event {
        guard isReady, unsafe yaml_parser_parse(parser, event) == 1 else { throw fault }
        defer { unsafe yaml_event_delete(event) }
        let value = unsafe event.pointee
        let data = unsafe value.data
        let mark = unsafe value.start_mark
        var anchor: UnsafeMutablePointer<UInt8>?
        var tag: UnsafeMutablePointer<UInt8>?
        let part: Event.Part
        switch unsafe value.type {
        case YAML_STREAM_END_EVENT: part = .streamEnd
        case YAML_DOCUMENT_START_EVENT: part = .documentStart
        case YAML_ALIAS_EVENT: part = .alias
        case YAML_SCALAR_EVENT:
            let scalar = unsafe data.scalar
            let bytes = unsafe UnsafeBufferPointer(start: scalar.value, count: scalar.length)
            let style: ScalarStyle =
                switch unsafe scalar.style {
                case YAML_PLAIN_SCALAR_STYLE: .plain
                case YAML_SINGLE_QUOTED_SCALAR_STYLE, YAML_DOUBLE_QUOTED_SCALAR_STYLE: .quoted
                default: .block
                }
            part = unsafe .scalar(String(decoding: bytes, as: UTF8.self), style)
            unsafe (anchor, tag) = (scalar.anchor, scalar.tag)
        case YAML_SEQUENCE_START_EVENT:
            part = .sequenceStart
            unsafe (anchor, tag) = (data.sequence_start.anchor, data.sequence_start.tag)
        case YAML_SEQUENCE_END_EVENT: part = .sequenceEnd
        case YAML_MAPPING_START_EVENT:
            part = .mappingStart
            unsafe (anchor, tag) = (data.mapping_start.anchor, data.mapping_start.tag)
        case YAML_MAPPING_END_EVENT: part = .mappingEnd
        default: part = .other
        }
        return Event(
            part: part, line: Int(clamping: mark.line), column: Int(clamping: mark.column),
            hasAnchor: unsafe anchor != nil, tag: unsafe tag.map { unsafe String(cString: $0) } ?? "")
    }

    private var fault: Fault {
        let state = unsafe parser.pointee
        let problem =
            unsafe state.problem.map { unsafe String(cString: $0) } ?? "there is no memory to read it"
        let mark = unsafe state.problem_mark
        let start = unsafe state.context_mark
        return Fault(
            problem: problem, line: Int(clamping: mark.line), column: Int(clamping: mark.column),
            startLine: Int(clamping: start.line), startColumn: Int(clamping: start.column))
    }
}
