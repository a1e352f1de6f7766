#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# tools/run.sh - build the release programs and show the embedded log at work.
#
# It installs what running needs (tools/setup.sh run), builds build/release, and then, in a temporary
# folder: loads the log for ten seconds, kills the writer with -9, recovers, verifies that every
# acknowledged record is there, and prints throughput, latency and the recovery report. It ends by
# itself, exits 0 only if the verification passed, and removes its folder on Ctrl-C too.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
build=$root/build/release

bash "$root/tools/setup.sh" run </dev/null
mkdir -p "$root/build"
exec 8>"$root/build/.suite.lock"
flock 8
if [ ! -e "$build/build.ninja" ]; then
    meson setup --native-file "$root/tools/meson/release.ini" "$build" </dev/null
fi
ninja -C "$build" </dev/null
flock -u 8

if [ ! -x "$build/src/cli/pyralog-load" ]; then
    printf 'run: everything was built, but the program that loads the log is not part of the tree yet.\n' >&2
    printf 'run: nothing was shown. The tests show what works today: ./tools/test.sh --fast\n' >&2
    exit 1
fi
