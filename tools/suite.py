#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""tools/suite.py - run the parts of the test suite and count their cases.

The parts stand in one table, in docs/testing.md: name, shortest length of run that includes it,
planned seconds, command. A command is one of

    build KIND [SUITE,...]       set up build/KIND from tools/meson/KIND.ini and compile it, or only
                                 what the tests of these suites need
    tests KIND SUITE[,SUITE]     run the meson tests of those suites in build/KIND
    anything else                a program, run from the project's root

Programs print TAP; one that prints none counts as one case, judged by its exit status. A part fails
when a case fails, when a program ends early or badly, and when it takes over twice its plan. With
CI=true a skip that test/skips.txt does not list is a failure. The closing line counts the cases of
all parts: "N passed, N failed, N skipped".
"""
import argparse
import fcntl
import fnmatch
import hashlib
import json
import os
import re
import resource
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LENGTHS = ("fast", "default", "long")
# How much of an endless test (case_scale in test/lib/case.h) each build kind does, in percent.
KIND_PERCENT = {"asan": 10, "tsan": 10, "mutants": 10, "coverage": 10, "arm64": 1, "s390x": 1}
LENGTH_PERCENT = {"fast": 10, "default": 100, "long": 1000}
# Sanitizers are slower; a test's time-out is stretched by this.
KIND_TIMEOUT = {"asan": 3, "tsan": 10, "coverage": 3, "arm64": 10, "s390x": 10}
# A build for a foreign machine runs under an emulator, with the libraries of tools/sysroot.py.
KIND_EMULATOR = {"arm64": "qemu-aarch64-static", "s390x": "qemu-s390x-static"}
SLOWEST_COUNT = 8
CI_SKIPS = "test/skips.txt"
SANITIZER_OPTIONS = {
    "ASAN_OPTIONS": "detect_stack_use_after_return=1:strict_string_checks=1",
    "UBSAN_OPTIONS": "print_stacktrace=1",
    # Tests fork children that try locks and limits; they start threads there.
    "TSAN_OPTIONS": "second_deadlock_stack=1:die_after_fork=0",
}


def sysroot_of(kind):
    return ROOT / "build" / "sysroot" / kind


def emulator_of(kind):
    """Return the words that stand before a program of build/@kind."""
    return [KIND_EMULATOR[kind], "-L", str(sysroot_of(kind))] if kind in KIND_EMULATOR else []


class NotHere(Exception):
    """What a case needs cannot be had on this machine: it is skipped with this reason."""


def call(*words, seconds_max=600):
    """Run a program that gets something ready; NotHere, with the end of what it said, if it fails."""
    env = dict(os.environ, LC_ALL="C", DEBIAN_FRONTEND="noninteractive")
    try:
        done = subprocess.run([str(word) for word in words], stdin=subprocess.DEVNULL, text=True,
                              env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              errors="replace", check=False, timeout=seconds_max)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NotHere(f"{words[0]}: {error}"[:200]) from error
    if done.returncode != 0:
        raise NotHere(f"{words[0]}: {' '.join(done.stdout.split())[-160:]}")


class Part:
    """One row of the table."""

    def __init__(self, name, length, planned, command):
        self.name, self.length, self.planned = name, length, planned
        self.words = shlex.split(command)

    def builds(self):
        return self.words[1] if self.words[0] == "build" else None

    def needs(self):
        return self.words[1] if self.words[0] == "tests" else None


def read_parts(text):
    """Return the parts in the table of docs/testing.md."""
    parts = []
    in_table = False
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if cells[:4] == ["part", "from", "planned s", "command"]:
            in_table = True
        elif in_table and not line.startswith("|"):
            break
        elif in_table and not set(cells[0]) <= {"-", ":"}:
            if len(cells) < 4 or cells[1] not in LENGTHS or not cells[2].isdigit():
                raise ValueError(f"docs/testing.md: bad row of the table of parts: {line}")
            parts.append(Part(cells[0], cells[1], int(cells[2]), cells[3].strip("`")))
    if not parts:
        raise ValueError("docs/testing.md: no table of parts")
    return parts


class Tally:
    """What the cases of one program came to."""

    def __init__(self):
        self.passed, self.failed, self.skipped = 0, [], []

    def add(self, other):
        self.passed += other.passed
        self.failed += other.failed
        self.skipped += other.skipped

    def total(self):
        return self.passed + len(self.failed) + len(self.skipped)


TAP_LINE = re.compile(r"(not )?ok\b\s*(\d+)?\s*-?\s*([^#]*)(?:#\s*(SKIP|TODO)\b\S*\s*(.*))?", re.I)


def count_tap(program, output, status):
    """Return the Tally of @program, which printed @output and ended with @status."""
    tally = Tally()
    planned = seen = 0
    running = reason = ""
    has_plan = False
    for line in output.splitlines():
        plan = re.fullmatch(r"1\.\.(\d+)(\s*#.*)?", line)
        match = TAP_LINE.match(line)
        if line.startswith("Bail out!"):
            tally.failed.append((f"{program}: {line}", ""))
        elif line.startswith("# run "):
            running, reason = line.partition(" - ")[2], ""
        elif plan:
            has_plan, planned = True, int(plan[1])
        elif line.startswith("#"):
            reason += line + "\n"
        elif match:
            seen += 1
            name = f"{program}: {match[3].strip() or f'case {seen}'}"
            if (match[4] or "").upper() == "SKIP":
                tally.skipped.append((name, match[5] or "no reason given"))
            elif match[1]:
                tally.failed.append((name, reason))
            else:
                tally.passed += 1
            running = reason = ""
    if not has_plan and seen == 0:
        if status == 0:
            tally.passed += 1
        else:
            tally.failed.append((f"{program}: exit status {status}", tail(output)))
    elif seen != planned:
        where = f", in {running}" if running else ""
        text = f"{program}: ended after {seen} of {planned} cases{where}, status {status}"
        tally.failed.append((text, reason + tail(output)))
    elif status != 0 and not tally.failed:
        tally.failed.append((f"{program}: exit status {status} though no case failed", tail(output)))
    return tally


REPORT = re.compile(r"(WARNING|ERROR): \w+Sanitizer|: runtime error: |assertion failed: ")


def tail(text, count=40):
    """Return the first report of a sanitizer or an assertion in @text, or else its last lines."""
    lines = text.splitlines()
    first = next((index for index, line in enumerate(lines) if REPORT.search(line)), None)
    if first is not None:
        return "\n".join(lines[first:first + count])
    return "\n".join(lines[-count:])


class Suite:
    """One run of the suite."""

    def __init__(self, length, scratch):
        self.length, self.scratch = length, scratch
        self.logs = ROOT / "build" / "logs"
        self.logs.mkdir(parents=True, exist_ok=True)
        self.is_ci = os.environ.get("CI") == "true"
        self.allowed = read_skips(ROOT / CI_SKIPS)
        self.built = {}
        self.seconds = {}  # What each meson test took.
        self.children = set()
        self.lock = threading.RLock()  # The signal handler may run while its own thread holds it.
        self.is_stopping = False
        self.is_starting = False  # The main thread is between starting a program and noting it.
        self.patience = 1  # Time-outs are stretched by this, where the disk is slow.
        self.left_out = {}  # Patterns of meson tests that cannot run, and why.

    def environment(self, kind=None):
        percent = min(LENGTH_PERCENT[self.length], KIND_PERCENT.get(kind, 1000))
        if self.length == "long" and kind in KIND_PERCENT:
            percent = KIND_PERCENT[kind] * 10
        env = dict(os.environ, TMPDIR=str(self.scratch), PYRALOG_TEST_PERCENT=str(percent),
                   PYRALOG_TEST_LENGTH=self.length, PYRALOG_ROOT=str(ROOT), **SANITIZER_OPTIONS)
        suppressions = ROOT / "test/lib/tsan.supp"
        if suppressions.exists():
            # The sanitizer splits its options at spaces: quote the path.
            env["TSAN_OPTIONS"] += f':suppressions="{suppressions}"'
        env.pop("PYRALOG_MUTANT", None)
        return env

    def execute(self, words, seconds_max, cwd=ROOT, env=None):
        """Run a program; return its exit status and what it printed, both streams in one."""
        with self.lock:
            if self.is_stopping:
                return "interrupted", ""
            self.is_starting = threading.current_thread() is threading.main_thread()
            try:
                child = subprocess.Popen(words, cwd=cwd, env=env or self.environment(),
                                         stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                         stderr=subprocess.STDOUT, start_new_session=True)
                self.children.add(child)
            except OSError as error:
                return "no start", str(error)
            finally:
                self.is_starting = False
        try:
            if self.is_stopping:
                self.stop()
            output, _ = child.communicate(timeout=seconds_max)
            status = child.returncode
        except subprocess.TimeoutExpired:
            os.killpg(child.pid, signal.SIGKILL)
            output, _ = child.communicate()
            output += f"\nkilled after {seconds_max:.0f} s\n".encode()
            status = "time-out"
        finally:
            with self.lock:
                self.children.discard(child)
        return status, output.decode(errors="replace")

    def stop(self, *_):
        """End all programs and the run; also the handler of SIGINT and SIGTERM."""
        self.is_stopping = True
        if not self.is_starting:
            self.kill_children()
            raise KeyboardInterrupt

    def kill_children(self):
        """Kill each program that runs, with its whole session, and let no other start."""
        with self.lock:
            self.is_stopping = True
            for child in self.children:
                try:
                    os.killpg(child.pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass

    def build(self, kind, suites=None):
        """Set up and compile build/@kind, or what its tests of @suites need; return the Tally."""
        if kind in self.built:
            return Tally()
        folder = ROOT / "build" / kind
        machine = ROOT / "tools" / "meson" / f"{kind}.ini"
        mark = folder / ".machine-file"
        options = ["-Dtests=enabled", "--native-file", str(machine)]
        if kind in KIND_EMULATOR:
            options[1:] = ["--cross-file", f"{sysroot_of(kind)}.ini", "--cross-file", str(machine)]
        digest = hashlib.sha256(machine.read_bytes() + str(options).encode()).hexdigest()
        is_set_up = (folder / "build.ninja").exists() and mark.exists()
        output, status = "", 0
        if not is_set_up or mark.read_text() != digest:
            shutil.rmtree(folder, ignore_errors=True)
            status, output = self.execute(["meson", "setup", *options, str(folder)], 300)
            if status == 0:
                mark.write_text(digest)
        if status == 0:
            # First what meson makes, since the tables of targets and tests are read from it.
            status, output = self.execute(["ninja", "-C", str(folder), "build.ninja"], 300)
        if status == 0:
            targets = self.targets(folder, suites) if suites else []
            status, output = self.execute(["ninja", "-C", str(folder), *targets], 1800)
        self.built[kind] = status == 0
        (self.logs / f"build-{kind}.log").write_text(output)
        tally = Tally()
        if status == 0:
            tally.passed = 1
        else:
            tally.failed.append((f"build of build/{kind}", tail(output, 80)))
        return tally

    @staticmethod
    def targets(folder, suites):
        """Return the ninja targets of the programs that the tests of @suites run, and the canary."""
        info = folder / "meson-info"
        made = {row["id"]: row["filename"]
                for row in json.loads((info / "intro-targets.json").read_text())}
        names = {name for files in made.values() for name in files}
        targets = {"test/lib/canary"}
        for row in tests_of(folder, suites):
            wanted = [name for one in row["depends"] for name in made.get(one, [])]
            wanted += [word for word in row["cmd"] if word in names]
            targets |= {os.path.relpath(name, folder) for name in wanted}
        return sorted(targets)

    def tests(self, kind, suites):
        """Run the meson tests of @suites in build/@kind and return their Tally."""
        tally = Tally()
        tally.add(self.build(kind))
        if not self.built[kind]:
            tally.failed.append((f"not run, since build/{kind} did not build", ""))
            return tally
        folder = ROOT / "build" / kind
        rows = []
        for row in tests_of(folder, suites):
            reason = next((self.left_out[pattern] for pattern in self.left_out
                           if fnmatch.fnmatch(row["name"], pattern)), None)
            if reason:
                prefix = "" if kind == "release" else kind + "/"
                tally.skipped.append((prefix + row["name"], reason))
            else:
                rows.append(row)
        side_by_side = [row for row in rows if row["is_parallel"]]
        alone = [row for row in rows if not row["is_parallel"]]
        with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
            for result in pool.map(lambda row: self.test(kind, row), side_by_side):
                tally.add(result)
        for row in alone:
            tally.add(self.test(kind, row))
        return tally

    def test(self, kind, row):
        env = self.environment(kind)
        env.update(row["env"])
        # With --long each test does ten times the work.
        seconds_max = row["timeout"] * KIND_TIMEOUT.get(kind, 1) * self.patience
        seconds_max *= 10 if self.length == "long" else 1
        cwd = row["workdir"] or ROOT / "build" / kind
        emulator = emulator_of(kind)
        env["PYRALOG_EMULATOR"] = shlex.join(emulator)
        # A script runs here, and puts the emulator before the programs that it starts.
        is_program = row["cmd"][0].startswith(str(ROOT / "build" / kind))
        words = [*(emulator if is_program else []), *row["cmd"]]
        start = time.monotonic()
        status, output = self.execute(words, seconds_max, cwd, env)
        self.seconds[f"{kind}/{row['name']}"] = time.monotonic() - start
        (self.logs / f"{kind}-{row['name'].replace('/', '-')}.log").write_text(output)
        prefix = "" if kind == "release" else kind + "/"
        return count_tap(prefix + row["name"], output, status)

    def orphans(self, parts):
        """Return a Tally of the release build's tests that none of @parts would ever run."""
        table = ROOT / "build" / "release" / "meson-info" / "intro-tests.json"
        tally = Tally()
        if self.built.get("release"):
            covered = {suite for part in parts if part.needs() for suite in part.words[2].split(",")}
            for row in json.loads(table.read_text()):
                if not covered & {suite.split(":")[-1] for suite in row["suite"]}:
                    text = f"{row['name']}: no part of docs/testing.md runs its suites {row['suite']}"
                    tally.failed.append((text, ""))
        return tally

    def command(self, part):
        status, output = self.execute(part.words, part.planned * 4 + 60)
        (self.logs / f"{part.name}.log").write_text(output)
        return count_tap(part.name, output, status)

    def run(self, part):
        """Run one part, print its line and what went wrong; return its Tally."""
        print(f"{part.name:<22}", end="", flush=True)
        start, used = time.monotonic(), processor_seconds()
        if part.builds():
            suites = set(part.words[2].split(",")) if len(part.words) > 2 else None
            tally = self.build(part.builds(), suites)
        elif part.needs():
            tally = self.tests(part.needs(), set(part.words[2].split(",")))
        else:
            tally = self.command(part)
        self.judge(part, tally, time.monotonic() - start, processor_seconds() - used)
        return tally

    def judge(self, part, tally, seconds, processor=0.0):
        """Print the line of @part, having counted lateness and forbidden skips as failures."""
        if seconds > 2 * part.planned:
            text = f"{part.name}: took {seconds:.0f} s, over twice its plan of {part.planned} s"
            tally.failed.append((text, ""))
        if tally.total() == 0:
            tally.failed.append((f"{part.name}: ran no case", ""))
        if self.is_ci:
            for name, reason in list(tally.skipped):
                if not any(fnmatch.fnmatch(name, pattern) for pattern in self.allowed):
                    tally.skipped.remove((name, reason))
                    tally.failed.append((f"{name}: skip not listed in {CI_SKIPS}", f"# {reason}"))
        verdict = "FAILED" if tally.failed else "ok"
        print(f"{verdict:<7}{seconds:6.1f} s of {part.planned:>4} planned  "
              f"{processor:6.1f} s of processors  {tally.total():>5} cases", flush=True)
        for name, reason in tally.skipped:
            print(f"    skipped: {name}: {reason}")
        for name, text in tally.failed:
            print(f"    FAILED: {name}")
            for line in text.splitlines():
                print(f"        {line}")
        sys.stdout.flush()


def tests_of(folder, suites):
    """Return the meson tests of the build in @folder that belong to one of @suites."""
    rows = json.loads((folder / "meson-info" / "intro-tests.json").read_text())
    return [row for row in rows if suites & {suite.split(":")[-1] for suite in row["suite"]}]


def report(names, run):
    """Print TAP, one case for each of @names, whose Tally @run returns; return the exit status."""
    print(f"1..{len(names)}", flush=True)
    has_failed = False
    for number, name in enumerate(names, 1):
        try:
            tally = run(name)
        except NotHere as reason:
            print(f"ok {number} - {name} # SKIP {reason}", flush=True)
            continue
        for case, text in tally.failed:
            print(f"# FAILED: {case}\n# " + text.replace("\n", "\n# "))
        for case, reason in tally.skipped:
            print(f"# skipped: {case}: {reason}")
        is_bad = bool(tally.failed) or not tally.passed
        has_failed = has_failed or is_bad
        print(f"{'not ' if is_bad else ''}ok {number} - {name}, {tally.passed} passed, "
              f"{len(tally.skipped)} skipped", flush=True)
    return 1 if has_failed else 0


def read_skips(path):
    """Return the name patterns of the skips that are allowed in CI."""
    if not path.exists():
        return []
    lines = [line.partition("#")[0].strip() for line in path.read_text().splitlines()]
    return [line for line in lines if line]


def choose(parts, length, names):
    """Return the parts of a run of @length, or only those named."""
    if names:
        known = {part.name for part in parts}
        for name in names:
            if name not in known:
                sys.exit(f"suite: no part '{name}'; --list names them")
        chosen = [part for part in parts if part.name in names]
        kinds = {part.needs() for part in chosen} - {None}
        return [part for part in parts if part in chosen or part.builds() in kinds]
    return [part for part in parts if LENGTHS.index(part.length) <= LENGTHS.index(length)]


def processor_seconds():
    """Return what the programs that have ended used: on a busy machine it says what a part costs."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def closing_line(tally):
    return f"{tally.passed} passed, {len(tally.failed)} failed, {len(tally.skipped)} skipped"


def run_all(suite, parts, table, setup_seconds):
    """Run @parts, some or all of the @table; return the Tally of them all."""
    total = Tally()
    start = time.monotonic() - setup_seconds
    for part in parts:
        if part.words[0] == "set-up":
            print(f"{part.name:<22}", end="")
            tally = Tally()
            tally.passed = 1
            suite.judge(part, tally, setup_seconds)
        else:
            tally = suite.run(part)
        total.add(tally)
    slowest = sorted(suite.seconds.items(), key=lambda row: -row[1])[:SLOWEST_COUNT]
    slow = [f"{name} {seconds:.0f} s" for name, seconds in slowest if seconds >= 1]
    if slow:
        print(f"\nslowest programs: {', '.join(slow)}")
    total.add(suite.orphans(table))
    planned = sum(part.planned for part in parts)
    print(f"\n{time.monotonic() - start:.0f} s of {planned} planned, "
          f"{total.total()} cases; logs in build/logs")
    if total.failed:
        print("failed:")
        for name, _ in total.failed:
            print(f"    {name}")
    return total


def main():
    parser = argparse.ArgumentParser(prog="tools/test.sh", description="Run the test suite.")
    parser.add_argument("--fast", dest="length", action="store_const", const="fast",
                        help="one build, no sanitizers, for the inner loop")
    parser.add_argument("--long", dest="length", action="store_const", const="long",
                        help="everything, for hours")
    parser.add_argument("--part", action="append", default=[], help="only this part (repeatable)")
    parser.add_argument("--list", action="store_true", help="print the parts and end")
    parser.add_argument("--setup-seconds", type=float, default=0, help=argparse.SUPPRESS)
    parser.set_defaults(length="default")
    options = parser.parse_args()
    table = read_parts((ROOT / "docs/testing.md").read_text())
    parts = choose(table, options.length, options.part)
    if options.list:
        for part in parts:
            print(f"{part.name:<22}{part.length:<9}{part.planned:>5} s  {' '.join(part.words)}")
        return 0

    (ROOT / "build").mkdir(exist_ok=True)
    with open(ROOT / "build" / ".suite.lock", "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("another run has this folder; waiting for it", flush=True)
            fcntl.flock(lock, fcntl.LOCK_EX)
        scratch = Path(tempfile.mkdtemp(prefix="scratch-", dir=ROOT / "build"))
        suite = Suite(options.length, scratch)
        signal.signal(signal.SIGINT, suite.stop)
        signal.signal(signal.SIGTERM, suite.stop)
        try:
            total = run_all(suite, parts, table, options.setup_seconds)
        finally:
            suite.kill_children()
            shutil.rmtree(scratch, ignore_errors=True)
    print(closing_line(total), flush=True)
    return 1 if total.failed else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        print("\ninterrupted\n0 passed, 1 failed, 0 skipped")
        sys.exit(1)
    except Exception as error:  # Whatever went wrong, the run ends with a closing line.
        print(f"suite: {type(error).__name__}: {error}\n0 passed, 1 failed, 0 skipped")
        sys.exit(1)
