#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# tools/run.sh - build the release programs and show the embedded log at work.
#
#   tools/run.sh [OPTION]...     options go to pyralog-load --demo, such as --sync=os or --duration=5s
#
# It installs what running needs (tools/setup.sh run), builds build/release, and then loads an embedded
# log in a temporary folder for ten seconds, kills the writer with -9, recovers, verifies that all that
# was acknowledged is there, and prints throughput, latency and the recovery report. It ends by itself
# within a minute after the build, exits 0 only if the verification passed, and removes its folder,
# also on Ctrl-C. It opens no port.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
build=$root/build/release

bash "$root/tools/setup.sh" run </dev/null
mkdir -p "$root/build"
# Two scripts do not build one folder at once; the suite, which starts this one too, has the lock.
exec 8>"$root/build/.suite.lock"
[ "${PYRALOG_ROOT-}" = "$root" ] || flock 8
if [ ! -e "$build/build.ninja" ]; then
    meson setup --native-file "$root/tools/meson/release.ini" "$build" "$root" </dev/null
fi
ninja -C "$build" src/cli/pyralog-load </dev/null
exec 8>&-

# The folder lies beside the build, since /tmp may be memory and would flatter the figures.
TMPDIR=$(mktemp -d "$root/build/demo-XXXXXX")
export TMPDIR
child=
stop() {
    trap - INT TERM HUP
    [ -z "$child" ] || { kill -TERM "$child" 2>/dev/null && wait "$child"; } || true
    exit "$1"
}
trap 'rm -rf "$TMPDIR"' EXIT
trap 'stop 130' INT
trap 'stop 143' TERM
trap 'stop 129' HUP

# In the background, so that a signal to this script is seen at once and handed on.
timeout --kill-after=5 60 "$build/src/cli/pyralog-load" --demo "$@" </dev/null &
child=$!
status=0
wait "$child" || status=$?
child=
exit "$status"
