import Foundation
import PackagePlugin

/// Checks the catalogue and makes it a Swift source of the target `Catalog`.
@main
struct EmbedCatalog: BuildToolPlugin {
    func createBuildCommands(context: PluginContext, target: Target) throws -> [Command] {
        let sources = try catalogFiles(context)
        let output = context.pluginWorkDirectoryURL.appending(path: "CatalogText.swift")
        return [
            .buildCommand(
                displayName: "Compiling the catalogue",
                executable: try context.tool(named: "CatalogCompiler").url,
                arguments: ["swift", output.path] + sources.map(\.path),
                inputFiles: sources, outputFiles: [output])
        ]
    }

    private func catalogFiles(_ context: PluginContext) throws -> [URL] {
        let root = context.package.directoryURL.appending(path: "Catalog")
        let all = FileManager.default.enumerator(at: root, includingPropertiesForKeys: nil)
        let files = (all?.allObjects as? [URL] ?? []).filter { $0.pathExtension == "events" }
        return files.sorted { $0.path < $1.path }
    }
}
