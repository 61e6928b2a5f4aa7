import Foundation
import Testing

@testable import Agent

/// When changed files of policies are read again. Times are given, not taken.
@Suite final class PolicyWatchTests {
    private let folder = FileManager.default.temporaryDirectory.appending(path: "apus-watch-\(UUID())")
    private let second: UInt64 = 1_000_000_000

    init() throws {
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: false)
    }

    deinit { try? FileManager.default.removeItem(at: folder) }

    private func change() throws {
        try Data("type: policy".utf8).write(to: folder.appending(path: "a.yaml"))
    }

    @Test func changesAreTakenWhenNothingFollows() throws {
        let watch = PolicyWatch([folder.path])
        #expect(!watch.hasChanged(now: second))
        try change()
        #expect(!watch.hasChanged(now: 2 * second))
        try change()
        #expect(!watch.hasChanged(now: 2 * second + second / 10))
        #expect(!watch.hasChanged(now: 2 * second + second / 4))
        #expect(watch.hasChanged(now: 2 * second + second / 3))
        #expect(!watch.hasChanged(now: 9 * second))
    }

    @Test func whatWasAskedForIsReadOnce() throws {
        let watch = PolicyWatch([folder.path])
        // Before it is looked at, and while it waits.
        try change()
        #expect(watch.hasChanged(now: second, isAsked: true))
        #expect(!watch.hasChanged(now: 2 * second))
        try change()
        #expect(!watch.hasChanged(now: 3 * second))
        #expect(watch.hasChanged(now: 3 * second + 1, isAsked: true))
        #expect(!watch.hasChanged(now: 5 * second))
        // Without any change too; and what changes afterwards is another change.
        #expect(watch.hasChanged(now: 6 * second, isAsked: true))
        try change()
        #expect(!watch.hasChanged(now: 7 * second))
        #expect(watch.hasChanged(now: 8 * second))
    }
}
