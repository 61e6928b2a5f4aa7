import Foundation
import PackagePlugin

/// Makes what the event reference says beside the catalogue a Swift source of the target `EventPages`: the files of
/// `Catalog/reference` and the table of kernels.
@main
struct EmbedReference: BuildToolPlugin {
    func createBuildCommands(context: PluginContext, target: Target) throws -> [Command] {
        let root = context.package.directoryURL
        let sources = ["Catalog/reference/notes", "Catalog/reference/examples", "Docs/kernel-matrix.md"]
            .map { root.appending(path: $0) }
        let output = context.pluginWorkDirectoryURL.appending(path: "ReferenceText.swift")
        return [
            .buildCommand(
                displayName: "Embedding the event reference",
                executable: try context.tool(named: "CatalogCompiler").url,
                arguments: ["texts", output.path] + sources.map(\.path),
                inputFiles: sources, outputFiles: [output])
        ]
    }
}
