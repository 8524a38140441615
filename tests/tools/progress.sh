#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# progress.sh: what guest-images/build says while it makes something: a line of progress on a terminal,
# which is gone at the end, and none elsewhere. Status 0 when it is so.

set -uo pipefail
TOP=$(cd "${BASH_SOURCE[0]%/*}/../.." && pwd)
work=$(mktemp -d "${TMPDIR:-/tmp}/mayfly-progress.XXXXXX") || exit 1
trap 'rm -rf "$work"' EXIT
fail() {
	echo "progress: $*"
	exit 1
}

# A small product, in a cache of its own each time.
build="env MAYFLY_CACHE=$work/cache $TOP/guest-images/build"
script -qec "$build tiny" /dev/null >"$work/terminal" 2>&1 || fail "the build failed: $(tail -n 3 "$work/terminal")"
progress=$'\r\033[Kbuild: making tiny for '"$(uname -m): 0:0"
grep -qF "$progress" "$work/terminal" || fail "no line of progress on a terminal"
# The last one is erased, and not a line of its own.
tail -c 400 "$work/terminal" | grep -qP '[0-9] files\r\x1b\[K[^\n]*\n?' || fail "it is not erased"
grep -qP '[0-9] files\r?\n' "$work/terminal" && fail "it is left on the terminal"
rm -rf "$work/cache"
$build tiny >"$work/plain" 2>&1 || fail "the build failed without a terminal"
grep -q $'[\r\033]' "$work/plain" && fail "a line of progress without a terminal"
# Nobody is left, and neither is the lock.
$build tiny >/dev/null || fail "a second time it fails"
echo "a line of progress on a terminal, and none elsewhere"
