#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# src/lib/join.sh - make one archive of the rooms' archives, with the names pyr_* as its only global ones.
#
#   join.sh OUTPUT ROOM.a... -- COMPILER...
#
# The rooms' objects are linked into one relocatable object, in which every other name becomes local:
# a program that has a function list_push or wal_open of its own can link it.
set -eu

output=$1
shift
rooms=
while [ "$1" != -- ]; do
    rooms="$rooms $1"
    shift
done
shift

object=${output%.a}.o
# The names of the rooms come from meson and hold no spaces. OBJCOPY and AR may name other tools.
# shellcheck disable=SC2086
"$@" -r -nostdlib -o "$object" -Wl,--whole-archive $rooms -Wl,--no-whole-archive
"${OBJCOPY:-objcopy}" --wildcard --keep-global-symbol='pyr_*' "$object"
rm -f "$output"
"${AR:-ar}" rcsD "$output" "$object"
rm -f "$object"
