#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""tools/filesystems.py - run the tests that touch a disk on several file systems; TAP, one case each.

    tools/filesystems.py [NAME]...      default: ext4 xfs btrfs tmpfs

Each gets an image of its own on a loop device, mounted into a scratch folder that becomes the tests'
TMPDIR, and is unmounted and removed whatever happens. It needs root, and the release build; where a
file system cannot be made here the case is skipped with the reason.
"""
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import suite

ROOT = Path(__file__).resolve().parent.parent
IMAGE_BYTES = 4 << 30  # Sparse.
SUITES = {"unit", "cluster"}
MAKERS = {
    "ext4": ["mkfs.ext4", "-q", "-F"],
    "xfs": ["mkfs.xfs", "-q", "-f"],
    "btrfs": ["mkfs.btrfs", "-q", "-f"],
    "tmpfs": None,
}


class NotHere(Exception):
    """This file system cannot be made here."""


def call(*words):
    done = subprocess.run([str(word) for word in words], stdin=subprocess.DEVNULL, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    if done.returncode != 0:
        raise NotHere(f"{words[0]}: {' '.join(done.stdout.split())}"[:200])


def mount(name, scratch):
    """Make the file system @name below @scratch and return where it is mounted."""
    if os.geteuid() != 0:
        raise NotHere("needs root")
    place = scratch / "mounted here"
    place.mkdir()
    if MAKERS[name] is None:
        call("mount", "-t", "tmpfs", "-o", f"size={IMAGE_BYTES}", "tmpfs", place)
        return place
    if not shutil.which(MAKERS[name][0]):
        raise NotHere(f"{MAKERS[name][0]} is not installed")
    image = scratch / "image"
    with open(image, "wb") as file:
        file.truncate(IMAGE_BYTES)
    call(*MAKERS[name], image)
    call("mount", "-o", "loop", image, place)
    return place


def run(name, scratch):
    """Return the Tally of the tests on the file system @name."""
    place = mount(name, scratch)
    try:
        one = suite.Suite("default", place)
        one.built["release"] = True
        return one.tests("release", SUITES)
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=False)


def main(names):
    names = names or list(MAKERS)
    print(f"1..{len(names)}", flush=True)
    has_failed = False
    for number, name in enumerate(names, 1):
        with tempfile.TemporaryDirectory(prefix="filesystem-", dir=ROOT / "build") as scratch:
            try:
                tally = run(name, Path(scratch))
            except NotHere as reason:
                print(f"ok {number} - {name} # SKIP {reason}", flush=True)
                continue
        for case, text in tally.failed:
            print(f"# FAILED: {case}\n# " + text.replace("\n", "\n# "))
        has_failed = has_failed or bool(tally.failed)
        print(f"{'not ' if tally.failed else ''}ok {number} - {name}, {tally.passed} passed, "
              f"{len(tally.skipped)} skipped", flush=True)
    return 1 if has_failed else 0


if __name__ == "__main__":
    sys.dont_write_bytecode = True
    sys.exit(main(sys.argv[1:]))
