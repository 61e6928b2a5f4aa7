import CContract
import Events
import Glibc
import TestSupport
import Testing

/// Memory that ends where the next page may not be touched, so that a read behind it ends the test.
@safe private final class FencedMemory {
    private let start: UnsafeMutableRawPointer
    private static let page = 4096
    let capacity = 16 * page

    init() throws {
        let all = unsafe mmap(
            nil, capacity + Self.page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
        unsafe start = try unsafe #require(all)
        try #require(unsafe start != MAP_FAILED)
        try #require(unsafe mprotect(start + capacity, Self.page, PROT_NONE) == 0)
    }

    deinit { unsafe munmap(start, capacity + Self.page) }

    /// Puts bytes right before the fence, changes them there, and reads them.
    func with(
        _ bytes: ArraySlice<UInt8>, change: (UnsafeMutableRawBufferPointer) -> Void,
        read: (RawSpan) -> Void
    ) {
        let place = unsafe UnsafeMutableRawBufferPointer(
            start: start + capacity - bytes.count, count: bytes.count)
        unsafe bytes.withUnsafeBytes { unsafe place.copyMemory(from: $0) }
        unsafe change(place)
        unsafe read(UnsafeRawBufferPointer(place).bytes)
    }
}

@Suite struct HostileRecordTests {
    @Test func nothingIsReadOutsideTheRecord() throws {
        let memory = try FencedMemory()
        var random = SplitMix64(seed: 20_260_102)
        let noise = random.bytes(1 << 16)
        let valid = (0..<64).map { _ in Self.record(&random) }
        var accepted = 0
        var outside = 0
        var reads = 0
        for round in 0..<200_000 {
            let source: ArraySlice<UInt8>
            if round % 4 == 0 {
                let start = random.below(noise.count - 640)
                source = noise[start..<start + random.below(round % 64 == 0 ? 640 : 320)]
            } else {
                let record = valid[random.below(valid.count)]
                source = round % 4 == 1 ? record[...(random.below(record.count))] : record[...]
            }
            let bits = random.next()
            unsafe memory.with(source) { bytes in
                unsafe Self.damage(bytes, round % 4, bits)
            } read: { bytes in
                guard let event = EventView(bytes) else { return }
                accepted += 1
                let (strays, count) = Self.readAll(event, bytes)
                outside += strays
                reads += count
            }
        }
        #expect(outside == 0)
        // That the damage leaves enough to read.
        #expect(accepted > 50_000)
        #expect(reads > 50_000)
    }

    private static func record(_ random: inout SplitMix64) -> [UInt8] {
        var record = RecordBuilder(values: (0..<random.below(9)).map { _ in random.next() })
        record.setName(random.bytes(random.below(17)))
        record.header.flags = UInt8(random.below(16))
        for _ in 0..<random.below(5) {
            var bytes = random.bytes(random.below(90))
            // Families of socket addresses, so that they are tried as well.
            if bytes.count > 1 { (bytes[0], bytes[1]) = ([1, 2, 10, 16][random.below(4)], 0) }
            record.blobs.append(
                .init(
                    field: UInt8(random.below(9)), bytes: bytes, flags: UInt8(random.below(4)),
                    count: UInt16(random.below(6))))
        }
        return record.build()
    }

    private static func damage(
        _ bytes: UnsafeMutableRawBufferPointer, _ kind: Int, _ bits: UInt64
    ) {
        guard bytes.count >= 120 else { return }
        switch kind {
        case 0, 1:
            // Noise, or what was cut off, that says of itself to be whole: most of it would not
            // get past the size otherwise.
            let size = UInt32(bytes.count - (bits & 7 == 0 ? Int(bits >> 8 & 15) : 0))
            unsafe bytes.storeBytes(of: size, toByteOffset: 12, as: UInt32.self)
            if kind == 0 { unsafe bytes[99] &= bits & 8 == 0 ? 7 : 31 }
        case 2:
            var random = SplitMix64(seed: bits)
            for _ in 0...Int(bits & 15) {
                let bit = random.below(bytes.count * 8)
                unsafe bytes[bit / 8] ^= 1 << UInt8(bit % 8)
            }
        default:
            // A wrong length or field of a blob, or a wrong number of values.
            let values = unsafe Int(bytes[99])
            let at = 120 + values * 8 + Int(bits & 7)
            if at < bytes.count { unsafe bytes[at] = UInt8(truncatingIfNeeded: bits >> 8) }
            if bits & 0xf00 == 0 { unsafe bytes[99] = UInt8(truncatingIfNeeded: bits >> 16) }
        }
    }

    /// Reads all there is. Returns how many spans left the record, and how many there were.
    private static func readAll(_ event: EventView, _ bytes: RawSpan) -> (Int, Int) {
        let record = bytes.extracting(first: event.byteCount)
        var strays = 0
        var reads = 0
        var sum = event.time &+ UInt64(event.hostThread) &+ UInt64(event.processor) &+ (event.duration ?? 0)
        func touch(_ span: RawSpan) {
            reads += 1
            if record.byteOffsets(of: span) == nil { strays += 1 }
        }
        touch(event.name)
        for field in -1..<65 {
            if let value = event.value(field) { sum &+= value }
            guard let blob = event.blob(field) else { continue }
            touch(blob.bytes)
            if let text = event.string(field) { touch(text) } else { strays += 1 }
            blob.forEachString { touch($0) }
            if let credentials = Credentials(blob.bytes) {
                credentials.forEachID { sum &+= UInt64($1) }
                credentials.forEachSet { sum &+= $1 }
            }
            guard let address = SocketAddress(blob.bytes) else { continue }
            switch address {
            case .ipv4(let bits, _): sum &+= UInt64(bits)
            case .ipv6(let group, _, _, let scope):
                touch(group)
                sum &+= UInt64(scope)
            case .unix(let path, _): touch(path)
            case .other(let family): sum &+= UInt64(family)
            }
        }
        // The sum is only there so that every value is loaded.
        return (strays, sum == 1 ? reads + 1 : reads)
    }
}
