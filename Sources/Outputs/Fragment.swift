internal import Catalog
internal import Events

/// A piece of output that is written once and copied often. Its owner frees it; copies are only looked at.
@safe struct Fragment {
    fileprivate let start: UnsafeMutablePointer<UInt8>?
    let count: Int

    init(_ bytes: [UInt8]) {
        count = bytes.count
        guard count > 0 else {
            unsafe start = nil
            return
        }
        let memory = UnsafeMutablePointer<UInt8>.allocate(capacity: count)
        for (index, byte) in bytes.enumerated() { unsafe memory[index] = byte }
        unsafe start = memory
    }

    func free() { unsafe start?.deallocate() }
}

extension ByteBuffer {
    @inline(__always)
    mutating func append(_ fragment: Fragment) {
        if let start = unsafe fragment.start { unsafe append(start, fragment.count) }
    }
}

/// What the output says of every event of one kind: its head, and the frame of each field.
@safe struct Template {
    @safe struct Field {
        let type: FieldType
        let isBuffer: Bool
        let words: NumberWords
        /// `,{"name":"dirfd"`, without the comma for the first.
        let text: Fragment
    }

    /// The policies that the head names.
    let policies: UInt64
    let head: Fragment
    /// Nothing before it is made, as copies of one that is still to be made share their memory.
    let fields: UnsafeMutablePointer<Field>?
    let fieldCount: Int
    /// Of them, those of each record: what else there is the agent adds at the end, when it is asked for.
    let kernelFieldCount: Int
    /// In words they depend on one of them.
    let hasForms: Bool
    /// Upper bound of the event's output without its text and its thread.
    let room: Int

    /// One that is still to be made.
    init() {
        policies = .max
        head = Fragment([])
        unsafe fields = nil
        fieldCount = 0
        kernelFieldCount = 0
        hasForms = false
        room = 0
    }

    init(policies: UInt64, head: [UInt8], event: EventDefinition, isDecoded: Bool) {
        self.policies = policies
        self.head = Fragment(head)
        fieldCount = event.fields.count
        kernelFieldCount = event.kernelFieldCount
        hasForms = isDecoded && event.forms != nil
        let fields = UnsafeMutablePointer<Field>.allocate(capacity: max(1, event.fields.count))
        var room = head.count
        for (index, field) in event.fields.enumerated() {
            let text = Array("\(index == 0 ? "" : ","){\"name\":\"\(field.name)\"".utf8)
            let words = isDecoded ? NumberWords(field) : .none
            unsafe (fields + index).initialize(
                to: Field(type: field.type, isBuffer: field.isBuffer, words: words, text: Fragment(text)))
            // An IPv6 socket address is the longest value beside credentials, and beside text, which the
            // record's size bounds.
            room += text.count + (field.type == .credentials ? Credentials.jsonRoom : 192) + words.room
        }
        self.room = room
        unsafe self.fields = fields
    }

    func free() {
        head.free()
        guard let fields = unsafe fields else { return }
        for index in 0..<fieldCount { unsafe fields[index].text.free() }
        unsafe fields.deallocate()
    }
}

/// What the output says of a thread, while all of it is the same.
struct CachedThread {
    var identity = ThreadIdentity.none
    /// Stamp of its container.
    var container: UInt64 = 0
    /// From the executable to the thread's number.
    var head = Fragment([])
    /// From the end of the thread to the start of the fields.
    var tail = Fragment([])

    func free() {
        head.free()
        tail.free()
    }
}
