import Catalog
import TestSupport
import Testing

@testable import Probes

@Suite struct KernelTypesTests {
    private static let shapes: [(String, [ParameterShape])] = [
        ("struct_pointer", [.structure("file")]), ("const_struct_pointer", [.structure("file")]),
        ("struct_pointer_const", [.structure("file")]), ("restricted", [.structure("file")]),
        ("user_pointer", [.structure("file")]), ("union_pointer", [.structure("bpf_attr")]),
        ("anonymous_pointer", [.pointer]), ("forward_pointer", [.structure("nsproxy")]),
        ("typedef_struct_pointer", [.structure("file")]), ("typedef_of_pointer", [.structure("file")]),
        ("struct_by_value", [.any]), ("typedef_by_value", [.any]), ("pointer_to_pointer", [.pointer]),
        ("int_pointer", [.pointer]), ("enum_pointer", [.pointer]), ("void_pointer", [.pointer]),
        ("const_void_pointer", [.pointer]), ("array_pointer", [.pointer]), ("function_pointer", [.pointer]),
        ("integer", [.integer]), ("typedef_of_int", [.integer]), ("enumeration", [.integer]),
        ("enumeration64", [.integer]), ("float", [.any]), ("variadic", [.integer, .any]), ("nothing", []),
        ("several", [.structure("file"), .integer, .pointer, .integer]), ("later", [.structure("late")]),
    ]

    private static var names: Set<String> { Set(shapes.map(\.0)) }

    @Test func prototypes() throws {
        let types = try KernelTypes(TypeInformation.ofEveryKind().bytes, functions: Self.names)
        #expect(Set(types.functions.keys) == Self.names)
        for (name, parameters) in Self.shapes {
            #expect(types.functions[name]?.map(\.parameters) == [parameters], "\(name)")
        }
    }

    @Test func onlyWantedFunctionsAreKept() throws {
        let bytes = TypeInformation.ofEveryKind().bytes
        #expect(try KernelTypes(bytes).functions.isEmpty)
        let types = try KernelTypes(bytes, functions: ["integer", "several", "intege", "no_function"])
        #expect(Set(types.functions.keys) == ["integer", "several"])
    }

    @Test func functionsThatShareAName() throws {
        var information = TypeInformation()
        let int = information.add(.int, "int", 4, [0])
        let first = information.add(function: "twice", [int])
        let second = information.add(function: "twice", [int, int])
        let types = try KernelTypes(information.bytes, functions: ["twice"])
        #expect(types.functions["twice"]?.map(\.id) == [first, second])
        #expect(types.functions["twice"]?.map(\.parameters) == [[.integer], [.integer, .integer]])
    }

    @Test func tracepointsAndSystemCalls() throws {
        var information = TypeInformation()
        let int = information.add(.int, "int", 4, [0])
        let arguments = information.add(prototype: [int, int, int])
        let pointer = information.add(.pointer, "", arguments)
        let exit = information.add(.typedef, "btf_trace_sched_process_exit", pointer)
        let read = information.add(function: "__x64_sys_read", [int])
        let compat = information.add(function: "__ia32_compat_sys_ioctl", [int])
        let native = information.add(function: "__ia32_sys_read", [int])
        information.add(function: "__ia32_sys_ioctl", [int])
        let getpid = information.add(function: "__do_sys_getpid", [])
        information.add(function: "__do_sys_read", [])
        information.add(function: "bpf_rdonly_cast", [])
        information.add(function: "bpf_rdonly_cast_more", [])
        let open = information.add(function: "bpf_lsm_file_open", [int])
        let types = try KernelTypes(information.bytes)
        #expect(types.tracepoints == ["sched_process_exit": exit])
        #expect(types.systemCalls == ["read": read, "getpid": getpid])
        #expect(types.compatSystemCalls == ["read": native, "ioctl": compat])
        #expect(types.hasReadOnlyCast)
        #expect(types.hasGroupDead)
        #expect(types.lsmTrialHook == open)
    }

    /// A type that leads to itself.
    @Test func circlesEnd() throws {
        var information = TypeInformation()
        let circle = information.add(.typedef, "circle", information.next())
        let pointers = information.add(.pointer, "", information.next())
        let qualifiers = information.add(.const, "", information.next(1))
        information.add(.volatile, "", qualifiers)
        information.add(function: "odd", [circle, pointers, qualifiers, 0xffff, .max])
        let types = try KernelTypes(information.bytes, functions: ["odd"])
        #expect(types.functions["odd"]?.map(\.parameters) == [[.any, .pointer, .any, .any, .any]])
    }

    @Test func whatIsNoBTF() {
        let bytes = TypeInformation.ofEveryKind().bytes
        for start in [[], [0x9f], [0x9f, 0xeb], [UInt8](repeating: 0, count: 64), Array(bytes[..<20])] {
            #expect(throws: ProbeError.self) { _ = try KernelTypes(start) }
        }
        #expect(throws: ProbeError.self) { _ = try KernelTypes(path: "/nonexistent/btf") }
    }

    @Test func cutAnywhere() async {
        await #expect(processExitsWith: .success) {
            let bytes = TypeInformation.ofEveryKind().bytes
            for count in 0..<bytes.count {
                let types = try? KernelTypes(Array(bytes[..<count]), functions: KernelTypesTests.names)
                // Strings may be cut, types may not.
                #expect(types == nil || count >= bytes.count / 2)
            }
        }
    }

    @Test func damagedAnywhere() async {
        await #expect(processExitsWith: .success) {
            let bytes = TypeInformation.ofEveryKind().bytes
            var random = SplitMix64(seed: 41)
            var accepted = 0
            for round in 0..<8000 {
                var damaged = bytes
                for _ in 0...random.below(6) {
                    // Half of them beyond the header, so that the rest is looked at.
                    let from = round % 2 == 0 ? 0 : 24
                    damaged[from + random.below(damaged.count - from)] = UInt8(
                        truncatingIfNeeded: random.next())
                }
                let types = try? KernelTypes(damaged, functions: KernelTypesTests.names)
                if types != nil { accepted += 1 }
            }
            #expect(accepted > 1000)
            for _ in 0..<2000 {
                let noise = [0x9f, 0xeb, 1, 0, 24, 0, 0, 0] + random.bytes(random.below(400))
                _ = try? KernelTypes(noise, functions: KernelTypesTests.names)
            }
        }
    }

    @Test func definitionNames() {
        #expect(KernelTypes.definitionName("stat") == "newstat")
        #expect(KernelTypes.definitionName("umount2") == "umount")
        #expect(KernelTypes.definitionName("openat") == "openat")
    }
}
