#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""tools/foreign.py - build for foreign machines and run the tests there, under an emulator; TAP.

    tools/foreign.py [KIND]...      default: arm64 s390x, machine files of tools/meson/

For each kind: the unit tests and the fuzzers' corpus, a case of TAP each program; then stores handed
over to this machine and back, each left by a writer that kill -9 ended, so that the other side reads
a journal as well as segments. s390x is big-endian: whatever leans on the byte order differs there.

It needs the release build and what `tools/setup.sh long` installs; libraries come from
tools/sysroot.py. What cannot be had here is skipped with the reason. Programs that start others of
the foreign machine are left out, since its kernel is this one's: the suite `cluster`.
"""
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import suite
import sysroot

ROOT = Path(__file__).resolve().parent.parent
SUITES = {"unit", "fuzz"}
LEFT_OUT = {
    "*_uring": "the emulator has no io_uring",
    "embed_guest_*": "it looks at its own process from outside, which is the emulator's",
}
WRITER_SECONDS = 3
RECORDS_MIN = 100


def need(kind):
    """Fetch and build what build/@kind needs, or NotHere."""
    emulator = suite.KIND_EMULATOR[kind]
    compiler = suite.emulator_of(kind)[0].replace("qemu-", "").replace("-static", "-linux-gnu-gcc")
    for program in (emulator, compiler):
        if not shutil.which(program):
            raise suite.NotHere(f"{program} is not installed (tools/setup.sh long)")
    if " " in str(ROOT):
        raise suite.NotHere("pkg-config hands no path with a space on to a cross compiler")
    sysroot.make(kind)


def program(kind, name):
    """Return the words that start the program @name of build/@kind."""
    return [*suite.emulator_of(kind), str(ROOT / "build" / kind / "src/cli" / name)]


def call(*words):
    """Return what is wrong with a program that should end well, or nothing."""
    try:
        done = subprocess.run(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, timeout=300,
                              stderr=subprocess.STDOUT, text=True, errors="replace", check=False)
    except subprocess.TimeoutExpired:
        return f"{' '.join(words)}: no end within 300 s"
    return f"{' '.join(words)}: status {done.returncode}\n{done.stdout}" if done.returncode else ""


def write_and_die(kind, store, acks):
    """Load the log in @store with a program of @kind, kill it, and say what is wrong."""
    acks.touch()
    before = len(acks.read_bytes().splitlines())
    with subprocess.Popen([*program(kind, "pyralog-load"), f"--embedded={store}", f"--ack-file={acks}",
                           "--duration=1m", "--threads=2", "--batch=3", "--compression=lz4", "--keys=9",
                           "--segment-bytes=64KiB", "--backend=posix"], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as child:
        time.sleep(WRITER_SECONDS)
        early = child.poll()
        child.kill()
        output = child.communicate()[0].decode(errors="replace")
    if early is not None:
        return f"the writer of {kind} ended by itself, status {early}\n{output}"
    count = len(acks.read_bytes().splitlines()) - before
    return "" if count >= RECORDS_MIN else f"the writer of {kind} had only {count} appends acknowledged"


def hand_over(first, second, scratch):
    """Write on @first, then read and write on @second, and read on @first; return what went wrong."""
    store, acks = scratch / "store", scratch / "acks"
    problem = ""
    for writer, reader in ((first, second), (second, first)):
        problem = (problem or write_and_die(writer, store, acks)
                   or call(*program(reader, "pyralog-load"), f"--embedded={store}",
                           f"--verify-against={acks}", "--backend=posix")
                   or call(*program(reader, "pyralog"), "log", "verify", str(store)))
    return problem


def run(kind):
    """Return the Tally of everything on the machine @kind."""
    with tempfile.TemporaryDirectory(prefix="foreign-", dir=ROOT / "build") as scratch:
        one = suite.Suite("default", scratch)
        one.built["release"] = True
        one.left_out = LEFT_OUT
        tally = one.build(kind)
        if one.built[kind]:
            tally.add(one.tests(kind, SUITES))
        for first, second in ((kind, "release"), ("release", kind)) if one.built[kind] else ():
            folder = Path(tempfile.mkdtemp(dir=scratch))
            problem = hand_over(first, second, folder)
            name = f"{kind}: a store goes from {first} to {second} and back"
            tally.passed += not problem
            tally.failed += [(name, problem)] if problem else []
    return tally


def main(kinds):
    return suite.report(kinds or list(suite.KIND_EMULATOR), lambda kind: need(kind) or run(kind))


if __name__ == "__main__":
    sys.dont_write_bytecode = True
    sys.exit(main(sys.argv[1:]))
