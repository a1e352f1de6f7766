#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""tools/mutants.py - show that the suite finds every deliberate mistake; TAP, one case a mistake.

    tools/mutants.py [--write] [NAME]...

src/base/mutant.def holds the mistakes, test/mutants.txt says which test finds each: a line

    NAME  TEST  [PART-OF-CASE]

where TEST is a meson test of build/mutants and the last word chooses among its cases. First each
such test must pass with no mistake switched on; then, with the mistake on, it must fail. With
--write the table goes to docs/results/mutants.md.
"""
import argparse
import json
import os
import re
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "build" / "mutants"
SECONDS_MAX = 60
NO_SUCH_CASE = 2


def read_mistakes():
    text = (ROOT / "src/base/mutant.def").read_text()
    return re.findall(r'^X\((\w+),\s*"([^"]*)"', text, re.M)


def read_killers(path):
    killers = {}
    for line in path.read_text().splitlines():
        words = line.partition("#")[0].split()
        if words:
            killers.setdefault(words[0], []).append((words[1], words[2] if len(words) > 2 else ""))
    return killers


def read_tests():
    rows = json.loads((BUILD / "meson-info" / "intro-tests.json").read_text())
    return {row["name"]: row for row in rows}


def run(row, part_of_case, mistake):
    """Return (did it fail, how, seconds) of one test with @mistake, or none, switched on."""
    env = dict(os.environ, PYRALOG_TEST_PERCENT="10")
    env.update(row["env"])
    env.pop("PYRALOG_MUTANT", None)
    if mistake:
        env["PYRALOG_MUTANT"] = mistake
    words = row["cmd"] + ([part_of_case] if part_of_case else [])
    start = time.monotonic()
    try:
        done = subprocess.run(words, env=env, cwd=row["workdir"] or BUILD, text=True,
                              errors="replace", stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, timeout=SECONDS_MAX, check=False)
    except subprocess.TimeoutExpired:
        return True, f"no end after {SECONDS_MAX} s", SECONDS_MAX
    seconds = time.monotonic() - start
    if done.returncode == NO_SUCH_CASE:
        return False, f"no case matches '{part_of_case}'", seconds
    failed = re.findall(r"^not ok \d+ - (.*)$", done.stdout, re.M)
    running = re.findall(r"^# run \d+ - (.*)$", done.stdout, re.M)
    if done.returncode != 0 and not failed:
        how = f"status {done.returncode} in {running[-1] if running else row['name']}"
    else:
        how = ", ".join(failed)
    if not mistake:
        how = how + "\n" + done.stdout[-2000:]
    return done.returncode != 0, how, seconds


def judge(mistake, killers, tests, baseline):
    """Return (problem, who killed it) for one mistake."""
    if mistake not in killers:
        return "no line in test/mutants.txt says which test finds it", ""
    for test, part_of_case in killers[mistake]:
        if test not in tests:
            return f"test/mutants.txt: no meson test '{test}'", ""
        if baseline[(test, part_of_case)]:
            return f"{test} {part_of_case} fails without any mistake", ""
        is_killed, how, seconds = run(tests[test], part_of_case, mistake)
        if is_killed:
            return "", f"{test}: {how} ({seconds:.1f} s)"
    return f"survived {killers[mistake]}", ""


def main():
    parser = argparse.ArgumentParser(prog="tools/mutants.py")
    parser.add_argument("--write", action="store_true")
    parser.add_argument("name", nargs="*")
    options = parser.parse_args()
    mistakes = [row for row in read_mistakes() if not options.name or row[0] in options.name]
    killers, tests = read_killers(ROOT / "test/mutants.txt"), read_tests()
    known = {name for name, _ in read_mistakes()}
    strays = [name for name in killers if name not in known]

    pairs = sorted({pair for name, _ in mistakes for pair in killers.get(name, [])
                    if pair[0] in tests})
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        baseline = dict(zip(pairs, pool.map(lambda pair: run(tests[pair[0]], pair[1], "")[0],
                                            pairs)))
        results = list(pool.map(lambda row: judge(row[0], killers, tests, baseline), mistakes))

    print(f"1..{len(mistakes) + 1}")
    for number, ((name, _), (problem, killer)) in enumerate(zip(mistakes, results), 1):
        print(f"# {problem or killer}")
        print(f"{'not ' if problem else ''}ok {number} - mutant {name} is killed")
    for name in strays:
        print(f"# test/mutants.txt names '{name}', which is not in src/base/mutant.def")
    print(f"{'not ' if strays else ''}ok {len(mistakes) + 1} - every line names a mutant")
    if options.write:
        rows = [f"| {name} | {text} | {killer or 'NOT KILLED: ' + problem} |"
                for (name, text), (problem, killer) in zip(mistakes, results)]
        head = ["# Mutants and what kills them", "", "Made by `tools/mutants.py --write`.", "",
                "| mutant | the mistake | killed by |", "|---|---|---|"]
        (ROOT / "docs/results/mutants.md").write_text("\n".join(head + rows) + "\n")
    return 1 if strays or any(problem for problem, _ in results) else 0


if __name__ == "__main__":
    sys.exit(main())
