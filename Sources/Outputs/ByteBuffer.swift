internal import Glibc

/// Bytes being written. Room is made once for a whole event, and then written without checks: the
/// JSON of an event is some 600 bytes in 40 pieces, and a check for each would cost a third of the time.
@safe struct ByteBuffer: ~Copyable {
    private var start: UnsafeMutablePointer<UInt8>
    private(set) var count = 0
    private var capacity: Int

    init(capacity: Int) {
        self.capacity = capacity
        unsafe start = .allocate(capacity: capacity)
    }

    deinit { unsafe start.deallocate() }

    /// Makes room for `more` bytes; writing more than was asked for is a bug.
    @inline(__always)
    mutating func reserve(_ more: Int) {
        if capacity - count < more { grow(more) }
    }

    @inline(never)
    private mutating func grow(_ more: Int) {
        let larger = max(capacity * 2, count + more)
        let moved = UnsafeMutablePointer<UInt8>.allocate(capacity: larger)
        unsafe moved.update(from: start, count: count)
        unsafe start.deallocate()
        unsafe start = moved
        capacity = larger
    }

    mutating func removeAll() { count = 0 }

    @inline(__always)
    mutating func append(_ byte: UInt8) {
        unsafe start[count] = byte
        count &+= 1
    }

    @inline(__always)
    mutating func append(_ bytes: UnsafePointer<UInt8>, _ length: Int) {
        unsafe memcpy(start + count, bytes, length)
        count &+= length
    }

    @inline(__always)
    mutating func append(_ text: StaticString) {
        unsafe append(text.utf8Start, text.utf8CodeUnitCount)
    }

    mutating func append(_ bytes: [UInt8]) {
        unsafe bytes.withUnsafeBufferPointer { bytes in
            if let base = bytes.baseAddress { unsafe append(base, bytes.count) }
        }
    }

    mutating func append(_ text: String) {
        var text = text
        text.withUTF8 { utf8 in
            if let base = utf8.baseAddress { unsafe append(base, utf8.count) }
        }
    }

    @inline(__always)
    mutating func append(_ bytes: RawSpan) {
        unsafe bytes.withUnsafeBytes { raw in
            if let base = raw.baseAddress {
                unsafe append(base.assumingMemoryBound(to: UInt8.self), raw.count)
            }
        }
    }

    /// Decimal digits of a number: at most 20 bytes.
    @inline(__always)
    mutating func append(decimal value: UInt64) {
        var value = value
        var digits: (UInt64, UInt64, UInt64) = (0, 0, 0)  // 24 bytes
        let total = unsafe withUnsafeMutableBytes(of: &digits) { place -> Int in
            let base = unsafe place.baseAddress.unsafelyUnwrapped
            var at = 24
            while value >= 100 {
                let (quotient, remainder) = value.quotientAndRemainder(dividingBy: 100)
                at &-= 2
                unsafe memcpy(base + at, twoDigits.utf8Start + Int(remainder) * 2, 2)
                value = quotient
            }
            if value >= 10 {
                at &-= 2
                unsafe memcpy(base + at, twoDigits.utf8Start + Int(value) * 2, 2)
            } else {
                at &-= 1
                unsafe base.storeBytes(
                    of: UInt8(ascii: "0") &+ UInt8(truncatingIfNeeded: value), toByteOffset: at,
                    as: UInt8.self)
            }
            unsafe memcpy(start + count, base + at, 24 - at)
            return 24 - at
        }
        count &+= total
    }

    @inline(__always)
    mutating func append(decimal value: Int64) {
        if value < 0 { append(UInt8(ascii: "-")) }
        append(decimal: value.magnitude)
    }

    /// Exactly two decimal digits.
    mutating func append(twoDigits value: Int) {
        unsafe append(Outputs.twoDigits.utf8Start + (value % 100) * 2, 2)
    }

    /// Lower-case hexadecimal with `0x`.
    mutating func append(hexadecimal value: UInt64) {
        append("0x")
        append(value, hexadecimalDigits: max(1, (67 - value.leadingZeroBitCount) / 4))
    }

    /// The lowest digits of a number, in lower case.
    mutating func append(_ value: UInt64, hexadecimalDigits digits: Int) {
        for place in stride(from: digits - 1, through: 0, by: -1) {
            let digit = UInt8(truncatingIfNeeded: value >> UInt64(place * 4) & 15)
            append(digit < 10 ? UInt8(ascii: "0") + digit : UInt8(ascii: "a") + digit - 10)
        }
    }

    /// Drops zeros at the end, down to a given length.
    mutating func dropTrailingZeros(downTo least: Int) {
        while count > least, unsafe start[count - 1] == UInt8(ascii: "0") { count -= 1 }
    }

    /// Takes back what was written after a length.
    mutating func truncate(to length: Int) { count = min(count, length) }

    func withBytes<Result>(_ body: (UnsafeRawBufferPointer) -> Result) -> Result {
        unsafe body(UnsafeRawBufferPointer(start: start, count: count))
    }
}

private let twoDigits: StaticString =
    "00010203040506070809101112131415161718192021222324252627282930313233343536373839404142434445464748495051525354555657585960616263646566676869707172737475767778798081828384858687888990919293949596979899"
