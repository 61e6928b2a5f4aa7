import CContract
import Catalog
import Expressions
import TestSupport
import Testing

@Suite struct IdentityFieldTests {
    @Test(
        arguments: [
            ("timestamp", .timestamp), ("processorId", .processorId), ("p", .processId), ("pid", .processId),
            ("processId", .processId), ("tid", .threadId), ("threadId", .threadId),
            ("ppid", .parentProcessId),
            ("parentProcessId", .parentProcessId), ("hostPid", .hostProcessId),
            ("hostProcessId", .hostProcessId), ("hostTid", .hostThreadId), ("hostThreadId", .hostThreadId),
            ("hostParentProcessId", .hostParentProcessId), ("uid", .userId), ("userId", .userId),
            ("mntns", .mountNamespace), ("mountNamespace", .mountNamespace), ("pidns", .pidNamespace),
            ("pidNamespace", .pidNamespace), ("comm", .processName), ("processName", .processName),
            ("hostName", .hostName), ("cgroupId", .cgroupId), ("container", .isContainer),
            ("containerId", .containerId), ("containerImage", .containerImage),
            ("containerName", .containerName), ("containerImageDigest", .containerImageDigest),
            ("podName", .podName), ("podNamespace", .podNamespace), ("podUid", .podUid),
            ("podSandbox", .podSandbox), ("syscall", .syscall),
        ] as [(String, IdentityField)])
    func names(_ name: String, _ field: IdentityField) throws {
        let found = try #require(IdentityField.named(name))
        #expect(found.field == field)
        #expect(!found.isOpposite)
    }

    @Test func allNamesAreInTheTable() throws {
        #expect(IdentityField.allNames.count == 35)
        #expect(Set(IdentityField.allNames).count == 35)
        let host = try #require(IdentityField.named("host"))
        #expect(host.field == .isContainer)
        #expect(host.isOpposite)
        for name in ["", "PID", "isContainer", "pid ", "retval"] { #expect(IdentityField.named(name) == nil) }
    }

    /// Sets each member of the header to another value and looks for it.
    @Test(
        arguments: [
            ("processorId", "7"), ("p", "31"), ("tid", "32"), ("ppid", "33"), ("hostPid", "34"),
            ("hostProcessId", "34"), ("hostTid", "35"), ("hostParentProcessId", "36"), ("uid", "37"),
            ("mntns", "38"), ("pidns", "39"), ("cgroupId", "40"), ("comm", "bash"), ("timestamp", "1041"),
            ("hostName", "box"), ("syscall", "257"), ("syscall", "openat"),
        ])
    func everyMemberIsReadFromItsPlace(_ name: String, _ value: String) throws {
        let event = try event("openat")
        var record = RecordBuilder(event)
        record.header.cpu = 7
        record.header.pid = 31
        record.header.tid = 32
        record.header.ppid = 33
        record.header.host_pid = 34
        record.header.host_tid = 35
        record.header.host_ppid = 36
        record.header.uid = 37
        record.header.mount_ns = 38
        record.header.pid_ns = 39
        record.header.cgroup_id = 40
        record.header.time = 41
        record.header.syscall = 257
        record.setName(Array("bash".utf8))
        let context = EvaluationContext(hostName: Array("box".utf8), bootOffset: 1000)
        for prefix in ["", "scope."] {
            #expect(try meaning(["\(prefix)\(name)=\(value)"], event, record, context) == .yes)
            #expect(try meaning(["\(prefix)\(name)!=\(value)"], event, record, context) == .no)
        }
        let others = ["7", "31", "32", "33", "34", "35", "36", "37", "38", "39", "40", "257"].filter {
            $0 != value && value != "openat"
        }
        for other in others { #expect(try meaning(["\(name)=\(other)"], event, record, context) == .no) }
    }

    @Test func unknownUntilEnrichment() throws {
        let event = try event("openat")
        let record = RecordBuilder(event)
        for filter in [
            "container", "not-container", "container=started", "container!=true", "host", "host=false",
            "containerId=x", "containerImage!=x", "containerName=x*", "containerImageDigest=x",
            "containerImageDigest!=x", "podName=x", "podNamespace!=x", "podUid=x", "podSandbox",
            "not-podSandbox",
            "scope.container", "scope.not-container",
        ] {
            #expect(try meaning([filter], event, record) == .unknown, "\(filter)")
        }
        // The host's name is not known either unless it was told.
        #expect(try meaning(["hostName!=x"], event, record) == .unknown)
    }
}
