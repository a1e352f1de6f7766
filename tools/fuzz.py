#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""tools/fuzz.py - run each libFuzzer target of build/fuzz for a while; TAP, one case a target.

    tools/fuzz.py [--seconds N] [TARGET]...      (default: 10 seconds, all targets)

A target is an executable fuzz_NAME of test/fuzz; it starts from test/fuzz/corpus/NAME and puts what
it finds into a scratch folder. An input that breaks it stays in build/fuzz/found/, and belongs into
the corpus once the bug has a test. Targets run side by side, one a core.
"""
import argparse
import json
import os
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "build" / "fuzz"


def targets():
    rows = json.loads((BUILD / "meson-info" / "intro-targets.json").read_text())
    return sorted(Path(row["filename"][0]) for row in rows
                  if row["type"] == "executable" and row["name"].startswith("fuzz_"))


def fuzz(target, seconds):
    """Return what went wrong in @target, or nothing, and how many inputs it tried."""
    corpus = ROOT / "test" / "fuzz" / "corpus" / target.name.removeprefix("fuzz_")
    found = BUILD / "found"
    found.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        folders = [scratch] + ([str(corpus)] if corpus.is_dir() else [])
        done = subprocess.run(
            [str(target), f"-max_total_time={seconds}", "-timeout=10", "-rss_limit_mb=2048",
             "-print_final_stats=1", f"-artifact_prefix={found}/{target.name}-", *folders],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd=scratch,
            text=True, errors="replace", check=False)
    lines = done.stdout.splitlines()
    tried = [line.split()[-1] for line in lines if "number_of_executed_units" in line]
    problem = "\n".join(lines[-60:]) if done.returncode != 0 else ""
    if not problem and (not tried or int(tried[0]) < 100):
        problem = f"it tried only {tried[0] if tried else 0} inputs in {seconds} s"
    return problem, tried[0] if tried else "0"


def main():
    parser = argparse.ArgumentParser(prog="tools/fuzz.py")
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("target", nargs="*")
    options = parser.parse_args()
    chosen = [path for path in targets() if not options.target or path.name in options.target]
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        results = list(pool.map(lambda path: fuzz(path, options.seconds), chosen))
    print(f"1..{len(chosen)}")
    for number, (path, (problem, tried)) in enumerate(zip(chosen, results), 1):
        for line in problem.splitlines():
            print(f"# {line}")
        print(f"{'not ' if problem else ''}ok {number} - {path.name}, {tried} inputs")
    return 1 if any(problem for problem, _ in results) else 0


if __name__ == "__main__":
    sys.exit(main())
