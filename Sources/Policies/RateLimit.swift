internal import Expressions

/// How often a policy takes events: `rate=1000/s` of all that it wants, `cgroup=500/s burst=2000` of each control
/// group by itself.
public struct RateLimit: Sendable, Equatable {
    public enum Subject: String, CaseIterable, Sendable {
        /// All events of the policy.
        case rate
        /// Those of each control group.
        case cgroup
    }

    public let subject: Subject
    /// As it was written.
    public let text: String
    /// What an event takes of the time, in nanoseconds; at least 1.
    public let interval: UInt64
    /// How far ahead of the clock that may be: so many events may come at once after a pause.
    public let burst: UInt64

    private static let form = "write rate=1000/s, or cgroup=500/s burst=2000"
    private static let units: [Substring: UInt64] = [
        "s": 1_000_000_000, "m": 60_000_000_000, "h": 3_600_000_000_000,
    ]

    /// - Parameter text: `SUBJECT=N/UNIT`, where the unit is s, m or h, and `burst=N` behind it, which is N of the first
    ///   number where it is missing.
    public init(_ text: String) throws(PolicyError) {
        let text = trimmed(text)
        func fault(_ what: String) -> PolicyError {
            PolicyError("limit '\(printable(text))' \(what); \(Self.form)")
        }
        let words = text.split { $0 == " " || $0 == "\t" }
        guard let first = words.first, let equals = first.firstIndex(of: "=") else {
            throw fault("has no number")
        }
        guard let subject = Subject(rawValue: String(first[..<equals])) else {
            throw fault("is of neither the policy's rate nor a cgroup")
        }
        let parts = first[first.index(after: equals)...].split(
            separator: "/", omittingEmptySubsequences: false)
        guard parts.count == 2, let unit = Self.units[parts[1]] else {
            throw fault("is no number of events per s, m or h")
        }
        let count = try Self.number(parts[0], fault)
        var burst = count
        if words.count > 1 {
            guard words.count == 2, words[1].hasPrefix("burst=") else {
                throw fault("has more than a burst behind it")
            }
            burst = try Self.number(words[1].dropFirst("burst=".count), fault)
        }
        self.subject = subject
        self.text = text
        interval = max(1, unit / count)
        // At most 1e9 events of an hour each would be 114,000 years.
        let (ahead, overflow) = interval.multipliedReportingOverflow(by: burst)
        guard !overflow, ahead <= 1 << 60 else { throw fault("has too large a burst") }
        self.burst = ahead
    }

    private static func number(_ text: Substring, _ fault: (String) -> PolicyError) throws(PolicyError)
        -> UInt64
    {
        guard text.utf8.count <= 10, text.utf8.allSatisfy({ (48...57).contains($0) }),
            let number = UInt64(text),
            (1...1_000_000_000).contains(number)
        else { throw fault("needs whole numbers from 1 to 1000000000") }
        return number
    }
}

extension [RateLimit.Subject: RateLimit] {
    /// Takes another limit in.
    mutating func add(_ limit: RateLimit) throws(PolicyError) {
        if let other = self[limit.subject] {
            throw PolicyError(
                "limit '\(printable(limit.text))': there is '\(printable(other.text))' already; remove one of them"
            )
        }
        self[limit.subject] = limit
    }
}
