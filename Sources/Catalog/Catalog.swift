@_exported public import CatalogFormat

/// All events, with the look-ups that the rest of the system needs.
public struct Catalog: Sendable {
    /// By index.
    public let events: [EventDefinition]
    /// Names of all sets, sorted.
    public let sets: [String]
    private let indexByID: [UInt32: Int]
    private let indexByName: [String: Int]
    private let nameByNumber: [String]
    private let nameByCompatNumber: [String]

    /// The catalogue that this binary was built with.
    public static let builtIn = Catalog(parsing: catalogText)

    /// The build has checked the text with the same parser, so a fault here is a bug.
    init(parsing text: StaticString) {
        var files: [(name: String, text: Substring)] = []
        for part in text.description.split(separator: "@") {
            let end = part.firstIndex(of: "\n") ?? part.endIndex
            files.append((String(part[..<end]), part[end...]))
        }
        do {
            self.init(events: try CatalogParser.parse(files))
        } catch {
            preconditionFailure("\(error)")
        }
    }

    init(events: [EventDefinition]) {
        self.events = events
        sets = Set(events.flatMap(\.sets)).sorted()
        indexByID = Dictionary(uniqueKeysWithValues: events.map { ($0.id.rawValue, $0.index) })
        indexByName = Dictionary(uniqueKeysWithValues: events.map { ($0.name, $0.index) })
        var names = [String](repeating: "", count: 512)
        var compatNames = names
        for event in events {
            guard case .systemCall(let number, let compatNumber, _) = event.source else { continue }
            if let number { names[number] = event.name }
            if let compatNumber { compatNames[compatNumber] = event.name }
        }
        nameByNumber = names
        nameByCompatNumber = compatNames
    }

    public subscript(id: EventID) -> EventDefinition? {
        indexByID[id.rawValue].map { events[$0] }
    }

    public subscript(name: String) -> EventDefinition? {
        indexByName[name].map { events[$0] }
    }

    /// Dense index of an event, or nil for an id of no event.
    public func index(of id: EventID) -> Int? { indexByID[id.rawValue] }

    /// Name of a system call by its number; empty where there is none.
    public func systemCallName(_ number: Int, isCompat: Bool) -> String {
        let names = isCompat ? nameByCompatNumber : nameByNumber
        return names.indices.contains(number) ? names[number] : ""
    }

    /// Names nearest to a mistyped one, best first, at most three.
    public static func nearest(to name: String, among names: [String]) -> [String] {
        let wanted = Array(name.lowercased().utf8)
        let scored = names.map { (name: $0, distance: distance(wanted, Array($0.utf8))) }
        let close = scored.filter { $0.distance <= max(2, wanted.count / 3) }
        return close.sorted { ($0.distance, $0.name) < ($1.distance, $1.name) }.prefix(3).map(\.name)
    }

    /// Edits (insert, delete, replace, swap of neighbours) between two names.
    private static func distance(_ a: [UInt8], _ b: [UInt8]) -> Int {
        if a.isEmpty || b.isEmpty { return max(a.count, b.count) }
        var beforeLast: [Int] = []
        var last = Array(0...b.count)
        for i in 1...a.count {
            var row = [i]
            for j in 1...b.count {
                var best = min(row[j - 1] + 1, last[j] + 1, last[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1))
                if i > 1, j > 1, a[i - 1] == b[j - 2], a[i - 2] == b[j - 1] {
                    best = min(best, beforeLast[j - 2] + 1)
                }
                row.append(best)
            }
            beforeLast = last
            last = row
        }
        return last[b.count]
    }
}
