import Foundation
import PackagePlugin

/// Compiles the kernel programs with the toolchain's own clang and makes the object a Swift source
/// of the target `Probes`.
///
/// One shell command does all steps: outputs that are not Swift would become resources, and what
/// SwiftPM knows of dependencies is what is listed here, so every kernel source, the contract and
/// the catalogue are.
@main
struct EmbedKernel: BuildToolPlugin {
    func createBuildCommands(context: PluginContext, target: Target) throws -> [Command] {
        let root = context.package.directoryURL
        let catalog = files(in: root.appending(path: "Catalog"), endings: ["events"])
        let kernel = files(in: root.appending(path: "Kernel"), endings: ["c", "h"])
        let contract = root.appending(path: "Sources/CContract/include")
        let work = context.pluginWorkDirectoryURL
        let output = work.appending(path: "KernelImage.swift")
        let compiler = try context.tool(named: "CatalogCompiler").url
        let script = """
            set -eu
            "$0" header "$1/catalog.h" \(catalog.map { quoted($0.path) }.joined(separator: " "))
            "$2/clang" -target bpf -mcpu=v3 -g -O2 -Wall -Werror -D__TARGET_ARCH_x86 \
                -I"$1" -I"$3" -I"$4" -c "$3/apus.bpf.c" -o "$1/apus.bpf.o"
            "$2/llvm-objcopy" --strip-debug "$1/apus.bpf.o"
            "$2/llvm-objcopy" --dump-section .BTF.ext="$1/lines" "$1/apus.bpf.o" "$1/apus.small.o"
            "$0" types "$1/types" "$1/lines"
            "$2/llvm-objcopy" --remove-section .rel.BTF.ext --update-section .BTF.ext="$1/types" "$1/apus.small.o"
            "$0" object "$5" "$1/apus.small.o"
            """
        return [
            .buildCommand(
                displayName: "Compiling the kernel programs",
                executable: URL(filePath: "/bin/sh"),
                arguments: [
                    "-c", script, compiler.path, work.path, try toolchain().path,
                    root.appending(path: "Kernel").path, contract.path, output.path,
                ],
                inputFiles: catalog + kernel + files(in: contract, endings: ["h"]) + [compiler],
                outputFiles: [output])
        ]
    }

    /// The folder with the clang that belongs to the Swift in use.
    private func toolchain() throws -> URL {
        let environment = ProcessInfo.processInfo.environment
        var candidates = [environment["APUS_CLANG_DIRECTORY"]].compactMap { $0 }
        candidates += (environment["PATH"] ?? "").split(separator: ":").map(String.init)
        for directory in candidates {
            let folder = URL(filePath: directory)
            let swift = folder.appending(path: "swift").resolvingSymlinksInPath()
            for place in [swift.deletingLastPathComponent(), folder] {
                let isWhole = ["clang", "llvm-objcopy"].allSatisfy {
                    FileManager.default.isExecutableFile(atPath: place.appending(path: $0).path)
                }
                if isWhole { return place }
            }
        }
        throw PluginError(
            description:
                "No clang and llvm-objcopy beside the Swift compiler; set APUS_CLANG_DIRECTORY to a folder with both."
        )
    }

    private func files(in folder: URL, endings: Set<String>) -> [URL] {
        let all = FileManager.default.enumerator(at: folder, includingPropertiesForKeys: nil)
        let files = (all?.allObjects as? [URL] ?? []).filter { endings.contains($0.pathExtension) }
        return files.sorted { $0.path < $1.path }
    }

    private func quoted(_ path: String) -> String {
        "'" + path.replacingOccurrences(of: "'", with: "'\\''") + "'"
    }
}

struct PluginError: Error, CustomStringConvertible {
    let description: String
}
