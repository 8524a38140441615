# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=sh disable=SC2034,SC2154 # sourced: variables cross files
# Serial lines and consoles, both ways, without loss.

# both_ways HARDWARE DEVICE BYTES: random bytes in and other random bytes out, checksummed by
# the side that receives them. The console proper is another line, for what the guest says.
both_ways() {
	hardware=$1 dev=$2 bytes=$3
	mkfifo in back
	dd if=/dev/urandom of=data bs="$bytes" count=1 2>/dev/null
	script <<-END
		# Held open: a line that nobody holds is set back to its defaults.
		exec 3<>$dev
		stty raw -echo <&3
		echo ready >&3
		echo "in: \$(head -c $bytes <&3 | sha256sum)"
		dd if=/dev/urandom of=/tmp/out bs=$bytes count=1 2>/dev/null
		echo "out: \$(sha256sum </tmp/out)"
		cat /tmp/out >&3
		# The driver drains the line when it is closed.
		exec 3>&-
	END
	: >all
	cat <back >all &
	reader=$!
	{
		until [ "$(wc -c <all)" -ge 6 ]; do usleep 100000; done
		cat data >in
	} &
	sender=$!
	guest --mem 256 --serial type=stdout --serial "$hardware,type=file,path=back,input=in" $KERNEL
	# What mayfly wrote last may still be in the FIFO.
	i=0
	until [ "$(wc -c <all)" -ge $((bytes + 6)) ] || [ $i -ge 300 ]; do
		i=$((i + 1))
		usleep 100000
	done
	kill $reader $sender 2>/dev/null
	expect 0 "in: $(sha256sum <data | cut -d' ' -f1)"
	tail -c +7 all >received
	[ "$(wc -c <received)" = "$bytes" ] || fail "$(wc -c <received) of $bytes bytes came out"
	expect 0 "out: $(sha256sum <received | cut -d' ' -f1)"
}
test_virtio_console_10_mb_both_ways() {
	both_ways hardware=virtio-console /dev/hvc0 10485760
}
test_virtio_console_1_mb_both_ways() {
	both_ways hardware=virtio-console /dev/hvc0 1048576
}
# Each byte is two exits or more.
test_uart_both_ways() { both_ways num=2 /dev/ttyS1 16384; }

test_virtio_console_as_the_console() {
	script <<-'END'
		cat /proc/consoles
	END
	guest --mem 256 --serial type=stdout,hardware=virtio-console,console $KERNEL
	expect 0 '^hvc0 '
	expect 0 'mayfly guest: .* is up'
}

test_stdin_reaches_the_guest() {
	script <<-'END'
		stty -echo
		read -r line
		echo "got <$line>"
	END
	(sleep 1; echo 'a line of input') | monitor \
		--mem 256 $KERNEL >out 2>err
	STATUS=$?
	expect 0 'got <a line of input>'
}

test_output_to_a_file_is_appended() {
	echo first >log
	script <<-'END'
		echo second
	END
	guest --mem 256 --serial type=file,path=log,console $KERNEL
	expect 0
	[ ! -s raw ] || fail "something was written to stdout"
	head -n 1 log | grep -q first || fail "what was in the file is gone"
	grep -q second log || fail "the guest's words are not in the file"
}

test_sink() {
	script <<-'END'
		echo unheard
	END
	guest --mem 256 --serial type=sink,console $KERNEL
	expect 0
	[ ! -s raw ] || fail "something was written to stdout"
}

test_four_uarts() {
	script <<-'END'
		for i in 1 2 3; do echo "line $i" >/dev/ttyS$i; done
	END
	guest --mem 256 --serial type=stdout --serial type=file,num=2,path=l1 \
		--serial type=file,num=3,path=l2 --serial type=file,num=4,path=l3 $KERNEL
	expect 0
	for i in 1 2 3; do
		grep -q "line $i" l$i || fail "ttyS$i is silent"
	done
}

test_full_output_ends_the_machine() {
	script <<-'END'
		while :; do echo words; done
	END
	monitor --mem 256 $KERNEL >/dev/full 2>err </dev/null
	STATUS=$?
	: >out
	expect 1
	said 'stdout: No space left on device'
}

test_early_console() {
	RD=
	guest --mem 256 --serial type=stdout,console,earlycon -p end=x $KERNEL
	expect 34 'Kernel panic'
}

CONSOLE="virtio_console_10_mb_both_ways uart_both_ways virtio_console_as_the_console
	stdin_reaches_the_guest output_to_a_file_is_appended sink four_uarts
	full_output_ends_the_machine early_console"
