internal import CContract
internal import CLibbpf
internal import Glibc

/// What the agent tells the kernel of control groups. The kernel gives new ones room by itself.
extension Sensor {
    /// What the plans say of a container: the policies that name it, and that leave it out by name.
    public struct ContainerMarks: Sendable, Equatable {
        public var included: UInt64
        public var excluded: UInt64
        public init(included: UInt64, excluded: UInt64) {
            self.included = included
            self.excluded = excluded
        }
    }

    /// Says that a control group is a container's.
    /// - Parameters:
    ///   - isNew: it was made since Apus started. Then it is not entered again when it is gone already.
    ///   - marks: of the plan that judges, or will.
    public func setContainer(group: UInt64, isNew: Bool, _ marks: ContainerMarks, plan: UInt32)
        throws(ProbeError)
    {
        let descriptor = try object.mapDescriptor("containers")
        var key = group
        var value = apus_container()
        unsafe _ = bpf_map_lookup_elem(descriptor, &key, &value)
        value.is_known = 1
        value.is_new = isNew ? 1 : 0
        if plan % UInt32(APUS_PLANS) == 0 {
            (value.named.0, value.excluded.0) = (marks.included, marks.excluded)
        } else {
            (value.named.1, value.excluded.1) = (marks.included, marks.excluded)
        }
        let status = unsafe bpf_map_update_elem(descriptor, &key, &value, UInt64(isNew ? BPF_EXIST : BPF_ANY))
        guard status == 0 || (isNew && status == -ENOENT) else { throw BPFMap.refused(status) }
        if !isNew {
            var yes: UInt8 = 1
            unsafe _ = bpf_map_update_elem(try object.mapDescriptor("started_containers"), &key, &yes, 0)
        }
    }

    /// Says that a control group is no container's.
    public func setNoContainer(group: UInt64) throws(ProbeError) {
        var key = group
        unsafe _ = bpf_map_delete_elem(try object.mapDescriptor("containers"), &key)
        unsafe _ = bpf_map_delete_elem(try object.mapDescriptor("started_containers"), &key)
    }
}
