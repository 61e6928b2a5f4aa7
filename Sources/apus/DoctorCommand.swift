internal import Catalog
internal import Glibc
internal import Probes

enum DoctorCommand {
    static let command = Command(
        name: "doctor", about: "Say what this kernel and these privileges allow.",
        options: [Option("json", "j", "print JSON")]
    ) { arguments in
        let features = Features()
        let catalog = Catalog.builtIn
        let availability = catalog.events.map { (event: $0, state: features.availability(of: $0)) }
        let given = availability.count { $0.state.isPresent }
        if arguments.switches.contains("json") {
            Console.out(document(features, availability, given).line + "\n")
        } else {
            Console.out(page(features, availability, given))
        }
        return features.missingRequirement == nil ? 0 : 1
    }

    private static func page(
        _ features: Features, _ availability: [(event: EventDefinition, state: FeatureState)], _ given: Int
    ) -> String {
        var text = "Kernel \(release())\n\n"
        for feature in Feature.allCases {
            let state = features[feature]
            text +=
                "\(Help.pad(feature.rawValue, 22))\(Help.pad(state.name, 10))\(state.reason ?? feature.purpose)\n"
        }
        text += "\nLocked memory  \(limit(__rlimit_resource_t(8)))\n"  // RLIMIT_MEMLOCK
        text += "Open files     \(limit(__rlimit_resource_t(7)))\n"  // RLIMIT_NOFILE
        text += "\nThis kernel gives \(given) of \(availability.count) events.\n"
        var absent: [String: [String]] = [:]
        for (event, state) in availability {
            if let reason = state.reason { absent[reason, default: []].append(event.name) }
        }
        for (reason, names) in absent.sorted(by: { $0.key < $1.key }) {
            let shown = names.count > 40 ? names.prefix(40) + ["and \(names.count - 40) more"] : names[...]
            text += "  \(reason): \(shown.joined(separator: " "))\n"
        }
        if let missing = features.missingRequirement {
            text += "\nNothing can be traced: \(missing.reason)\n"
        }
        return text
    }

    private static func document(
        _ features: Features, _ availability: [(event: EventDefinition, state: FeatureState)], _ given: Int
    ) -> JSONText {
        let list = Feature.allCases.map { feature -> JSONText in
            let state = features[feature]
            var members: [(String, JSONText)] = [
                ("name", .text(feature.rawValue)), ("state", .text(state.name)),
                ("purpose", .text(feature.purpose)),
                ("required", .bool(feature.isRequired)),
            ]
            if let reason = state.reason { members.append(("reason", .text(reason))) }
            return .object(members)
        }
        let absent = availability.compactMap { event, state -> JSONText? in
            guard let reason = state.reason else { return nil }
            return .object([
                ("event", .text(event.name)), ("state", .text(state.name)), ("reason", .text(reason)),
            ])
        }
        return .object([
            ("kernel", .text(release())), ("features", .list(list)),
            (
                "limits",
                .object([
                    ("locked_memory", .text(limit(__rlimit_resource_t(8)))),
                    ("open_files", .text(limit(__rlimit_resource_t(7)))),
                ])
            ),
            (
                "events",
                .object([
                    ("known", .number(availability.count)), ("given", .number(given)),
                    ("absent", .list(absent)),
                ])
            ),
        ])
    }

    private static func release() -> String {
        var name = utsname()
        unsafe uname(&name)
        return unsafe withUnsafeBytes(of: &name.release) { bytes in
            unsafe String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
        }
    }

    private static func limit(_ resource: __rlimit_resource_t) -> String {
        var limit = rlimit()
        guard unsafe getrlimit(resource, &limit) == 0 else { return "unknown" }
        return limit.rlim_cur == rlim_t.max ? "unlimited" : String(limit.rlim_cur)
    }
}
