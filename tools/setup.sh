#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# tools/setup.sh - install the Debian packages that a level of work needs, or say how.
#
#   tools/setup.sh [run|test|peers|long]    install what is missing for that level (default: test)
#   tools/setup.sh --list LEVEL             print the level's packages, one a line, and change nothing
#
# run builds and runs Pyralog; test adds what the test suite uses; peers adds to that the systems it
# is measured against, and long what only `tools/test.sh --long` uses: other file systems, compilers
# and an emulator for foreign machines (their libraries: tools/sysroot.py). As root it calls apt-get, as another user
# `sudo -n`; where neither works it prints the command to run, changes nothing and exits 2. When
# nothing is missing it calls nothing, so it works without network, terminal, input or rights.
# Services that a package brings are not started. Two set-ups at once wait for each other.
set -euo pipefail
export LC_ALL=C
# The tests of this script put another folder in front of the two system files it touches.
policy=${PYRALOG_SETUP_ROOT-}/usr/sbin/policy-rc.d
lock=${PYRALOG_SETUP_ROOT-}/run/pyralog-setup.lock

packages_run=(
    gcc libc6-dev meson ninja-build pkg-config python3
    liburing-dev liblz4-dev libcjson-dev libnng-dev libisal-dev libxxhash-dev zlib1g-dev libzstd-dev
    libsnappy-dev
)
packages_test=(
    g++ binutils clang-14 clang-format-14 clang-tidy-14 llvm-14 libclang-rt-14-dev
    libcmocka-dev librdkafka-dev kcat mandoc cppcheck spin e2fsprogs mount util-linux procps
)
packages_peers=(librocksdb-dev liblmdb-dev)
packages_long=(
    xfsprogs btrfs-progs gcc-aarch64-linux-gnu gcc-s390x-linux-gnu qemu-user-static
)

usage() {
    printf 'usage: %s [run|test|peers|long] | --list LEVEL\n' "${0##*/}" >&2
    exit 2
}

# Print the packages of level $1 and of the levels that it includes.
level_packages() {
    case "$1" in
    run) printf '%s\n' "${packages_run[@]}" ;;
    test) printf '%s\n' "${packages_run[@]}" "${packages_test[@]}" ;;
    peers) printf '%s\n' "${packages_run[@]}" "${packages_test[@]}" "${packages_peers[@]}" ;;
    long) printf '%s\n' "${packages_run[@]}" "${packages_test[@]}" "${packages_long[@]}" ;;
    *) usage ;;
    esac
}

# Print those of the given packages that are not installed.
missing_of() {
    local installed package
    installed=$(dpkg-query -W -f='${db:Status-Abbrev} ${Package}\n' "$@" 2>/dev/null || true)
    for package in "$@"; do
        grep -qx "[hi]i  *$package" <<<"$installed" || printf '%s\n' "$package"
    done
}

# Install the given packages as root, with no question asked and no service started.
install_as_root() {
    local has_made_policy=false
    local apt=(apt-get -o DPkg::Lock::Timeout=900 -o Acquire::Retries=3 -o Dpkg::Use-Pty=0 -q)
    if [ -d "${policy%/*}" ] && [ ! -e "$policy" ]; then
        printf '#!/bin/sh\n# Left by an interrupted tools/setup.sh; may be removed.\nexit 101\n' >"$policy"
        chmod 755 "$policy"
        has_made_policy=true
        trap 'rm -f "$policy"' EXIT
    fi
    export DEBIAN_FRONTEND=noninteractive
    # The lists may be absent or stale: refresh them only when the install fails without that.
    if ! "${apt[@]}" install -y --no-install-recommends "$@" </dev/null; then
        "${apt[@]}" update </dev/null
        "${apt[@]}" install -y --no-install-recommends "$@" </dev/null
    fi
    if [ "$has_made_policy" = true ]; then
        rm -f "$policy"
        trap - EXIT
    fi
}

main() {
    local level=test
    case "${1-}" in
    --list)
        [ $# -eq 2 ] || usage
        level_packages "$2"
        return 0
        ;;
    -*) usage ;;
    *)
        [ $# -le 1 ] || usage
        level=${1:-test}
        ;;
    esac

    local wanted missing
    level_packages "$level" >/dev/null
    mapfile -t wanted < <(level_packages "$level")
    if ! command -v dpkg-query >/dev/null 2>&1; then
        printf 'setup: this is not a Debian system; install the equivalents of: %s\n' "${wanted[*]}" >&2
        exit 2
    fi
    mapfile -t missing < <(missing_of "${wanted[@]}")
    [ "${#missing[@]}" -gt 0 ] || return 0

    if [ "$(id -u)" -ne 0 ]; then
        if command -v sudo >/dev/null 2>&1 && sudo -n true </dev/null 2>/dev/null; then
            sudo -n bash "$(realpath "${BASH_SOURCE[0]}")" "$level" </dev/null
            return
        fi
        printf 'setup: these packages are missing, and installing them needs root. Run:\n\n' >&2
        printf '    sudo apt-get install -y --no-install-recommends %s\n\n' "${missing[*]}" >&2
        exit 2
    fi

    printf 'setup: installing %s\n' "${missing[*]}" >&2
    # One set-up at a time on this machine; the second finds nothing missing when its turn comes.
    exec 9>"$lock"
    flock 9
    mapfile -t missing < <(missing_of "${wanted[@]}")
    [ "${#missing[@]}" -eq 0 ] || install_as_root "${missing[@]}" 1>&2 9>&-

    mapfile -t missing < <(missing_of "${wanted[@]}")
    if [ "${#missing[@]}" -gt 0 ]; then
        printf 'setup: still missing after the install: %s\n' "${missing[*]}" >&2
        exit 1
    fi
}

main "$@"
