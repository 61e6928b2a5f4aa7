#!/usr/bin/env python3
"""verifier.py with made-up figures: a judge that passes everything would go unnoticed."""

import os
import tempfile
import unittest

import verifier

GOOD = {"big__fexit": 9000, "big__kprobe": 40, "big__kretprobe": 9100, "small": 43, "calls__calls": 500}


class VerifierTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        self.table = os.path.join(self.folder, "table.md")

    def judge(self, kernels, write=False):
        """`kernels`: {series: {program: figure or refusal}, or a text}."""
        results = {}
        for series, said in kernels.items():
            results[series] = os.path.join(self.folder, series)
            os.makedirs(results[series], exist_ok=True)
            text = said if isinstance(said, str) else "".join(f"{name}\t{one}\n" for name, one in said.items())
            with open(os.path.join(results[series], "verifier"), "w", encoding="utf-8") as file:
                file.write(text)
        return verifier.judge(results, write, self.table)

    def commit(self, **more):
        """A table of all kernels with the same programs, and 6.1 with `more`."""
        kernels = {series: GOOD for series in verifier.SERIES}
        self.assertEqual(self.judge({**kernels, "6.1": {**GOOD, **more}}, write=True), [])

    def one(self, **more):
        """The only thing that is wrong with 6.1."""
        problems = self.judge({"6.1": {**GOOD, **more}})
        self.assertEqual(len(problems), 1, problems)
        return problems[0]

    def test_as_it_was(self):
        self.commit()
        self.assertEqual(self.judge({series: GOOD for series in verifier.SERIES}), [])
        self.assertEqual(self.judge({"6.1": GOOD}), [])

    def test_growth(self):
        self.commit()
        self.assertEqual(self.judge({"6.1": {**GOOD, "big__kretprobe": 10920}}), [])
        self.assertIn("big on 6.1: 10,921 instructions, 20% above the 9,100", self.one(big__kretprobe=10921))
        # More than a fifth, but few; or many, but less than a fifth.
        self.assertEqual(self.judge({"6.1": {**GOOD, "small": 243}}), [])
        self.assertIn("small on 6.1", self.one(small=244))
        self.assertEqual(self.judge({"6.1": {**GOOD, "big__fexit": 10000}}), [])
        # Less is no fault.
        self.assertEqual(self.judge({"6.1": {**GOOD, "big__kretprobe": 1, "big__fexit": 1}}), [])

    def test_limit(self):
        self.commit(small=500_000)
        self.assertEqual(self.judge({"6.1": {**GOOD, "small": 500_000}}), [])
        self.assertIn("above 500,000", self.one(small=500_001))
        self.assertIn("above 500,000", self.judge({"6.1": {**GOOD, "small": 500_001}}, write=True)[0])

    def test_refused(self):
        self.commit()
        self.assertEqual(self.one(big__fexit="refused: Permission denied: R1 has\tno bounds"),
                         "6.1: big__fexit was refused: Permission denied: R1 has\tno bounds")
        kernels = {series: GOOD for series in verifier.SERIES}
        kernels["7"] = {**GOOD, "small": "refused: no"}
        self.assertEqual(self.judge(kernels, write=True), ["7: small was refused: no"])
        self.assertEqual(verifier.parse(self.read())["7"]["small"], "refused")
        self.assertIn("has none", self.judge({"7": GOOD})[0])

    def test_programs_and_kernels_come_and_go(self):
        self.commit()
        self.assertIn("new on 6.1: 7 instructions", self.one(new=7))
        problems = self.judge({"7": {"small": 43, "big__fexit": 9000}})
        self.assertEqual(len(problems), 1)
        self.assertIn("calls on 7: not loaded", problems[0])
        self.assertIn("6.6 is not in", self.judge({"6.6": GOOD})[0])
        text = self.read().replace(verifier.title("host"), "host 2.6-y")
        with open(self.table, "w", encoding="utf-8") as file:
            file.write(text)
        self.assertEqual(self.judge({"host": {**GOOD, "small": 9999}}), [])
        self.assertEqual(len(self.judge({"host": {**GOOD, "small": "refused: no"}})), 1)

    def test_unreadable(self):
        self.commit()
        for text in ("", "apus: error\n", "a\tb\n", "\t5\n", "small\t\n"):
            self.assertEqual(len(self.judge({"6.1": text})), 1, text)
        self.assertIn("no file", verifier.judge({"6.1": "/nowhere"}, False, self.table)[0])
        os.remove(self.table)
        self.assertIn("there is no", self.judge({"6.1": GOOD})[0])

    def test_writes_only_the_whole(self):
        self.assertIn("nothing of 5.10, 6.12, 7, host", self.judge({"6.1": GOOD}, write=True)[0])
        self.assertFalse(os.path.exists(self.table))

    def test_document(self):
        self.commit(only=12345)
        text = self.read()
        lines = [line for line in text.splitlines() if line.startswith("|")]
        self.assertEqual([line.split(" | ")[0] for line in lines[2:]], ["| only", "| big", "| calls", "| small"])
        self.assertEqual(lines[2].split(" | ")[1:4], ["–", "12,345", "–"])
        self.assertEqual(verifier.parse(text)["6.1"], {"only": 12345, "big": 9100, "calls": 500, "small": 43})
        self.assertEqual(list(verifier.parse(text)), [*verifier.SERIES[:4], verifier.title("host")])
        self.assertIn("12,345", verifier.printed(verifier.parse(text)))

    def read(self):
        with open(self.table, encoding="utf-8") as file:
            return file.read()


if __name__ == "__main__":
    unittest.main()
