# SPDX-License-Identifier: Apache-2.0
"""Tests of what only a long run uses: tools/sysroot.py, foreign.py, coverage.py, suite.report."""
import contextlib
import io
import os
import tempfile
import unittest
from pathlib import Path
from unittest import mock

import coverage
import foreign
import suite
import sysroot


class Folder(unittest.TestCase):
    def setUp(self):
        holder = tempfile.TemporaryDirectory(prefix="a long run ")
        self.addCleanup(holder.cleanup)
        self.folder = Path(holder.name)


class Sysroot(Folder):
    def test_sources(self):
        """only Debian's own sources are taken, without their list of architectures"""
        etc = self.folder / "apt"
        (etc / "sources.list.d").mkdir(parents=True)
        (etc / "sources.list").write_text("deb [arch=amd64] http://a.example/debian x main\n")
        (etc / "sources.list.d/b.sources").write_text(
            "Types: deb\nURIs: http://b.example/debian-security\nArchitectures: amd64\n")
        (etc / "sources.list.d/c.list").write_text("deb http://c.example/node x main\n")
        sysroot.write_sources(self.folder / "out", etc)
        self.assertEqual({path.name: path.read_text() for path in (self.folder / "out").iterdir()},
                         {"sources.list": "deb [] http://a.example/debian x main\n",
                          "b.sources": "Types: deb\nURIs: http://b.example/debian-security\n"})

    def test_no_sources(self):
        """a machine that names no source of Debian's gets one"""
        sysroot.write_sources(self.folder / "out", self.folder / "none")
        self.assertEqual([path.name for path in (self.folder / "out").iterdir()], ["debian.list"])

    def test_links(self):
        """an absolute link points into the sysroot, not into this machine"""
        for name in ("lib", "usr/lib"):
            (self.folder / name).mkdir(parents=True)
        (self.folder / "lib/z.so.1").write_text("z")
        (self.folder / "usr/lib/z.so").symlink_to("/lib/z.so.1")
        (self.folder / "usr/lib/y.so").symlink_to("y.so.1")
        sysroot.make_relative(self.folder)
        self.assertEqual((self.folder / "usr/lib/z.so").read_text(), "z")
        self.assertEqual(os.readlink(self.folder / "usr/lib/y.so"), "y.so.1")


class Foreign(Folder):
    def test_not_here(self):
        """without the emulator a machine is skipped, and the skip says what to install"""
        with mock.patch("shutil.which", return_value=None):
            self.assertRaisesRegex(suite.NotHere, "setup.sh long", foreign.need, "s390x")

    def test_space(self):
        """in a path with a space a machine is skipped before anything is fetched"""
        with mock.patch("shutil.which", return_value="/bin/true"), \
                mock.patch.object(foreign, "ROOT", Path("/a b")), \
                mock.patch.object(foreign.sysroot, "make") as make:
            self.assertRaisesRegex(suite.NotHere, "space", foreign.need, "arm64")
            make.assert_not_called()

    def test_early_end(self):
        """a writer that ends by itself, or that gets nothing acknowledged, is a failure"""
        acks = self.folder / "acks"
        with mock.patch.object(foreign, "WRITER_SECONDS", 0.2):
            for words, text in ((["false"], "ended by itself"),
                                (["sh", "-c", "exec sleep 9", "writer"], "only 0 appends")):
                with mock.patch.object(foreign, "program", return_value=words):
                    self.assertIn(text, foreign.write_and_die("s390x", self.folder / "store", acks))

    def test_programs(self):
        """a program of a foreign machine has the emulator before it, one of this machine has not"""
        self.assertIn("qemu-s390x-static", foreign.program("s390x", "pyralog")[0])
        self.assertEqual(len(foreign.program("release", "pyralog")), 1)


class Coverage(Folder):
    def test_not_counted(self):
        """the branches of an assertion are not counted, over all its lines and no further"""
        path = self.folder / "a.c"
        path.write_text("    ASSERT(a &&\n           b); /* X-1 */\n    if (c) {\n"
                        "    if (MUTANT(d)) {\n        e();\n")
        self.assertEqual(coverage.uncounted_lines(path), {1, 2, 4})

    def test_totals(self):
        """what one object did not run another may have: a header's counts are added up"""
        path = self.folder / "a.h"
        path.write_text("one\nASSERT(x);\n")
        file = coverage.File(path)
        for counts in ((0, 3), (0, 0)):
            file.add({"line_number": 1, "count": sum(counts),
                      "branches": [{"count": count} for count in counts]})
            file.add({"line_number": 2, "count": 0, "branches": [{"count": 0}, {"count": 0}]})
        self.assertEqual(file.totals(), (1, 2, 1, 2))


class Report(unittest.TestCase):
    def report(self, **outcome):
        def run(name):
            tally = suite.Tally()
            tally.passed, tally.failed, tally.skipped = outcome[name]
            if tally.passed is None:
                raise suite.NotHere("no such disk")
            return tally

        output = io.StringIO()
        with contextlib.redirect_stdout(output):
            status = suite.report(list(outcome), run)
        return status, suite.count_tap("p", output.getvalue(), status)

    def test_outcomes(self):
        """a failure fails, nothing run fails, what cannot be had is skipped with its reason"""
        status, tally = self.report(good=(2, [], []), bad=(2, [("case", "why")], []),
                                    empty=(0, [], []), gone=(None, [], []))
        self.assertEqual((status, tally.passed, len(tally.failed)), (1, 1, 2))
        self.assertIn("why", tally.failed[0][1])
        self.assertEqual(tally.skipped, [("p: gone", "no such disk")])

    def test_good(self):
        """a run without failure ends well"""
        self.assertEqual(self.report(good=(2, [], [("case", "why")]))[0], 0)
