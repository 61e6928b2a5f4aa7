internal import Catalog
internal import Events

/// Decides what is shown of an environment: which names, and which values look like secrets.
///
/// The lists are short on purpose. A name that says what it holds is the best sign, so names are judged by the few words
/// that nearly all secrets are called by, and what they hide by mistake is only a public key or the path of a
/// file. Values are judged where their form is unmistakable, as their issuer gave them a prefix to be found by. Nothing
/// is judged by randomness: that hides hashes and identifiers, which an investigation needs. It is a net and no wall: who
/// must show no secret lists the names that are safe.
public struct SecretRedaction: Sendable, Equatable {
    enum Verdict: Equatable {
        case shown
        /// These bytes of the variable are not shown.
        case hidden(Range<Int>)
        /// Its name is none of those that were asked for.
        case leftOut
    }

    /// What stands for what is hidden.
    static let mark: StaticString = "***"

    /// Names that are shown; none for all.
    private let names: [[UInt8]]

    /// - Parameter names: that are shown, and no others; `*` stands for any characters. Empty for all. A listed name does
    ///   not make its value less of a secret.
    public init(names: [String] = []) { self.names = names.map { Array($0.utf8) } }

    /// Judges one string of an environment, `NAME=value` by custom only: a program may be given anything.
    func verdict(on variable: RawSpan) -> Verdict {
        let count = variable.byteCount
        var end = 0
        while end < count, variable[byte: end] != UInt8(ascii: "=") { end += 1 }
        if !names.isEmpty, !names.contains(where: { Self.matches(variable, end, $0) }) { return .leftOut }
        // Without a `=` all of it may be a value.
        let start = end < count ? end + 1 : 0
        guard start < count else { return .shown }
        if start > 0, Self.isSecretName(variable, 0..<end), !Self.isKnownPath(variable, 0..<end) {
            return .hidden(start..<count)
        }
        return Self.hiddenValue(variable, start..<count).map { .hidden($0) } ?? .shown
    }

    // MARK: Names

    /// Whether a name, of so many bytes, is matched by a pattern with `*`.
    private static func matches(_ text: RawSpan, _ count: Int, _ pattern: [UInt8]) -> Bool {
        var (at, place) = (0, 0)
        var star: (pattern: Int, text: Int)?
        while at < count {
            if place < pattern.count, pattern[place] == UInt8(ascii: "*") {
                star = (place, at)
                place += 1
            } else if place < pattern.count, pattern[place] == text[byte: at] {
                at += 1
                place += 1
            } else if let last = star {
                star = (last.pattern, last.text + 1)
                (place, at) = (last.pattern + 1, last.text + 1)
            } else {
                return false
            }
        }
        while place < pattern.count, pattern[place] == UInt8(ascii: "*") { place += 1 }
        return place == pattern.count
    }

    /// Whether a name says that it is of a secret, in capitals or not.
    ///
    /// Anywhere in it: PASSWORD, PASSWD, PASSPHRASE, SECRET, CREDENTIAL, APIKEY; TOKEN, but of no TOKENIZER; AUTH, but of
    /// no AUTHOR and no AUTHORITY (`GIT_AUTHOR_NAME`, `XAUTHORITY`: a path). As a word: PASS, CREDS. As a word behind
    /// another: PWD, as in MYSQL_PWD (alone it is a directory), and KEY, as in API_KEY, private-key, ACCESS_KEY_ID,
    /// accountKey, but in no PUBLIC_KEY. And SSHPASS, from which sshpass takes a password.
    private static func isSecretName(_ text: RawSpan, _ name: Range<Int>) -> Bool {
        for at in name {
            func has(_ word: StaticString) -> Bool { text.holds(word, at: at, before: name.upperBound) }
            switch text.upper(at) {
            case UInt8(ascii: "P"):
                if has("PASSWORD") || has("PASSWD") || has("PASSPHRASE") { return true }
                if isWord("PASS", text, at, name) || (at > name.lowerBound && isWord("PWD", text, at, name)) {
                    return true
                }
            case UInt8(ascii: "S"):
                if has("SECRET") || (has("SSHPASS") && name.count == 7) { return true }
            case UInt8(ascii: "C"):
                if has("CREDENTIAL") || isWord("CREDS", text, at, name) { return true }
            case UInt8(ascii: "T"):
                if has("TOKEN"), !has("TOKENIZ") { return true }
            case UInt8(ascii: "A"):
                if has("APIKEY") { return true }
                if has("AUTH"), !has("AUTHOR") || has("AUTHORIZ") || has("AUTHORIS") { return true }
            case UInt8(ascii: "K") where at > name.lowerBound:
                if isWord("KEY", text, at, name) || isWord("KEYS", text, at, name) {
                    let isPublic = at - name.lowerBound >= 7 && text.holds("PUBLIC", at: at - 7, before: at)
                    if !isPublic { return true }
                }
            default: break
            }
        }
        return false
    }

    /// Names with such a word that are known to hold a path.
    private static func isKnownPath(_ text: RawSpan, _ name: Range<Int>) -> Bool {
        name.count == 13 && text.holds("SSH_AUTH_SOCK", at: name.lowerBound, before: name.upperBound)
    }

    /// Whether a word stands at a place, and is no part of another: `DB_PASS`, `dbPass`, but not `BYPASS`.
    private static func isWord(_ word: StaticString, _ text: RawSpan, _ at: Int, _ name: Range<Int>) -> Bool {
        guard text.holds(word, at: at, before: name.upperBound) else { return false }
        let end = at + word.utf8CodeUnitCount
        guard end == name.upperBound || !text[byte: end].isLetter else { return false }
        guard at > name.lowerBound else { return true }
        let before = text[byte: at - 1]
        return !before.isLetter || (before.isLower && text[byte: at].isUpper)
    }

    // MARK: Values

    /// The part of a value that must not be shown; nil where all may be.
    private static func hiddenValue(_ text: RawSpan, _ value: Range<Int>) -> Range<Int>? {
        var passwords: Range<Int>?
        for at in value {
            switch text[byte: at] {
            case UInt8(ascii: ":"):
                guard let password = password(text, at, value) else { break }
                // Of several all between the first and the last goes.
                passwords = (passwords?.lowerBound ?? password.lowerBound)..<password.upperBound
            case UInt8(ascii: "="):
                // Options and settings in a value: `-Dstore.password=…`, `AccountKey=…`, `?token=…`.
                var start = at
                while start > value.lowerBound, at - start < 64, text[byte: start - 1].isOfName { start -= 1 }
                if at + 1 < value.upperBound, isSecretName(text, start..<at) { return value }
            case UInt8(ascii: "-"):
                if text.holdsExactly("-----BEGIN ", at: at, before: value.upperBound),
                    hasPrivateKey(text, at..<value.upperBound)
                {
                    return value
                }
            case let byte where byte.isLetter:
                if at == value.lowerBound || !text[byte: at - 1].isOfToken,
                    isToken(text, at..<value.upperBound)
                {
                    return value
                }
            default: break
            }
        }
        return passwords
    }

    /// Prefixes by which their issuers' tokens are found, and how many characters follow at least: access keys of AWS
    /// (also temporary ones), tokens of GitHub, GitLab and Slack, keys of Stripe and Google.
    private static func isToken(_ text: RawSpan, _ rest: Range<Int>) -> Bool {
        func follows(_ prefix: StaticString, _ least: Int, _ isOne: (UInt8) -> Bool = { $0.isOfToken })
            -> Bool
        {
            guard text.holdsExactly(prefix, at: rest.lowerBound, before: rest.upperBound) else {
                return false
            }
            let start = rest.lowerBound + prefix.utf8CodeUnitCount
            guard rest.upperBound - start >= least else { return false }
            return (start..<start + least).allSatisfy { isOne(text[byte: $0]) }
        }
        switch text[byte: rest.lowerBound] {
        case UInt8(ascii: "A"):
            let isCapital = { (byte: UInt8) in byte.isUpper || byte.isDigit }
            return follows("AKIA", 16, isCapital) || follows("ASIA", 16, isCapital) || follows("AIza", 35)
        case UInt8(ascii: "g"):
            return follows("ghp_", 16) || follows("gho_", 16) || follows("ghu_", 16) || follows("ghs_", 16)
                || follows("ghr_", 16) || follows("github_pat_", 16) || follows("glpat-", 16)
        case UInt8(ascii: "x"): return follows("xoxb-", 10) || follows("xoxp-", 10)
        case UInt8(ascii: "s"): return follows("sk_live_", 10)
        case UInt8(ascii: "r"): return follows("rk_live_", 10)
        case UInt8(ascii: "e"): return follows("eyJ", 8) && isWebToken(text, rest)
        default: return false
        }
    }

    /// A JSON web token (RFC 7519): three parts in base64url, of which the last, the signature, may be empty.
    private static func isWebToken(_ text: RawSpan, _ rest: Range<Int>) -> Bool {
        var dots = 0
        var length = 0
        for at in rest {
            let byte = text[byte: at]
            if byte == UInt8(ascii: ".") {
                guard length > 0 else { return false }
                dots += 1
                length = 0
                if dots == 2 { return true }
            } else if byte.isOfToken {
                length += 1
            } else {
                return false
            }
        }
        return false
    }

    /// `-----BEGIN PRIVATE KEY-----` of RFC 7468, and the older forms with an algorithm before it.
    private static func hasPrivateKey(_ text: RawSpan, _ rest: Range<Int>) -> Bool {
        (rest.lowerBound..<min(rest.upperBound, rest.lowerBound + 48)).contains {
            text.holdsExactly("PRIVATE KEY", at: $0, before: rest.upperBound)
        }
    }

    /// The password of a URL whose scheme ends at a colon: `scheme://user:password@host` (RFC 3986, 3.2.1).
    private static func password(_ text: RawSpan, _ at: Int, _ value: Range<Int>) -> Range<Int>? {
        guard text.holdsExactly("://", at: at, before: value.upperBound) else { return nil }
        var place = at + 3
        func isEnd(_ byte: UInt8) -> Bool {
            byte <= 0x20 || byte == UInt8(ascii: "/") || byte == UInt8(ascii: "?")
                || byte == UInt8(ascii: "#")
        }
        while place < value.upperBound, text[byte: place] != UInt8(ascii: ":") {
            if isEnd(text[byte: place]) { return nil }
            place += 1
        }
        let start = place + 1
        guard start < value.upperBound else { return nil }
        var end: Int?
        var isPort = true
        place = start
        while place < value.upperBound, !isEnd(text[byte: place]) {
            if text[byte: place] == UInt8(ascii: "@") { end = place }
            if !text[byte: place].isDigit { isPort = false }
            place += 1
        }
        // A password should have its slashes escaped, and not each has: then it goes on to an @ that is not far.
        if end == nil, !isPort {
            let last = min(value.upperBound, start + 128)
            while place < last, text[byte: place] > 0x20, text[byte: place] != UInt8(ascii: "@") {
                place += 1
            }
            if place < last, text[byte: place] == UInt8(ascii: "@") { end = place }
        }
        guard let end, end > start else { return nil }
        return start..<end
    }
}

/// The field that an encoder redacts: `env` of `sched_process_exec`.
struct EnvironmentField {
    let redaction: SecretRedaction
    private let places: [EventID: Int]

    init(_ catalog: Catalog, _ redaction: SecretRedaction) {
        self.redaction = redaction
        var places: [EventID: Int] = [:]
        for event in catalog.events {
            places[event.id] = event.fields.firstIndex {
                ($0.name == "env" || $0.name == "envp") && $0.type == .stringArray
            }
        }
        self.places = places
    }

    /// Calls the body with each string that is shown of an array: whole, or what is before a secret and behind it.
    @inline(__always)
    func forEachShown(
        _ blob: BlobView, at index: Int, of event: EventView,
        _ body: (_ head: RawSpan, _ isHidden: Bool, _ tail: RawSpan) -> Void
    ) {
        let isEnvironment = places[event.event] == index
        blob.forEachString { string in
            switch isEnvironment ? redaction.verdict(on: string) : .shown {
            case .leftOut: return
            case .shown: body(string, false, string.extracting(first: 0))
            case .hidden(let range):
                body(
                    string.extracting(first: range.lowerBound), true,
                    string.extracting(droppingFirst: range.upperBound))
            }
        }
    }
}

extension RawSpan {
    fileprivate subscript(byte at: Int) -> UInt8 {
        @inline(__always) get { unsafe unsafeLoad(fromByteOffset: at, as: UInt8.self) }
    }

    fileprivate func upper(_ at: Int) -> UInt8 {
        let byte = self[byte: at]
        return byte.isLower ? byte & 0xdf : byte
    }

    /// Whether a word in capitals stands at a place, in capitals or not.
    fileprivate func holds(_ word: StaticString, at: Int, before end: Int) -> Bool {
        let count = word.utf8CodeUnitCount
        guard end - at >= count else { return false }
        for index in 0..<count where unsafe upper(at + index) != word.utf8Start[index] { return false }
        return true
    }

    fileprivate func holdsExactly(_ word: StaticString, at: Int, before end: Int) -> Bool {
        let count = word.utf8CodeUnitCount
        guard end - at >= count else { return false }
        for index in 0..<count where unsafe self[byte: at + index] != word.utf8Start[index] { return false }
        return true
    }
}

extension UInt8 {
    fileprivate var isLower: Bool { self >= UInt8(ascii: "a") && self <= UInt8(ascii: "z") }
    fileprivate var isUpper: Bool { self >= UInt8(ascii: "A") && self <= UInt8(ascii: "Z") }
    fileprivate var isLetter: Bool { isLower || isUpper }
    fileprivate var isDigit: Bool { self >= UInt8(ascii: "0") && self <= UInt8(ascii: "9") }
    /// Of base64url (RFC 4648, 5), in which tokens are written.
    fileprivate var isOfToken: Bool {
        isLetter || isDigit || self == UInt8(ascii: "_") || self == UInt8(ascii: "-")
    }
    fileprivate var isOfName: Bool { isOfToken || self == UInt8(ascii: ".") }
}
