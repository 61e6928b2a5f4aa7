public import Catalog

/// A policy as it is written in a file: a name, whom it traces, and which events. Filters and limits are kept
/// as text.
public struct PolicyDocument: Sendable {
    /// Policies that can be used at once: each has a bit of a 64-bit set.
    public static let countLimit = 64

    /// The two ways to write one. Both say the same.
    public enum Form: Sendable {
        /// `type: policy`.
        case plain
        /// A resource of Kubernetes: `apiVersion`, `kind`, `metadata` and `spec`.
        case resource
    }

    public internal(set) var form: Form
    /// Where the document starts.
    public internal(set) var position: SourcePosition
    /// A DNS subdomain (RFC 1123), as Kubernetes has them.
    public internal(set) var name: Located<String>
    public internal(set) var description: Located<String>?
    /// Of the plain form.
    public internal(set) var version: Located<String>?
    /// As written; ``scope(hostMountNamespace:resolveGroup:)`` parses them.
    public internal(set) var scopeItems: [Located<String>] = []
    public internal(set) var rules: [PolicyRule] = []
    /// Dense indexes of the events that rules take out, chosen or not.
    public internal(set) var removed: Set<Int> = []
    /// Of rules that have no actions: `log`, `print`.
    public internal(set) var defaultActions: [Located<String>] = []
    /// As written; ``RateLimit`` parses them.
    public internal(set) var limits: [Located<String>] = []

    /// Whom the policy traces.
    /// - Parameters:
    ///   - hostMountNamespace: the number of the mount namespace that `exec=host:/PATH` means.
    ///   - resolveGroup: gives the id of a control group by its path.
    public func scope(
        hostMountNamespace: UInt32?, resolveGroup: (String) -> UInt64? = { _ in nil }
    ) throws(PolicyDiagnostic) -> Scope {
        var scope = Scope()
        for item in scopeItems {
            do throws(PolicyError) {
                try scope.add(
                    ScopeItem.withoutSpaces(item.value), hostMountNamespace: hostMountNamespace,
                    resolveGroup: resolveGroup)
            } catch {
                throw PolicyDiagnostic(error.description, at: item.position)
            }
        }
        return scope
    }

    /// Reads the documents of one file and checks each by itself.
    /// - Parameter file: how to name the file; behind `.json`, the text is JSON.
    /// - Returns: all documents, also those with errors, with what of them could be read, so that the rest of
    ///   them can be checked too. Nothing of it is to be used when a diagnostic is an error.
    public static func parse(
        _ bytes: [UInt8], file: String, catalog: Catalog = .builtIn
    ) -> (documents: [PolicyDocument], diagnostics: [PolicyDiagnostic]) {
        let read = DocumentReader.read(bytes, file: file)
        var check = DocumentCheck(file: file, catalog: catalog)
        for diagnostic in read.diagnostics { check.add(diagnostic) }
        let documents = read.documents.compactMap { check.document($0) }
        if read.documents.isEmpty && check.diagnostics.isEmpty {
            check.error(
                "the file holds no policy; write one", at: SourcePosition(file: file, line: 1, column: 1))
        }
        return (documents, check.diagnostics.sorted { $0.position.isBefore($1.position) })
    }
}

/// One rule of a policy: events, and what of them is wanted.
public struct PolicyRule: Sendable {
    /// As written: names, `-name`, `prefix*`, `tag=SET`, sets, or `threat.PROPERTY=VALUE` at the end.
    public internal(set) var event: Located<String>
    /// Dense indexes of the events that this rule decides, ascending: without those that the policy takes out
    /// again, and those that another rule names, or an earlier one chooses.
    public internal(set) var events: [Int]
    /// Of them, those that the rule names.
    public internal(set) var named: Set<Int>
    /// Chooses events besides, by what detectors say of them.
    public internal(set) var threat: ThreatSelector?
    /// As written, not empty; all of them must hold. Their places are those of their first characters, behind a
    /// quote.
    public internal(set) var filters: [Located<String>]
    /// `log`, `print`; empty means the policy's.
    public internal(set) var actions: [Located<String>]
}

extension Optional<SourcePosition> {
    /// What has no place comes first.
    func isBefore(_ other: SourcePosition?) -> Bool {
        guard let self else { return other != nil }
        guard let other else { return false }
        return self < other
    }
}
