# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=sh disable=SC2034,SC2154 # sourced: variables cross files
# The socket device, by a program on either side: tests/guest/relay/.

RELAY=/images/relay

# vsock_guest ARGS...: a guest with the relay in it.
vsock_guest() {
	mkdir -p rd
	cp $RELAY rd/relay
	script
	rm -f v.sock
	guest --mem 256 --vsock "cid=7,socket=v.sock" "$@" $KERNEL
}

# listening PATH: waits until somebody does.
listening() {
	i=0
	until [ -S "$1" ] || [ $i -ge 100 ]; do
		i=$((i + 1))
		usleep 50000
	done
}

test_vsock_guest_to_host() {
	rm -f v.sock_1234
	$RELAY listen unix:v.sock_1234 </dev/null >got &
	listening v.sock_1234
	vsock_guest <<-'END'
		seq 1 100000 | /relay connect vsock:2:1234
		echo "relay: $?"
	END
	expect 0 '^relay: 0'
	wait
	[ "$(sha256sum <got)" = "$(seq 1 100000 | sha256sum)" ] || fail "the host got $(wc -c <got) bytes"
}

# A guest whose own buffer is small sends no more than that before it is told of room.
test_vsock_small_buffer() {
	rm -f v.sock_1234
	$RELAY listen unix:v.sock_1234 </dev/null >got &
	listening v.sock_1234
	vsock_guest <<-'END'
		seq 1 30000 | RELAY_BUFFER=16384 timeout 200 /relay connect vsock:2:1234
		echo "relay: $?"
	END
	expect 0 '^relay: 0'
	wait
	[ "$(sha256sum <got)" = "$(seq 1 30000 | sha256sum)" ] || fail "the host got $(wc -c <got) bytes"
}

# vsock_guest_that_waits COMMAND: a guest that runs COMMAND when relay listens at its port 99, and
# ends when that has ended.
vsock_guest_that_waits() {
	mkfifo up down
	(
		read -r line <up
		sh -c "$1"
		echo over >down
	) &
	vsock_guest --serial type=file,path=up,input=down,hardware=virtio-console <<-'END'
		/relay echo vsock:any:99 >/dev/hvc0 &
		read -r line </dev/hvc0
		echo "at the end: $line"
	END
	expect 0
	wait
	expect 0 '^at the end: over'
}

test_vsock_host_to_guest() {
	vsock_guest_that_waits \
		"seq 1 50000 | $RELAY say 'CONNECT 99' unix:v.sock >got 2>said; echo \$? >ended"
	[ "$(cat ended)" = 0 ] || fail "the client: $(cat said)"
	[ "$(sha256sum <got)" = "$(seq 1 50000 | sha256sum)" ] || fail "the host got $(wc -c <got) bytes back"
}

# 16 MiB each way at once, checksummed by who receives them.
test_vsock_both_ways() {
	rm -f v.sock_5
	dd if=/dev/urandom of=data bs=1M count=16 2>/dev/null
	$RELAY listen unix:v.sock_5 <data >got &
	listening v.sock_5
	vsock_guest <<-'END'
		dd if=/dev/urandom of=/tmp/data bs=1M count=16 2>/dev/null
		/relay connect vsock:2:5 </tmp/data >/tmp/got
		echo "in: $(sha256sum </tmp/got)"
		echo "out: $(sha256sum </tmp/data)"
	END
	expect 0
	wait
	expect 0 "in: $(sha256sum <data)"
	expect 0 "out: $(sha256sum <got)"
}

test_vsock_refused() {
	vsock_guest <<-'END'
		/relay connect vsock:2:1 </dev/null 2>&1 | sed 's/^/nobody: /'
		/relay connect vsock:9:1 </dev/null 2>&1 | sed 's/^/elsewhere: /'
	END
	expect 0 '^nobody: .*Connection reset by peer'
	expect 0 '^elsewhere: '
}

# Each side hears the other's end and goes on talking.
test_vsock_half_close() {
	rm -f v.sock_6
	$RELAY listen unix:v.sock_6 </dev/null >got &
	listening v.sock_6
	vsock_guest <<-'END'
		(usleep 500000; echo after the end) | /relay connect vsock:2:6
		echo "relay: $?"
	END
	expect 0
	wait
	expect 0 '^relay: 0'
	[ "$(cat got)" = "after the end" ] || fail "the host got '$(cat got)'"
}

test_vsock_many_connections() {
	rm -f v.sock_7
	$RELAY echo unix:v.sock_7 &
	echoes=$!
	listening v.sock_7
	vsock_guest <<-'END'
		ulimit -n 2048
		/relay many 2000 1 vsock:2:7
		/relay many 400 200 vsock:2:7
	END
	kill $echoes
	expect 0 '^2000 connections'
	expect 0 '^400 connections'
}

# What is not CONNECT and a port ends, as a port does where nobody listens.
test_vsock_greetings() {
	vsock_guest_that_waits "
		for greeting in HELLO CONNECT 'CONNECT x' 'CONNECT 4294967296' 'CONNECT 77'; do
			$RELAY say \"\$greeting\" unix:v.sock </dev/null >/dev/null 2>&1
			echo \$?
		done >ended"
	[ "$(tr '\n' ' ' <ended)" = "1 1 1 1 1 " ] || fail "statuses: $(cat ended)"
}

# What the guest sent before it powered off reaches a reader that is slow.
test_vsock_is_complete_at_the_end() {
	rm -f v.sock_8
	mkfifo slow
	$RELAY listen unix:v.sock_8 </dev/null >slow &
	(sleep 2; cat slow >got) &
	listening v.sock_8
	vsock_guest <<-'END'
		head -c 200000 /dev/zero | tr '\0' x | /relay connect vsock:2:8 &
		usleep 700000
		echo o >/proc/sysrq-trigger
		sleep 9
	END
	expect 0
	wait
	[ "$(wc -c <got)" = 200000 ] || fail "the reader got $(wc -c <got) bytes"
}

test_vsock_stale_socket() {
	vsock_guest </dev/null
	expect 0
	[ -S v.sock ] || fail "the path is gone"
	guest --mem 256 --vsock cid=7,socket=v.sock $KERNEL
	expect 0
	$RELAY echo unix:used &
	echoes=$!
	listening used
	refused 1 '^mayfly: --vsock: used: Address already in use$' --vsock cid=7,socket=used $KERNEL
	kill $echoes
}

test_vsock_options() {
	refused 35 '^mayfly: --vsock: cid: is needed$' --vsock socket=x $KERNEL
	refused 35 '^mayfly: --vsock: socket or device: is needed$' --vsock cid=3 $KERNEL
	refused 35 '^mayfly: --vsock: socket or device: not both$' --vsock cid=3,socket=x,device=y $KERNEL
	refused 35 '^mayfly: --vsock: cid: ' --vsock cid=2,socket=x $KERNEL
	refused 35 'is longer than 96 bytes$' --vsock "cid=3,socket=$(head -c 97 /dev/zero | tr '\0' x)" $KERNEL
	refused 1 '^mayfly: --vsock: /none/such: No such file or directory$' --vsock cid=3,socket=/none/such $KERNEL
	refused 1 '^mayfly: --vsock: device: /none: No such file or directory$' --vsock cid=3,device=/none $KERNEL
	refused 1 '^mayfly: --vsock: /dev/null: it is not the kernel.s vhost-vsock: ' --vsock cid=3,device=/dev/null $KERNEL
}

# The kernel's own device: the guest is a context of the host, and nothing of it is mayfly's. Its
# programs have AF_VSOCK, as the guest's have.
test_vsock_of_the_kernel() {
	[ -c /dev/vhost-vsock ] || skip "the host has no /dev/vhost-vsock"
	seq 1 100000 | $RELAY listen vsock:any:1234 >got &
	mkdir -p rd
	cp $RELAY rd/relay
	mkfifo up down
	(
		read -r line <up
		seq 1 50000 | $RELAY connect vsock:7:99 >back 2>said
		echo "over" >down
	) &
	script <<-'END'
		echo "in: $(seq 1 80000 | /relay connect vsock:2:1234 | sha256sum)"
		/relay echo vsock:any:99 >/dev/hvc0 &
		read -r line </dev/hvc0
		echo "at the end: $line"
	END
	guest --mem 256 --vsock cid=7,device=/dev/vhost-vsock \
		--serial type=file,path=up,input=down,hardware=virtio-console $KERNEL
	expect 0 # who waits for a guest that never came waits for ever
	wait
	expect 0 "in: $(seq 1 100000 | sha256sum)"
	expect 0 '^at the end: over'
	[ "$(sha256sum <got)" = "$(seq 1 80000 | sha256sum)" ] || fail "the host got $(wc -c <got) bytes"
	[ "$(sha256sum <back)" = "$(seq 1 50000 | sha256sum)" ] || fail "the host got $(wc -c <back) bytes back: $(cat said)"
	# A context id is one guest's.
	RD=$INITRD
	(
		EXEC='exec'
		monitor --mem 256 --vsock cid=7,device=/dev/vhost-vsock -p end=hang $KERNEL >first 2>&1 </dev/null
	) &
	until_said 'is up' first 300
	refused 1 '^mayfly: --vsock: /dev/vhost-vsock: cid: 7: Address already in use$' \
		--mem 256 --vsock cid=7,device=/dev/vhost-vsock $KERNEL
	kill $!
}

VSOCK="vsock_of_the_kernel vsock_guest_to_host vsock_small_buffer vsock_host_to_guest vsock_both_ways vsock_refused vsock_half_close
	vsock_many_connections vsock_greetings vsock_is_complete_at_the_end vsock_stale_socket
	vsock_options"
