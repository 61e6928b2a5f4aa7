internal import Glibc

/// Turns the kernel's time since boot into dates.
public struct Clock: Sendable {
    /// Nanoseconds from 1970 to boot, as they were when this was made.
    public let bootOffset: UInt64

    public init() {
        // The middle of three readings, the closest pair of many: the two clocks cannot be read at once.
        var best: UInt64 = .max
        var offset: UInt64 = 0
        for _ in 0..<16 {
            let before = Self.now(CLOCK_BOOTTIME)
            let real = Self.now(CLOCK_REALTIME)
            let after = Self.now(CLOCK_BOOTTIME)
            if after - before < best {
                best = after - before
                offset = real - (before + best / 2)
            }
        }
        bootOffset = offset
    }

    public init(bootOffset: UInt64) { self.bootOffset = bootOffset }

    /// Nanoseconds since boot, as the kernel stamps records.
    public static func sinceBoot() -> UInt64 { now(CLOCK_BOOTTIME) }

    private static func now(_ clock: clockid_t) -> UInt64 {
        var time = timespec()
        unsafe clock_gettime(clock, &time)
        return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
    }
}

/// A date to the second, and its text; most events share it with the one before.
struct CachedSecond {
    private var second: UInt64 = .max
    private var text = [UInt8](repeating: 0, count: 20)

    /// Appends `2026-01-02T03:04:05.678901234Z`, trailing zeros of the fraction dropped (RFC 3339).
    @inline(__always)
    mutating func append(_ nanoseconds: UInt64, to buffer: inout ByteBuffer) {
        let (second, fraction) = nanoseconds.quotientAndRemainder(dividingBy: 1_000_000_000)
        if second != self.second { render(second) }
        unsafe text.withUnsafeBufferPointer { text in
            unsafe buffer.append(text.baseAddress.unsafelyUnwrapped, 19)
        }
        if fraction != 0 {
            buffer.append(UInt8(ascii: "."))
            let start = buffer.count
            var rest = fraction
            var scale: UInt64 = 10_000_000
            for _ in 0..<4 {
                let (pair, remainder) = rest.quotientAndRemainder(dividingBy: scale)
                buffer.append(twoDigits: Int(pair))
                rest = remainder
                scale /= 100
                if scale == 0 { break }
            }
            buffer.append(UInt8(ascii: "0") + UInt8(truncatingIfNeeded: fraction % 10))
            buffer.dropTrailingZeros(downTo: start + 1)
        }
        buffer.append(UInt8(ascii: "Z"))
    }

    /// The time of day, `03:04:05`.
    mutating func timeOfDay(_ nanoseconds: UInt64) -> ArraySlice<UInt8> {
        let second = nanoseconds / 1_000_000_000
        if second != self.second { render(second) }
        return text[11..<19]
    }

    @inline(never)
    private mutating func render(_ second: UInt64) {
        self.second = second
        var buffer = ByteBuffer(capacity: 32)
        let (year, month, day) = Self.date(days: Int64(second / 86400))
        let inDay = Int(second % 86400)
        buffer.append(twoDigits: Int(year / 100))
        buffer.append(twoDigits: Int(year % 100))
        buffer.append(UInt8(ascii: "-"))
        buffer.append(twoDigits: month)
        buffer.append(UInt8(ascii: "-"))
        buffer.append(twoDigits: day)
        buffer.append(UInt8(ascii: "T"))
        buffer.append(twoDigits: inDay / 3600)
        buffer.append(UInt8(ascii: ":"))
        buffer.append(twoDigits: inDay / 60 % 60)
        buffer.append(UInt8(ascii: ":"))
        buffer.append(twoDigits: inDay % 60)
        text = unsafe buffer.withBytes { unsafe Array($0) }
    }

    /// The Gregorian date of a day since 1970. The year is taken to start in March, so that the day
    /// that comes and goes is its last; an era is 400 years, 146,097 days.
    private static func date(days: Int64) -> (year: Int64, month: Int, day: Int) {
        let shifted = days + 719_468
        let era = shifted / 146_097
        let dayOfEra = shifted - era * 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let shiftedMonth = (5 * dayOfYear + 2) / 153
        let day = Int(dayOfYear - (153 * shiftedMonth + 2) / 5) + 1
        let month = Int(shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9)
        return (yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month, day)
    }
}
