#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""tools/canary.py - show that the runners can fail; TAP, one case a planted mistake.

A test runner that never says no proves nothing. This runs programs that must fail: a test program
with one case of each outcome, one mistake for each sanitizer, a fuzz target with a bug.
"""
import subprocess
import sys
from pathlib import Path

import fuzz
import suite

ROOT = Path(__file__).resolve().parent.parent
# Build kind, mistake, what its report must say.
MISTAKES = [
    ("asan", "overflow", "heap-buffer-overflow"),
    ("asan", "undefined", "signed integer overflow"),
    ("tsan", "race", "data race"),
]


def run(*words):
    done = subprocess.run([str(word) for word in words], stdin=subprocess.DEVNULL, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, errors="replace",
                          check=False, timeout=60)
    return done.returncode, done.stdout


def check_runner():
    """Return what is wrong with the count of a program that fails in each way."""
    status, output = run(ROOT / "build/release/test/lib/fail_always")
    tally = suite.count_tap("fail_always", output, status)
    counts = (tally.passed, len(tally.skipped), len(tally.failed))
    if counts != (1, 1, 2):
        return f"counted {counts} instead of (1, 1, 2)\n{output}"
    if tally.skipped[0][1] != "for a reason":
        return f"the reason of the skip is '{tally.skipped[0][1]}'"
    if "in fail_always_crashes" not in tally.failed[1][0]:
        return f"the crash is not named: {tally.failed[1][0]}"
    return ""


def check_mistake(kind, mistake, report):
    status, output = run(ROOT / "build" / kind / "test/lib/canary", mistake)
    return "" if status != 0 and report in output else f"status {status}\n{output}"


def check_fuzzer():
    problem, _ = fuzz.fuzz(fuzz.BUILD / "test/fuzz/canary_fuzz", 20)
    return "" if "canary is found" in problem else f"the fuzzer found nothing\n{problem}"


def main():
    cases = [("the runner counts passes, skips, failures and crashes", check_runner())]
    for kind, mistake, report in MISTAKES:
        cases.append((f"{kind} sees {mistake}", check_mistake(kind, mistake, report)))
    cases.append(("the fuzzer finds its canary", check_fuzzer()))
    print(f"1..{len(cases)}")
    for number, (name, problem) in enumerate(cases, 1):
        for line in problem.splitlines():
            print(f"# {line}")
        print(f"{'not ' if problem else ''}ok {number} - {name}")
    return 1 if any(problem for _, problem in cases) else 0


if __name__ == "__main__":
    sys.dont_write_bytecode = True
    sys.exit(main())
