# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=sh disable=SC2034,SC2154 # sourced: variables cross files
#
# What the guest tests share. They run in a KVM host, in busybox's sh, with
#   /mayfly               the monitor; MAYFLY names another one
#   /images               kernels and initramfs, under the same names whatever the architecture
#   /suite                these scripts
# Every test is a function test_NAME; its verdict is a line "ok NAME", "FAILED NAME: why" or
# "skipped NAME: why" on stdout.

ARCH=$(uname -m)
T=/tmp/t
MAYFLY=${MAYFLY:-/mayfly}
KERNEL=/images/kernel # as its architecture's kernels usually come: a bzImage, an Image
INITRD=/images/initramfs.cpio.gz
LIMIT=${LIMIT:-240} # no guest here takes longer; a hang shows as status 37

# verdict WORD NAME [WHY]
verdict() {
	echo "$1 $2${LABEL:+ $LABEL}${3:+: $3}"
	[ "$1" != FAILED ] || {
		echo "--- $2: the guest's output ends"
		tail -n ${LINES_SHOWN:-15} $T/out 2>/dev/null
		echo "--- $2: mayfly said"
		tail -n 5 $T/err 2>/dev/null
		echo "---"
	} >&2
}

# fail WHY: ends the running test.
fail() {
	echo "$*" >$T/why
	exit 1
}

# skip WHY: the test cannot be made here.
skip() {
	echo "$*" >$T/why
	exit 77
}

# run_tests NAME...: each in a subshell and a fresh folder.
run_tests() {
	for name; do
		rm -rf $T
		mkdir -p $T
		start=$(cut -d' ' -f1 /proc/uptime)
		(
			cd $T || exit 1
			"test_$name"
		)
		case $? in
		0) verdict ok "$name" ;;
		77) verdict skipped "$name" "$(cat $T/why)" ;;
		*) verdict FAILED "$name" "$(cat $T/why 2>/dev/null || echo 'the script broke off')" ;;
		esac
		[ -z "$TIMES" ] || echo "time $name $start $(cut -d' ' -f1 /proc/uptime)" >&2
	done
}

# script: standard input becomes /test.sh in the guest, beside what is in $T/rd; sets RD to the
# initrd that has it.
script() {
	mkdir -p $T/rd
	cat >$T/rd/test.sh
	# Compressed, because the kernel takes a plain archive only at a multiple of four bytes.
	(cd $T/rd && find . -type f | cpio -o -H newc 2>/dev/null) | gzip >$T/rd.cpio
	cat $INITRD $T/rd.cpio >$T/initrd
	RD=$T/initrd
}

# monitor ARGS...: mayfly run with the test's initrd, with the rights of the user AS if that is
# set, and with EXEC=exec in place of this shell.
monitor() {
	if [ -n "$AS" ]; then
		chown -R "$AS" $T /out 2>/dev/null # but what is read-only
		# shellcheck disable=SC2016,SC2086 # a script; options are words
		$EXEC su -c 'exec "$0" run "$@"' -- "$AS" "$MAYFLY" $MAYFLY_OPTIONS --timeout "$LIMIT" ${RD:+--initrd $RD} -p quiet "$@"
	else
		# shellcheck disable=SC2086
		$EXEC "$MAYFLY" run $MAYFLY_OPTIONS --timeout "$LIMIT" ${RD:+--initrd $RD} -p quiet "$@"
	fi
}

# guest ARGS...: the same; output in out and err, status in STATUS.
guest() {
	monitor "$@" >$T/raw 2>$T/err </dev/null
	STATUS=$?
	# A guest's terminal ends its lines with both.
	tr -d '\r' <$T/raw >$T/out
}

# as_user NAME COMMAND: as guest does, with the rights of an ordinary user.
as_user() {
	su "$1" -c "cd $T && $2" >$T/raw 2>$T/err </dev/null
	STATUS=$?
	tr -d '\r' <$T/raw >$T/out
}

# expect STATUS [TEXT]: how the guest ended, and a line that it printed.
expect() {
	[ "$STATUS" = "$1" ] || fail "status $STATUS, not $1"
	[ -z "$2" ] || grep -q -- "$2" $T/out || fail "the guest did not print '$2'"
}

# said TEXT: mayfly's own line; there is just one.
said() {
	grep -q -- "$1" $T/err || fail "mayfly did not say '$1'"
	[ "$(wc -l <$T/err)" = 1 ] || fail "mayfly said $(wc -l <$T/err) lines, not one"
}

# until_said TEXT FILE [TENTHS]: waits until the file has that, a minute at most, or so many tenths of a second.
until_said() {
	i=0
	until grep -q -- "$1" "$2" 2>/dev/null || [ $i -ge "${3:-600}" ]; do
		i=$((i + 1))
		usleep 100000
	done
}

# refused STATUS TEXT ARGS...: mayfly ends at once with that status and line.
refused() {
	want=$1 text=$2
	shift 2
	RD=
	guest "$@"
	expect "$want"
	said "$text"
	[ ! -s $T/out ] || fail "something was written to stdout"
}
