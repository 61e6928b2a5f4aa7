internal import Agent
internal import CSystem
internal import Glibc
internal import Outputs

enum PsCommand {
    static let command = Command(
        name: "ps", about: "Show the processes as a tree, with their containers.",
        options: [
            Option("all", "a", "threads of the kernel too"),
            Option(
                "container", "c", value: "ID|NAME",
                "only processes in a container: its name, its id, or 12 characters of it"),
            Option("json", "j", "print JSON: an array, one process on each line"),
        ],
        operands: "[PID...]",
        details: """
            With PIDs: these processes, all below them, and those above them. Nothing is
            traced for it: /proc, files of container runtimes and their sockets are read
            once. Without root, programs of others and names of containers are missing.

            `?─` stands before a process whose parent is not known; (deleted) behind a
            program whose file was removed or replaced, (memfd) behind one that never was
            a file, (ended) behind a name whose process only waits for its parent.

            Examples:
              apus ps
              apus ps --container web
              apus ps 1234 --json

            """,
        run: run)

    static func run(_ arguments: Arguments) throws -> Int32 {
        var selection = LiveTree.Selection()
        selection.showsKernelThreads = arguments.switches.contains("all")
        selection.container = arguments.last("container")
        if arguments.hasSeparator { throw UsageError("apus ps takes no command; name PIDs: apus ps 1234") }
        for word in arguments.operands {
            guard let number = UInt32(word), number > 0, number <= Int32.max else {
                throw UsageError("'\(word)' is no PID; give numbers, as: apus ps 1234")
            }
            selection.processes.append(number)
        }
        let tree = try LiveTree.read()
        let shown = try tree.selected(selection)
        if arguments.switches.contains("json") {
            try write(ProcessListing.json(shown, source: tree.source))
        } else {
            let now = Clock.sinceBoot() &+ Clock().bootOffset
            let columns = Int(apus_terminal_columns(STDOUT_FILENO))
            try write(ProcessListing.table(shown, columns: columns, now: now))
        }
        for note in tree.notes { Console.note(note) }
        return 0
    }

    private static func write(_ bytes: [UInt8]) throws {
        guard Console.write(bytes, to: STDOUT_FILENO) else {
            let reason = unsafe String(cString: strerror(errno))
            throw AgentError("the list cannot be written to standard output (\(reason)); see what it is")
        }
    }
}
