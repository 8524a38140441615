# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=sh
#
# What the checks share. Sourced first; leaves the shell at the top of the tree.

set -eu
LC_ALL=C
export LC_ALL
cd "$(dirname "$0")/.."

# check_files KIND: the tree's files, one per line: what git knows and what it does not
# ignore, so that a new file is checked before it is added.
#   c       C sources and headers
#   units   C sources that this machine's compiler can compile
#   units:ISA  those that only the compiler for ISA can
#   headers
#   shell   scripts, and what they source
#   text    all, binary ones too (grep -I leaves those out)
check_files() {
	case $1 in
	c) check_list '*.c' '*.h' ;;
	units)
		check_list '*.c' | awk -v own="$(check_arch_dirs "$(uname -m)")" -F/ '
			$1 == "arch" && $2 !~ "^(" own ")$" && $2 != "devicetree" { next }
			/^tests\/unit\/test_arch_/ && $3 !~ "^test_arch_(" own ")_" { next }
			{ print }'
		;;
	units:*)
		check_list '*.c' | awk -v isa="${1#units:}" -v own="$(check_arch_dirs "${1#units:}")" -F/ '
			$1 == "arch" && $2 == isa || $0 ~ "^tests/unit/test_arch_(" own ")_"'
		;;
	headers) check_list '*.h' ;;
	shell)
		check_list '*.sh'
		check_list | grep -v '\.[^/]*$' |
			xargs -r awk 'FNR == 1 && /^#!.*[\/ ](ba)?sh( |$)/ { print FILENAME }
				FNR == 1 { nextfile }'
		;;
	text) check_list ;;
	esac
}

# The folders of arch/ that are built for ISA, as a regular expression: its own, and those that
# its build.mk names.
check_arch_dirs() {
	if [ -f "arch/$1/build.mk" ]; then
		sed -n "s,arch/,,g; s/^ARCH_DIRS *:= */$1 /p" "arch/$1/build.mk" | tr ' ' '|'
	else
		echo "$1"
	fi
}

# The architectures: the folders of arch/ that are not shared by others.
check_isas() {
	for check_f in arch/*/; do
		check_f=${check_f#arch/}
		[ "$check_f" = devicetree/ ] || echo "${check_f%/}"
	done
}

check_list() {
	git ls-files -co --exclude-standard -- "$@" | sort -u | while IFS= read -r check_f; do
		if [ -f "$check_f" ] && [ ! -L "$check_f" ]; then echo "$check_f"; fi
	done
}

# The preprocessor's flags, as in the Makefile; $1 is a folder for version.h.
check_cppflags() {
	printf '#pragma once\n#define MAYFLY_VERSION "%s"\n' "$(cat VERSION)" >"$1/version.h"
	printf '%s ' "-std=gnu17 -I. -I$1 -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64"
}

# check_need PROGRAM: exit status 77 (skipped) where it is not installed.
check_need() {
	if ! command -v "$1" >/dev/null; then
		echo "$1 is not installed"
		exit 77
	fi
}

# A folder of this check's own, gone when it ends: CHECK_TMP.
check_tmp() {
	CHECK_TMP=$(mktemp -d)
	trap 'rm -rf "$CHECK_TMP"' EXIT
	trap 'exit 130' INT TERM
}
