/// Reads containers out of the paths of control groups, in any hierarchy. Nothing is allocated for a path that holds
/// none.
///
/// The forms are those that runtimes are seen to make: `docker-ID.scope`, `docker/ID` and `actions_job/ID` (Docker),
/// `cri-containerd-ID.scope`, `…:cri-containerd:ID`, `nerdctl-ID.scope` and `k8s.io/ID` (containerd), `crio-ID.scope`
/// (CRI-O), `libpod-ID.scope` and `libpod-payload-ID` (Podman, the second with split groups), `podUID/ID` and
/// `…-podUID.slice/ID` (Kubernetes without a runtime's name), `lxc.payload.NAME`, `lxc.payload/NAME` and `lxc/NAME`,
/// `garden/ID` (Cloud Foundry and Concourse), `machine.slice/machine-NAME.scope` and `machine.slice/systemd-nspawn@NAME
/// .service` (systemd-nspawn). Otherwise an ID is 64 lowercase hexadecimal digits; bare ones are a container's wherever
/// they are, as `--cgroup-parent` puts them anywhere. `crio-conmon-ID`, `libpod-conmon-ID` and `lxc.monitor.NAME` are
/// the runtime's own.
///
/// Whoever may make control groups may give them such names, so a path is no proof: in a container that may write its
/// control groups, what is inside names itself. ``Match/outer`` stays true then.
public enum ControlGroupPath {
    /// A container in a path.
    public struct Match: Equatable, Sendable {
        /// The innermost container.
        public var identity: ContainerIdentity
        /// The container around it, where there is one: Docker in Docker, Kubernetes in Docker.
        public var outer: ContainerIdentity?
        /// How many containers are around each other here; 1 for an ordinary one.
        public var level: Int
        /// The component that is the container's root, counted from 0. Groups below are the same container.
        public var component: Int
        /// Bytes of the path up to the end of that component.
        public var rootLength: Int
    }

    /// A group that may be a container's, if somebody knows that it is: `ctr` makes `/NAMESPACE/ID` and runc `/ID`,
    /// where the id may be any name.
    public struct Candidate: Equatable, Sendable {
        public var namespace: String?
        public var id: String
    }

    /// Bytes of a path that are looked at. The kernel's tracepoints cut paths at 1,024 (`TRACE_CGROUP_PATH_LEN`).
    public static let limit = 4096

    /// The innermost container of a path; nil where there is none.
    /// - Parameter path: with or without the slash at its beginning; may be anything.
    public static func recognise(_ path: RawSpan) -> Match? {
        var scan = Scan(PathBytes(path))
        scan.run()
        guard let inner = scan.inner else { return nil }
        return Match(
            identity: scan.identity(inner), outer: scan.outer.map { scan.identity($0) }, level: scan.level,
            component: inner.component, rootLength: inner.root.upperBound)
    }

    public static func recognise(_ path: [UInt8]) -> Match? { recognise(unsafe path.span.bytes) }

    /// The last component of a path, and the one before it, if they are names that containerd and runc allow.
    public static func candidate(_ path: RawSpan) -> Candidate? {
        let bytes = PathBytes(path)
        var (last, before) = (0..<0, 0..<0)
        bytes.forEachComponent { component in (before, last) = (last, component) }
        guard last.upperBound == bytes.count, let name = bytes.name(last) else { return nil }
        // runc with systemd: `runc-ID.scope`, in system.slice.
        let isScope = name.hasSuffix(".scope")
        for prefix in ["runc-", "crun-"] where isScope && name.hasPrefix(prefix) {
            let id = name.dropFirst(prefix.count).dropLast(".scope".count)
            return id.isEmpty ? nil : Candidate(namespace: nil, id: String(id))
        }
        return Candidate(namespace: bytes.name(before), id: name)
    }

    public static func candidate(_ path: [UInt8]) -> Candidate? { candidate(unsafe path.span.bytes) }

    /// The innermost unit of systemd, `sshd.service` or `session-1.scope`: its name. A unit is no container.
    public static func systemdUnit(_ path: RawSpan) -> String? {
        let bytes = PathBytes(path)
        var unit: Range<Int>?
        bytes.forEachComponent { component in
            if component.count <= 255, bytes.ends(component, ".service") || bytes.ends(component, ".scope") {
                unit = component
            }
        }
        return unit.map { bytes.text($0) }
    }

    public static func systemdUnit(_ path: [UInt8]) -> String? { systemdUnit(unsafe path.span.bytes) }
}

/// One pass over the components of a path.
private struct Scan: ~Escapable {
    /// A container, as places in the path.
    struct Found {
        var runtime: ContainerRuntime
        var id: Range<Int>
        var isEscaped = false
        var pod: Range<Int>?
        var root = 0..<0
        var component = 0
    }

    private let bytes: PathBytes
    private(set) var inner: Found?
    private(set) var outer: Found?
    private(set) var level = 0

    @_lifetime(copy bytes)
    init(_ bytes: PathBytes) { self.bytes = bytes }

    mutating func run() {
        let bytes = bytes
        var (inner, outer, level): (Found?, Found?, Int) = (nil, nil, 0)
        var pod: Range<Int>?
        var previous = 0..<0
        var index = 0
        bytes.forEachComponent { component in
            if let found = Self.pod(bytes, component) {
                pod = found
            } else if var found = Self.container(bytes, component, after: previous, isInPod: pod != nil),
                // Of a container's own groups one may have its id again.
                inner.map({ !bytes.areEqual($0.id, found.id) }) ?? true
            {
                found.pod = pod
                found.root = component
                found.component = index
                (outer, inner) = (inner, found)
                level += 1
                pod = nil
            }
            previous = component
            index += 1
        }
        (self.inner, self.outer, self.level) = (inner, outer, level)
    }

    func identity(_ found: Found) -> ContainerIdentity {
        ContainerIdentity(
            runtime: found.runtime,
            id: found.isEscaped ? bytes.unescaped(found.id) ?? "" : bytes.text(found.id),
            podUID: found.pod.map { bytes.text($0, replacing: UInt8(ascii: "_"), by: UInt8(ascii: "-")) })
    }

    /// The uid in `podUID` (cgroupfs) or `kubepods-burstable-podUID_WITH_.slice` (systemd). A uid is a UUID, or for
    /// pods from files on the node 32 hexadecimal digits.
    private static func pod(_ bytes: PathBytes, _ component: Range<Int>) -> Range<Int>? {
        var uid = component
        if bytes.ends(component, ".slice") {
            guard bytes.contains(component, "kubepods"), let at = bytes.last("-pod", in: component) else {
                return nil
            }
            uid = at + "-pod".utf8.count..<component.upperBound - ".slice".utf8.count
        } else {
            guard bytes.begins(component, "pod") else { return nil }
            uid = component.lowerBound + "pod".utf8.count..<component.upperBound
        }
        return bytes.isHexadecimal(uid, 32) || bytes.isGrouped(uid, uuid) ? uid : nil
    }

    private static let uuid = [8, 4, 4, 4, 12]
    /// Of an application of Cloud Foundry; nothing else looks like it.
    private static let instance = [8, 4, 4, 4, 4]
    private static let prefixes: [(StaticString, ContainerRuntime)] = [
        ("docker-", .docker), ("cri-containerd-", .containerd), ("nerdctl-", .containerd), ("crio-", .crio),
        ("libpod-payload-", .podman), ("libpod-", .podman), ("runc-", .unknown), ("crun-", .unknown),
    ]
    /// What cgroupfs makes of names meant for systemd.
    private static let infixes: [(StaticString, ContainerRuntime)] = [
        (":docker:", .docker), (":cri-containerd:", .containerd), (":nerdctl:", .containerd),
        (":crio:", .crio),
        (":libpod:", .podman),
    ]
    private static let parents: [(StaticString, ContainerRuntime)] = [
        ("docker", .docker), ("actions_job", .docker), ("k8s.io", .containerd), ("default", .containerd),
        ("libpod_parent", .podman),
    ]

    private static func container(
        _ bytes: PathBytes, _ component: Range<Int>, after previous: Range<Int>, isInPod: Bool
    ) -> Found? {
        var name = component
        if bytes.ends(name, ".scope") { name = name.lowerBound..<name.upperBound - ".scope".utf8.count }
        if name.count >= 64 {
            let id = name.upperBound - 64..<name.upperBound
            if bytes.isHexadecimal(id, 64) {
                let front = name.lowerBound..<id.lowerBound
                if front.isEmpty {
                    let known = parents.first { bytes.areEqual(previous, $0.0) }?.1
                    return Found(runtime: isInPod ? .unknown : known ?? .unknown, id: id)
                }
                if let known = prefixes.first(where: { bytes.areEqual(front, $0.0) }) {
                    return Found(runtime: known.1, id: id)
                }
                if let known = infixes.first(where: { bytes.ends(front, $0.0) }) {
                    return Found(runtime: known.1, id: id)
                }
                return nil
            }
        }
        if bytes.isGrouped(component, instance)
            || (bytes.isGrouped(component, uuid) && bytes.begins(previous, "garden"))
        {
            return Found(runtime: .garden, id: component)
        }
        return lxc(bytes, component, after: previous) ?? machine(bytes, component, after: previous)
    }

    private static func lxc(_ bytes: PathBytes, _ component: Range<Int>, after previous: Range<Int>) -> Found?
    {
        let prefix: StaticString = "lxc.payload."
        var name = component
        if bytes.begins(component, prefix) {
            name = component.lowerBound + prefix.utf8CodeUnitCount..<component.upperBound
        } else if !bytes.areEqual(previous, "lxc") && !bytes.areEqual(previous, "lxc.payload") {
            return nil
        }
        return bytes.isName(name) ? Found(runtime: .lxc, id: name) : nil
    }

    private static func machine(_ bytes: PathBytes, _ component: Range<Int>, after previous: Range<Int>)
        -> Found?
    {
        guard bytes.areEqual(previous, "machine.slice") else { return nil }
        let forms: [(StaticString, StaticString)] = [
            ("machine-", ".scope"), ("systemd-nspawn@", ".service"),
        ]
        for (prefix, suffix) in forms where bytes.begins(component, prefix) && bytes.ends(component, suffix) {
            let start = component.lowerBound + prefix.utf8CodeUnitCount
            let end = component.upperBound - suffix.utf8CodeUnitCount
            // libvirt's virtual machines are registered too, but are no containers.
            guard start < end, !bytes.begins(start..<end, "qemu\\x2d"), bytes.unescaped(start..<end) != nil
            else {
                return nil
            }
            return Found(runtime: .systemd, id: start..<end, isEscaped: true)
        }
        return nil
    }
}
