internal import Glibc

/// Finds the control groups that there are, by walking a mounted hierarchy.
///
/// A group's id is the inode number of its directory. That is `kn->id`, which `bpf_get_current_cgroup_id()` and the
/// tracepoints give, wherever inode numbers have 64 bits (`kernfs_id_ino()`, include/linux/kernfs.h). Checked on 6.18
/// against the handle that name_to_handle_at(2) gives of the directory (`FILEID_KERNFS`), which holds `kn->id`.
public struct ControlGroupWalk: Sendable {
    public struct Outcome: Equatable, Sendable {
        /// Groups given to the body.
        public var groups = 0
        /// Directories that could not be opened; most were removed meanwhile.
        public var unreadable = 0
        /// There was more than the limits allow.
        public var isCut = false
    }

    /// Levels below the mount's root.
    public var depthLimit: Int
    /// Groups in all.
    public var groupLimit: Int

    public init(depthLimit: Int = 32, groupLimit: Int = 100_000) {
        self.depthLimit = depthLimit
        self.groupLimit = groupLimit
    }

    /// Calls the body with the id and the path of each group, a group before those in it. Paths are those that the
    /// kernel's tracepoints give: `/` for the root. Groups made meanwhile may be missing: attach to `cgroup_mkdir`
    /// first.
    public func run(_ mount: ControlGroupMount, _ body: (UInt64, [UInt8]) -> Void) -> Outcome {
        var outcome = Outcome()
        let place = (mount.place + [0]).map(CChar.init(bitPattern:))
        let descriptor = unsafe open(place, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW)
        guard descriptor >= 0 else {
            outcome.unreadable = 1
            return outcome
        }
        var information = stat()
        guard unsafe fstat(descriptor, &information) == 0 else {
            close(descriptor)
            outcome.unreadable = 1
            return outcome
        }
        let root = mount.root == [UInt8(ascii: "/")] ? [] : mount.root
        descend(
            descriptor, UInt64(information.st_ino), path: root, depth: 0, device: information.st_dev,
            &outcome,
            body)
        return outcome
    }

    /// Takes the descriptor over.
    private func descend(
        _ descriptor: Int32, _ id: UInt64, path: [UInt8], depth: Int, device: dev_t, _ outcome: inout Outcome,
        _ body: (UInt64, [UInt8]) -> Void
    ) {
        guard outcome.groups < groupLimit else {
            outcome.isCut = true
            close(descriptor)
            return
        }
        outcome.groups += 1
        body(id, path.isEmpty ? [UInt8(ascii: "/")] : path)
        let hasRead = Directory.forEachEntry(of: descriptor) { name, mayBeDirectory in
            guard mayBeDirectory else { return true }
            let text = (name + [0]).map(CChar.init(bitPattern:))
            let child = unsafe openat(descriptor, text, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW)
            var information = stat()
            guard child >= 0, unsafe fstat(child, &information) == 0 else {
                if child >= 0 { close(child) }
                if child < 0, errno == ENOTDIR || errno == ELOOP { return true }
                outcome.unreadable += 1
                return true
            }
            // Something else that is mounted there.
            guard information.st_dev == device else {
                close(child)
                return true
            }
            guard depth < depthLimit else {
                outcome.isCut = true
                close(child)
                return true
            }
            descend(
                child, UInt64(information.st_ino), path: path + [UInt8(ascii: "/")] + name, depth: depth + 1,
                device: device, &outcome, body)
            return outcome.groups < groupLimit || !outcome.isCut
        }
        if !hasRead { outcome.unreadable += 1 }
    }
}
