internal import Agent
internal import CSystem
internal import Catalog
internal import Glibc

@main
struct Main {
    static let version = "0.1.0"

    static let commands: [Command] = [
        TraceCommand.command, EventsCommands.list, EventsCommands.describe, EventsCommands.docs,
        PolicyCommands.check, PolicyCommands.explain, PsCommand.command, DoctorCommand.command,
        VersionCommand.command,
        Completions.command, BenchCommand.command,
    ]

    static func main() {
        apus_secure_standard_streams()
        exit(status(of: Array(CommandLine.arguments.dropFirst())))
    }

    static func status(of words: [String]) -> Int32 {
        guard let first = words.first else {
            Console.out(Help.overview())
            return 2
        }
        if ["help", "--help", "-h"].contains(first) { return Help.print(words.dropFirst()) }
        if first == "--version" { return status(of: ["version"]) }
        guard let (command, rest) = find(words) else {
            let near = Catalog.nearest(to: first, among: commands.map(\.name))
            Console.note(
                "unknown command '\(first)'; \(near.isEmpty ? "`apus help` shows all" : "did you mean \(near.joined(separator: ", "))?")"
            )
            return 2
        }
        if let word = rest.prefix(while: { $0 != "--" }).first(where: { $0 == "--help" || $0 == "-h" }) {
            _ = word
            Console.out(Help.text(of: command))
            return 0
        }
        do {
            return try command.run(try command.parse(rest))
        } catch let error as UsageError {
            Console.note(error.description)
            return 2
        } catch let error as AgentError {
            Console.note(error.description)
            return error.status
        } catch {
            Console.note("\(error)")
            return 1
        }
    }

    /// The command that the words begin with; its name may be two words.
    private static func find(_ words: [String]) -> (Command, ArraySlice<String>)? {
        for count in [2, 1] where words.count >= count {
            let name = words.prefix(count).joined(separator: " ")
            if let command = commands.first(where: { $0.name == name }) {
                return (command, words.dropFirst(count))
            }
        }
        return nil
    }
}

enum VersionCommand {
    static let command = Command(name: "version", about: "Print the version.") { _ in
        Console.out("apus \(Main.version)\n")
        return 0
    }
}
