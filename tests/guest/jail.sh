# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=sh disable=SC2034,SC2154 # sourced: variables cross files
#
# A running machine from outside: what each of its processes and threads has, and what becomes
# of it when one of them dies or hangs.

# start_machine: a guest with a disk, two consoles and the entropy device, in the background
# as PID; DEVICES are its device processes.
start_machine() {
	truncate -s 1M jail-disk
	: >out # of the machine before
	script <<-'END'
		echo ready
		while :; do sleep 1000; done
	END
	EXEC="exec" monitor --mem 256 --cpus 2 --block jail-disk --serial type=stdout,console \
		--serial type=sink,hardware=virtio-console $KERNEL >out 2>err </dev/null &
	PID=$!
	until_said ready out
	grep -q ready out || fail "the guest did not start"
	DEVICES=$(cat /proc/$PID/task/$PID/children)
}

# device NAME: the process of that name.
device() {
	for p in $DEVICES; do
		[ "$(cat /proc/$p/comm)" != "$1" ] || echo "$p"
	done
}

# has TASK FIELD VALUE: what /proc/TASK/status says.
has() {
	seen=$(sed -n "s/^$2:[[:space:]]*//p" "/proc/$1/status")
	[ "$seen" = "$3" ] || fail "$(cat "/proc/$1/comm"): $2 is '$seen', not '$3'"
}

# is_filtered TASK: as every thread of the machine's is.
is_filtered() {
	has "$1" Seccomp 2
	has "$1" NoNewPrivs 1
	for set in CapInh CapPrm CapEff CapAmb; do has "$1" $set 0000000000000000; done
}

# is_jailed PROCESS FILE: a device, which may have FILE open.
is_jailed() {
	is_filtered "$1"
	for task in "/proc/$1/task"/*; do
		case ${task##*/}:$(cat "$task/comm") in
		"$1":* | *:iou-*) ;; # itself; what the kernel runs for its io_uring
		*) fail "$(cat "/proc/$1/comm") has a thread $(cat "$task/comm")" ;;
		esac
	done
	has "$1" CapBnd 0000000000000000
	for ns in user pid mnt net ipc uts; do
		[ "$(readlink /proc/self/ns/$ns)" != "$(readlink "/proc/$1/ns/$ns")" ] ||
			fail "$(cat "/proc/$1/comm") shares its $ns namespace with the host"
	done
	[ -z "$(cat "/proc/$1/uid_map" "/proc/$1/gid_map")" ] || fail "ids are mapped"
	[ -z "$(ls -A "/proc/$1/root/")" ] || fail "$(cat "/proc/$1/comm") sees $(ls -A "/proc/$1/root/")"
	for fd in "/proc/$1/fd"/*; do
		to=$(readlink "$fd")
		case ${fd##*/}:$to in
		2:* | *:*/null | *:socket:* | *:pipe:* | *:anon_inode:?eventfd? | *:anon_inode:?eventpoll?) ;;
		*:"$2" | *:anon_inode:?io_uring?) [ -n "$2" ] || fail "$(cat "/proc/$1/comm") has $to" ;;
		*) fail "$(cat "/proc/$1/comm") has $to" ;;
		esac
	done
}

# stop_machine: by SIGTERM, as its user would.
stop_machine() {
	kill -TERM $PID
	wait $PID
	STATUS=$?
}

# nothing_is_left: of the device processes, in a moment.
nothing_is_left() {
	i=0
	for p in $DEVICES; do
		while [ -e /proc/$p ]; do
			i=$((i + 1))
			[ $i -lt 100 ] || fail "process $p is still there"
			usleep 100000
		done
	done
}

look_from_outside() {
	start_machine
	for task in /proc/$PID/task/*; do
		case $(cat "$task/comm") in
		kvm-*) ;; # the kernel's own, of newer kernels
		*) is_filtered "${task#/proc/}" ;;
		esac
	done
	[ "$(echo $DEVICES | wc -w)" = 3 ] || fail "device processes: $DEVICES"
	is_jailed "$(device block0)" $T/jail-disk
	is_jailed "$(device console0)" ''
	is_jailed "$(device rng0)" ''
	stop_machine
	expect 143
}
test_jail_from_outside() { look_from_outside; }
test_jail_of_an_ordinary_user_from_outside() {
	AS=user
	look_from_outside
}

test_dead_device_ends_the_machine() {
	for name in block0 console0 rng0; do
		start_machine
		kill -KILL "$(device $name)"
		wait $PID
		STATUS=$?
		expect 33
		said 'its process was killed by signal 9'
	done
}

test_killed_monitor_leaves_nothing() {
	start_machine
	kill -KILL $PID
	wait $PID
	nothing_is_left
}

test_hung_devices_do_not_keep_the_machine() {
	start_machine
	# shellcheck disable=SC2086 # a list
	kill -STOP $DEVICES
	stop_machine
	# What they held of the guest's output is lost, and that is said.
	expect 1
	said 'stopped by signal 15'
	nothing_is_left
}

# A host without namespaces for us: the jail is what is left, and that is said.
test_namespaces_are_refused() {
	dd if=/dev/urandom of=disk bs=64k count=4 2>/dev/null
	script <<-'END'
		sha256sum /dev/vda
	END
	limit=/proc/sys/user/max_user_namespaces
	was=$(cat $limit)
	echo 0 >$limit
	AS=user
	guest --mem 256 --block disk $KERNEL
	su -c '"$0" doctor' -- user "$MAYFLY" >doctor 2>&1
	echo "$was" >$limit
	expect 0 "$(sha256sum <disk | cut -d' ' -f1)"
	grep -q 'this host gives no namespaces to device processes' err || fail "nothing was said"
	grep -q '^--  .*namespaces' doctor || fail "doctor says: $(grep namespaces doctor)"
}

JAIL="jail_from_outside jail_of_an_ordinary_user_from_outside dead_device_ends_the_machine
	killed_monitor_leaves_nothing hung_devices_do_not_keep_the_machine namespaces_are_refused"
