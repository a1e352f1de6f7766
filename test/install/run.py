#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""test/install/run.py - what a user of the library meets: pages, examples, the installed tree.

    run.py MODULE BUILD      run the tests of test_MODULE.py against the build folder; prints TAP
"""
import os
import sys
import unittest
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.dont_write_bytecode = True
sys.path.insert(0, str(HERE.parent.parent / "tools" / "test"))
from run import TapResult  # noqa: E402


def main(arguments):
    if len(arguments) != 2 or not (HERE / f"test_{arguments[0]}.py").exists():
        print("usage: run.py MODULE BUILD", file=sys.stderr)
        return 2
    os.environ["PYRALOG_BUILD"] = str(Path(arguments[1]).resolve())
    sys.path.insert(0, str(HERE))
    tests = unittest.defaultTestLoader.loadTestsFromName(f"test_{arguments[0]}")
    print(f"1..{tests.countTestCases()}")
    result = TapResult()
    tests.run(result)
    return 0 if result.wasSuccessful() else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
