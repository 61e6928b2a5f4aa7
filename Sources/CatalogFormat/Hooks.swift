/// One thing in the kernel that an event needs to see, at one of several places.
public struct Hook: Sendable, Equatable {
    /// Where it can be attached, the best first.
    public let places: [HookPlace]
    /// The event is given without it too, with less to see.
    public let isOptional: Bool
}

/// A place in the kernel where a program can be attached, as the catalogue names it.
public struct HookPlace: Sendable, Equatable {
    public let kind: Kind
    /// The tracepoint or the function; empty for system calls.
    public let target: String
    /// What the function takes, so that one of another shape is left alone; empty for what is no function.
    public let parameters: [ParameterShape]
    /// For tracepoints of single system calls: their names.
    public let calls: [String]
    /// The program that goes there, without the suffix that says how.
    public let program: String

    /// The raw values are the catalogue's spelling.
    public enum Kind: String, Sendable, CaseIterable {
        /// A tracepoint with typed arguments.
        case tracepoint = "tp_btf"
        /// The entry or the exit of a kernel function.
        case entry, exit
        /// The tracepoints of single system calls.
        case callsEnter = "calls_enter"
        case callsExit = "calls_exit"
        /// The entry of a kernel function next to a tracepoint, and a perf tracepoint of `raw_syscalls`: in place of a
        /// tracepoint on kernels that preempt its programs, which they never do with these.
        case kprobe, perf

        public var isFunction: Bool { self == .entry || self == .exit || self == .kprobe }
        /// Whether it is taken only where others may lose runs, and then goes first.
        public var isNeverPreempted: Bool { self == .kprobe || self == .perf }
    }

    /// As in the catalogue, without parameters: `entry:security_file_open`.
    public var description: String {
        "\(kind.rawValue):\(calls.isEmpty ? target : calls.joined(separator: ","))"
    }
}

/// What a parameter of a kernel function is, as far as it matters to a program that reads it.
public enum ParameterShape: Sendable, Equatable {
    /// A pointer to the struct or union of that name.
    case structure(String)
    /// A pointer to anything else.
    case pointer
    /// An integer, an enumeration or a truth value.
    case integer
    /// Whatever the kernel has there.
    case any

    public init(_ text: Substring) {
        switch text {
        case "ptr": self = .pointer
        case "int": self = .integer
        case "any": self = .any
        default: self = .structure(String(text))
        }
    }

    /// Whether a kernel's parameter is what this one asks for.
    public func accepts(_ actual: ParameterShape) -> Bool { self == .any || self == actual }

    public var description: String {
        switch self {
        case .structure(let name): "struct \(name) *"
        case .pointer: "a pointer"
        case .integer: "a number"
        case .any: "something else"
        }
    }
}

extension HookPlace {
    /// Reads `kind:target(parameters) [by PROGRAM]`. Returns what is wrong as a sentence.
    static func parse(_ text: Substring, event: String) -> (place: HookPlace?, fault: String) {
        var rest = text
        var program = Substring(event)
        if let range = Self.range(of: " by ", in: rest) {
            program = trimmed(rest[range.upperBound...])
            rest = trimmed(rest[..<range.lowerBound])
        }
        guard let colon = rest.firstIndex(of: ":"), let kind = Kind(rawValue: String(rest[..<colon])) else {
            let known = Kind.allCases.map(\.rawValue).joined(separator: ", ")
            return (nil, "'\(text)' is no place: it starts with one of \(known), and a colon")
        }
        var target = rest[rest.index(after: colon)...]
        var parameters: [Substring] = []
        var calls: [Substring] = []
        switch kind {
        case .tracepoint, .perf: break
        case .entry, .exit, .kprobe:
            guard target.last == ")", let parenthesis = target.firstIndex(of: "(") else {
                return (
                    nil, "'\(text)' must say what the function takes, as \(kind.rawValue):function(file, int)"
                )
            }
            parameters = list(target[target.index(after: parenthesis)...].dropLast())
            target = trimmed(target[..<parenthesis])
        case .callsEnter, .callsExit:
            calls = list(target)
            target = ""
        }
        guard !(target.isEmpty && calls.isEmpty) else { return (nil, "'\(text)' names nothing to attach to") }
        let names = (target.isEmpty ? [] : [target]) + parameters + calls + [program]
        if let word = names.first(where: { !isName($0) }) {
            return (nil, "'\(word)' in '\(text)' is no name: letters, digits and _")
        }
        return (
            HookPlace(
                kind: kind, target: String(target), parameters: parameters.map { ParameterShape($0) },
                calls: calls.map(String.init), program: String(program)),
            ""
        )
    }

    private static func isName(_ text: Substring) -> Bool {
        !text.isEmpty
            && text.utf8.allSatisfy {
                switch $0 {
                case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                    UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"):
                    true
                default: false
                }
            }
    }

    /// Words by comma; none of nothing.
    private static func list(_ text: Substring) -> [Substring] {
        let text = trimmed(text)
        return text.isEmpty ? [] : text.split(separator: ",", omittingEmptySubsequences: false).map(trimmed)
    }

    private static func range(of word: String, in text: Substring) -> Range<Substring.Index>? {
        for start in text.indices where text[start...].starts(with: word) {
            return start..<text.index(start, offsetBy: word.count)
        }
        return nil
    }
}
