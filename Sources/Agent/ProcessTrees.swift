internal import Policies
internal import Probes

/// Puts the processes of the trees that scopes name into the kernel's map, after the hook on forks is attached: their
/// later children follow by themselves.
enum ProcessTrees {
    /// - Parameters:
    ///   - plan: number of the plan that the set belongs to.
    ///   - command: the root of the traced command's tree, if there is one.
    ///   - isPending: it has not executed the command yet.
    static func write(
        _ set: PolicySet, _ programs: ScopePlan.Programs, to sensor: Sensor, plan: UInt32, command: UInt32?,
        isPending: Bool = false
    ) throws(ProbeError) {
        if plan != 0 { try sensor.forgetProcesses(plan: plan) }
        if !programs.named.isEmpty { try writePrograms(programs, to: sensor, plan: plan) }
        // Once more until nothing is new: what was forked meanwhile may have missed its mark.
        var written: Set<UInt32> = []
        for _ in 0..<10 {
            let marks = try marks(set, sensor, plan: plan, command: command, isPending: isPending)
            let missing = marks.filter { !written.contains($0.key) }
            if missing.isEmpty { return }
            for (process, mark) in missing {
                try sensor.addToTree(
                    pid: process, equals: mark.equals, mentioned: mark.mentioned,
                    isPending: isPending && process == command, plan: plan)
                written.insert(process)
            }
        }
    }

    /// Tells which policies take the programs that run already.
    private static func writePrograms(
        _ programs: ScopePlan.Programs, to sensor: Sensor, plan: UInt32
    ) throws(ProbeError) {
        var known: [UInt32: RunningProcesses.Program] = [:]
        for _ in 0..<10 {
            var isNew = false
            for process in RunningProcesses.all() {
                // Looked at again, as it may execute another between our look and our word.
                guard let program = RunningProcesses.program(of: process), known[process] != program else {
                    continue
                }
                let policies = programs.taking(program.path, mountNamespace: program.mountNamespace)
                try sensor.setPrograms(pid: process, policies: policies, plan: plan)
                known[process] = program
                isNew = true
            }
            if !isNew { return }
        }
    }

    private static func marks(
        _ set: PolicySet, _ sensor: Sensor, plan: UInt32, command: UInt32?, isPending: Bool
    ) throws(ProbeError) -> [UInt32: ScopePlan.Marks] {
        var marks: [UInt32: ScopePlan.Marks] = [:]
        // Who is in the command's tree the kernel knows best: its ancestors may be gone.
        var ofCommand: Set<UInt32> = []
        if let command, !isPending {
            ofCommand = Set(
                try sensor.processesInTrees(plan: plan &- 1).filter { $0.value.equals != 0 }.map(\.key))
            ofCommand.insert(command)
        }
        for (policy, scope) in set.policies.map(\.scope).enumerated() {
            guard let restriction = scope.restrictions[.tree] else { continue }
            for (values, isIncluded) in [(restriction.excluded, false), (restriction.included, true)] {
                for case .number(let number) in values {
                    let root = UInt32(truncatingIfNeeded: number)
                    let members: Set<UInt32>
                    if root == command {
                        members = isPending ? [root] : ofCommand
                    } else {
                        guard RunningProcesses.exists(root) else {
                            throw ProbeError("scope tree=\(root): there is no such process")
                        }
                        members = RunningProcesses.tree(of: root)
                    }
                    for process in members {
                        marks[process, default: ScopePlan.Marks()].mentioned |= 1 << UInt64(policy)
                        if isIncluded {
                            marks[process, default: ScopePlan.Marks()].equals |= 1 << UInt64(policy)
                        }
                    }
                }
            }
        }
        return marks
    }
}
