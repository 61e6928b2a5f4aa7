import Catalog
import Events
import TestSupport
import Testing

@testable import Outputs

@Suite struct SecretRedactionTests {
    private func verdict(_ variable: String, names: [String] = []) -> SecretRedaction.Verdict {
        verdict(Array(variable.utf8), SecretRedaction(names: names))
    }

    private func verdict(_ bytes: [UInt8], _ redaction: SecretRedaction) -> SecretRedaction.Verdict {
        unsafe redaction.verdict(on: bytes.span.bytes)
    }

    /// What is printed for a variable; nil where it is left out.
    private func shown(_ variable: String) -> String? {
        switch verdict(variable) {
        case .shown: return variable
        case .leftOut: return nil
        case .hidden(let range):
            let bytes = Array(variable.utf8)
            return String(decoding: bytes[..<range.lowerBound], as: UTF8.self) + "***"
                + String(decoding: bytes[range.upperBound...], as: UTF8.self)
        }
    }

    // MARK: Names

    @Test(arguments: [
        "PASSWORD", "PGPASSWORD", "db_password", "MYSQL_PASSWD", "GPG_PASSPHRASE", "PASS", "DB_PASS",
        "dbPass",
        "SSHPASS", "MYSQL_PWD", "CLIENT_SECRET", "clientSecret", "MY_SECRETS", "GITHUB_TOKEN", "token",
        "TOKENS",
        "accessTokenValue", "AWS_SESSION_TOKEN", "APIKEY", "API_KEY", "api-key", "npm.api.key",
        "X_PRIVATE_KEY",
        "AWS_ACCESS_KEY_ID", "accountKey", "SESSION_KEY", "ENCRYPTION_KEY", "RAILS_MASTER_KEY",
        "SIGNING_KEYS",
        "GOOGLE_APPLICATION_CREDENTIALS", "CREDS", "APP_CREDS", "AUTH", "BASIC_AUTH", "HTTP_AUTHORIZATION",
        "authorisation", "NPM_CONFIG__AUTH", "OAUTH2_X", "AUTHORIZED_BY",
    ])
    func namesOfSecrets(_ name: String) {
        #expect(shown("\(name)=abc") == "\(name)=***")
        #expect(shown("\(name)=a=b\n") == "\(name)=***")
        #expect(shown("\(name)=") == "\(name)=")
        // A name without a value has nothing to hide.
        #expect(shown(name) == name)
    }

    @Test(arguments: [
        "PATH", "HOME", "PWD", "OLDPWD", "PASSENGER", "BYPASS", "COMPASS", "SSH_ASKPASS", "PGPASSFILE",
        "TOKENIZERS_PARALLELISM", "GIT_AUTHOR_NAME", "AUTHOR", "XAUTHORITY", "SSH_AUTH_SOCK", "ssh_auth_sock",
        "KEYBOARD", "MONKEY", "HOTKEY", "KEY", "XKEYS", "KEYTIMEOUT", "GNOME_KEYRING_CONTROL",
        "SSH_PUBLIC_KEY",
        "PUBLIC_KEYS", "LS_COLORS", "SHLVL", "_", "", "TERM", "LESSOPEN", "INVOCATION_ID", "MY_PASSAGE",
        "SECRE",
    ])
    func otherNames(_ name: String) {
        #expect(verdict("\(name)=/usr/bin:abc") == .shown)
    }

    @Test func theListOfNames() {
        let names = ["PATH", "LANG*", "*_ID", "A*B*C"]
        for name in ["PATH", "LANG", "LANGUAGE", "LANG_X", "_ID", "X_ID_ID", "ABC", "AxxBB_C", "ABBCC"] {
            #expect(verdict("\(name)=1", names: names) == .shown, "\(name)")
        }
        for name in ["PATHS", "XPATH", "path", "LAN", "ID", "X_IDS", "AC", "ABCD", "", "HOME"] {
            #expect(verdict("\(name)=1", names: names) == .leftOut, "\(name)")
        }
        #expect(verdict("PATH", names: names) == .shown)
        #expect(verdict("", names: names) == .leftOut)
        #expect(verdict("=PATH", names: names) == .leftOut)
        #expect(verdict("=PATH", names: ["*"]) == .shown)
        // That it was asked for makes it no less of a secret.
        #expect(verdict("MY_TOKEN=1", names: ["MY_*"]) == .hidden(9..<10))
        #expect(verdict("PATH=AKIAABCDEFGHIJKLMNOP", names: names) == .hidden(5..<25))
    }

    // MARK: Values

    static let token = "abcDEF0123456789_-abcDEF0123456789_-"

    @Test(arguments: [
        "-----BEGIN PRIVATE KEY-----\nMII", "-----BEGIN RSA PRIVATE KEY-----\nMII",
        "x -----BEGIN OPENSSH PRIVATE KEY-----", "AKIAABCDEFGHIJKLMNOP", "id AKIA0123456789ABCDEF,x",
        "ASIAABCDEFGHIJKLMNOP", "ghp_\(token)", "gho_\(token)", "ghs_\(token)", "github_pat_\(token)",
        "glpat-\(token)", "xoxb-\(token)", "xoxp-\(token)", "sk_live_\(token)", "rk_live_\(token)",
        "AIza\(token)",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln", "Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiIxIn0.",
        "-Xmx1g -Djavax.net.ssl.keyStorePassword=abc", "Endpoint=sb://x/;SharedAccessKey=abc",
        "host=db password=abc", "https://host/?token=abc",
    ])
    func valuesThatAreSecrets(_ value: String) {
        #expect(shown("X=\(value)") == "X=***")
        // Without a name all of it may be a value.
        if !value.contains("=") { #expect(shown(value) == "***") }
    }

    @Test(arguments: [
        "/usr/local/bin:/usr/bin", "-----BEGIN PUBLIC KEY-----", "-----BEGIN CERTIFICATE-----", "PRIVATE KEY",
        "AKIAABCDEFGHIJKLMNO", "AKIAabcdefghijklmnop", "XAKIAABCDEFGHIJKLMNOP", "ghp_", "ghp_short", "glpat-",
        "myghp_\(token)", "eyJhbGciOiJIUzI1NiJ9", "eyJhbGciOiJIUzI1NiJ9.abc", "eyJhbGciOi!.abc.def",
        "heyJude12345.abc.def", "0123456789abcdef0123456789abcdef", "unix:path=/run/user/0/bus,guid=12",
        "rs=0:di=01;34:*.tar=01;31", "a=b=c", "=", "==", "password", "?token=", "npm_config_x",
        "https://host:8080/a@b", "https://host/a:b@c", "http://user@host/", "ssh://git@host:22/x",
        "http://host",
        "http://:@host", "://", "::", "user:word@host", "git@host:x/y",
    ])
    func valuesThatAreNone(_ value: String) {
        #expect(shown("X=\(value)") == "X=\(value)")
    }

    @Test(arguments: [
        ("http://user:word@host/path", "http://user:***@host/path"),
        ("redis://:word@host:6379/0", "redis://:***@host:6379/0"),
        ("x http://u:p@h y", "x http://u:***@h y"),
        ("http://u@corp:p@h", "http://u@corp:***@h"),
        ("http://u:p@q@h/", "http://u:***@h/"),
        ("postgres://u:p/q@h/db", "postgres://u:***@h/db"),
        ("http://u:123@h", "http://u:***@h"),
        ("amqp://u:p@a,amqp://u:q@b", "amqp://u:***@b"),
        ("http://a:80/ http://u:p@b http://c:1/", "http://a:80/ http://u:***@b http://c:1/"),
    ])
    func passwordsInAddresses(_ value: String, _ wanted: String) {
        #expect(shown("URL=\(value)") == "URL=\(wanted)")
        #expect(shown(value) == wanted)
    }

    // MARK: Anything

    @Test func anyBytes() {
        var random = SplitMix64(seed: 51)
        let pieces = [
            "://", ":", "@", "/", "=", "eyJ", ".", "-----BEGIN ", "PRIVATE KEY", "AKIA", "ghp_",
            "github_pat_",
            "PASSWORD", "KEY", "_", "AUTH", "OR", "IZ", "Token", "abc", "0123456789ABCDEF", "\u{0}", " ", "é",
        ].map { Array($0.utf8) }
        let list = SecretRedaction(names: ["*A*", "é*"])
        var (hidden, leftOut) = (0, 0)
        for _ in 0..<20_000 {
            var bytes: [UInt8] = []
            for _ in 0..<random.below(12) {
                bytes +=
                    random.below(10) == 0 ? random.bytes(random.below(4)) : pieces[random.below(pieces.count)]
            }
            // Cut anywhere, as the kernel's limit does.
            if random.below(4) == 0 { bytes = Array(bytes.prefix(random.below(bytes.count + 1))) }
            let all = verdict(bytes, SecretRedaction())
            if case .hidden(let range) = all {
                hidden += 1
                #expect(!range.isEmpty && range.upperBound <= bytes.count)
            } else {
                #expect(all == .shown)
            }
            let listed = verdict(bytes, list)
            if listed == .leftOut { leftOut += 1 } else { #expect(listed == all) }
        }
        #expect(hidden > 1000 && leftOut > 1000, "\(hidden) \(leftOut)")
    }

    /// What would be slow if it looked at everything again from each place: 8 KiB of it may come with each execution.
    @Test(arguments: ["://", "://:x/", "://a:", "eyJ", "eyJaaaaaaaa.", "a=", "-----BEGIN ", "KEY", "=@:"])
    func slowValues(_ piece: String) {
        let bytes = Array(("X=" + String(repeating: piece, count: 8192 / piece.utf8.count)).utf8)
        let clock = ContinuousClock()
        let redaction = SecretRedaction(names: ["*X*"])
        let time = (0..<3).map { _ in clock.measure { _ = verdict(bytes, redaction) } }.min()
        #expect(time ?? .zero < .milliseconds(100))
    }

    // MARK: In the outputs

    private func record() -> [UInt8] {
        var record = sampleRecord(.sched_process_exec, systemCall: -1)
        let fields = Catalog.builtIn[.sched_process_exec]?.fields ?? []
        for (index, field) in fields.enumerated() {
            record.values.append(0)
            guard field.name == "env" || field.name == "argv" else { continue }
            let strings = ["A=1", "MY_TOKEN=x\"y", "URL=http://u:p@h/\"", "PATH=/bin"]
            record.blobs.append(
                .init(field: UInt8(index), bytes: Array(strings.joined(separator: "\0").utf8) + [0], count: 4)
            )
        }
        return record.build()
    }

    private func json(_ redaction: SecretRedaction) throws -> [String: [String]] {
        var encoder = EventEncoder(
            clock: Clock(bootOffset: newYear), policyNames: [], executable: { _, _, _ in [] },
            redaction: redaction)
        guard case .object(let line) = try JSONValue(parsing: jsonLine(record(), &encoder)),
            case .array(let data)? = line["data"]
        else { return [:] }
        var found: [String: [String]] = [:]
        for case .object(let field) in data {
            guard let name = field["name"], case .object(let array)? = field["str_array"],
                case .array(let values)? = array["value"]
            else { continue }
            found[Self.string(of: name)] = values.map { Self.string(of: $0) }
        }
        return found
    }

    private static func string(of value: JSONValue) -> String {
        guard case .string(let scalars) = value else { return "no string" }
        return String(String.UnicodeScalarView(scalars.compactMap(Unicode.Scalar.init)))
    }

    @Test func jsonHidesOfTheEnvironmentOnly() throws {
        let whole = ["A=1", "MY_TOKEN=x\"y", "URL=http://u:p@h/\"", "PATH=/bin"]
        #expect(
            try json(SecretRedaction()) == [
                "argv": whole, "env": ["A=1", "MY_TOKEN=***", "URL=http://u:***@h/\"", "PATH=/bin"],
            ])
        #expect(
            try json(SecretRedaction(names: ["P*", "MY_TOKEN"]))
                == ["argv": whole, "env": ["MY_TOKEN=***", "PATH=/bin"]])
        #expect(try json(SecretRedaction(names: ["x"])) == ["argv": whole, "env": []])
    }

    @Test func theTableHidesOfTheEnvironmentOnly() {
        var encoder = TableEncoder(clock: Clock(bootOffset: newYear), columns: 0)
        let line = text(tableLine(record(), &encoder))
        #expect(line.contains("argv: [A=1 MY_TOKEN=x\"y URL=http://u:p@h/\" PATH=/bin]"))
        #expect(line.contains("env: [A=1 MY_TOKEN=*** URL=http://u:***@h/\" PATH=/bin]"))
        var listed = TableEncoder(
            clock: Clock(bootOffset: newYear), columns: 0, redaction: SecretRedaction(names: ["PATH", "MY*"]))
        #expect(text(tableLine(record(), &listed)).contains("env: [MY_TOKEN=*** PATH=/bin]"))
    }
}
