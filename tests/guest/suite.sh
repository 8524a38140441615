#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
#
# suite.sh [NAME...]: runs the named tests or groups (boot power block console errors
# exec fixed fs hostile jail vsock), all without names, inside a KVM host. See lib.sh.
here=${0%/*}
. "$here/lib.sh"
. "$here/boot.sh"
. "$here/power.sh"
. "$here/block.sh"
. "$here/console.sh"
. "$here/errors.sh"
. "$here/exec.sh"
. "$here/fixed.sh"
. "$here/fs.sh"
. "$here/hostile.sh"
. "$here/jail.sh"
. "$here/vsock.sh"

mkdir -p /out
[ $# -gt 0 ] || set -- boot power block console errors exec fixed fs hostile jail vsock
for name; do
	case $name in
	boot) run_tests $BOOT ;;
	power) run_tests $POWER ;;
	block) run_tests $BLOCK ;;
	console) run_tests $CONSOLE ;;
	errors) run_tests $ERRORS ;;
	exec) run_tests $COMMANDS ;;
	fixed) run_tests $FIXED ;;
	fs) run_tests $FS ;;
	hostile) run_tests $HOSTILE ;;
	jail) run_tests $JAIL ;;
	vsock) run_tests $VSOCK ;;
	*) run_tests "$name" ;;
	esac
done
