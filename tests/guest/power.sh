# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=sh disable=SC2034,SC2154 # sourced: variables cross files
# How machines end, told apart by status and one line.

ends() {
	script <<-'END'
		echo before the end
	END
	guest --mem 256 -p "end=$1" $KERNEL
	expect "$2" 'before the end'
	said "$3"
}
test_poweroff() { ends poweroff 0 'the guest powered off'; }
test_reboot() { ends reboot 32 'the guest asked for a reset'; }
test_panic() {
	ends panic 34 'the guest.s kernel panicked'
	grep -q 'Kernel panic - not syncing' out || fail "the panic's own words are missing"
}
test_panic_of_a_kernel_without_init() {
	RD=
	guest --mem 256 $KERNEL
	expect 34 'Kernel panic - not syncing: VFS: Unable to mount root fs'
	said 'the guest.s kernel panicked'
}
test_triple_fault() {
	script <<-'END'
		echo before the end
	END
	guest --mem 256 -p 'end=reboot reboot=t' $KERNEL
	expect 33 'before the end'
	said 'triple fault'
}
# timed_out ARGS...: the time is over after the guest said so, however slow the host is beside others.
timed_out() {
	for LIMIT in 15 90; do
		guest "$@"
		! grep -q 'before the end' out || break
	done
	expect 37 'before the end'
}

test_timeout() {
	script <<-'END'
		echo before the end
		while :; do sleep 1000; done
	END
	timed_out --mem 256 $KERNEL
	said "timeout.*$LIMIT s"
}
test_timeout_of_a_busy_guest() {
	script <<-'END'
		echo before the end
		while :; do :; done
	END
	timed_out --mem 256 --cpus 2 $KERNEL
}
test_signal_ends_the_machine() {
	script <<-'END'
		echo ready
		while :; do sleep 1000; done
	END
	EXEC="exec" monitor --mem 256 $KERNEL >out 2>err </dev/null &
	pid=$!
	until_said ready out
	kill -TERM $pid
	wait $pid
	STATUS=$?
	expect 143 ready
	said 'signal 15'
}
# The bytes that the guest wrote last are there, whatever follows them.
test_output_is_complete() {
	script <<-'END'
		seq 1 2000
		echo the very last line
		echo o >/proc/sysrq-trigger
		sleep 100
	END
	guest --mem 256 $KERNEL
	expect 0 'the very last line'
	seq 1 2000 >want
	tr -d '\r' <out | grep -xE '[0-9]+' >got
	cmp -s want got || fail "of 2000 lines $(wc -l <got) came out"
}
# The pipe has little room left, and nobody reads until the guest has had time to fill it.
test_slow_reader_gets_everything() {
	script <<-'END'
		echo begun >/dev/ttyS1
		seq 1 2000
		echo the very last line
		# To set the terminal is to wait until its driver has nothing left: a power-off does
		# not wait for what the guest itself still keeps.
		stty -F /dev/console echo
	END
	{
		head -c 60000 /dev/zero
		monitor --mem 256 --serial type=stdout --serial type=file,num=2,path=said $KERNEL 2>err </dev/null
	} | (
		until_said begun said
		sleep 5
		cat
	) >out
	tail -c +60001 out | tr -d '\r' | grep -xE '[0-9]+' >got
	seq 1 2000 >want
	cmp -s want got || fail "of 2000 lines $(wc -l <got) came out"
	grep -q 'the very last line' out || fail "the end is missing"
}

POWER="poweroff reboot panic panic_of_a_kernel_without_init timeout timeout_of_a_busy_guest
	signal_ends_the_machine output_is_complete slow_reader_gets_everything"
# Other processors have no such thing as a triple fault.
[ "$ARCH" != x86_64 ] || POWER="$POWER triple_fault"
