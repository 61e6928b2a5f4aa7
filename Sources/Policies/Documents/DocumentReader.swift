internal import Expressions

/// Reads YAML, and JSON, which is nearly a part of it, into trees. All that is read is bounded, and what makes
/// small documents large (anchors, aliases, merge keys) is refused.
struct DocumentReader: ~Copyable {
    /// Bytes of a file.
    static let sizeLimit = 1 << 20
    static let depthLimit = 32
    /// Nodes of a file, keys not counted.
    static let nodeLimit = 20_000
    /// Bytes of one text.
    static let textLimit = 16_384

    /// The documents of a file that could be read, without empty ones, and what is wrong. Reading stops at
    /// what is no YAML.
    static func read(
        _ bytes: [UInt8], file: String
    ) -> (documents: [DocumentNode], diagnostics: [PolicyDiagnostic]) {
        guard bytes.count <= sizeLimit else {
            let place = SourcePosition(file: file, line: 1, column: 1)
            return ([], [PolicyDiagnostic("the file is larger than 1 MiB; split it", at: place)])
        }
        let bytes = Array(bytes.starts(with: [0xef, 0xbb, 0xbf]) ? bytes[3...] : bytes[...])
        if let fault = textFault(bytes, file) { return ([], [fault]) }
        let isJSON = file.hasSuffix(".json") || startsAsJSON(bytes)
        var reader = DocumentReader(isJSON ? yaml(fromJSON: bytes) : bytes, file, isJSON)
        var documents: [DocumentNode] = []
        do {
            while let document = try reader.nextDocument() {
                if !document.isNull { documents.append(document) }
            }
        } catch {
            reader.diagnostics.append(error)
        }
        return (documents, reader.diagnostics)
    }

    private var events: YAMLEvents
    private let file: String
    private let isJSON: Bool
    private var nodes = 0
    private var diagnostics: [PolicyDiagnostic] = []

    private init(_ bytes: [UInt8], _ file: String, _ isJSON: Bool) {
        events = YAMLEvents(bytes)
        self.file = file
        self.isJSON = isJSON
    }

    private mutating func nextDocument() throws(PolicyDiagnostic) -> DocumentNode? {
        while true {
            switch try nextEvent().part {
            case .streamEnd: return nil
            case .documentStart: return try node(try nextEvent(), depth: 1)
            default: continue
            }
        }
    }

    private mutating func nextEvent() throws(PolicyDiagnostic) -> YAMLEvents.Event {
        do throws(YAMLEvents.Fault) {
            return try events.next()
        } catch {
            throw diagnostic(of: error)
        }
    }

    private func position(_ event: YAMLEvents.Event) -> SourcePosition {
        SourcePosition(file: file, line: event.line &+ 1, column: event.column &+ 1)
    }

    private mutating func node(
        _ event: YAMLEvents.Event, depth: Int
    ) throws(PolicyDiagnostic) -> DocumentNode {
        let place = position(event)
        nodes += 1
        guard nodes <= Self.nodeLimit else {
            throw PolicyDiagnostic(
                "the file has more than \(Self.nodeLimit) values; split it", at: place)
        }
        guard depth <= Self.depthLimit else {
            throw PolicyDiagnostic(
                "this is nested deeper than \(Self.depthLimit) levels, and a policy needs six", at: place)
        }
        try refuseReferences(event, place)
        switch event.part {
        case .scalar(let text, let style):
            try check(text, place)
            return DocumentNode(content: .scalar(text, style), position: place)
        case .sequenceStart:
            var items: [DocumentNode] = []
            while true {
                let next = try nextEvent()
                if case .sequenceEnd = next.part { break }
                items.append(try node(next, depth: depth + 1))
            }
            return DocumentNode(content: .sequence(items), position: place)
        case .mappingStart: return try mapping(place, depth)
        default:
            throw PolicyDiagnostic("the document ends too early; write what is missing", at: place)
        }
    }

    private mutating func mapping(
        _ place: SourcePosition, _ depth: Int
    ) throws(PolicyDiagnostic) -> DocumentNode {
        var entries: [(key: Located<String>, value: DocumentNode)] = []
        var lines: [String: Int] = [:]
        while true {
            let event = try nextEvent()
            if case .mappingEnd = event.part { break }
            let keyPlace = position(event)
            try refuseReferences(event, keyPlace)
            guard case .scalar(let key, let style) = event.part else {
                throw PolicyDiagnostic(
                    "a key is a text; put quotes round it if it is meant as one", at: keyPlace)
            }
            try check(key, keyPlace)
            guard key != "<<" || style != .plain else {
                throw PolicyDiagnostic(
                    "merge keys ('<<') are not read; write the keys out", at: keyPlace)
            }
            let value = try node(try nextEvent(), depth: depth + 1)
            if let line = lines[key] {
                diagnostics.append(
                    PolicyDiagnostic(
                        "key '\(printable(key))' stands twice, in line \(line) too; remove one", at: keyPlace)
                )
            } else {
                lines[key] = keyPlace.line
                entries.append((Located(key, at: keyPlace), value))
            }
        }
        return DocumentNode(content: .mapping(entries), position: place)
    }

    private func check(_ text: String, _ place: SourcePosition) throws(PolicyDiagnostic) {
        guard text.utf8.count <= Self.textLimit else {
            throw PolicyDiagnostic("this text is longer than \(Self.textLimit) bytes; shorten it", at: place)
        }
        guard !text.utf8.contains(0) else {
            throw PolicyDiagnostic(
                "this text holds a NUL, which no name and no path can; remove it", at: place)
        }
    }

    /// What another place of the document is needed for, or another type than text. `*`, `&` and `!` start
    /// such a thing, which is mostly meant as text.
    private func refuseReferences(
        _ event: YAMLEvents.Event, _ place: SourcePosition
    ) throws(PolicyDiagnostic) {
        if case .alias = event.part {
            throw PolicyDiagnostic(
                "aliases ('*') are not read; put quotes round a text that starts with *, or write it out",
                at: place)
        }
        guard !event.hasAnchor else {
            throw PolicyDiagnostic(
                "anchors ('&') are not read; put quotes round a text that starts with &, or remove it",
                at: place
            )
        }
        guard ["", "!", "tag:yaml.org,2002:str"].contains(event.tag) else {
            throw PolicyDiagnostic(
                "tags ('!') are not read; put quotes round a text that starts with !, or remove it", at: place
            )
        }
    }

    /// libyaml's words, and for its usual ones what to write.
    private func diagnostic(of fault: YAMLEvents.Fault) -> PolicyDiagnostic {
        let language = isJSON ? "JSON" : "YAML"
        var (line, column) = (fault.line, fault.column)
        let advice: String
        switch fault.problem {
        case "found character that cannot start any token":
            advice = "indent with spaces, not tabs, and put quotes round a text that starts with @ or `"
        case "found a tab character that violates indentation",
            "found a tab character where an indentation space is expected":
            advice = "indent with spaces, not tabs"
        case "mapping values are not allowed in this context":
            advice = "put quotes round a text that holds ': ', and each key on a line of its own"
        case "did not find expected key", "did not find expected '-' indicator":
            advice =
                "let the lines of one list or mapping start in one column, and nothing follow a closing quote"
        case "block sequence entries are not allowed in this context":
            advice = "write the first '- ' of a list on a line of its own"
        case "did not find expected alphabetic or numeric character":
            advice = "put quotes round a text that starts with * or &"
        case "did not find expected tag URI", "did not find expected whitespace or line break",
            "found undefined tag handle":
            advice = "put quotes round a text that starts with !"
        case "could not find expected ':'": advice = "write ': ' between the key and its value"
        case "found unexpected end of stream", "found unexpected document indicator":
            (line, column) = (fault.startLine, fault.startColumn)
            advice = "close the quotes that open here"
        case "did not find expected ',' or '}'", "did not find expected ',' or ']'":
            advice = "write a comma between two items, and close the bracket behind the last one"
        case "found unknown escape character", "did not find expected hexdecimal number",
            "found invalid Unicode character escape code":
            advice = "write \\\\ for a backslash, or take single quotes"
        case "did not find expected <document start>": advice = "write --- between two documents"
        default: advice = "correct what stands here"
        }
        return PolicyDiagnostic(
            "this is no valid \(language) (\(printable(fault.problem))); \(advice)",
            at: SourcePosition(file: file, line: line &+ 1, column: column &+ 1))
    }
}

// MARK: Text

extension DocumentReader {
    /// The first thing that is no text, or that YAML does not allow.
    private static func textFault(_ bytes: [UInt8], _ file: String) -> PolicyDiagnostic? {
        do {
            _ = try UTF8Span(validating: bytes.span)
        } catch {
            let place = position(ofByte: error.byteOffsets.lowerBound, bytes, file)
            return PolicyDiagnostic("the file is no UTF-8 here; save it as UTF-8", at: place)
        }
        var (line, column) = (1, 1)
        for scalar in String(decoding: bytes, as: UTF8.self).unicodeScalars {
            if !isAllowed(scalar.value) {
                let code = String(scalar.value, radix: 16)
                return PolicyDiagnostic(
                    "the file holds the control character U+\(code) here; remove it",
                    at: SourcePosition(file: file, line: line, column: column))
            }
            (line, column) = scalar == "\n" ? (line + 1, 1) : (line, column + 1)
        }
        return nil
    }

    /// What YAML 1.1 calls printable (section 5.1).
    private static func isAllowed(_ scalar: UInt32) -> Bool {
        switch scalar {
        case 9, 10, 13, 0x20...0x7e, 0x85, 0xa0...0xd7ff, 0xe000...0xfefe, 0xff00...0xfffd,
            0x10000...0x10ffff:
            true
        default: false
        }
    }

    private static func position(ofByte place: Int, _ bytes: [UInt8], _ file: String) -> SourcePosition {
        var (line, column) = (1, 1)
        for byte in bytes.prefix(place) {
            if byte == 10 {
                (line, column) = (line + 1, 1)
            } else if byte & 0xc0 != 0x80 {
                column += 1
            }
        }
        return SourcePosition(file: file, line: line, column: column)
    }

    private static func startsAsJSON(_ bytes: [UInt8]) -> Bool {
        let first = bytes.first { ![9, 10, 13, 32].contains($0) }
        return first == UInt8(ascii: "{") || first == UInt8(ascii: "[")
    }

    /// JSON as YAML reads it: with spaces for the tabs between texts, and with one escape for the two (a pair
    /// of surrogates) that JSON has for a character behind U+FFFF.
    static func yaml(fromJSON bytes: [UInt8]) -> [UInt8] {
        var made: [UInt8] = []
        made.reserveCapacity(bytes.count)
        var isText = false
        var at = 0
        while at < bytes.count {
            let byte = bytes[at]
            if isText && byte == UInt8(ascii: "\\") {
                if let high = unit(bytes, at), 0xd800..<0xdc00 ~= high,
                    let low = unit(bytes, at + 6), 0xdc00..<0xe000 ~= low,
                    let scalar = Unicode.Scalar(0x10000 + (high - 0xd800) << 10 + (low - 0xdc00))
                {
                    let digits = String(scalar.value, radix: 16)
                    made += Array("\\U".utf8) + repeatElement(UInt8(ascii: "0"), count: 8 - digits.utf8.count)
                    made += Array(digits.utf8)
                    at += 12
                } else {
                    made += bytes[at..<min(at + 2, bytes.count)]
                    at += 2
                }
                continue
            }
            if byte == UInt8(ascii: "\"") { isText.toggle() }
            made.append(byte == 9 && !isText ? 32 : byte)
            at += 1
        }
        return made
    }

    /// The number of an escape like `\u20ac`.
    private static func unit(_ bytes: [UInt8], _ at: Int) -> UInt32? {
        guard at + 6 <= bytes.count, bytes[at] == UInt8(ascii: "\\"), bytes[at + 1] == UInt8(ascii: "u")
        else {
            return nil
        }
        let digits = bytes[(at + 2)..<(at + 6)]
        guard digits.allSatisfy({ $0 != UInt8(ascii: "+") && $0 != UInt8(ascii: "-") }) else { return nil }
        return UInt32(String(decoding: digits, as: UTF8.self), radix: 16)
    }
}
