internal import Catalog
internal import Glibc
internal import Outputs
public import Policies
internal import Probes

/// From a request to policies that can be in force on this kernel.
public enum LoadedPolicies {
    /// The policies of files, or the one of the command line.
    static func read(
        _ request: TraceRequest, _ catalog: Catalog, _ notes: inout [String]
    ) throws(AgentError) -> PolicySet {
        guard !request.policies.isEmpty else {
            do throws(PolicyError) {
                return try PolicySet(
                    events: request.events, scopes: request.scopes, limits: request.limits,
                    host: host(request.controlGroups), catalog: catalog)
            } catch {
                throw AgentError(error.description, status: 2)
            }
        }
        let (set, diagnostics) = PolicySet.load(
            paths: request.policies, host: host(request.controlGroups), catalog: catalog)
        guard let set else {
            throw AgentError(diagnostics.map(\.description).joined(separator: "\n"), status: 2)
        }
        notes += diagnostics.map(\.description)
        return set
    }

    /// What of this host scopes may name.
    /// - Parameter controlGroups: where they are mounted; nil for wherever that is.
    public static func host(_ controlGroups: String? = nil) -> PolicySet.Host {
        var information = stat()
        let hasNamespace = unsafe stat("/proc/1/ns/mnt", &information) == 0
        return PolicySet.Host(
            mountNamespace: hasNamespace ? UInt32(truncatingIfNeeded: information.st_ino) : nil,
            controlGroup: { (try? ControlGroupHierarchy.find(at: controlGroups))?.group($0) })
    }

    /// The events that this kernel does not give: those asked for by name are noted with their reasons, of others all but
    /// system calls, as what a kernel does not have is rarely called.
    static func unavailable(
        _ set: PolicySet, _ hooks: SystemCallHooks, _ features: Features, _ catalog: Catalog,
        _ notes: inout [String]
    ) throws(AgentError) -> Set<Int> {
        let states = features.unavailable(set.events.map { catalog.events[$0] }, hooks)
        var missing: Set<Int> = []
        var others: [String] = []
        let named = set.namedEvents
        for index in set.events {
            let event = catalog.events[index]
            guard case .absent(let reason)? = states[index] else { continue }
            if named.contains(index) {
                let advice = features.isFailingCall(event) ? "; --hooks all shows who tries it" : ""
                notes.append("this kernel cannot give \(event.name): \(reason)\(advice)")
            } else if case .hooks = event.source {
                others.append(event.name)
            }
            missing.insert(index)
        }
        if !others.isEmpty {
            let shown = others.prefix(8).joined(separator: ", ")
            let more = others.count > 8 ? " and \(others.count - 8) more" : ""
            notes.append("this kernel cannot give \(shown)\(more); `apus events describe NAME` says why")
        }
        guard !set.events.isEmpty else {
            throw AgentError(
                "the policies choose no event: what detections say (threat.…) chooses nothing yet; name events",
                status: 2)
        }
        guard missing.count < set.events.count else {
            throw AgentError(
                notes.count == 1 && others.isEmpty
                    ? notes[0]
                    : "this kernel can give none of the chosen events: \(notes.joined(separator: "; "))")
        }
        return missing
    }
}

extension SensorRequest {
    /// What a plan needs of the kernel, hooked and stored as the user asked.
    init(_ plan: PolicyPlan, _ request: TraceRequest) {
        self.init()
        events = plan.events
        scope = plan.scope
        filters = plan.filters
        for (number, policy) in plan.policies.enumerated() where !policy.limits.isEmpty {
            limits[number] = policy.limits
        }
        isChangeable = !request.policies.isEmpty
        hooks = request.hooks
        functionHooks = request.functionHooks
        wantsEnvironment = request.wantsEnvironment
        wantsArguments = request.wantsLineage
        wantsPaths = request.wantsPaths
        targets.structures = request.outputs.contains(where: \.showsStructures)
        targets.payload = request.outputs.map(\.payload).max() ?? 0
        targets.descriptors = request.outputs.contains(where: \.showsDescriptors)
        targets.entryTimes = request.outputs.contains(where: \.showsTimes)
        ringBytes = request.ringBytes
        lifecycleRingBytes = request.lifecycleRingBytes
        ringCount = request.ringCount
    }
}
