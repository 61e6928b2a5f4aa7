internal import Catalog

/// Shell completions, made from the commands' descriptions.
enum Completions {
    static let command = Command(
        name: "completions", about: "Print completions for a shell.", operands: "bash|zsh|fish",
        details: "bash: apus completions bash > /etc/bash_completion.d/apus\n"
    ) { arguments in
        switch arguments.operands {
        case ["bash"]: Console.out(bash())
        case ["zsh"]: Console.out("#compdef apus\nautoload -U +X bashcompinit && bashcompinit\n" + bash())
        case ["fish"]: Console.out(fish())
        default: throw UsageError("name one shell: bash, zsh or fish")
        }
        return 0
    }

    private static var firstWords: [String] {
        var words: [String] = []
        for command in Main.commands {
            let word = command.name.split(separator: " ")[0]
            if !words.contains(String(word)) { words.append(String(word)) }
        }
        return words + ["help"]
    }

    private static var eventWords: String {
        let catalog = Catalog.builtIn
        return (catalog.events.map(\.name) + catalog.sets.map { "tag=\($0)" }).joined(separator: " ")
    }

    private static func bash() -> String {
        var text =
            "_apus() {\n    local word=\"${COMP_WORDS[COMP_CWORD]}\" before=\"${COMP_WORDS[COMP_CWORD-1]}\"\n"
        text += "    local i\n    for ((i = 1; i < COMP_CWORD; i++)); do\n"
        text +=
            "        if [[ ${COMP_WORDS[i]} == -- ]]; then _command_offset $((i + 1)) 2>/dev/null; return; fi\n    done\n"
        text += "    COMPREPLY=()\n"
        text += "    local events=\"\(eventWords)\"\n"
        text +=
            "    if ((COMP_CWORD == 1)); then COMPREPLY=($(compgen -W \"\(firstWords.joined(separator: " "))\" -- \"$word\")); return; fi\n"
        text += "    case \"${COMP_WORDS[1]}\" in\n"
        for command in Main.commands where !command.name.contains(" ") {
            text += "    \(command.name))\n        case \"$before\" in\n"
            for option in command.options where option.value != nil {
                let names = "--\(option.name)" + (option.short.map { "|-\($0)" } ?? "")
                if option.name == "events" {
                    text +=
                        "        \(names)) COMPREPLY=($(compgen -P \"${word%\"${word##*,}\"}\" -W \"$events\" -- \"${word##*,}\")); return ;;\n"
                } else if !option.choices.isEmpty {
                    text +=
                        "        \(names)) COMPREPLY=($(compgen -W \"\(option.choices.joined(separator: " "))\" -- \"$word\")); return ;;\n"
                } else {
                    text += "        \(names)) return ;;\n"
                }
            }
            text += "        esac\n"
            let words =
                command.options.map { "--\($0.name)" }
                + (command.name == "completions" ? ["bash", "zsh", "fish"] : [])
            text += "        COMPREPLY=($(compgen -W \"\(words.joined(separator: " "))\" -- \"$word\")) ;;\n"
        }
        text +=
            "    events)\n        if ((COMP_CWORD == 2)); then COMPREPLY=($(compgen -W \"list describe\" -- \"$word\"))\n"
        text += "        else COMPREPLY=($(compgen -W \"--json $events\" -- \"$word\")); fi ;;\n"
        text +=
            "    policy)\n        if ((COMP_CWORD == 2)); then COMPREPLY=($(compgen -W \"check explain\" -- \"$word\"))\n"
        text +=
            "        else COMPREPLY=($(compgen -W \"--json --events --scope\" -- \"$word\") $(compgen -f -- \"$word\")); fi ;;\n"
        return text + "    esac\n}\ncomplete -o default -F _apus apus\n"
    }

    private static func fish() -> String {
        var text = "complete -c apus -f\n"
        for word in firstWords { text += "complete -c apus -n __fish_use_subcommand -a \(word)\n" }
        text += "complete -c apus -n '__fish_seen_subcommand_from events' -a 'list describe'\n"
        text += "complete -c apus -n '__fish_seen_subcommand_from policy' -F -a 'check explain'\n"
        for command in Main.commands {
            let first = command.name.split(separator: " ")[0]
            for option in command.options {
                text += "complete -c apus -n '__fish_seen_subcommand_from \(first)' -l \(option.name)"
                if let short = option.short { text += " -s \(short)" }
                if option.value != nil {
                    let words = option.name == "events" ? eventWords : option.choices.joined(separator: " ")
                    text += " -x" + (words.isEmpty ? "" : " -a '\(words)'")
                }
                text += " -d '\(option.about.replacing("'", with: ""))'\n"
            }
        }
        return text
    }
}
