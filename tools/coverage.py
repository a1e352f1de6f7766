#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""tools/coverage.py - how much of src/ the tests run: lines and branches, a row each room; TAP.

    tools/coverage.py [--write] [--show PATH]... [--no-tests]

It builds build/coverage, runs all its tests there, each with a tenth of the cases, and
asks gcov, which comes with gcc. The table goes to the terminal and, with --write, to
docs/results/coverage.md. --show lists the lines of a file, or of a folder's files, that no test ran
and the branches that none took; --no-tests looks once more at what the last run left.

Not counted are the branches of ASSERT, since one of them is an error of ours, and of MUTANT, which
is constant. The case fails when a test fails, or when a room has fallen below LINES_MIN.
"""
import argparse
import json
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import suite

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "build" / "coverage"
RESULT = ROOT / "docs/results/coverage.md"
SUITES = {"unit", "fuzz", "fault", "sim", "cluster"}
LEFT_OUT = {"installed": "an installed tree has nothing to add", "examples": "likewise"}
LINES_MIN = 80  # Percent.
NOT_COUNTED = re.compile(r"\b(ASSERT(_SLOW)?|MUTANT)\(")


def uncounted_lines(path):
    """Return the numbers of the lines of @path on which an ASSERT or a MUTANT stands."""
    found, is_open = set(), False
    for number, line in enumerate(path.read_text().splitlines(), 1):
        is_open = is_open or bool(NOT_COUNTED.search(line))
        if is_open:
            found.add(number)
        is_open = is_open and not re.search(r"[;{]\s*(/\*.*)?$", line)
    return found


class File:
    """What ran of one file: counts of lines, and of each line's branches."""

    def __init__(self, path):
        self.path = path
        self.lines, self.branches = {}, {}
        self.uncounted = uncounted_lines(path)

    def add(self, line):
        """Add a line of gcov's; a header's stands in many objects."""
        number = line["line_number"]
        self.lines[number] = self.lines.get(number, 0) + line["count"]
        counts = [branch["count"] for branch in line["branches"]]
        if counts and number not in self.uncounted:
            known = self.branches.setdefault((number, len(counts)), [0] * len(counts))
            for index, count in enumerate(counts):
                known[index] += count

    def totals(self):
        """Return lines run, lines, branches taken, branches."""
        taken = [count > 0 for counts in self.branches.values() for count in counts]
        return (sum(count > 0 for count in self.lines.values()), len(self.lines), sum(taken),
                len(taken))

    def show(self):
        text = self.path.read_text().splitlines()
        partly = {number for (number, _), counts in self.branches.items() if 0 in counts}
        for number in sorted(self.lines):
            mark = "none" if self.lines[number] == 0 else "half" if number in partly else ""
            if mark:
                print(f"# {self.path.relative_to(ROOT)}:{number}: {mark}: {text[number - 1].strip()}")


def gather():
    """Return the Files of src/, by path, from what the tests left in build/coverage."""
    files = {}
    for notes in sorted(BUILD.glob("src/**/*.gcno")):
        done = subprocess.run(["gcov", "--json-format", "--stdout", "--branch-probabilities", str(notes)],
                              cwd=BUILD, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.DEVNULL, check=True)
        for one in json.loads(done.stdout)["files"]:
            path = (BUILD / one["file"]).resolve()
            if path.is_relative_to(ROOT / "src"):
                file = files.setdefault(path, File(path))
                for line in one["lines"]:
                    file.add(line)
    return files


def share(part, whole):
    return f"{100 * part / whole:.1f} %" if whole else "-"


def rows_of(files):
    """Return for each room its name and totals, and at the end those of all."""
    rooms = {}
    for path, file in sorted(files.items()):
        room = path.relative_to(ROOT).parts[1]
        rooms[room] = [a + b for a, b in zip(rooms.get(room, [0] * 4), file.totals())]
    return [*rooms.items(), ("all", [sum(column) for column in zip(*rooms.values())])]


def table(rows):
    lines = ["| room | lines | run | branches | taken |", "|---|---|---|---|---|"]
    for room, (run, whole, taken, branches) in rows:
        lines.append(f"| {room} | {whole} | {share(run, whole)} | {branches} | {share(taken, branches)} |")
    return lines


def write(rows):
    head = ["# What the tests run", "",
            "Made by `tools/coverage.py --write` with gcc's counts: all tests, with a tenth of the cases. A",
            "process that is killed leaves no counts. Branches of ASSERT and MUTANT are not counted, since one side",
            "of them is never taken.", ""]
    RESULT.write_text("\n".join(head + table(rows)) + "\n")


def run_tests():
    """Build, forget what was counted, and run; return the Tally."""
    with tempfile.TemporaryDirectory(prefix="coverage-", dir=ROOT / "build") as scratch:
        one = suite.Suite("default", scratch)
        one.left_out = LEFT_OUT
        tally = one.build("coverage", SUITES)
        if one.built["coverage"]:
            for counts in BUILD.glob("**/*.gcda"):
                counts.unlink()
            tally.add(one.tests("coverage", SUITES))
    return tally


def measure(options):
    """Return the Tally of the tests and of the least that each room must reach."""
    if not shutil.which("gcov"):
        raise suite.NotHere("gcov is not installed")
    tally = suite.Tally() if options.no_tests else run_tests()
    if tally.failed:
        return tally
    files = gather()
    rows = rows_of(files)
    print("\n".join("# " + line for line in table(rows)))
    for name in options.show:
        for path, file in sorted(files.items()):
            if path.is_relative_to((ROOT / name).resolve()):
                file.show()
    for room, (run, whole, _, _) in rows:
        if 100 * run < LINES_MIN * whole:
            tally.failed.append((f"{room}: tests run {share(run, whole)} of its lines", ""))
    tally.passed += 1
    if options.write and not tally.failed:
        write(rows)
    return tally


def main():
    parser = argparse.ArgumentParser(prog="tools/coverage.py")
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--show", action="append", default=[], metavar="PATH")
    parser.add_argument("--no-tests", action="store_true")
    options = parser.parse_args()
    return suite.report(["coverage"], lambda _: measure(options))


if __name__ == "__main__":
    sys.dont_write_bytecode = True
    sys.exit(main())
