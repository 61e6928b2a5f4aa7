import Probes
import Testing

@testable import Agent

@Suite struct TraceResultTests {
    private func counts(
        _ emitted: UInt64, lost: [UInt64] = [0, 0, 0, 0], filtered: UInt64 = 0, stateLost: UInt64 = 0
    ) -> EventCounts {
        var counts = EventCounts()
        counts.emitted = emitted
        counts.lost = lost
        counts.filtered = filtered
        counts.stateLost = stateLost
        return counts
    }

    @Test func whatWasEmittedIsTheSumOfItsParts() {
        var result = TraceResult(seconds: 1, status: 0)
        // Of 100, 10 were for the state stores, 5 Apus filtered itself; and it made 2.
        result.filteredLater = 5
        result.made = 2
        result.receivedForState = 10
        result.handedOver = 87
        result.add(counts(70, lost: [3, 0, 4, 0], filtered: 8), received: 70, isWanted: true, name: "a")
        result.add(counts(30, stateLost: 6), received: 30, isWanted: false, name: "b")
        result.sort()
        #expect(result.emitted == 99)
        #expect(result.waiting == 0 && result.unaccounted == 0)
        #expect(result.delivered == 87 && result.lostTotal == 7 && result.stateLost == 6)
        #expect(result.filteredInKernel == 8 && result.filtered == 13)
        #expect(result.losses.map(\.cause) == [.shed, .ringFull])
        result.finish(delivered: 80, undelivered: 7)
        #expect(result.emitted == 99 && result.waiting == 0)
        result.finish(delivered: 80, undelivered: 6)
        #expect(result.waiting == 1)
    }

    @Test func whatIsInTheRingsWaits() {
        var result = TraceResult(seconds: 1, status: 0)
        result.handedOver = 60
        result.add(counts(100, lost: [5, 0, 0, 0]), received: 60, isWanted: true, name: "a")
        #expect(result.emitted == 105 && result.waiting == 40 && result.unaccounted == 40)
    }

    @Test func moreThanWasEmittedIsNotHidden() {
        var result = TraceResult(seconds: 1, status: 0)
        result.handedOver = 3
        result.add(counts(2), received: 3, isWanted: true, name: "a")
        #expect(result.waiting == -1 && result.unaccounted == -1)
    }

    @Test func lossesOfWhatNobodyWantsAreNoLosses() {
        var result = TraceResult(seconds: 1, status: 0)
        result.add(counts(0, lost: [9, 0, 0, 0], filtered: 9), received: 0, isWanted: false, name: "a")
        #expect(result.lostTotal == 0 && result.filtered == 0)
    }
}
