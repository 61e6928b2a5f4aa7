#!/usr/bin/env python3
"""matrix.py with made-up results: a judge that passes everything would go unnoticed."""

import json
import os
import tempfile
import unittest

import matrix


def seen(name, data, pid=7, tid=7):
    return {"name": name, "data": data, "workload": {"process": {"pid": pid, "thread": {"tid": tid, "name": "k"}}}}


def path(text):
    return [{"name": "path", "str": text}]


def line(value=None, tid=7, **more):
    return {"event": "e", "pid": 7, "tid": tid, "data": {"path": value} if value else {}, **more}


CATALOGUE = [
    {"name": "e", "tags": [], "hooks": ["entry:f: by fentry", "entry:o: not here: no o"], "available": "present"},
    {"name": "gone", "tags": [], "hooks": ["entry:g: not here: no g"], "available": "absent"},
    {"name": "read", "tags": ["syscalls"], "hooks": ["tp_btf:sys_enter"], "available": "present"},
]


class MatrixTest(unittest.TestCase):
    def column(self, lines, events, catalogue=CATALOGUE, state="absent", title="6.1", **more):
        """Of a folder of results; `more`: files by name, which replace these."""
        files = {
            "list.json": json.dumps(catalogue),
            "doctor.json": json.dumps({"events": {"absent": [{"event": "gone", "state": state, "reason": "no f"}]}}),
            "auto.expected": "\n".join(map(json.dumps, lines)), "auto.events": "\n".join(map(json.dumps, events)),
            "auto.summary": "apus: delivered 1 lost 0\n",
        }
        files.update({name.replace("_", "."): text for name, text in more.items()})
        with tempfile.TemporaryDirectory() as folder:
            for name, text in files.items():
                if text is not None:
                    with open(os.path.join(folder, name), "w", encoding="utf-8") as file:
                        file.write(text)
            return matrix.column(title, f"Debian {title}.9-1", folder)

    def kind(self, lines, events, **more):
        cell = self.column(lines, events, **more).cells["e"]
        return cell.kind if not cell.reason else f"{cell.kind}: {cell.reason}"

    def test_in_order_with_others_between(self):
        events = [seen("e", path(text)) for text in "axbya"]
        self.assertEqual(self.kind([line("a"), line("b")], events), "given")
        self.assertEqual(self.kind([line("a"), line("a")], events), "given")
        self.assertIn("FAILED: not seen", self.kind([line("b"), line("x")], events))
        self.assertIn("FAILED: not seen", self.kind([line("a"), line("a"), line("a")], events))

    def test_threads_and_processes(self):
        events = [seen("e", path("a"), tid=8), seen("e", path("b"))]
        self.assertEqual(self.kind([line("b"), line("a", tid=8)], events), "given")
        self.assertIn("tid is 8 not 7", self.kind([line("a")], events[:1]))
        anybody = {"event": "e", "pid": None, "tid": None, "data": {"path": "a"}, "about": "x"}
        self.assertEqual(self.kind([anybody], events), "given")
        self.assertIn('{"path": "a"} (x); nearest: path is', self.kind([anybody], events[1:]))
        self.assertIn("pid is 7 not 6", self.kind([{**line("a", tid=8), "pid": 6}], events))

    def test_nothing_seen(self):
        self.assertIn("nor any other", self.kind([line("a")], []))
        self.assertIn("path is 'b' not 'a'", self.kind([line("a")], [seen("e", path("b"))]))
        self.assertIn("no field path", self.kind([line("a")], [seen("e", [])]))

    def test_values(self):
        for field, value in [
            ({"u_int64": "18446744073709551615"}, 18446744073709551615),
            ({"pointer": "255"}, "0xff"), ({}, None), ({"bool": True}, True),
            ({"bytes": "AAE="}, {"bytes": "AAE="}), ({"str_array": {"value": ["a", "b"]}}, ["a", "b"]),
            ({"u_int64_array": {"value": ["1", "2"]}}, [1, 2]), ({"u_int64_array": {"value": ["1"]}}, ["1"]),
            ({"credentials": {"uid": 0, "cap_effective": "5", "gid": 9}}, {"uid": 0, "cap_effective": 5}),
        ]:
            events = [seen("e", [{"name": "v", **field}])]
            self.assertEqual(self.kind([{**line(), "data": {"v": value}}], events), "given", field)
        for field, value in [
            ({"int32": 1}, None), ({}, 0), ({"bool": True}, False), ({"u_int64": "1"}, 2), ({"str": "a"}, "b"),
            ({"u_int64_array": {"value": ["1", "2"]}}, [1]), ({"credentials": {"uid": 0}}, {"gid": 0}),
            ({"credentials": {"uid": 0}}, {"uid": 1}), ({"bytes": "AAE="}, {"bytes": "AAA="}), ({"marvel": 1}, 1),
        ]:
            events = [seen("e", [{"name": "v", **field}])]
            self.assertIn("FAILED: not seen", self.kind([{**line(), "data": {"v": value}}], events), field)

    def test_never_and_some(self):
        events = [seen("e", path("a")), seen("e", path("b"), pid=9, tid=9)]
        never = {"event": "e", "never": True, "pid": 7, "data": {"path": "b"}}
        self.assertEqual(self.kind([line("a"), never], events), "given")
        self.assertIn("FAILED: seen, but must not be", self.kind([line("a"), {**never, "pid": 9}], events))
        self.assertEqual(self.kind([never], events), "FAILED: no scenario")
        some = {"event": "e", "some": True, "data": {"path": "b"}}
        self.assertEqual(self.kind([some], events), "given")
        self.assertIn("FAILED: not seen", self.kind([{**some, "pid": 7}], events))
        self.assertEqual(self.kind([{**some, "pid": 9, "tid": 8}], events), "given")

    def test_not_triggered(self):
        for key in ("untriggerable", "skipped"):
            self.assertEqual(self.kind([{"event": "e", key: "no card"}], []), "untried: no card")
            self.assertEqual(self.kind([{"event": "e", key: "no card"}, line("a")], [seen("e", path("a"))]), "given")
        self.assertEqual(self.kind([], []), "FAILED: no scenario")
        self.assertIn("no such event", self.column([{"event": "f"}], []).cells["f"].reason)

    def test_absent(self):
        self.assertEqual(self.column([line()], []).cells["gone"], ("absent", "–", "no f"))
        self.assertEqual(self.column([line()], [], state="unknown").cells["gone"].kind, "FAILED")

    def test_each_run_counts(self):
        kprobe = json.dumps(line("a"))
        events = [seen("e", path("a"))]
        self.assertEqual(self.kind([line("a")], events, kprobe_expected=kprobe, kprobe_events=json.dumps(events[0]),
                                   kprobe_summary=""), "given")
        self.assertIn("kprobe: not seen", self.kind([line("a")], events, kprobe_expected=kprobe,
                                                    kprobe_events="", kprobe_summary=""))
        refused = "apus: this kernel cannot give e: no\napus: delivered 0 lost 0\n"
        self.assertEqual(self.kind([line("a")], events, auto_summary=refused), "FAILED: no")
        # Of trampolines alone that is no more than was to be expected.
        for run, kind in (("fentry", "given"), ("kprobe", "FAILED: kprobe: no")):
            self.assertEqual(self.kind([line("a")], events, **{
                f"{run}_expected": kprobe, f"{run}_events": "", f"{run}_summary": refused}), kind)

    def test_hooks(self):
        self.assertEqual(matrix.hook({"hooks": [
            "exit:f: by kprobe+kretprobe", "entry:g: by kprobe", "entry:o: not here: no o", "tp_btf:t: by tp_btf"]}),
            "kprobe, kretprobe, tp_btf")
        self.assertEqual(matrix.hook({"hooks": []}), "agent")

    def test_unreadable(self):
        for files in (
            {"list_json": None}, {"doctor_json": "{"}, {"list_json": "[]"}, {"auto_expected": None},
            {"auto_events": None}, {"auto_expected": "scenario: open: failed"},
        ):
            with self.assertRaises(matrix.Unreadable):
                self.column([], [], **files)

    def test_document(self):
        good = self.column([line("a")], [seen("e", path("a"))])
        other = self.column([{"event": "e", "skipped": "no card"}], [], title="host 6.18-x")
        text = matrix.document([good, other])
        self.assertEqual(matrix.parse(text), {
            "6.1": {"e": "fentry", "gone": "–: no f", "system calls": "1 of 1"},
            "host 6.18-x": {"e": "given: no card", "gone": "–: no f", "system calls": "1 of 1"}})
        self.assertEqual(matrix.changes(text, [good, other]), [])
        self.assertEqual(matrix.changes(text, [other]), [])
        self.assertEqual(matrix.changes(text.replace("6.1.9-1", "6.1.8-1"), [good]), [])
        failed = self.column([line("b")], [])
        self.assertEqual(len(failed.failures), 1)
        self.assertEqual(len(matrix.changes(text, [failed])), 1)
        self.assertEqual(len(matrix.changes(text.replace("no f", "no g"), [good])), 1)
        self.assertEqual(len(matrix.changes(text.replace("| gone", "| left"), [good])), 2)
        self.assertEqual(matrix.changes(text, [self.column([], [], title="host 6.6-y")]), [])
        self.assertEqual(len(matrix.changes("", [good])), 1)
        self.assertIn("[1] no f", matrix.printed([good]))

    def test_lacking_calls(self):
        catalogue = [CATALOGUE[0], CATALOGUE[2], {"name": "gone", "tags": ["syscalls"], "hooks": []}]
        one = self.column([line("a")], [seen("e", path("a"))], catalogue=catalogue)
        all_there = self.column([line("a")], [seen("e", path("a"))], catalogue=catalogue, title="7",
                                doctor_json='{"events": {"absent": []}}')
        text = matrix.document([one, all_there])
        self.assertEqual(matrix.parse_lacking(text), {"6.1": ["gone"], "7": []})
        self.assertEqual(matrix.changes(text, [one, all_there]), [])
        self.assertEqual(len(matrix.changes(text.replace("* 6.1: gone", "* 6.1: none"), [one])), 1)
        self.assertEqual(len(matrix.changes(text.replace("* 6.1: gone", "* 6.1: gone, more"), [one])), 1)


if __name__ == "__main__":
    unittest.main()
