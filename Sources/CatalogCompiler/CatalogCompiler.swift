import CatalogFormat
import Glibc

/// Run by the build: checks the catalogue, and turns it and the kernel object into sources.
///
///     CatalogCompiler swift  OUTPUT CATALOGUE...   the catalogue's text as a Swift source
///     CatalogCompiler header OUTPUT CATALOGUE...   its numbers for the kernel programs
///     CatalogCompiler types  OUTPUT SECTION        a kernel object's .BTF.ext without its line numbers
///     CatalogCompiler object OUTPUT OBJECT         the kernel object as a Swift source
@main
struct CatalogCompiler {
    static func main() {
        let arguments = CommandLine.arguments
        guard arguments.count >= 4 else {
            fail("usage: CatalogCompiler swift|header|types|object OUTPUT INPUT...")
        }
        let inputs = arguments.dropFirst(3)
        switch arguments[1] {
        case "swift": write(swiftSource(inputs), to: arguments[2])
        case "header": write(header(inputs), to: arguments[2])
        case "types": write(withoutLines(bytes(arguments[3])), to: arguments[2])
        case "object": write(objectSource(arguments[3]), to: arguments[2])
        default: fail("'\(arguments[1])' is none of swift, header, types, object")
        }
    }

    static func swiftSource(_ paths: ArraySlice<String>) -> String {
        let files = read(paths)
        let events = parse(files)
        var source = "// Generated from Catalog/ by CatalogCompiler.\n\nimport CatalogFormat\n\n"
        source += "let catalogText: StaticString = #\"\"\"\n"
        for file in files {
            source += "@\(file.name.split(separator: "/").last ?? "")\n"
            for line in file.text.split(separator: "\n") where line.utf8.first != UInt8(ascii: "#") {
                source += line + "\n"
            }
        }
        source += "\"\"\"#\n\nextension EventID {\n"
        for event in events {
            source += "    public static let `\(event.name)` = EventID(rawValue: \(event.id.rawValue))\n"
        }
        return source + "}\n"
    }

    static func header(_ paths: ArraySlice<String>) -> String {
        let events = parse(read(paths))
        var text = "/* Generated from Catalog/ by CatalogCompiler. */\n"
        var firstSystemCall = 0
        for event in events {
            if case .systemCall = event.source { continue }
            let name = event.name.uppercased()
            text += "#define EVENT_\(name) \(event.id.rawValue)\n"
            text += "#define INDEX_\(name) \(event.index)\n"
            text += "#define FIELDS_\(name) \(event.kernelFieldCount)\n"
            for (index, field) in event.fields.prefix(event.kernelFieldCount).enumerated() {
                text += "#define FIELD_\(name)_\(constant(field.name)) \(index)\n"
            }
            firstSystemCall = event.index + 1
        }
        return text + "#define INDEX_FIRST_SYSCALL \(firstSystemCall)\n"
    }

    /// A field's name as part of a C name; some have dots.
    private static func constant(_ name: String) -> String {
        String(name.uppercased().map { $0 == "." ? "_" : $0 })
    }

    static func objectSource(_ path: String) -> String {
        "// Generated from Kernel/ by CatalogCompiler.\n\nlet kernelObjectBase64: StaticString =\n    \""
            + base64(bytes(path)) + "\"\n"
    }

    /// A section .BTF.ext without its lines of the source. They are most of the object, and libbpf and the kernel would
    /// read them at each start, only to show them where the verifier refuses a program.
    ///
    /// The form is that of `struct btf_ext_header` in libbpf: magic, version and flags, the header's length, and then
    /// offset and length of the functions, the lines and the relocations, counted from behind the header.
    static func withoutLines(_ section: [UInt8]) -> [UInt8] {
        func word(_ at: Int) -> Int {
            guard at + 4 <= section.count else { fail(".BTF.ext is too short") }
            return (0..<4).reduce(0) { $0 | Int(section[at + $1]) << (8 * $1) }
        }
        let header = word(4)
        guard header == 32, word(0) & 0xffff == 0xeb9f else {
            fail(".BTF.ext is of a form that is unknown here")
        }
        var lengths: [Int] = []
        var data: [UInt8] = []
        for place in [8, 24] {
            let start = header + word(place)
            let length = word(place + 4)
            guard start + length <= section.count else { fail(".BTF.ext ends too early") }
            data += section[start..<(start + length)]
            lengths.append(length)
        }
        let words = [0, lengths[0], lengths[0], 0, lengths[0], lengths[1]]
        return section[..<8]
            + words.flatMap { word in (0..<4).map { UInt8(truncatingIfNeeded: word >> (8 * $0)) } } + data
    }

    // MARK: Files

    static func parse(_ files: [(name: String, text: Substring)]) -> [EventDefinition] {
        do { return try CatalogParser.parse(files) } catch { fail("\(error)") }
    }

    static func read(_ paths: ArraySlice<String>) -> [(name: String, text: Substring)] {
        paths.map { (name: $0, text: Substring(String(decoding: bytes($0), as: UTF8.self))) }
    }

    static func bytes(_ path: String) -> [UInt8] {
        let descriptor = unsafe open(path, O_RDONLY)
        guard descriptor >= 0 else { fail("cannot read \(path): errno \(errno)") }
        defer { close(descriptor) }
        var all: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 1 << 16)
        while true {
            let count = unsafe buffer.withUnsafeMutableBytes {
                unsafe Glibc.read(descriptor, $0.baseAddress, $0.count)
            }
            guard count > 0 else { return all }
            all += buffer[..<count]
        }
    }

    static func write(_ text: String, to path: String) { write(Array(text.utf8), to: path) }

    static func write(_ bytes: [UInt8], to path: String) {
        let descriptor = unsafe open(path, O_WRONLY | O_CREAT | O_TRUNC, 0o644)
        guard descriptor >= 0 else { fail("cannot write \(path): errno \(errno)") }
        defer { close(descriptor) }
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = unsafe rest.withUnsafeBytes {
                unsafe Glibc.write(descriptor, $0.baseAddress, $0.count)
            }
            guard count > 0 else { fail("cannot write \(path): errno \(errno)") }
            rest = rest.dropFirst(count)
        }
    }

    static func base64(_ bytes: [UInt8]) -> String {
        let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)
        var text: [UInt8] = []
        text.reserveCapacity(bytes.count / 3 * 4 + 4)
        for start in stride(from: 0, to: bytes.count, by: 3) {
            let group = (0..<3).map { start + $0 < bytes.count ? UInt32(bytes[start + $0]) : 0 }
            let bits = group[0] << 16 | group[1] << 8 | group[2]
            let present = min(3, bytes.count - start)
            for place in 0..<4 {
                text.append(
                    place <= present ? alphabet[Int(bits >> UInt32(18 - 6 * place)) & 63] : UInt8(ascii: "="))
            }
        }
        return String(decoding: text, as: UTF8.self)
    }

    static func fail(_ message: String) -> Never {
        write("CatalogCompiler: \(message)\n", to: "/dev/stderr")
        exit(1)
    }
}
