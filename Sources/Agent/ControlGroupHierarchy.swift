internal import Glibc
internal import Probes
internal import State

/// The hierarchy of control groups whose groups events carry: version 2 where it is mounted, else that of a controller of
/// version 1 in which runtimes and systemd make a group for each container and each service.
struct ControlGroupHierarchy: Equatable {
    var mount: ControlGroupMount
    /// Nil for version 2.
    var legacy: LegacyControlGroups?

    /// Nil where there is none here.
    /// - Parameter place: only what is mounted there.
    static func find(at place: String? = nil) throws(AgentError) -> ControlGroupHierarchy? {
        let own = ControlGroups.ofProcess(UInt32(getpid()))
        if let found = choose(ControlGroupMount.all(), own?.memberships ?? [], place) { return found }
        guard let place else { return nil }
        throw AgentError(
            "no control groups by which containers are told are mounted at \(place); leave the path out, or give one that "
                + "`findmnt -t cgroup2` shows, or the mount of pids, memory or cpu where there is no version 2"
        )
    }

    /// - Parameters:
    ///   - mounts: whole ones before others, as ``ControlGroupMount/all()`` gives them.
    ///   - memberships: of any process; they tell the numbers of hierarchies.
    static func choose(
        _ mounts: [ControlGroupMount], _ memberships: [ControlGroups.Membership], _ place: String?
    ) -> ControlGroupHierarchy? {
        let mounts = place.map { place in mounts.filter { $0.place == Array(place.utf8) } } ?? mounts
        if let unified = mounts.first(where: { $0.hierarchy == .unified }) {
            return ControlGroupHierarchy(mount: unified, legacy: nil)
        }
        for controller in LegacyControlGroups.Controller.allCases {
            let isBound = { (controllers: String) in
                controllers.split(separator: ",").contains { $0 == controller.rawValue }
            }
            let mount = mounts.first {
                if case .legacy(let controllers) = $0.hierarchy { isBound(controllers) } else { false }
            }
            guard let mount, let membership = memberships.first(where: { isBound($0.controllers) }) else {
                continue
            }
            return ControlGroupHierarchy(
                mount: mount,
                legacy: LegacyControlGroups(controller: controller, hierarchy: membership.hierarchy))
        }
        return nil
    }

    /// The id of a group by its path: absolute, or below the hierarchy. It is the inode number of the directory (kernfs).
    func group(_ path: String) -> UInt64? {
        let place = String(decoding: mount.place, as: UTF8.self)
        var root = stat()
        guard unsafe stat(place, &root) == 0 else { return nil }
        for prefix in ["", place] {
            var information = stat()
            let path = prefix + (path.hasPrefix("/") ? path : "/" + path)
            guard unsafe stat(path, &information) == 0, information.st_dev == root.st_dev else { continue }
            if information.st_mode & S_IFMT == S_IFDIR { return UInt64(information.st_ino) }
        }
        return nil
    }
}
