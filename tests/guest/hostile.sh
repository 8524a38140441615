# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=sh disable=SC2034,SC2154 # sourced: variables cross files
# A guest that drives the devices against their rules: tests/guest/hostile/. It is a program on a
# distribution's kernel, because it needs /dev/mem, which mayfly's own guest kernel has not; that
# kernel's drivers are modules, and none is loaded.
#
# One machine with a device of each kind runs all cases; the tests look at what it left. There is
# a machine for each mode: jailed, unjailed and, with sanitizers, asan, which is unjailed, too, and
# takes its place where there is one (sanitizers are libraries, and only this machine's own are
# there to be given to a host).

H=/tmp/hostile
HOSTILE_MIB=256
HOSTILE_MODES='jailed unjailed'
[ ! -x /mayfly-asan ] || HOSTILE_MODES=jailed

# hostile_options MODE: the caller's, with the sandbox as the mode has it.
hostile_options() {
	for word in $MAYFLY_OPTIONS; do
		[ "$word" = --disable-sandbox ] || echo "$word"
	done
	[ "$1" = jailed ] || echo --disable-sandbox
}

# hostile_pids: the monitor and its device processes.
hostile_pids() {
	for p in /proc/[0-9]*; do
		[ "$(readlink "$p/exe")" != "$MAYFLY" ] || echo "${p#/proc/}"
	done
}

# hostile_ticks PID...: processor time that they used, in hundredths of a second.
hostile_ticks() {
	for p; do sed 's/.*) //' "/proc/$p/stat"; done | awk '{ sum += $12 + $13 } END { print sum }'
}

# hostile_watch DIR: memory as it grows, and processor time while the guest rests.
hostile_watch() {
	until grep -q '^cases' $T/raw 2>/dev/null; do
		sleep 1
		[ -e "$1/begun" ] || return
	done
	pids=$(hostile_pids)
	while [ -e "$1/begun" ]; do
		for p in $pids; do
			awk '$1 ~ /^(Name|RssAnon|VmHWM):/ { printf "%s ", $2 } END { print "" }' "/proc/$p/status"
		done >>"$1/memory" 2>/dev/null
		if [ ! -e "$1/ticks" ] && grep -q '^hostile: resting' $T/raw; then
			# shellcheck disable=SC2086 # a list
			{
				sleep 1
				before=$(hostile_ticks $pids)
				sleep 1
				echo $(($(hostile_ticks $pids) - before)) >"$1/ticks"
			}
		fi
		sleep 1
	done
}

# hostile MODE: runs the machine, unless an earlier test did; what it said lies where `guest`
# leaves it, and in D what was seen from outside.
hostile() {
	D=$H/$1
	if [ ! -e "$D/status" ]; then
		mkdir -p "$D"
		seq -w 1 99999999 2>/dev/null | head -c 1048576 >"$D/disk"
		dd if="$D/disk" bs=512 skip=9 2>/dev/null | sha256sum >"$D/before"
		mkdir -p "$D/share/in/dir"
		echo inside >"$D/share/in/file"
		echo outside >"$D/share/out"
		ln -s ../out "$D/share/in/out"
		[ -z "$AS" ] || chown -R "$AS" "$D"
		rm -f in back
		mkfifo in back
		# Input without an end, and a reader of all output that keeps what is asked for.
		tr '\0' y </dev/zero >in 2>/dev/null &
		feeder=$!
		grep -a -c 'a good line' back >"$D/good" &
		reader=$!
		mkdir -p rd
		cp /images/hostile rd/
		script <<-END
			words=${TIMES:+times}
			[ $ARCH != x86_64 ] || words="\$words unaligned"
			# What a guest could attack the host's kernel with, and is not given: nested
			# virtualization (on riscv64 the extension h), an interrupt translation service.
			grep -E '[[:space:]](vmx|svm)[[:space:]]|^isa.*: rv64[a-z]*h' /proc/cpuinfo | sed 's/^/exposed: /'
			find /proc/device-tree/ -name 'its@*' -o -name 'msi-controller@*' | sed 's/^/exposed: /'
			/hostile \$words
			echo "hostile: status \$?"
		END
		: >"$D/begun"
		: >raw
		hostile_watch "$D" &
		watcher=$!
		begin=$(cut -d. -f1 /proc/uptime)
		LIMIT=1500 # for some 700 cases, beside other hosts
		MAYFLY_OPTIONS=$(hostile_options "$1") guest --mem $HOSTILE_MIB --cpus 2 --serial type=stdout,console \
			--serial type=file,path=back,input=in,hardware=virtio-console \
			--block "$D/disk,queues=2" --shared-dir "$D/share/in:evil:type=fs" \
			--shared-dir "$D/share/in:evil9:type=p9" --vsock "cid=7,socket=$D/v" -p hugepages=1 /images/distro-kernel
		echo $(($(cut -d. -f1 /proc/uptime) - begin)) >"$D/seconds"
		rm "$D/begun"
		kill $feeder 2>/dev/null
		# Where mayfly did not even open it, the reader still waits.
		exec 3<>back
		exec 3>&-
		wait $watcher $reader
		cp out err "$D/"
		echo $STATUS >"$D/status"
	fi
	cp "$D/out" "$D/err" .
	STATUS=$(cat "$D/status")
}

# hostile_cases MODE KIND: each case that the program has for a device of the kind has a verdict.
hostile_cases() {
	hostile "$1"
	expect 0 '^hostile: status'
	device=$(sed -n "s/^cases \($2[0-9]*\) [0-9]*\$/\1/p" out)
	cases=$(sed -n "s/^cases $2[0-9]* \([0-9]*\)\$/\1/p" out)
	[ -n "$cases" ] || fail "$1: there are no cases for a $2 device"
	grep "^FAILED $2[0-9]* " out >bad && fail "$1: $(wc -l <bad) of $cases cases failed, the first: $(head -n 1 bad)"
	passed=$(grep -c "^ok $device " out)
	[ "$passed" = "$cases" ] || fail "$1: $passed of $cases cases have a verdict"
	[ "$(grep "^ok $device " out | sort -u | wc -l)" = "$cases" ] || fail "$1: a case ran twice"
}

# hostile_KIND MODE: its cases, and what came of them outside the guest.
hostile_block() {
	hostile_cases "$1" block
	# What no request named rightly is as it was.
	dd if="$D/disk" bs=512 skip=9 2>/dev/null | sha256sum | cmp -s - "$D/before" ||
		fail "$1: sectors changed that nobody wrote to"
}
hostile_console() {
	hostile_cases "$1" console
	lines=$(sed -n 's/^time console.*, \([0-9]*\) good.*/\1/p' out)
	# Other devices' cases make good requests here, too.
	[ "$(cat "$D/good")" -ge "$lines" ] || fail "$1: $(cat "$D/good") of $lines lines came out"
}
hostile_rng() { hostile_cases "$1" rng; }
# Whatever it asked for, what lies beside the directory is as it was.
hostile_fs() {
	hostile_cases "$1" fs
	hostile_cases "$1" p9
	[ "$(cat "$D/share/out")" = outside ] || fail "$1: a file outside was changed"
	[ "$(find "$D/share" -maxdepth 1 | wc -l)" = 3 ] || fail "$1: $(find "$D/share" -maxdepth 1 | tr '\n' ' ')"
}
hostile_vsock() { hostile_cases "$1" vsock; }

# hostile_each WHAT: in each mode.
hostile_each() {
	for mode in $HOSTILE_MODES; do "hostile_$1" "$mode"; done
}
test_hostile_block() { hostile_each block; }
test_hostile_console() { hostile_each console; }
test_hostile_rng() { hostile_each rng; }
test_hostile_fs() { hostile_each fs; }
test_hostile_vsock() { hostile_each vsock; }

# Each source of lines (a device's process, and the monitor for it) says 5 at once, and then at
# most one in a second, with a count of the others before it.
hostile_lines() {
	hostile "$1"
	expect 0
	most=$((6 * 2 * (6 + 2 * $(cat $D/seconds))))
	said=$(wc -l <err)
	[ "$said" -le $most ] || fail "$1: $said lines, more than $most"
	[ "$said" -gt 6 ] || fail "$1: $said lines: attacks are not told of"
	grep -vE '^mayfly: ((block|console|fs|p9|rng|vsock): (stopped until the guest resets it|the guest set up queue [0-9]+ wrongly): [a-z]|[0-9]+ more lines like the next were suppressed$)' err >other
	[ "$(wc -l <other)" = 1 ] && grep -q 'the guest powered off' other || fail "$1: it said $(head -n 1 other)"
}
test_hostile_lines() { hostile_each lines; }

# Guest memory apart, a process of a machine needs little, whatever the guest asks for. Of the
# guest's memory a device process has what it was shown, which is not more than a few MiB.
test_hostile_memory() {
	for mode in $HOSTILE_MODES; do
		hostile $mode
		expect 0
		[ -s $D/memory ] || fail "$mode: nothing was measured"
		# Without processes the guest's memory is the monitor's own.
		own=16384
		[ $mode = jailed ] || own=$((own + HOSTILE_MIB * 1024))
		awk -v guest=$((HOSTILE_MIB * 1024)) -v own=$own '
			{ most = ($1 == "mayfly" ? guest : 0) + 16384 }
			$2 > most || $3 > own {
				print $1 ": " $2 " KiB at most, " $3 " KiB of its own"
				exit
			}' $D/memory >bad
		[ ! -s bad ] || fail "$mode: $(cat bad)"
	done
}

test_hostile_exposure() {
	hostile jailed
	expect 0
	! grep '^exposed: ' out >bad || fail "the guest has $(head -n 1 bad)"
}

# Devices that were left broken and kicked keep nobody awake.
test_hostile_rest() {
	for mode in $HOSTILE_MODES; do
		hostile $mode
		expect 0
		[ -s $D/ticks ] || fail "$mode: nothing was measured"
		[ "$(cat $D/ticks)" -le 30 ] || fail "$mode: $(cat $D/ticks) of 100 ticks while the guest rests"
	done
}

# The same under AddressSanitizer and UndefinedBehaviorSanitizer, which end the monitor with a
# report. Without jails, which have no calls for what sanitizers do.
test_hostile_asan() {
	MAYFLY=/mayfly-asan
	[ -x $MAYFLY ] || skip "there is no build with sanitizers for this host"
	export ASAN_OPTIONS=detect_leaks=0
	HOSTILE_MODES=asan
	for what in block console rng fs vsock lines; do hostile_each $what; done
}

HOSTILE="hostile_block hostile_console hostile_rng hostile_fs hostile_vsock hostile_lines hostile_memory
	hostile_exposure hostile_rest"
[ "$ARCH" != x86_64 ] || HOSTILE="$HOSTILE hostile_asan"
