// swift-tools-version: 6.2
import PackageDescription

// Warnings are errors in `make lint` and `make test`, and so in CI. Not for those who only build: a newer
// compiler may warn of more.
let isStrict = Context.environment["APUS_STRICT"] != nil

let strict: [SwiftSetting] =
    [
        .strictMemorySafety(),
        .enableUpcomingFeature("ExistentialAny"),
        .enableUpcomingFeature("InternalImportsByDefault"),
        .enableUpcomingFeature("MemberImportVisibility"),
        .enableExperimentalFeature("Lifetimes"),
    ] + (isStrict ? [.treatAllWarnings(as: .error)] : [])

let package = Package(
    name: "apus",
    products: [.executable(name: "apus", targets: ["apus"])],
    targets: [
        // The contract with the kernel programs, and C that Swift cannot express.
        .target(name: "CContract"),
        .target(name: "CSystem", linkerSettings: [.linkedLibrary("bpf")]),
        // Names of the kernel's constants, which Scripts/generate-symbols writes.
        .target(name: "CSymbols"),
        .systemLibrary(
            name: "CLibbpf", pkgConfig: "libbpf",
            providers: [.apt(["libbpf-dev", "libelf-dev", "zlib1g-dev"])]),
        .systemLibrary(name: "CYaml", pkgConfig: "yaml-0.1", providers: [.apt(["libyaml-dev"])]),
        .systemLibrary(name: "CNettle", pkgConfig: "nettle", providers: [.apt(["nettle-dev"])]),

        // The catalogue: its language, its compiler (run by the plugins), and what it compiles to.
        .target(name: "CatalogFormat", swiftSettings: strict),
        .executableTarget(
            name: "CatalogCompiler", dependencies: ["CatalogFormat"], swiftSettings: strict),
        .plugin(name: "EmbedCatalog", capability: .buildTool(), dependencies: ["CatalogCompiler"]),
        .plugin(name: "EmbedKernel", capability: .buildTool(), dependencies: ["CatalogCompiler"]),
        .target(
            name: "Catalog", dependencies: ["CatalogFormat"], swiftSettings: strict,
            plugins: ["EmbedCatalog"]),

        // Pure: no kernel, no root.
        .target(name: "Symbols", dependencies: ["CSymbols"], swiftSettings: strict),
        .plugin(name: "EmbedReference", capability: .buildTool(), dependencies: ["CatalogCompiler"]),
        .target(
            name: "EventPages", dependencies: ["Catalog", "Symbols"], swiftSettings: strict,
            plugins: ["EmbedReference"]),
        .target(name: "Events", dependencies: ["CContract", "Catalog"], swiftSettings: strict),
        .target(name: "Expressions", dependencies: ["Catalog", "Events"], swiftSettings: strict),
        .target(
            name: "Policies", dependencies: ["CContract", "CYaml", "Catalog", "Expressions"],
            swiftSettings: strict),
        .target(name: "State", dependencies: ["CSystem", "Events"], swiftSettings: strict),
        .target(name: "Outputs", dependencies: ["CSystem", "Events", "Symbols"], swiftSettings: strict),

        // Asks container runtimes for names.
        .target(name: "Runtimes", dependencies: ["CSystem", "State"], swiftSettings: strict),

        // The only module that talks to the kernel's BPF.
        .target(
            name: "Probes",
            dependencies: ["CContract", "CLibbpf", "CSystem", "Catalog", "Policies", "Symbols"],
            swiftSettings: strict, plugins: ["EmbedKernel"]),

        .target(
            name: "Agent",
            dependencies: [
                "Catalog", "CContract", "CNettle", "CSystem", "Events", "Expressions", "Outputs", "Policies",
                "Probes", "Runtimes", "State",
            ],
            swiftSettings: strict),
        .executableTarget(
            name: "apus",
            dependencies: [
                "Agent", "Catalog", "CSystem", "EventPages", "Expressions", "Outputs", "Policies", "Probes",
            ],
            swiftSettings: strict),

        .target(
            name: "TestSupport", dependencies: ["CContract"], path: "Tests/Support", swiftSettings: strict),
        .testTarget(
            name: "CatalogTests", dependencies: ["Catalog", "Symbols", "TestSupport"], exclude: ["Fixtures"],
            swiftSettings: strict),
        .testTarget(name: "SymbolsTests", dependencies: ["Symbols", "TestSupport"], swiftSettings: strict),
        .testTarget(
            name: "EventPagesTests", dependencies: ["EventPages", "TestSupport"], swiftSettings: strict),
        .testTarget(
            name: "EventsTests", dependencies: ["CContract", "Events", "TestSupport"], swiftSettings: strict),
        .testTarget(
            name: "ProbesTests", dependencies: ["CContract", "Catalog", "Probes", "TestSupport"],
            swiftSettings: strict),
        .testTarget(
            name: "ExpressionsTests", dependencies: ["CContract", "Expressions", "TestSupport"],
            swiftSettings: strict),
        .testTarget(
            name: "StateTests", dependencies: ["CContract", "State", "TestSupport"], swiftSettings: strict),
        .testTarget(
            name: "RuntimesTests", dependencies: ["Runtimes", "State", "TestSupport"], swiftSettings: strict),
        .testTarget(
            name: "PoliciesTests", dependencies: ["Policies", "TestSupport"], exclude: ["Fixtures"],
            swiftSettings: strict),
        .testTarget(
            name: "AgentTests",
            dependencies: [
                "Agent", "Catalog", "Events", "Outputs", "Probes", "Runtimes", "State", "TestSupport",
            ],
            swiftSettings: strict),
        .testTarget(
            name: "OutputsTests", dependencies: ["CContract", "Outputs", "TestSupport"], swiftSettings: strict
        ),
    ],
    swiftLanguageModes: [.v6]
)
