import Expressions
import Testing

@Suite struct TruthTests {
    @Test(
        arguments: [
            (.yes, .yes, .yes, .yes), (.yes, .no, .no, .yes), (.yes, .unknown, .unknown, .yes),
            (.no, .yes, .no, .yes), (.no, .no, .no, .no), (.no, .unknown, .no, .unknown),
            (.unknown, .yes, .unknown, .yes), (.unknown, .no, .no, .unknown),
            (.unknown, .unknown, .unknown, .unknown),
        ] as [(Truth, Truth, Truth, Truth)])
    func tables(_ a: Truth, _ b: Truth, _ both: Truth, _ either: Truth) {
        #expect(a.and(b) == both)
        #expect(a.or(b) == either)
    }

    @Test func negation() {
        #expect(!Truth.yes == .no)
        #expect(!Truth.no == .yes)
        #expect(!Truth.unknown == .unknown)
        #expect(Truth(true) == .yes)
        #expect(Truth(false) == .no)
    }
}
