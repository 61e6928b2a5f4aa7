internal import CNettle

/// SHA-256 (FIPS 180-4) of bytes that come in pieces, by Nettle, which uses the CPU's own instructions for it where
/// there are some.
struct SHA256Hasher {
    private var state = sha256_ctx()

    init() { unsafe nettle_sha256_init(&state) }

    mutating func update(_ bytes: UnsafeRawBufferPointer) {
        guard let start = bytes.baseAddress else { return }
        unsafe nettle_sha256_update(&state, bytes.count, start.assumingMemoryBound(to: UInt8.self))
    }

    mutating func update(_ bytes: RawSpan) {
        unsafe bytes.withUnsafeBytes { unsafe update($0) }
    }

    /// The digest of all bytes so far; what comes next begins anew.
    mutating func finalize() -> [32 of UInt8] {
        var digest = [32 of UInt8](repeating: 0)
        unsafe withUnsafeMutableBytes(of: &digest) { place in
            guard let start = place.baseAddress else { return }
            unsafe apus_sha256_digest(&state, start.assumingMemoryBound(to: UInt8.self))
        }
        return digest
    }
}

/// A SHA-256 as it is printed: 64 lower-case hexadecimal digits.
struct HexDigest: Sendable, Equatable, CustomStringConvertible {
    private(set) var digits: [64 of UInt8]

    init(_ bytes: [32 of UInt8]) {
        func digit(_ value: UInt8) -> UInt8 {
            value < 10 ? UInt8(ascii: "0") + value : UInt8(ascii: "a") + value - 10
        }
        digits = .init { digit(($0 & 1 == 0 ? bytes[$0 / 2] >> 4 : bytes[$0 / 2]) & 15) }
    }

    static func == (one: HexDigest, other: HexDigest) -> Bool {
        (0..<64).allSatisfy { one.digits[$0] == other.digits[$0] }
    }

    var description: String { String(decoding: (0..<64).map { digits[$0] }, as: UTF8.self) }
}
