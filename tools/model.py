#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""tools/model.py - search the model of election and commit in full with spin; TAP, a case a search.

    tools/model.py [CASE]...         (default: all that this length of run includes)
    tools/model.py --trace CASE      print a shortest way to a mistake's counterexample

A `safe` case must end with no error and nothing left out: a search cut short by depth or memory has
failed. A `mistake` case has one rule of the protocol broken and must find a counterexample; a
`reach` case names a situation that the search must meet, since a model in which nothing happens is
safe too. PYRALOG_TEST_LENGTH=long adds larger bounds. docs/design/model.md says how to read it all.
"""
import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
MODEL = ROOT / "test" / "model" / "election.pml"
# A step of the model is three of spin's: the choice, the step, the tidying of the state.
SPIN_STEPS = 3
DEPTH_MAX = 100000
MEMORY_MIB = 3900
SECONDS_MAX = 900
# The lines of spin's that tell the story and the state at its end.
SHOWN = ("replica", "spin: text", "r[", "epoch_", "committed")
BOUNDS = {"EPOCHS": 4, "ENTRIES": 2, "CRASHES": 2}

# Breaks one rule each; all within the bounds of `safe 3 2`.
MISTAKES = {
    "QUORUM": "W + E = N",
    "OLD_EPOCH": "a commit counts an entry of an older epoch",
    "ANSWER_BEFORE_PROMISE": "a grant is answered before the promise is durable",
    "ACK_BEFORE_FLUSH": "an acknowledgement before the flush",
    "WIPED": "a wiped node votes",
    "REFUSAL": "a refusal is counted as a grant",
    "VOTE_WITHOUT_LOG": "a vote without the look at the log",
    "CUT_BEHIND": "an old, shorter append cuts a longer log that agrees",
    "ACK_OWN_LENGTH": "an acknowledgement of the own length, not of the length that agrees",
    "NOTICE_BEFORE_MATCH": "a commit notice is taken beyond what agrees",
}


class Case:
    """One search: its kind, the model's defines, and what is expected of it."""

    def __init__(self, name, title, replicas, write_quorum, **defines):
        self.name, self.title = name, title
        self.kind = name.split("-")[0]
        self.replicas, self.write_quorum = replicas, write_quorum
        self.defines = {"N": replicas, "W": write_quorum, **BOUNDS, **defines}

    def words(self):
        return [f"-D{key}" if value is None else f"-D{key}={value}"
                for key, value in self.defines.items()]

    def bounds(self):
        return ", ".join(f"{self.defines[name]} {name.lower()}" for name in BOUNDS)


def safe(replicas, write_quorum, suffix="", **defines):
    return Case(f"safe-{replicas}-{write_quorum}{suffix}", "", replicas, write_quorum,
                SYMMETRY=None, **defines)


def cases(length):
    """Return the searches of a run of this length, those that take longest first."""
    found = []
    if length == "long":
        found.append(safe(3, 2, "-entries", ENTRIES=3))
        found.append(safe(3, 3, "-epochs"))
        found.append(safe(4, 2, EPOCHS=3))
    found += [safe(4, 3, EPOCHS=3), safe(3, 3, EPOCHS=3), safe(3, 2), safe(3, 1)]
    for name, title in MISTAKES.items():
        found.append(Case("mistake-" + name.lower().replace("_", "-"), title, 3, 2, SYMMETRY=None,
                          **{"MISTAKE_" + name: None}))
    for replicas, write_quorum, epochs in ((3, 2, 4), (3, 3, 3), (4, 3, 3), (3, 1, 4)):
        of = f"{replicas}-{write_quorum}"
        found.append(Case(f"reach-end-{of}", "all bounds are used up, by commits of two epochs",
                          replicas, write_quorum, SYMMETRY=None, REACH_END=None, EPOCHS=epochs))
        if write_quorum > 1:  # With one copy enough each vote is unanimous: nothing durable is cut.
            found.append(Case(f"reach-cut-{of}", "a durable entry is cut above a commit point",
                              replicas, write_quorum, SYMMETRY=None, REACH_CUT=None,
                              EPOCHS=epochs))
    return found


def compile_search(case, folder, is_shortest):
    """Make the program folder/pan that searches this case; return what went wrong, or nothing."""
    defines = dict(case.defines)
    flags = ["-O2", "-w", "-DSAFETY", "-DNOREDUCE", f"-DMEMLIM={MEMORY_MIB}"]
    if is_shortest:
        defines.pop("SYMMETRY", None)
        defines["BREADTH"] = None
        flags.append("-DBFS")
    case = Case(case.name, case.title, case.replicas, case.write_quorum, **defines)
    for words in (["spin", "-a", *case.words(), str(MODEL)],
                  ["gcc", *flags, "-o", "pan", "pan.c"]):
        try:
            done = subprocess.run(words, cwd=folder, stdin=subprocess.DEVNULL, text=True,
                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
                                  timeout=SECONDS_MAX)
        except FileNotFoundError:
            return f"{words[0]} is not installed: tools/setup.sh test installs it"
        except subprocess.TimeoutExpired:
            return f"{words[0]} took over {SECONDS_MAX} s"
        if done.returncode != 0 or not (folder / "pan.c").exists():
            return f"{words[0]} ended with status {done.returncode}\n{done.stdout}"
    return ""


def run_search(folder, seconds_max):
    try:
        done = subprocess.run(["./pan", f"-m{DEPTH_MAX}", "-w24"], cwd=folder, text=True,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, check=False, timeout=seconds_max)
    except subprocess.TimeoutExpired:
        return f"the search took over {seconds_max} s"
    return done.stdout + (f"pan ended with status {done.returncode}\n" if done.returncode else "")


def judge(kind, output):
    """Return (problem or nothing, states, depth in the model's steps, verdict) of a search."""
    errors = re.search(r"depth reached (\d+), errors: (\d+)", output)
    states = re.search(r"^\s*([\d.e+]+) states, stored", output, re.M)
    if not errors or not states:
        return "the search did not end:\n" + output, 0, 0, "no verdict"
    depth = int(errors[1]) // SPIN_STEPS
    count = int(float(states[1]))
    at = re.search(r"assertion violated .*\(at depth (\d+)\)", output)
    is_cut_short = re.search(r"max search depth|out of memory|reached -DMEMLIM|pan ended", output)
    is_partial = "Search not completed" in output
    if kind == "safe":
        if int(errors[2]) > 0:
            return "a counterexample:\n" + output, count, depth, "error"
        if is_cut_short or is_partial:
            return "the search was cut short:\n" + output, count, depth, "cut short"
        return "", count, depth, "no error"
    if int(errors[2]) == 0 or not at:
        return "no counterexample:\n" + output, count, depth, "nothing found"
    return "", count, depth, f"found in {int(at[1]) // SPIN_STEPS} steps"


def search(case):
    """Return (problem or nothing, the line that tells this case's result)."""
    start = time.monotonic()
    with tempfile.TemporaryDirectory() as scratch:
        problem = compile_search(case, Path(scratch), False)
        compiled = time.monotonic()
        output = "" if problem else run_search(Path(scratch), SECONDS_MAX)
    states = depth = 0
    verdict = "not run"
    if not problem:
        problem, states, depth, verdict = judge(case.kind, output)
    title = f" ({case.title})" if case.title else ""
    seconds = f"{time.monotonic() - compiled:.1f} + {compiled - start:.1f} s to compile"
    return problem, (f"{case.name}{title}: N {case.replicas}, W {case.write_quorum}, "
                     f"{case.bounds()}: {states} states, depth {depth}, {seconds}, {verdict}")


def entries_of(match):
    """Write a log, a number with one octal digit an entry, as the epochs of its entries."""
    return match[1] + " ".join(f"{int(match[2]):o}"[::-1])


def trace(case):
    """Print the shortest way to the error; the search by breadth takes longer and does not sort."""
    with tempfile.TemporaryDirectory() as scratch:
        problem = compile_search(case, Path(scratch), True)
        output = "" if problem else run_search(Path(scratch), SECONDS_MAX)
        problem = problem or judge("mistake", output)[0]
        if problem:
            print(problem, file=sys.stderr)
            return 1
        words = [word for word in case.words() if word != "-DSYMMETRY"]
        trail = next(Path(scratch).glob("*.trail"))
        shown = subprocess.run(["spin", "-t", "-k", str(trail), "-DBREADTH", *words, str(MODEL)],
                               cwd=scratch, stdin=subprocess.DEVNULL, text=True,
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    for line in map(str.strip, shown.stdout.splitlines()):
        if line.startswith(SHOWN) and not line.endswith(" = 0"):
            print(re.sub(r"((?:log(?:\[\d\])?|committed|committed_by) = )(\d+)$", entries_of, line))
    return 0


def main():
    parser = argparse.ArgumentParser(prog="tools/model.py")
    parser.add_argument("--trace", metavar="CASE")
    parser.add_argument("case", nargs="*")
    options = parser.parse_args()
    known = cases("long" if options.case else os.environ.get("PYRALOG_TEST_LENGTH"))
    if options.trace:
        chosen = [case for case in known if case.name == options.trace and case.kind != "safe"]
        if not chosen:
            parser.error("no such case, or one that finds nothing: " + options.trace)
        return trace(chosen[0])
    chosen = [case for case in known if not options.case or case.name in options.case]
    if {case.name for case in chosen} < set(options.case):
        parser.error("the cases are: " + " ".join(case.name for case in known))
    print(f"1..{len(chosen)}")
    is_bad = False
    # Two at a time: each may take almost 4 GiB.
    with ThreadPoolExecutor(min(2, os.cpu_count() or 1)) as pool:
        for number, (problem, line) in enumerate(pool.map(search, chosen), 1):
            for text in problem.splitlines()[-60:]:
                print(f"# {text}")
            print(f"{'not ' if problem else ''}ok {number} - {line}", flush=True)
            is_bad |= bool(problem)
    return 1 if is_bad else 0


if __name__ == "__main__":
    sys.exit(main())
