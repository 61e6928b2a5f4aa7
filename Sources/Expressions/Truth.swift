/// What a condition comes to, in Kleene's logic: what is not known may be yes or no.
public enum Truth: Sendable {
    case no, yes, unknown

    @inline(__always)
    public init(_ isYes: Bool) { self = isYes ? .yes : .no }

    @inline(__always)
    public static prefix func ! (a: Truth) -> Truth {
        switch a {
        case .no: .yes
        case .yes: .no
        case .unknown: .unknown
        }
    }

    @inline(__always)
    public func and(_ other: Truth) -> Truth {
        if self == .no || other == .no { return .no }
        return self == .yes && other == .yes ? .yes : .unknown
    }

    @inline(__always)
    public func or(_ other: Truth) -> Truth {
        if self == .yes || other == .yes { return .yes }
        return self == .no && other == .no ? .no : .unknown
    }
}
