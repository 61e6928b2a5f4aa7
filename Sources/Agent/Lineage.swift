internal import Outputs
internal import State

extension ProcessTree {
    /// Ancestors that are shown at most.
    private static let shownAncestors = 64

    /// Who made a process, and who made that one, up to the first, as outputs show them.
    func lineage(of process: UInt32, start: UInt64, at time: UInt64) -> [ShownAncestor] {
        var ancestors: [ShownAncestor] = []
        ancestry(of: ProcessKey(process: process, start: start), at: time, limit: Self.shownAncestors) {
            step in
            var ancestor = ShownAncestor()
            ancestor.process = step.key?.process ?? 0
            ancestor.start = step.key?.start ?? 0
            ancestor.user = step.user
            ancestor.name = step.name.bytes
            ancestor.executable = step.executable
            ancestor.arguments = step.arguments
            ancestor.isUnknown = step.isUnknown
            ancestors.append(ancestor)
        }
        return ancestors
    }
}
