/// The bytes of a path, of which pieces are compared where they lie.
struct PathBytes: ~Escapable {
    private let bytes: RawSpan
    let count: Int

    @_lifetime(copy bytes)
    init(_ bytes: RawSpan) {
        self.bytes = bytes
        count = bytes.byteCount
    }

    /// All that is outside is 0, which no path holds.
    @inline(__always)
    private subscript(_ index: Int) -> UInt8 {
        guard index >= 0, index < count else { return 0 }
        return unsafe bytes.unsafeLoad(fromByteOffset: index, as: UInt8.self)
    }

    /// Calls the body with each component that is whole within the limit, from the left.
    func forEachComponent(_ body: (Range<Int>) -> Void) {
        let end = min(count, ControlGroupPath.limit)
        var start = 0
        for index in 0..<end where self[index] == UInt8(ascii: "/") {
            if index > start { body(start..<index) }
            start = index + 1
        }
        if start < end, end == count { body(start..<end) }
    }

    private func areEqual(at start: Int, _ text: StaticString) -> Bool {
        let length = text.utf8CodeUnitCount
        for index in 0..<length where unsafe self[start + index] != text.utf8Start[index] { return false }
        return true
    }

    func begins(_ range: Range<Int>, _ text: StaticString) -> Bool {
        range.count >= text.utf8CodeUnitCount && areEqual(at: range.lowerBound, text)
    }

    func ends(_ range: Range<Int>, _ text: StaticString) -> Bool {
        range.count >= text.utf8CodeUnitCount && areEqual(at: range.upperBound - text.utf8CodeUnitCount, text)
    }

    func areEqual(_ range: Range<Int>, _ text: StaticString) -> Bool {
        range.count == text.utf8CodeUnitCount && areEqual(at: range.lowerBound, text)
    }

    func areEqual(_ a: Range<Int>, _ b: Range<Int>) -> Bool {
        guard a.count == b.count else { return false }
        for offset in 0..<a.count where self[a.lowerBound + offset] != self[b.lowerBound + offset] {
            return false
        }
        return true
    }

    /// Where a text begins for the last time.
    func last(_ text: StaticString, in range: Range<Int>) -> Int? {
        var at = range.upperBound - text.utf8CodeUnitCount
        while at >= range.lowerBound {
            if areEqual(at: at, text) { return at }
            at -= 1
        }
        return nil
    }

    func contains(_ range: Range<Int>, _ text: StaticString) -> Bool { last(text, in: range) != nil }

    private static func isHexadecimal(_ byte: UInt8) -> Bool {
        byte &- UInt8(ascii: "0") < 10 || byte &- UInt8(ascii: "a") < 6
    }

    /// That many lowercase hexadecimal digits.
    func isHexadecimal(_ range: Range<Int>, _ digits: Int) -> Bool {
        guard range.count == digits else { return false }
        for index in range where !Self.isHexadecimal(self[index]) { return false }
        return true
    }

    /// Groups of hexadecimal digits with `-` or `_` between them.
    func isGrouped(_ range: Range<Int>, _ groups: [Int]) -> Bool {
        guard range.count == groups.reduce(groups.count - 1, +) else { return false }
        var at = range.lowerBound
        for (number, group) in groups.enumerated() {
            if number > 0 {
                guard self[at] == UInt8(ascii: "-") || self[at] == UInt8(ascii: "_") else { return false }
                at += 1
            }
            guard isHexadecimal(at..<at + group, group) else { return false }
            at += group
        }
        return true
    }

    /// Letters, digits, `_`, `.` and `-`, at most 128 and not only dots: what runtimes take as ids.
    func isName(_ range: Range<Int>) -> Bool {
        guard !range.isEmpty, range.count <= 128 else { return false }
        var onlyDots = true
        for index in range {
            guard ContainerIdentity.isNameByte(self[index]) else { return false }
            if self[index] != UInt8(ascii: ".") { onlyDots = false }
        }
        return !onlyDots
    }

    func name(_ range: Range<Int>) -> String? { isName(range) ? text(range) : nil }

    func text(_ range: Range<Int>, replacing old: UInt8 = 0, by new: UInt8 = 0) -> String {
        var copy: [UInt8] = []
        copy.reserveCapacity(range.count)
        for index in range { copy.append(self[index] == old ? new : self[index]) }
        return String(decoding: copy, as: UTF8.self)
    }

    /// A name in which systemd wrote `-` as `\x2d`; nil where something else than a name comes out.
    func unescaped(_ range: Range<Int>) -> String? {
        var copy: [UInt8] = []
        var at = range.lowerBound
        while at < range.upperBound {
            if self[at] == UInt8(ascii: "\\") {
                guard areEqual(at: at, "\\x2d"), at + 4 <= range.upperBound else { return nil }
                copy.append(UInt8(ascii: "-"))
                at += 4
            } else {
                copy.append(self[at])
                at += 1
            }
        }
        guard ContainerIdentity.isName(copy) else { return nil }
        return String(decoding: copy, as: UTF8.self)
    }
}

extension ContainerIdentity {
    static func isNameByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), UInt8(ascii: "."), UInt8(ascii: "-"):
            true
        default: false
        }
    }

    /// Whether bytes are a name that may be part of a path: letters, digits, `_`, `.` and `-`, at most 128, and not
    /// only dots.
    package static func isName(_ bytes: some Collection<UInt8>) -> Bool {
        !bytes.isEmpty && bytes.count <= 128 && bytes.allSatisfy(isNameByte)
            && bytes.contains { $0 != UInt8(ascii: ".") }
    }
}
