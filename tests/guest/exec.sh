# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=sh disable=SC2034,SC2154 # sourced: variables cross files
# mayfly exec: commands in guests that have this host's own root, and how they end.

# command ARGS...: mayfly exec, as the user AS if that is set; what it writes is in out and err, its
# status in STATUS. Standard input is the caller's.
command_in_guest() {
	# As much as the other tests' guests have.
	set -- --kernel $KERNEL ${EXEC_MEM---memory-limit 256M} "$@"
	if [ -n "$AS" ]; then
		chown -R "$AS" $T 2>/dev/null
		# shellcheck disable=SC2016,SC2086 # a script; options are words
		timeout -k 5 "$LIMIT" su -c 'exec "$0" exec "$@"' -- "$AS" "$MAYFLY" $MAYFLY_OPTIONS "$@" >$T/out 2>$T/err
	else
		# shellcheck disable=SC2086
		timeout -k 5 "$LIMIT" "$MAYFLY" exec $MAYFLY_OPTIONS "$@" >$T/out 2>$T/err
	fi
	STATUS=$?
}

# silent STATUS: it ended so, and mayfly said nothing of its own.
silent() {
	expect "$1"
	[ ! -s err ] || fail "mayfly said: $(head -n 1 err)"
}

test_exec_status() {
	command_in_guest true </dev/null
	silent 0
	for status in 1 77 255; do
		command_in_guest sh -c "exit $status" </dev/null
		silent $status
	done
	command_in_guest sh -c 'kill -TERM $$' </dev/null
	silent 143
	command_in_guest sh -c 'kill -KILL $$' </dev/null
	silent 137
}

test_exec_streams() {
	head -c 4000000 /dev/urandom >in
	command_in_guest sh -c 'echo to stderr >&2; cat' <in
	expect 0
	cmp -s in out || fail "out has $(wc -c <out) bytes, or others"
	[ "$(cat err)" = 'to stderr' ] || fail "stderr: $(head -n 2 err)"
	# The names of streams can be opened, and what is written last is there.
	command_in_guest sh -c 'echo one >/dev/stdout; echo two >/dev/stderr; seq 20000' </dev/null
	expect 0
	[ "$(head -n 1 out)$(tail -n 1 out)$(cat err)" = one20000two ] || fail 'a line is missing'
	# Who reads no more ends it, as in any pipe.
	# shellcheck disable=SC2086 # options are words
	timeout -k 5 "$LIMIT" "$MAYFLY" exec $MAYFLY_OPTIONS --kernel $KERNEL yes </dev/null 2>err | head -n 3 >first
	[ "$(wc -l <first)" = 3 ] || fail 'three lines were asked for'
}

test_exec_not_executed() {
	command_in_guest no-such-command x </dev/null
	expect 127
	said '^mayfly: exec: no-such-command: No such file or directory$'
	echo 'no program' >plain
	mkdir -p dir && cd dir || fail dir
	command_in_guest $T/plain </dev/null
	expect 127
	cd ..
	command_in_guest ./plain </dev/null
	expect 126
	said '^mayfly: exec: ./plain: Permission denied$'
	command_in_guest --cwd /no/where true </dev/null
	expect 127
	said '^mayfly: exec: /no/where: No such file or directory$'
	command_in_guest --user nobody-of-that-name true </dev/null
	expect 126
	said '^mayfly: exec: nobody-of-that-name: No such process$'
}

test_exec_timeout() {
	# A host that is slow beside others gets a longer limit.
	for limit in 20 90; do
		command_in_guest --timeout $limit sh -c 'echo begun; sleep 1000' </dev/null
		! grep -q begun out || break
	done
	expect 124 begun
	said "^mayfly: --timeout: the command still ran after $limit s\$"
}

# Ends that are not the command's.
test_exec_other_ends() {
	command_in_guest sh -c 'echo before; sleep 1; echo c >/proc/sysrq-trigger; sleep 100' </dev/null
	expect 125 before
	grep -q "^mayfly: the guest's kernel panicked$" err || fail "panic: $(tail -n 1 err)"
	grep -q '^console: .*Kernel panic' err || fail 'the console is not shown'
	command_in_guest sh -c 'reboot -f; sleep 100' </dev/null
	expect 125
	grep -q '^mayfly: the guest asked for a reset$' err || fail "reset: $(tail -n 1 err)"
	command_in_guest sh -c 'poweroff -f; sleep 100' </dev/null
	expect 125
	said '^mayfly: the guest ended before the command did$'
	EXEC_MEM=''
	command_in_guest --memory-limit 96M sh -c 'tail /dev/zero' </dev/null
	expect 125
	grep -q '^mayfly: out of memory in the guest' err || fail "memory: $(tail -n 1 err)"
}

test_exec_kernel_without_drivers() {
	KERNEL=/images/distro-kernel
	command_in_guest true </dev/null
	expect 125
	grep -q '^console: mayfly init: this kernel has no vsock: it needs CONFIG_VIRTIO_VSOCKETS=y' err ||
		fail "$(tail -n 3 err)"
}

test_exec_files() {
	mkdir work ro
	echo old >work/file
	echo fixed >ro/file
	cd work || fail work
	command_in_guest sh -c 'pwd; cat file; echo new >file; mkdir d; echo x >/bin/added && ls /bin/added' </dev/null
	cd ..
	silent 0
	expect 0 "^$T/work"
	expect 0 '^old'
	expect 0 '^/bin/added'
	[ "$(cat work/file)" = new ] && [ -d work/d ] || fail 'the directory was not changed'
	[ ! -e /bin/added ] || fail 'the root was changed'
	command_in_guest --share work:w --share $T/ro:ro --cwd $T/ro \
		sh -c 'cat file; echo x >file || echo refused; cat ../work/file; mount' </dev/null
	expect 0 '^fixed'
	expect 0 '^refused'
	expect 0 '^new'
	expect 0 "^w on $T/work type virtiofs"
	# A directory that was not shared is the root's, and changes of it are the guest's own.
	command_in_guest --cwd /suite sh -c 'wc -l <exec.sh; echo changed >exec.sh; cat exec.sh' </dev/null
	expect 0 '^changed'
	[ "$(head -n 1 out)" = "$(wc -l </suite/exec.sh)" ] || fail 'what was not shared was changed'
}

test_exec_surroundings() {
	command_in_guest --env A='a b' --env MAYFLY_TEST --user 1000:1001 --cwd / --name box \
		sh -c 'echo "$A|$MAYFLY_TEST|$HOME"; id -u; id -g; pwd; hostname; tty; ip a show lo' </dev/null
	expect 0 '^a b||'
	expect 0 '^1000'
	expect 0 '^1001'
	expect 0 '^box'
	expect 0 'inet 127.0.0.1'
	before=$(date +%s)
	command_in_guest date +%s </dev/null
	expect 0
	[ "$(cat out)" -ge "$before" ] && [ "$(cat out)" -le "$(date +%s)" ] || fail "time: $(cat out), $before"
}

test_exec_root_image() {
	command_in_guest --root /images/rootfs.erofs --cwd / \
		sh -c 'echo x >/new && cat /new; mount | grep " / "; ls -d /suite || echo another' </dev/null
	expect 0 '^x'
	expect 0 ' / type overlay'
	expect 0 '^another'
	mkdir -p d/bin && cp /bin/busybox d/bin/sh
	command_in_guest --root d --cwd / sh -c 'echo *' </dev/null
	expect 0 '^above bin dev\|bin dev proc'
}

# The first program is the image's own, and there is no initramfs: the host's busybox and init on a
# file system that the kernel mounts.
test_exec_init_of_an_image() {
	truncate -s 8M image
	mke2fs -F image >/dev/null 2>&1 && mkdir m && mount -o loop image m || fail 'no image can be made'
	mkdir m/bin m/sbin m/run m/proc m/dev m/tmp
	cp /bin/busybox m/bin/sh
	cp /images/init m/sbin/init
	umount m
	command_in_guest --root "$T/image" --init /sbin/init --cwd / -- \
		sh -c 'echo x >/new && read -r x </new && echo "$x"; read -r line </proc/cmdline; echo "$line"; echo /*; exit 7' </dev/null
	expect 7 '^x$'
	expect 7 'root=/dev/vda ro init=/sbin/init'
	expect 7 '^/bin /dev /lost+found /new /proc /run /sbin /sys /tmp$'
	command_in_guest --root "$T/image" --init /nowhere --cwd / true </dev/null
	expect 125
	grep -q "^mayfly: the guest's kernel panicked$" err || fail "mayfly did not say why"
	command_in_guest --init /sbin/init true </dev/null
	expect 125
	said '^mayfly: --init: / is a directory, not an image$'
}

# exec_begun: waits until the command has made a file. (A pipe would be each kernel's own.)
exec_begun() {
	i=0
	until [ -e began ] || [ $i -ge 1200 ]; do
		i=$((i + 1))
		usleep 100000
	done
	rm -f began
}

test_exec_signals() {
	# The command has it, and says what comes of it.
	command_in_guest --share $T sh -c 'trap "echo caught; exit 9" TERM; echo >began; while :; do sleep 0.1; done' </dev/null &
	exec_begun
	pid=$(exec_front_pid) || fail 'it does not run'
	kill -TERM "$pid"
	wait
	[ "$(cat out)" = caught ] || fail "out: $(cat out)"
	# One that does not care is ended by the second.
	command_in_guest --result r.json --share $T sh -c 'trap "" INT; echo >began; sleep 1000' </dev/null &
	exec_begun
	pid=$(exec_front_pid) || fail 'it does not run'
	kill -INT "$pid"
	usleep 300000
	kill -INT "$pid"
	wait
	grep -q '"status": 130,' r.json || fail "$(head -n 3 r.json)"
	# Whoever kills it has killed all of it.
	command_in_guest --share $T sh -c 'echo >began; sleep 1000' </dev/null &
	exec_begun
	DEVICES=$(hostile_pids)
	kill -KILL "$(exec_front_pid)"
	wait
	nothing_is_left
	[ -z "$(hostile_pids)" ] || fail 'processes are left'
}

# exec_front_pid: of the one that was started by us, not of its machine.
exec_front_pid() {
	for p in $(hostile_pids); do
		grep -q '^exec$' <<-END && echo "$p" && return
			$(tr '\0' '\n' <"/proc/$p/cmdline" | sed -n 2p)
		END
	done
	return 1
}

test_exec_reports() {
	command_in_guest --result r.json --timings --timeline t.svg --console k.log sh -c 'exit 3' </dev/null
	expect 3
	grep -q '"status": 3,' r.json && grep -q '"cause": "exited",' r.json || fail "$(cat r.json)"
	grep -q '"seconds": {"monitor": [0-9.]*, "kernel": [0-9.]*, "init": [0-9.]*, "command": [0-9.]*, "power-off": [0-9.]*}' r.json ||
		fail "$(grep seconds r.json)"
	[ "$(sed -n 's/.*"peak_memory_bytes": \([0-9]*\),/\1/p' r.json)" -gt 10000000 ] || fail 'no memory'
	grep -q '^mayfly: kernel .* ms$' err || fail "timings: $(cat err)"
	grep -q '<svg' t.svg && grep -q '</svg>' t.svg || fail 'no picture'
	grep -q 'Linux version' k.log || fail 'no kernel messages'
	command_in_guest --result /dev/full true </dev/null
	expect 125
	said '^mayfly: --result: /dev/full: cannot be written$'
}

test_exec_tty() {
	printf 'echo $((6*7)); stty size; tty; exit 5\n' >keys
	command_in_guest --tty sh <keys
	expect 5
	tr -d '\r' <out >plain
	command_in_guest --tty cat </dev/null # whose input has an end
	expect 0
	grep -q '^42$' plain && grep -q '^24 80$' plain && grep -q '^/dev/pts/0$' plain || fail "$(cat plain)"
}

# Somebody at a terminal: what size it has, also when that changes; control-C for the guest's program
# and not for mayfly; and its modes afterwards.
test_exec_terminal() {
	cat >dialogue <<-'END'
		wait #
		type stty size\n
		wait 31 97
		size 40 120
		type sleep 1; stty size\n
		wait 40 120
		type sh -c "echo be''gun; exec sleep 1000"\n
		wait begun
		type \C
		type echo "after: $?"\n
		wait after: 130
		type exit 9\n
	END
	# shellcheck disable=SC2086 # options are words
	/images/terminal 31 97 "$MAYFLY" exec $MAYFLY_OPTIONS --kernel $KERNEL --memory-limit 256M --tty sh \
		<dialogue >out 2>err
	STATUS=$?
	expect 9 'modes are the same'
}

test_exec_refusals() {
	EXEC_MEM=''
	for words in '|no COMMAND given' "--memory-limit 5 true|--memory-limit: 5 is not" \
		'--memory-limit 1Q true|.1Q. is not a number' '--cwd x true|does not begin with a slash' \
		'--share /nowhere true|--share: /nowhere: No such file' '--share / true|is --root.s to share' \
		'--share /tmp --share /tmp true|is used twice' '--root /nowhere true|--root: /nowhere: No such' \
		'--kernel /nowhere true|--kernel: given twice' '--nonsense true|--nonsense: no such option' \
		'--env =x true|is not NAME or NAME=VALUE' '--timeout 0 true|is not a number of seconds' \
		'--console /nowhere/x true|--console: /nowhere/x: No such file'; do
		# shellcheck disable=SC2086 # words
		command_in_guest ${words%%|*} </dev/null
		expect 125
		said "${words#*|}"
	done
	KERNEL=/nowhere
	command_in_guest true </dev/null
	expect 125
	said 'nowhere: No such file'
}

# As many as LIMIT allows would be 500: docs/testing.md has the command.
test_exec_many() {
	ls /tmp >tmp-before
	i=0
	while [ $i -lt "${EXEC_MANY:-12}" ]; do
		i=$((i + 1))
		command_in_guest sh -c "echo $i; exit $((i % 100))" </dev/null
		silent $((i % 100))
		[ "$(cat out)" = $i ] || fail "run $i printed $(cat out)"
	done
	[ -z "$(hostile_pids)" ] || fail 'processes are left'
	ls /tmp | cmp -s tmp-before - || fail 'files are left'
}

# Each command of the pages for users, as it is written there.
test_exec_documented() {
	mkdir -p image/bin image/tmp arch/x86/boot input output
	cp /bin/busybox image/bin/sh
	cp /bin/busybox image/bin/cat
	printf '#!/bin/sh\necho untrusted\n' >image/bin/untrusted
	printf '#!/bin/sh\necho tested\n' >run-tests
	cp run-tests selftest
	chmod 755 image/bin/untrusted run-tests selftest
	cp $KERNEL arch/x86/boot/bzImage
	echo some >input/some
	echo exit >keys # where a command is a shell
	export MAYFLY_KERNEL=$KERNEL
	nr=0
	cat /docs/sandbox.md /docs/ci.md /docs/kernel-testing.md |
		sed -n 's/^    \( *- run: \)\{0,1\}mayfly exec /mayfly_exec /p' >commands
	mayfly_exec() {
		# shellcheck disable=SC2086
		timeout -k 5 "$LIMIT" "$MAYFLY" exec $MAYFLY_OPTIONS "$@" <$T/keys
	}
	while read -r line; do
		want=0
		case $line in *'# status '*) want=${line##*# status } ;; esac
		(eval "$line") >$T/out 2>$T/err
		STATUS=$?
		[ $STATUS = "$want" ] || fail "$line: status $STATUS, not $want"
		nr=$((nr + 1))
	done <commands
	[ $nr = 13 ] || fail "$nr commands"
	grep -q '"signal": 11' result.json || grep -q '"status": 0' result.json || fail "$(cat result.json)"
	[ "$(cat output/all)" = some ] || fail 'the output is missing'
	grep -q 'Linux version' kernel.log || fail 'no kernel.log'
}

COMMANDS='exec_status exec_streams exec_not_executed exec_timeout exec_other_ends exec_kernel_without_drivers
	exec_files exec_surroundings exec_root_image exec_init_of_an_image exec_signals exec_reports exec_tty exec_terminal exec_refusals exec_documented
	exec_many'
