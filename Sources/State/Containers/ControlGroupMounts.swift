/// Where a hierarchy of control groups is mounted.
public struct ControlGroupMount: Equatable, Sendable {
    public enum Hierarchy: Equatable, Sendable {
        /// The one hierarchy of version 2.
        case unified
        /// One of version 1: its controllers, or `name=systemd`, by comma.
        case legacy(String)
    }

    public var hierarchy: Hierarchy
    /// The directory it is mounted on.
    public var place: [UInt8]
    /// The group that is seen there: `/`, or another one in a container.
    public var root: [UInt8]

    public init(hierarchy: Hierarchy, place: [UInt8], root: [UInt8]) {
        self.hierarchy = hierarchy
        self.place = place
        self.root = root
    }

    /// Bytes of `/proc/self/mountinfo` that are read; containers by the thousand make it long.
    private static let limit = 16 << 20
    private static let mountLimit = 256

    /// The hierarchies that are mounted here: version 2 first, and of each kind whole ones first. Empty where
    /// `/proc/self/mountinfo` cannot be read.
    public static func all() -> [ControlGroupMount] {
        (try? BoundedFile.read("/proc/self/mountinfo", limit: limit)).map(parse) ?? []
    }

    /// Reads lines of `/proc/PID/mountinfo` (proc(5)):
    /// `31 23 0:28 ROOT PLACE OPTIONS [OPTIONAL…] - TYPE SOURCE SUPEROPTIONS`. Lines of another form are left out.
    public static func parse(_ text: [UInt8]) -> [ControlGroupMount] {
        var mounts: [ControlGroupMount] = []
        for line in text.split(separator: UInt8(ascii: "\n")) where mounts.count < mountLimit {
            let words = line.split(separator: UInt8(ascii: " "))
            guard words.count >= 9, let dash = words[6...].firstIndex(of: [UInt8(ascii: "-")]),
                dash + 1 < words.count
            else { continue }
            let kind = words[dash + 1]
            let hierarchy: Hierarchy
            if kind.elementsEqual("cgroup2".utf8) {
                hierarchy = .unified
            } else if kind.elementsEqual("cgroup".utf8), let options = words[(dash + 1)...].last {
                let all = String(decoding: options, as: UTF8.self).split(separator: ",").map(String.init)
                hierarchy = .legacy(
                    all.filter { !flags.contains($0) && !$0.hasPrefix("release_agent=") }
                        .joined(separator: ","))
            } else {
                continue
            }
            mounts.append(
                ControlGroupMount(
                    hierarchy: hierarchy, place: Mount.unescaped(words[4]),
                    root: Mount.unescaped(words[3])))
        }
        let whole: [UInt8] = [UInt8(ascii: "/")]
        let rank = { (mount: ControlGroupMount) in
            (mount.hierarchy == .unified ? 0 : 2) + (mount.root == whole ? 0 : 1)
        }
        return mounts.enumerated().sorted { (rank($0.1), $0.0) < (rank($1.1), $1.0) }.map(\.element)
    }

    /// Options of the file system that are no controllers.
    private static let flags: Set<String> = [
        "rw", "ro", "noprefix", "xattr", "clone_children", "cpuset_v2_mode",
    ]
}

/// In which groups a process is.
public struct ControlGroups: Equatable, Sendable {
    public struct Membership: Equatable, Sendable {
        /// Number of the hierarchy; 0 for version 2.
        public var hierarchy: UInt32
        /// Of a hierarchy of version 1: `cpu,cpuacct`, `name=systemd`. Empty for version 2.
        public var controllers: String
        /// As our control group namespace sees it: it may begin with `/..`.
        public var path: [UInt8]
    }

    public var memberships: [Membership]

    private static let limit = 64 << 10

    /// Reads `/proc/PID/cgroup`. Nil where there is no such process, or the file cannot be read.
    public static func ofProcess(_ process: UInt32) -> ControlGroups? {
        guard let text = try? BoundedFile.read("/proc/\(process)/cgroup", limit: limit) else { return nil }
        return ControlGroups(text)
    }

    /// Lines `HIERARCHY:CONTROLLERS:PATH` (cgroups(7)). Those of another form are left out, and what is beyond 64.
    public init(_ text: [UInt8]) {
        memberships = []
        for line in text.split(separator: UInt8(ascii: "\n")).prefix(64) {
            let parts = line.split(
                separator: UInt8(ascii: ":"), maxSplits: 2, omittingEmptySubsequences: false)
            guard parts.count == 3, let number = UInt32(String(decoding: parts[0], as: UTF8.self)),
                parts[2].first == UInt8(ascii: "/")
            else { continue }
            memberships.append(
                Membership(
                    hierarchy: number, controllers: String(decoding: parts[1], as: UTF8.self),
                    path: Array(parts[2])))
        }
    }

    /// The container that the process is in, by whichever hierarchy tells one: version 2, then systemd's, then the
    /// others in their order. On a host with both versions a container may have groups only in version 1, and its
    /// processes stay in a group of version 2 with others; then this is the only way to know.
    public var container: ControlGroupPath.Match? {
        let rank = { (membership: Membership) in
            membership.controllers.isEmpty ? 0 : membership.controllers == "name=systemd" ? 1 : 2
        }
        for wanted in 0...2 {
            for membership in memberships where rank(membership) == wanted {
                if let match = ControlGroupPath.recognise(membership.path) { return match }
            }
        }
        return nil
    }
}
