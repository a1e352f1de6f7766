#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# src/embed/commit.sh - print the commit that this tree is built from; fail where that is not known.
#
# A tree without .git, one that lies inside another project's checkout, or a host without git has no
# commit; the build goes on with "unknown".
set -eu
cd "$(dirname "$0")/../.."
[ "$(git rev-parse --show-toplevel 2>/dev/null)" = "$(pwd -P)" ]
git --no-optional-locks describe --always --dirty --abbrev=12 --exclude='*' 2>/dev/null
