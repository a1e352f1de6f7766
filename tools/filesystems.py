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
PATIENCE = 5  # btrfs writes a tree for each sync: an append takes ten times that of ext4.
MAKERS = {
    "ext4": ["mkfs.ext4", "-q", "-F"],
    "xfs": ["mkfs.xfs", "-q", "-f"],
    "btrfs": ["mkfs.btrfs", "-q", "-f"],
    "tmpfs": None,
}


def mount(name, scratch):
    """Make the file system @name below @scratch and return where it is mounted."""
    if os.geteuid() != 0:
        raise suite.NotHere("needs root")
    place = scratch / "mounted here"
    place.mkdir()
    if MAKERS[name] is None:
        suite.call("mount", "-t", "tmpfs", "-o", f"size={IMAGE_BYTES}", "tmpfs", place)
        return place
    if not shutil.which(MAKERS[name][0]):
        raise suite.NotHere(f"{MAKERS[name][0]} is not installed")
    image = scratch / "image"
    with open(image, "wb") as file:
        file.truncate(IMAGE_BYTES)
    suite.call(*MAKERS[name], image)
    suite.call("mount", "-o", "loop", image, place)
    return place


def run(name):
    """Return the Tally of the tests on the file system @name."""
    with tempfile.TemporaryDirectory(prefix="filesystem-", dir=ROOT / "build") as scratch:
        place = mount(name, Path(scratch))
        try:
            one = suite.Suite("default", place)
            one.built["release"] = True
            one.patience = PATIENCE
            return one.tests("release", SUITES)
        finally:
            subprocess.run(["umount", "--lazy", str(place)], check=False)


if __name__ == "__main__":
    sys.dont_write_bytecode = True
    sys.exit(suite.report(sys.argv[1:] or list(MAKERS), run))
