# SPDX-License-Identifier: Apache-2.0
"""Tests of tools/suite.py: what counts as passed, failed and skipped."""
import contextlib
import io
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

import suite

TOOLS = Path(__file__).resolve().parent.parent


class CountTap(unittest.TestCase):
    def counts(self, output, status=0):
        tally = suite.count_tap("p", output, status)
        return tally.passed, len(tally.failed), len(tally.skipped)

    def test_counts(self):
        """cases are counted, and a skip keeps its reason"""
        tally = suite.count_tap("p", "1..3\nok 1 - a\nok 2 - b # SKIP no disk\n# why\nnot ok 3 - c\n",
                                1)
        self.assertEqual(tally.passed, 1)
        self.assertEqual(tally.skipped, [("p: b", "no disk")])
        self.assertEqual(tally.failed, [("p: c", "# why\n")])

    def test_early_end(self):
        """a program that ends before its plan has failed, and the running case is named"""
        tally = suite.count_tap("p", "1..3\nok 1 - a\n# run 2 - b\n", -11)
        self.assertEqual(tally.passed, 1)
        self.assertIn("in b", tally.failed[0][0])

    def test_bad_status(self):
        """a bad status is a failure though no case failed"""
        self.assertEqual(self.counts("1..1\nok 1 - a\n", 1), (1, 1, 0))
        self.assertEqual(self.counts("1..1\nok 1 - a\n", "time-out"), (1, 1, 0))

    def test_no_plan(self):
        """cases without a plan are a failure, since their end may be missing"""
        self.assertEqual(self.counts("ok 1 - a\n"), (1, 1, 0))

    def test_plain_program(self):
        """a program without TAP is one case"""
        self.assertEqual(self.counts("hello\n"), (1, 0, 0))
        self.assertEqual(self.counts("hello\n", 3), (0, 1, 0))

    def test_bail_out(self):
        """a program that gives up has failed"""
        self.assertGreater(self.counts("1..1\nBail out! no disk\n", 1)[1], 0)

    def test_no_case(self):
        """an empty plan runs nothing and fails nothing"""
        self.assertEqual(self.counts("1..0\n"), (0, 0, 0))


class Table(unittest.TestCase):
    HEAD = "| part | from | planned s | command | shows |\n|---|---|---|---|---|\n"

    def test_rows(self):
        """rows become parts, and a length includes the shorter ones"""
        parts = suite.read_parts(self.HEAD + "| a | fast | 5 | `build release` | x |\n"
                                 "| b | long | 9 | `tests release unit` | x |\n\n| c | d |\n")
        self.assertEqual([part.name for part in parts], ["a", "b"])
        self.assertEqual([part.name for part in suite.choose(parts, "default", [])], ["a"])
        self.assertEqual(len(suite.choose(parts, "long", [])), 2)

    def test_needed_build(self):
        """a part chosen by name brings the build it needs"""
        parts = suite.read_parts(self.HEAD + "| a | fast | 5 | `build release` | x |\n"
                                 "| b | fast | 9 | `tests release unit` | x |\n")
        self.assertEqual([part.name for part in suite.choose(parts, "fast", ["b"])], ["a", "b"])

    def test_bad_row(self):
        """a row that cannot be read stops the run"""
        with self.assertRaises(ValueError):
            suite.read_parts(self.HEAD + "| a | sometimes | 5 | `true` | x |\n")
        with self.assertRaises(ValueError):
            suite.read_parts("# no table\n")

    def test_real_table(self):
        """docs/testing.md can be read"""
        parts = suite.read_parts((suite.ROOT / "docs/testing.md").read_text())
        self.assertEqual(parts[0].name, "set-up")

    def test_budget(self):
        """the plans of docs/testing.md fit into the budget that stands there"""
        text = (suite.ROOT / "docs/testing.md").read_text()
        fast, default = map(int, re.search(r"^Budget: (\d+) s fast .*?, (\d+) s default", text,
                                           re.M).groups())
        parts = suite.read_parts(text)
        planned = {length: sum(part.planned for part in suite.choose(parts, length, []))
                   for length in ("fast", "default")}
        self.assertLessEqual(planned["fast"] - parts[0].planned, fast)
        self.assertLessEqual(planned["default"], default)


class Judge(unittest.TestCase):
    def judge(self, seconds, skips=(), is_ci=False, passed=1):
        one = suite.Suite.__new__(suite.Suite)
        one.is_ci, one.allowed = is_ci, ["p: known*"]
        tally = suite.Tally()
        tally.skipped, tally.passed = list(skips), passed
        with contextlib.redirect_stdout(io.StringIO()):
            one.judge(suite.Part("a", "fast", 10, "true"), tally, seconds)
        return tally

    def test_late(self):
        """a part over twice its plan has failed"""
        self.assertEqual(len(self.judge(20).failed), 0)
        self.assertEqual(len(self.judge(20.1).failed), 1)

    def test_empty(self):
        """a part that ran no case has failed"""
        self.assertEqual(len(self.judge(1, passed=0).failed), 1)

    def test_skips(self):
        """in CI only listed skips are allowed"""
        skips = [("p: known case", "x"), ("p: other", "y")]
        self.assertEqual(len(self.judge(1, skips).failed), 0)
        tally = self.judge(1, skips, is_ci=True)
        self.assertEqual([name for name, _ in tally.skipped], ["p: known case"])
        self.assertEqual(len(tally.failed), 1)


class WholeRun(unittest.TestCase):
    """The suite on a small project of its own, whose path has a space."""

    def start(self, rows, **env):
        """Start the suite with the parts @rows; return its folder and its process."""
        holder = tempfile.TemporaryDirectory(prefix="a clone ")
        self.addCleanup(holder.cleanup)
        root = Path(holder.name)
        (root / "docs").mkdir()
        (root / "tools").mkdir()
        (root / "tools/suite.py").write_text((TOOLS / "suite.py").read_text())
        (root / "docs/testing.md").write_text(Table.HEAD + rows)
        environment = {key: value for key, value in os.environ.items() if key != "CI"}
        environment.update(env)
        return root, subprocess.Popen(
            [sys.executable, str(root / "tools/suite.py")], text=True, env=environment, cwd="/",
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)

    def run_suite(self, rows, **env):
        root, child = self.start(rows, **env)
        output, _ = child.communicate(timeout=60)
        self.assertEqual(list((root / "build").glob("scratch-*")), [])
        return child.returncode, output

    def test_interrupt(self):
        """Ctrl-C and SIGTERM end the run, its programs and its scratch folder at once"""
        for number in (signal.SIGINT, signal.SIGTERM):
            root, child = self.start("| a | fast | 5 | `sh -c 'echo $$ >\"$PYRALOG_ROOT/pid\"; "
                                     "exec sleep 100'` | x |\n")
            pid = root / "pid"
            for _ in range(1000):
                if pid.exists() and pid.read_text().strip():
                    break
                time.sleep(0.01)
            os.kill(child.pid, number)
            output, _ = child.communicate(timeout=20)
            self.assertNotEqual(child.returncode, 0)
            self.assertRegex(output.splitlines()[-1], r"^0 passed, 1 failed, 0 skipped$")
            self.assertEqual(list((root / "build").glob("scratch-*")), [])
            # Dead, though perhaps not yet taken off by init.
            stat = Path("/proc") / pid.read_text().strip() / "stat"
            self.assertTrue(not stat.exists() or stat.read_text().split(") ")[1][0] in "ZX")

    def test_pass(self):
        """a run that passes says so in its last line"""
        status, output = self.run_suite("| a | fast | 5 | `true` | x |\n")
        self.assertEqual(status, 0)
        self.assertEqual(output.splitlines()[-1], "1 passed, 0 failed, 0 skipped")

    def test_fail(self):
        """a run that fails says so in its last line and by its status"""
        status, output = self.run_suite("| a | fast | 5 | `true` | x |\n| b | fast | 5 | `false` | |\n")
        self.assertEqual(status, 1)
        self.assertEqual(output.splitlines()[-1], "1 passed, 1 failed, 0 skipped")

    def test_broken(self):
        """a run that cannot even begin ends with a closing line too"""
        status, output = self.run_suite("| a | never | 5 | `true` | x |\n")
        self.assertEqual(status, 1)
        self.assertEqual(output.splitlines()[-1], "0 passed, 1 failed, 0 skipped")

    def test_missing_program(self):
        """a part whose program is missing ends the run with a closing line"""
        status, output = self.run_suite("| a | fast | 5 | `no-such-program` | x |\n")
        self.assertEqual(status, 1)
        self.assertRegex(output.splitlines()[-1], r"^\d+ passed, [1-9]\d* failed, 0 skipped$")

    def test_unlisted_skip(self):
        """a skip is printed with its reason, and fails in CI"""
        row = "| a | fast | 5 | `printf '1..1\\nok 1 - b # SKIP no disk\\n'` | x |\n"
        status, output = self.run_suite(row)
        self.assertEqual(status, 0)
        self.assertIn("skipped: a: b: no disk", output)
        status, output = self.run_suite(row, CI="true")
        self.assertEqual(status, 1)
