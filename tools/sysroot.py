#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""tools/sysroot.py - fetch Debian's libraries for a foreign machine into build/sysroot/ARCH.

    tools/sysroot.py ARCH...        arm64 s390x, or another of Debian's names

apt works here on lists and a package database of its own, below build/sysroot, so that the machine's
are neither read nor changed: no foreign architecture is added to it, and no right is needed. The
packages are unpacked, not installed. Beside the folder stands ARCH.ini, which gives its place to the
machine files of tools/meson/. A sysroot that is there already is left alone, without network.
"""
import os
import re
import shutil
import sys
from pathlib import Path

import suite

PACKAGES = ["libc6-dev", "liburing-dev", "liblz4-dev", "libcjson-dev", "libisal-dev", "libxxhash-dev",
            "zlib1g-dev", "libzstd-dev", "libsnappy-dev", "libcmocka-dev"]
FALLBACK = ("deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] "
            "http://deb.debian.org/debian bookworm main\n")


def write_sources(folder, etc=Path("/etc/apt")):
    """Copy this machine's sources of Debian itself into @folder, for any architecture."""
    folder.mkdir(parents=True)
    for path in [etc / "sources.list", *sorted(etc.glob("sources.list.d/*"))]:
        if path.suffix not in (".list", ".sources") or not path.is_file():
            continue
        text = path.read_text(errors="replace")
        if re.search(r"^(URIs:|deb\s).*/debian", text, re.M):
            text = re.sub(r"^Architectures:.*\n|\barch=[\w,-]+", "", text, flags=re.M)
            (folder / path.name).write_text(text)
    if not any(folder.iterdir()):
        (folder / "debian.list").write_text(FALLBACK)


def make_relative(root):
    """Let the absolute symbolic links below @root point into it."""
    for folder, _, names in os.walk(root):
        for name in names:
            link = Path(folder) / name
            if link.is_symlink() and os.readlink(link).startswith("/"):
                target = root / os.readlink(link).lstrip("/")
                link.unlink()
                link.symlink_to(os.path.relpath(target, folder))


def make(arch):
    """Return the sysroot of @arch, having fetched it unless it is there."""
    place = suite.sysroot_of(arch)
    machine = place.with_suffix(".ini")
    if machine.exists():
        return place
    scratch = place.with_suffix(".part")
    shutil.rmtree(scratch, ignore_errors=True)
    shutil.rmtree(place, ignore_errors=True)
    for name in ("lists/partial", "cache/archives/partial", "root"):
        (scratch / name).mkdir(parents=True)
    (scratch / "status").touch()
    write_sources(scratch / "sources")
    # Through a file, whose values may have spaces.
    (scratch / "apt.conf").write_text("".join(f'{name} "{value}";\n' for name, value in {
        "APT::Architecture": arch, "APT::Architectures": arch, "APT::Sandbox::User": "",
        "Acquire::Languages": "none", "Acquire::Retries": 3, "Dir::State": scratch,
        "Dir::State::Lists": scratch / "lists", "Dir::State::status": scratch / "status",
        "Dir::Cache": scratch / "cache", "Dir::Etc::SourceList": "/dev/null",
        "Dir::Etc::SourceParts": scratch / "sources"}.items()))
    apt = ["apt-get", "-c", scratch / "apt.conf", "-q"]
    suite.call(*apt, "update")
    suite.call(*apt, "install", "-y", "--download-only", "--no-install-recommends", *PACKAGES)
    for package in sorted((scratch / "cache/archives").glob("*.deb")):
        suite.call("dpkg-deb", "-x", package, scratch / "root")
    make_relative(scratch / "root")
    (scratch / "root").rename(place)
    shutil.rmtree(scratch)
    # Last: this file says that the folder is whole.
    machine.write_text(f"[constants]\nsysroot = '{place}'\n")
    return place


def main(archs):
    if not archs:
        sys.exit("usage: tools/sysroot.py ARCH...")
    for arch in archs:
        try:
            print(make(arch))
        except suite.NotHere as reason:
            sys.exit(f"sysroot: {arch}: {reason}")


if __name__ == "__main__":
    main(sys.argv[1:])
