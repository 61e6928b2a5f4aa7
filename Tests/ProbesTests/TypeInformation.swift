/// Makes BTF as the kernel's build does, and as it never would (Documentation/bpf/btf.rst).
struct TypeInformation {
    enum Kind: UInt32 {
        case int = 1, pointer, array, structure, union, enumeration, forward, typedef, volatile, const
        case restrict, function, prototype, variable, section, float, declarationTag, typeTag
        case enumeration64
    }

    private(set) var types: [UInt32] = []
    private var strings: [UInt8] = [0]
    private var count: UInt32 = 0

    /// Adds a type and gives its id.
    @discardableResult
    mutating func add(
        _ kind: Kind, _ name: String = "", members: Int = 0, _ sizeOrType: UInt32 = 0, _ rest: [UInt32] = []
    ) -> UInt32 {
        types += [offset(of: name), kind.rawValue << 24 | UInt32(members), sizeOrType] + rest
        count += 1
        return count
    }

    mutating func add(prototype parameters: [UInt32]) -> UInt32 {
        add(.prototype, members: parameters.count, 0, parameters.flatMap { [offset(of: "p"), $0] })
    }

    @discardableResult
    mutating func add(function name: String, _ parameters: [UInt32]) -> UInt32 {
        let prototype = add(prototype: parameters)
        return add(.function, name, prototype)
    }

    /// The id that the type after so many others will have.
    func next(_ after: UInt32 = 0) -> UInt32 { count + 1 + after }

    private mutating func offset(of name: String) -> UInt32 {
        if name.isEmpty { return 0 }
        let place = strings.count
        strings += Array(name.utf8) + [0]
        return UInt32(place)
    }

    var bytes: [UInt8] {
        let length = UInt32(types.count * 4)
        let header: [UInt32] = [0x1_eb9f, 24, 0, length, length, UInt32(strings.count)]
        return (header + types).flatMap { word in (0..<4).map { UInt8(truncatingIfNeeded: word >> ($0 * 8)) }
        }
            + strings
    }
}

/// A small kernel.
extension TypeInformation {
    /// Functions with one parameter of each kind, by the name of what it is.
    static func ofEveryKind() -> TypeInformation {
        var types = TypeInformation()
        let int = types.add(.int, "int", 4, [0x100_0020])
        let file = types.add(.structure, "file", members: 1, 8, [0, int, 0])
        let union = types.add(.union, "bpf_attr", members: 1, 8, [0, int, 0])
        let anonymous = types.add(.structure, "", members: 1, 8, [0, int, 0])
        let forward = types.add(.forward, "nsproxy")
        let enumeration = types.add(.enumeration, "cmd", members: 2, 4, [0, 0, 0, 1])
        let enumeration64 = types.add(.enumeration64, "mask", members: 2, 8, [0, 0, 0, 0, 1, 0])
        let float = types.add(.float, "double", 8)
        let array = types.add(.array, "", 0, [int, int, 4])
        let prototype = types.add(prototype: [int])
        types.add(.variable, "some_variable", int, [0])
        types.add(.section, ".data", members: 1, 4, [11, 0, 4])
        types.add(.declarationTag, "tag", 11, [UInt32.max])

        let pointer = types.add(.pointer, "", file)
        types.add(function: "struct_pointer", [pointer])
        types.add(function: "const_struct_pointer", [types.add(.pointer, "", types.add(.const, "", file))])
        types.add(function: "struct_pointer_const", [types.add(.const, "", pointer)])
        types.add(function: "restricted", [types.add(.restrict, "", types.add(.volatile, "", pointer))])
        types.add(
            function: "user_pointer", [types.add(.pointer, "", types.add(.typeTag, "user", file))])
        types.add(function: "union_pointer", [types.add(.pointer, "", union)])
        types.add(function: "anonymous_pointer", [types.add(.pointer, "", anonymous)])
        types.add(function: "forward_pointer", [types.add(.pointer, "", forward)])
        types.add(
            function: "typedef_struct_pointer", [types.add(.pointer, "", types.add(.typedef, "file_t", file))]
        )
        types.add(function: "typedef_of_pointer", [types.add(.typedef, "file_p", pointer)])
        types.add(function: "struct_by_value", [file])
        types.add(function: "typedef_by_value", [types.add(.typedef, "kuid_t", file)])
        types.add(function: "pointer_to_pointer", [types.add(.pointer, "", pointer)])
        types.add(function: "int_pointer", [types.add(.pointer, "", int)])
        types.add(function: "enum_pointer", [types.add(.pointer, "", enumeration)])
        types.add(function: "void_pointer", [types.add(.pointer)])
        types.add(function: "const_void_pointer", [types.add(.pointer, "", types.add(.const))])
        types.add(function: "array_pointer", [types.add(.pointer, "", array)])
        types.add(function: "function_pointer", [types.add(.pointer, "", prototype)])
        types.add(function: "integer", [int])
        types.add(function: "typedef_of_int", [types.add(.typedef, "umode_t", int)])
        types.add(function: "enumeration", [enumeration])
        types.add(function: "enumeration64", [enumeration64])
        types.add(function: "float", [float])
        types.add(function: "variadic", [int, 0])
        types.add(function: "nothing", [])
        types.add(function: "several", [pointer, int, types.add(.pointer), enumeration])
        // What it points at comes only later.
        let later = types.add(.pointer, "", types.next(3))
        types.add(function: "later", [later])
        types.add(.structure, "late", 0)
        return types
    }
}
