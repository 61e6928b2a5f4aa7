/// A mount of a mount namespace, as a line of `/proc/PID/mountinfo` (proc(5)) tells it.
public struct Mount: Equatable, Sendable {
    public var id: UInt32
    public var parent: UInt32
    public var major: UInt32
    public var minor: UInt32
    /// What of the file system is seen there: `/`, or a directory in it.
    public var root: [UInt8]
    /// Where it is mounted, from the root of the process that was asked.
    public var place: [UInt8]
    /// `ext4`
    public var type: [UInt8]
    /// `/dev/sda1`, or any word.
    public var source: [UInt8]

    /// The device as the kernel has it, and as records carry it (`MKDEV`, include/linux/kdev_t.h).
    public var device: UInt32 { major << 20 | minor & 0xf_ffff }

    public init(
        id: UInt32, parent: UInt32, major: UInt32, minor: UInt32, root: [UInt8], place: [UInt8],
        type: [UInt8], source: [UInt8]
    ) {
        self.id = id
        self.parent = parent
        self.major = major
        self.minor = minor
        self.root = root
        self.place = place
        self.type = type
        self.source = source
    }

    /// Reads `31 23 0:28 ROOT PLACE OPTIONS [OPTIONAL…] - TYPE SOURCE SUPEROPTIONS`. Nil for a line of another form.
    init?(line: ArraySlice<UInt8>) {
        // A source may be nothing: two blanks then.
        let words = line.split(separator: UInt8(ascii: " "), omittingEmptySubsequences: false)
        guard words.count >= 9, let dash = words[6...].firstIndex(of: [UInt8(ascii: "-")]),
            dash + 2 < words.count, words[4].first == UInt8(ascii: "/")
        else { return nil }
        let numbers = words[2].split(separator: UInt8(ascii: ":"))
        guard numbers.count == 2, let id = Self.number(words[0]), let parent = Self.number(words[1]),
            let major = Self.number(numbers[0]), let minor = Self.number(numbers[1]), major < 1 << 12,
            minor < 1 << 20
        else { return nil }
        self.init(
            id: id, parent: parent, major: major, minor: minor, root: Self.unescaped(words[3]),
            place: Self.unescaped(words[4]), type: Self.unescaped(words[dash + 1]),
            source: Self.unescaped(words[dash + 2]))
    }

    private static func number(_ word: ArraySlice<UInt8>) -> UInt32? {
        word.count <= 10 ? UInt32(String(decoding: word, as: UTF8.self)) : nil
    }

    /// Blanks, tabs, newlines and backslashes are `\040` and the like.
    static func unescaped(_ word: ArraySlice<UInt8>) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(word.count)
        var at = word.startIndex
        while at < word.endIndex {
            if word[at] == UInt8(ascii: "\\"), let code = octal(word[(at + 1)...].prefix(3)) {
                bytes.append(code)
                at += 4
            } else {
                bytes.append(word[at])
                at += 1
            }
        }
        return bytes
    }

    private static func octal(_ digits: ArraySlice<UInt8>) -> UInt8? {
        guard digits.count == 3 else { return nil }
        var code: UInt16 = 0
        for digit in digits {
            guard (UInt8(ascii: "0")...UInt8(ascii: "7")).contains(digit) else { return nil }
            code = code << 3 | UInt16(digit - UInt8(ascii: "0"))
        }
        return UInt8(exactly: code)
    }
}
