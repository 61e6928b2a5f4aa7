import Events
import Testing

@Suite struct SocketAddressTests {
    /// What an address was taken for, in words.
    private func read(_ bytes: [UInt8]) -> String {
        guard let address = unsafe SocketAddress(bytes.span.bytes) else { return "nothing" }
        switch address {
        case .ipv4(let bits, let port): return "ipv4 \(String(bits, radix: 16)) \(port)"
        case .ipv6(let group, let port, let flow, let scope):
            return "ipv6 \(copy(group)) \(port) \(flow) \(scope)"
        case .unix(let path, let isAbstract):
            return "unix \(copy(path)) \(isAbstract)"
        case .other(let family): return "other \(family)"
        }
    }

    @Test func ipv4() {
        let address: [UInt8] = [2, 0, 0x1f, 0x90, 127, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0]
        #expect(read(address) == "ipv4 7f000001 8080")
        // The padding of a sockaddr_in says nothing.
        #expect(read(Array(address[..<8])) == "ipv4 7f000001 8080")
        for count in 2..<8 { #expect(read(Array(address[..<count])) == "other 2", "\(count)") }
    }

    @Test func ipv6() {
        let group = [UInt8](1...16)
        let address: [UInt8] = [10, 0, 0x01, 0xbb, 0x12, 0x34, 0x56, 0x78] + group + [3, 1, 0, 0]
        #expect(read(address) == "ipv6 \(group) 443 \(0x1234_5678) 259")
        for count in 24..<28 {
            #expect(
                read(Array(address[..<count])) == "ipv6 \(group) 443 \(0x1234_5678) 0", "\(count)")
        }
        for count in 2..<24 { #expect(read(Array(address[..<count])) == "other 10", "\(count)") }
        #expect(read(address + [1, 2, 3, 4]) == "ipv6 \(group) 443 \(0x1234_5678) 259")
    }

    @Test func unix() {
        let path = Array("/run/x".utf8)
        #expect(read([1, 0]) == "unix [] false")
        #expect(read([1, 0] + path) == "unix \(path) false")
        #expect(read([1, 0] + path + [0, 0x61, 0x62]) == "unix \(path) false")
        #expect(read([1, 0, 0]) == "unix [] false")
        // An abstract name is as long as the caller says, NULs and all.
        #expect(read([1, 0, 0] + path + [0]) == "unix \(path + [0]) true")
        #expect(read([1, 0, 0, 0]) == "unix [0] true")
    }

    @Test func others() {
        #expect(read([]) == "nothing")
        #expect(read([2]) == "nothing")
        #expect(read([0, 0]) == "other 0")
        #expect(read([16, 0] + [UInt8](repeating: 1, count: 10)) == "other 16")
        #expect(read([0xff, 0xff, 1, 2, 3, 4, 5, 6]) == "other 65535")
    }

    @Test func familyNames() {
        let names: [UInt16: String] = [
            0: "AF_UNSPEC", 1: "AF_UNIX", 2: "AF_INET", 10: "AF_INET6", 16: "AF_NETLINK",
            17: "AF_PACKET", 40: "AF_VSOCK", 44: "AF_XDP", 99: "AF_99", 65535: "AF_65535",
        ]
        for (family, name) in names { #expect(SocketAddress.familyName(family) == name) }
    }
}
