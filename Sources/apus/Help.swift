internal import Catalog
internal import EventPages

/// Help texts, made from the commands' descriptions.
enum Help {
    static func print(_ words: ArraySlice<String>) -> Int32 {
        if words.isEmpty {
            Console.out(overview())
            return 0
        }
        let name = words.joined(separator: " ")
        let matches = Main.commands.filter { $0.name == name || $0.name.hasPrefix(name + " ") }
        guard !matches.isEmpty else {
            Console.note("no command '\(name)'; `apus help` shows all")
            return 2
        }
        Console.out(matches.map(text).joined(separator: "\n"))
        return 0
    }

    static func overview() -> String {
        var text =
            "Apus watches a Linux host with eBPF: system calls, processes, control groups, modules.\n\n"
        text += "Usage: apus COMMAND [OPTIONS]\n\nCommands:\n"
        for command in Main.commands { text += "  \(pad(command.name, 18))\(command.about)\n" }
        text += "  \(pad("help [COMMAND]", 18))Explain a command.\n\n"
        text += "Try: sudo apus trace -- ls\n"
        return text
    }

    static func text(of command: Command) -> String {
        var text = "\(command.about)\n\nUsage: apus \(command.name)"
        if !command.options.isEmpty { text += " [OPTIONS]" }
        if !command.operands.isEmpty { text += " \(command.operands)" }
        text += "\n"
        if !command.options.isEmpty { text += "\nOptions:\n" }
        for option in command.options {
            let short = option.short.map { "-\($0), " } ?? "    "
            let name = "\(short)--\(option.name)\(option.value.map { " \($0)" } ?? "")"
            text += name.count < 26 ? "  \(pad(name, 26))" : "  \(name)\n  \(pad("", 26))"
            text += PageText.wrapped(option.about, indent: 28) + "\n"
        }
        if !command.details.isEmpty { text += "\n\(command.details)" }
        return text
    }

    static func pad(_ text: String, _ width: Int) -> String {
        text + String(repeating: " ", count: max(1, width - text.count))
    }
}
