#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""tools/test/run.py - run the tests of the scripts in tools/ and print TAP.

Each test_*.py beside this file is a unittest module; a test's first docstring line is its name.
"""
import sys
import unittest
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]
sys.dont_write_bytecode = True


class TapResult(unittest.TestResult):
    """Prints one TAP line a test."""

    def line(self, test, problem="", directive=""):
        for text in problem.splitlines():
            print(f"# {text}")
        name = f"{type(test).__module__}: {test.shortDescription() or test.id()}".replace("#", "")
        print(f"{'not ' if problem else ''}ok {self.testsRun} - {name}{directive}", flush=True)

    def addSuccess(self, test):
        self.line(test)

    def addError(self, test, err):
        super().addError(test, err)
        self.line(test, self.errors[-1][1])

    def addFailure(self, test, err):
        super().addFailure(test, err)
        self.line(test, self.failures[-1][1])

    def addSkip(self, test, reason):
        self.line(test, "", f" # SKIP {reason}")


def main():
    tests = unittest.defaultTestLoader.discover(str(HERE), top_level_dir=str(HERE))
    print(f"1..{tests.countTestCases()}")
    result = TapResult()
    tests.run(result)
    return 0 if result.wasSuccessful() else 1


if __name__ == "__main__":
    sys.exit(main())
