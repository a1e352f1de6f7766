#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# tools/test.sh - install what the test suite needs, run it, and leave the programs in build/release.
#
#   tools/test.sh [--fast | --long] [--part NAME]... [--list]
#
# The parts, their plans and how to add one: docs/testing.md.
set -u
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd) || exit 1
start=$(date +%s%N)

level=test
for argument in "$@"; do
    case "$argument" in
    --long) level=long ;;
    --list | -h | --help) exec python3 "$root/tools/suite.py" "$@" ;;
    esac
done

bash "$root/tools/setup.sh" "$level" </dev/null
status=$?
if [ "$status" -ne 0 ]; then
    printf 'FAILED: set-up, exit status %s\n0 passed, 1 failed, 0 skipped\n' "$status"
    exit 1
fi

milliseconds=$((($(date +%s%N) - start) / 1000000))
seconds=$(printf '%d.%03d' $((milliseconds / 1000)) $((milliseconds % 1000)))
exec python3 "$root/tools/suite.py" --setup-seconds "$seconds" "$@" </dev/null
