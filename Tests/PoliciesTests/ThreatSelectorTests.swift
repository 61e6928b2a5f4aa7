import Testing

@testable import Policies

@Suite struct ThreatSelectorTests {
    @Test(
        arguments: [
            ("threat.severity=critical", .severity([.critical])),
            ("threat.severity=info,4", .severity([.info, .critical])),
            ("threat.severity!=low", .severity([.info, .medium, .high, .critical])),
            ("threat.severity!=low,1,2", .severity([.info, .high, .critical])),
            ("threat.severity<2", .severity([.info, .low])),
            ("threat.severity<=medium", .severity([.info, .low, .medium])),
            ("threat.severity>high", .severity([.critical])),
            ("threat.severity>=3", .severity([.high, .critical])),
            ("threat.severity>=info", .severity([.info, .low, .medium, .high, .critical])),
            ("threat.name=fileless_execution", .text(.name, ["fileless_execution"], isNegated: false)),
            ("threat.name!=a,b", .text(.name, ["a", "b"], isNegated: true)),
            (
                "threat.mitre.technique=Process Injection",
                .text(.technique, ["Process Injection"], isNegated: false)
            ),
            ("threat.mitre.tactic != Persistence", .text(.tactic, ["Persistence"], isNegated: true)),
        ] as [(String, ThreatSelector)])
    func selectors(_ text: String, _ expected: ThreatSelector) throws {
        #expect(try ThreatSelector(text) == expected)
    }

    @Test(arguments: [
        ("threat.severity", "'threat.severity' lacks an operator; write it like threat.severity=critical"),
        ("threat.", "'threat.' lacks an operator"),
        ("threat.severity=", "'threat.severity=' has an empty value"),
        ("threat.name=a,,b", "'threat.name=a,,b' has an empty value"),
        (
            "threat.severity=worst",
            "'threat.severity=worst': 'worst' is no severity; there are info, low, medium, high and critical, "
                + "or 0 to 4"
        ),
        ("threat.severity=5", "'threat.severity=5': '5' is no severity; there are"),
        ("threat.severity=-1", "'threat.severity=-1': '-1' is no severity; there are"),
        ("threat.severity=HIGH", "'threat.severity=HIGH': 'HIGH' is no severity; there are"),
        ("threat.severity>low,high", "'threat.severity>low,high': > takes one severity"),
        ("threat.severity<info", "'threat.severity<info' can match nothing"),
        ("threat.severity>4", "'threat.severity>4' can match nothing"),
        ("threat.severity!=0,1,2,3,4", "'threat.severity!=0,1,2,3,4' can match nothing"),
        ("threat.name>a", "'threat.name>a': threat.name takes = and != only, not >"),
        (
            "threat.mitre.tactic<=a",
            "'threat.mitre.tactic<=a': threat.mitre.tactic takes = and != only, not <="
        ),
        ("threat.severty=1", "unknown property 'threat.severty'; did you mean threat.severity?"),
        (
            "threat.mitre=x",
            "unknown property 'threat.mitre'; did you mean threat.name?"
        ),
        (
            "threat.something_else=x",
            "unknown property 'threat.something_else'; there are threat.severity, threat.name, "
                + "threat.mitre.technique and threat.mitre.tactic"
        ),
        ("threat.\u{1b}[2J=x", "unknown property 'threat.\\x1b[2J';"),
    ])
    func mistakes(_ text: String, _ expected: String) throws {
        let error = try #require(throws: PolicyError.self) { try ThreatSelector(text) }
        #expect(error.description.hasPrefix(expected), "\(error)")
    }
}
