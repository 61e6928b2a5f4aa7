import CContract
import Catalog
import Events
import Foundation
import TestSupport
import Testing

@testable import Outputs

/// Bytes, lists of numbers and credentials, for programs and for people.
@Suite struct StructuresTests {
    private static func base64(_ bytes: [UInt8]) -> String {
        text(written { unsafe $0.append(base64: bytes.span.bytes) })
    }

    /// RFC 4648, section 10.
    @Test(
        arguments: [
            ("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
        ])
    func base64OfTheStandard(_ plain: String, _ expected: String) {
        #expect(Self.base64(Array(plain.utf8)) == expected)
    }

    @Test func base64OfAnyBytes() {
        var random = SplitMix64(seed: 71)
        #expect(Self.base64(Array(0...255)) == Data(0...255).base64EncodedString())
        for _ in 0..<500 {
            let bytes = random.bytes(random.below(200))
            #expect(Self.base64(bytes) == Data(bytes).base64EncodedString())
        }
    }

    // MARK: Credentials

    /// 80 bytes with all bits set.
    private static let all = [UInt8](repeating: 0xff, count: 80)

    @Test func theLayoutIsThatOfTheContract() {
        typealias Layout = MemoryLayout<apus_credentials>
        #expect(Layout.size == 80)
        let ids: [PartialKeyPath<apus_credentials>] = [
            \.uid, \.gid, \.suid, \.sgid, \.euid, \.egid, \.fsuid, \.fsgid, \.user_ns, \.securebits,
        ]
        #expect(ids.map { Layout.offset(of: $0) } == stride(from: 0, to: 40, by: 4).map { $0 })
        let sets: [PartialKeyPath<apus_credentials>] = [
            \.inheritable, \.permitted, \.effective, \.bounding, \.ambient,
        ]
        #expect(sets.map { Layout.offset(of: $0) } == stride(from: 40, to: 80, by: 8).map { $0 })
        #expect(Credentials.idNames.count == ids.count)
        #expect(Credentials.capabilityNames.count == sets.count)
    }

    @Test func theLongestCredentialsHaveRoom() throws {
        let bytes = Self.all
        let credentials = try #require(unsafe Credentials(bytes.span.bytes))
        let json = written { $0.append(json: credentials) }
        #expect(json.count + #","credentials":{}"#.utf8.count <= Credentials.jsonRoom)
        #expect(json.count > 3000)
        // What the table reserves for a record with them: eight bytes for each of its own.
        let words = written { $0.append(words: credentials) }
        #expect(words.count <= 640)
        #expect(words.count <= 8 * 80)
    }

    @Test func capabilitiesAreKnownByNumber() {
        #expect(Credentials.name(ofCapability: 0)?.description == "CAP_CHOWN")
        #expect(Credentials.name(ofCapability: 1)?.description == "DAC_OVERRIDE")
        #expect(Credentials.name(ofCapability: 12)?.description == "CAP_NET_ADMIN")
        #expect(Credentials.name(ofCapability: 21)?.description == "CAP_SYS_ADMIN")
        #expect(Credentials.name(ofCapability: 31)?.description == "CAP_SETFCAP")
        #expect(Credentials.name(ofCapability: 40)?.description == "CAP_CHECKPOINT_RESTORE")
        for number in [-1, 41, 63, 64, .min, .max] {
            #expect(Credentials.name(ofCapability: number) == nil, "\(number)")
        }
        let names = (0...40).compactMap { Credentials.name(ofCapability: $0)?.description }
        #expect(Set(names).count == 41)
    }

    // MARK: Lines

    private static func encoder() -> EventEncoder {
        EventEncoder(clock: Clock(bootOffset: newYear), policyNames: [], executable: { _, _, _ in [] })
    }

    private static func json(_ record: RecordBuilder) -> String {
        var encoder = encoder()
        let line = text(jsonLine(record.build(), &encoder))
        return line.firstRange(of: "\"data\":").map { String(line[$0.upperBound...].dropLast(2)) } ?? line
    }

    private static func table(_ record: RecordBuilder) -> String {
        var encoder = TableEncoder(clock: Clock(bootOffset: newYear), columns: 0)
        let line = text(tableLine(record.build(), &encoder)).dropLast()
        // Time, user, name, process, thread, event; then what the tests are about.
        return line.split(separator: " ", maxSplits: 6).last.map { String($0.drop { $0 == " " }) } ?? ""
    }

    @Test func listsOfNumbers() {
        var record = sampleRecord(.security_bpf_prog, systemCall: 321)
        record.values = [2, 0, 0, 77, 1]
        let cases: [([UInt8], String, String)] = [
            ([], "[]", "[]"), ([1], "[]", "[]"), ([UInt8](repeating: 255, count: 7), "[]", "[]"),
            ([5, 0, 0, 0, 0, 0, 0, 0], #"["5"]"#, "[0x5]"),
            ([5, 0, 0, 0, 0, 0, 0, 0, 9], #"["5"]"#, "[0x5]"),
            (
                [0, 0, 0, 0, 0, 0, 0, 0] + [UInt8](repeating: 255, count: 8),
                #"["0","18446744073709551615"]"#, "[0x0 0xffffffffffffffff]"
            ),
        ]
        for (bytes, json, table) in cases {
            record.blobs = [.init(field: 2, bytes: bytes)]
            #expect(Self.json(record).contains(#"{"name":"helpers","u_int64_array":{"value":\#(json)}},"#))
            #expect(Self.table(record).contains("helpers: \(table), id: 77"), "\(Self.table(record))")
        }
        record.blobs = []
        #expect(Self.json(record).contains(#"{"name":"helpers"},"#))
        #expect(Self.table(record).contains("helpers: -, id: 77"))
    }

    @Test func bytesAsTheyAre() {
        var record = sampleRecord(.magic_write, systemCall: 1)
        record.values = [0, 0, 2049, 5, 4]
        let cases: [([UInt8], String, String)] = [
            ([], "", ""), (Array("#!/b".utf8), "IyEvYg==", "#!/b"), (Array("\"\\".utf8), "Ilw=", "\"\\"),
        ]
        for (bytes, json, table) in cases {
            record.blobs = [.init(field: 1, bytes: bytes)]
            #expect(
                Self.json(record).contains(#"{"name":"bytes","bytes":"\#(json)"},"#), "\(Self.json(record))")
            #expect(Self.table(record).contains("bytes: \(table), dev: 2049"), "\(Self.table(record))")
        }
        record.blobs = [.init(field: 1, bytes: Array("#!".utf8), flags: UInt8(APUS_BLOB_TRUNCATED))]
        #expect(Self.table(record).contains("bytes: #!…, dev"))
        record.blobs = [.init(field: 1, bytes: [0x7f, 0x1b, 0xff, 0])]
        #expect(!Self.table(record).utf8.contains { $0 < 0x20 || $0 == 0x7f })
    }

    @Test func credentialsForPeople() {
        var record = sampleRecord(.commit_creds, systemCall: 105)
        record.values = [0, 0]
        var bytes = [UInt8](repeating: 0, count: 80)
        bytes[0] = 7
        bytes[41] = 1
        record.blobs = [.init(field: 0, bytes: bytes), .init(field: 1, bytes: Self.all)]
        #expect(
            Self.table(record)
                == "old_cred: [uid=7 gid=0 suid=0 sgid=0 euid=0 egid=0 fsuid=0 fsgid=0 user_namespace=0 "
                + "secure_bits=0 cap_inheritable=0x100 cap_permitted=0x0 cap_effective=0x0 "
                + "cap_bounding=0x0 cap_ambient=0x0], "
                + "new_cred: [uid=4294967295 gid=4294967295 suid=4294967295 sgid=4294967295 "
                + "euid=4294967295 egid=4294967295 fsuid=4294967295 fsgid=4294967295 "
                + "user_namespace=4294967295 secure_bits=4294967295 cap_inheritable=0xffffffffffffffff "
                + "cap_permitted=0xffffffffffffffff cap_effective=0xffffffffffffffff "
                + "cap_bounding=0xffffffffffffffff cap_ambient=0xffffffffffffffff]")
    }

    /// Cut and overlong blobs of each new type, alone and beside as much text as a record can hold.
    @Test func blobsOfAnyLength() async {
        await #expect(processExitsWith: .success) {
            var random = SplitMix64(seed: 72)
            var json = StructuresTests.encoder()
            var table = TableEncoder(clock: Clock(bootOffset: newYear), columns: 0)
            for event in [.commit_creds, .magic_write, .security_bpf_prog, .security_task_prctl] as [EventID]
            {
                let fields = Catalog.builtIn[event]?.fields ?? []
                for length in 0..<200 {
                    var record = sampleRecord(event, systemCall: 0)
                    record.values = fields.map { _ in random.number() }
                    for (index, field) in fields.enumerated() {
                        let isNew = [.bytes, .uint64Array, .credentials].contains(field.type)
                        let bytes =
                            isNew
                            ? [UInt8](repeating: 0xff, count: length)
                            : [UInt8](repeating: 1, count: random.below(40) == 0 ? 4096 : 9)
                        record.blobs.append(.init(field: UInt8(index), bytes: bytes))
                    }
                    let built = record.build()
                    let line = jsonLine(built, &json)
                    #expect(throws: Never.self, "\(event) \(length)") { _ = try JSONValue(parsing: line) }
                    let words = text(tableLine(built, &table))
                    #expect(words.hasSuffix("\n"))
                    if event == .commit_creds {
                        #expect(text(line).contains("credentials") == (length >= 80), "\(length)")
                        #expect(words.contains("uid=4294967295") == (length >= 80), "\(length)")
                    }
                }
            }
        }
    }
}
