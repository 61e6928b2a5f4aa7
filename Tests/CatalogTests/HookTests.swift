import Catalog
import TestSupport
import Testing

/// The language of hook lines.
@Suite struct HookTests {
    /// An event's hooks in words, a line for each; `|` between the places of one.
    static func lines(_ event: EventDefinition) -> [String] {
        guard case .hooks(let hooks) = event.source else { return [] }
        return hooks.map { hook in
            let places = hook.places.map { place in
                let parameters = place.parameters.map(\.description).joined(separator: ", ")
                return "\(place.description)(\(parameters)) by \(place.program)"
            }
            return places.joined(separator: " | ") + (hook.isOptional ? " optional" : "")
        }
    }

    private func parse(_ lines: [String]) throws -> EventDefinition {
        let text = (["event thing 9", "about A thing."] + lines).joined(separator: "\n")
        return try #require(try CatalogParser.parse([("a.events", text[...])]).first)
    }

    @Test(
        arguments: [
            ("tp_btf:sched_switch", "tp_btf:sched_switch() by thing"),
            ("entry:f(file)", "entry:f(struct file *) by thing"),
            ("entry:f()", "entry:f() by thing"), ("entry:f( )", "entry:f() by thing"),
            (
                "exit:f(file, ptr, int,any)",
                "exit:f(struct file *, a pointer, a number, something else) by thing"
            ),
            (
                "exit:__f_1 ( file ,  int ) by other_1", "exit:__f_1(struct file *, a number) by other_1"
            ),
            ("calls_enter:open, openat,creat", "calls_enter:open,openat,creat() by thing"),
            ("calls_exit:dup  by  socket_dup", "calls_exit:dup() by socket_dup"),
            ("entry:f(int) by g optional", "entry:f(a number) by g optional"),
            ("tp_btf:f  optional", "tp_btf:f() by thing optional"),
            // Names that begin as words of the language do.
            ("entry:by(by) by by", "entry:by(struct by *) by by"),
            ("entry:optional(int)", "entry:optional(a number) by thing"),
        ])
    func aLineMeansWhatItSays(_ line: String, _ meaning: String) throws {
        // An event needs one that is not optional.
        let event = try parse(["hook tp_btf:some", "hook \(line)"])
        #expect(Self.lines(event) == ["tp_btf:some() by thing", meaning])
    }

    @Test func alternativesBelongToTheHookAbove() throws {
        let event = try parse([
            "hook entry:a(int)", "or entry:b(int, int) by c", "or tp_btf:d", "hook exit:e(int) optional",
            "# between", "field x: int32 K | x", "or calls_exit:f", "or perf:g", "or kprobe:h(int)",
        ])
        #expect(
            Self.lines(event) == [
                "entry:a(a number) by thing | entry:b(a number, a number) by c | tp_btf:d() by thing",
                "exit:e(a number) by thing | calls_exit:f() by thing | perf:g() by thing | kprobe:h(a number) by thing optional",
            ])
        guard case .hooks(let hooks) = event.source else { return }
        #expect(hooks.map(\.isOptional) == [false, true])
        #expect(hooks[0].places.map(\.kind) == [.entry, .entry, .tracepoint])
        #expect(hooks[0].places.map(\.kind.isFunction) == [true, true, false])
        #expect(hooks[0].places[1].parameters == [.integer, .integer])
    }

    @Test func eventsOfTheAgentHaveNoHook() throws {
        #expect(try parse(["hook agent"]).source == .agent)
    }

    private static let kinds =
        "is no place: it starts with one of tp_btf, entry, exit, calls_enter, calls_exit, kprobe, perf, and a colon"
    private static let noName = "is no name: letters, digits and _"

    @Test(
        arguments: [
            ("hook sched_switch", "'sched_switch' \(kinds)"),
            ("hook fentry:f(int)", "'fentry:f(int)' \(kinds)"),
            ("hook :f(int)", "':f(int)' \(kinds)"), ("hook Entry:f(int)", "'Entry:f(int)' \(kinds)"),
            ("hook optional", "'optional' \(kinds)"), ("or f", "'f' \(kinds)"),
            ("hook agents", "'agents' \(kinds)"),
            ("hook entry:f", "'entry:f' must say what the function takes, as entry:function(file, int)"),
            ("or exit:f(int", "'exit:f(int' must say what the function takes, as exit:function(file, int)"),
            ("hook exit:f)", "'exit:f)' must say what the function takes, as exit:function(file, int)"),
            // Words in another order.
            (
                "hook entry:f(int) optional by g",
                "'entry:f(int) optional by g' must say what the function takes, as entry:function(file, int)"
            ),
            ("or tp_btf:f optional", "'f optional' in 'tp_btf:f optional' \(noName)"),
            ("or tp_btf:f by g optional", "'g optional' in 'tp_btf:f by g optional' \(noName)"),
            ("hook tp_btf:", "'tp_btf:' names nothing to attach to"),
            ("hook entry:(int)", "'entry:(int)' names nothing to attach to"),
            ("hook calls_exit:", "'calls_exit:' names nothing to attach to"),
            ("hook tp_btf:f(int)", "'f(int)' in 'tp_btf:f(int)' \(noName)"),
            ("hook entry:f(struct file *)", "'struct file *' in 'entry:f(struct file *)' \(noName)"),
            ("hook entry:f(int,,int)", "'' in 'entry:f(int,,int)' \(noName)"),
            ("hook entry:f(int))", "'int)' in 'entry:f(int))' \(noName)"),
            ("hook entry:f.isra.0(int)", "'f.isra.0' in 'entry:f.isra.0(int)' \(noName)"),
            ("hook calls_enter:open,", "'' in 'calls_enter:open,' \(noName)"),
            ("hook entry:f(int) by g h", "'g h' in 'entry:f(int) by g h' \(noName)"),
            ("hook entry:f(int) by käse", "'käse' in 'entry:f(int) by käse' \(noName)"),
        ])
    func faultsHaveALine(_ line: String, _ message: String) throws {
        let error = try #require(throws: CatalogError.self) {
            _ = try parse(["hook tp_btf:some", "field a: int32 K | x", line, "field b: int32 K | x"])
        }
        #expect(error.message == message)
        #expect(error.line == 5)
        #expect(error.file == "a.events")
    }

    @Test func anAlternativeNeedsAHook() throws {
        let error = try #require(throws: CatalogError.self) { _ = try parse(["or tp_btf:f"]) }
        #expect(error.message == "'or' needs a hook line above it")
        #expect(error.line == 3)
    }

    @Test func shapes() {
        #expect(ParameterShape("ptr") == .pointer)
        #expect(ParameterShape("int") == .integer)
        #expect(ParameterShape("any") == .any)
        #expect(ParameterShape("file") == .structure("file"))
        let all: [ParameterShape] = [.pointer, .integer, .structure("a"), .structure("b"), .any]
        for wanted in all {
            for actual in all {
                #expect(wanted.accepts(actual) == (wanted == .any || wanted == actual), "\(wanted) \(actual)")
            }
        }
    }

    /// Whatever stands in a hook line, it is a hook or a fault on that line.
    @Test func noLineStopsTheParser() {
        let pieces = [
            "hook ", "or ", "entry:", "exit:", "tp_btf:", "calls_enter:", "calls_exit:", "f", "(", ")",
            "file",
            ",", " ", " by ", " optional", "agent", "ptr", "int", "any", "\t", "ä", ":", "_1",
        ]
        var random = SplitMix64(seed: 31)
        var hooks = 0
        var faults = 0
        for _ in 0..<10_000 {
            var line = (0..<random.below(9)).map { _ in pieces[random.below(pieces.count)] }.joined()
            if random.below(4) > 0 { line = ["hook ", "or "][random.below(2)] + line }
            let start = "event thing 9\nabout A thing.\nhook tp_btf:some\n"
            do {
                let events = try CatalogParser.parse([("a", "\(start)\(line)")])
                for hook in events.flatMap(Self.lines) where hook.contains(" by  ") || hook.contains("( ") {
                    Issue.record("\(line): \(hook)")
                }
                hooks += 1
            } catch {
                #expect(error.line == 4 || error.line == 1, "\(line)")
                #expect(!error.message.isEmpty)
                faults += 1
            }
        }
        #expect(hooks > 50 && faults > 5000, "\(hooks) \(faults)")
    }
}
