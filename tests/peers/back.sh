#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
#
# back.sh [NAME...]: other programs' back ends behind `mayfly run --vhost-user`, inside a KVM
# host that has qemu-storage-daemon, virtiofsd and tests/peers/liar.c. NAME is a test, or back,
# which is all of them. See tests/guest/lib.sh.
. /suite/lib.sh

SOCK=$T/sock

# listens SOCKET: waits until somebody does.
listens() {
	for i in $(seq 100); do
		[ ! -S "$1" ] || return 0
		sleep 0.1
	done
	fail "nobody listens on $1"
}

# storage [SECONDS]: qemu-storage-daemon with the file disk, after some time. Sets PEER.
storage() {
	(
		sleep "${1:-0}"
		exec qemu-storage-daemon --blockdev "driver=file,node-name=disk,filename=$T/disk" \
			--export "type=vhost-user-blk,id=export,addr.type=unix,addr.path=$SOCK,node-name=disk,writable=on"
	) >$T/peer 2>&1 &
	PEER=$!
}

# virtiofs DIR: virtiofsd for a folder. Its other ways to confine itself need a root that is no
# initramfs. Sets PEER.
virtiofs() {
	/usr/lib/qemu/virtiofsd --socket-path=$SOCK -o "source=$1" -o sandbox=chroot >$T/peer 2>&1 &
	PEER=$!
	listens $SOCK
}

# when TEXT COMMAND...: runs COMMAND in the background once the guest has printed TEXT.
when() {
	text=$1
	shift
	(
		for i in $(seq $((LIMIT * 5))); do
			! grep -q -- "$text" $T/raw 2>/dev/null || break
			sleep 0.2
		done
		"$@" 2>/dev/null
	) &
}

sum() { sha256sum <"$1" | cut -d' ' -f1; }

BLOCK=type=block,socket=$SOCK
READ_WRITE='
	echo "read: $(sha256sum </dev/vda)"
	dd if=/dev/urandom of=/tmp/new bs=1M count=4 2>/dev/null
	dd if=/tmp/new of=/dev/vda bs=64k seek=32 conv=fsync 2>/dev/null
	echo "wrote: $(sha256sum </tmp/new)"
	echo 3 >/proc/sys/vm/drop_caches
	echo "again: $(dd if=/dev/vda bs=64k skip=32 count=64 2>/dev/null | sha256sum)"
'
read_write() {
	before=$(sum disk)
	script <<-END
		$READ_WRITE
	END
	guest --mem 256 --vhost-user $BLOCK $KERNEL
	expect 0 "read: $before"
	dd if=disk of=part bs=64k skip=32 count=64 2>/dev/null
	expect 0 "wrote: $(sum part)"
	expect 0 "again: $(sum part)"
	said 'the guest powered off'
}

test_storage_daemon_reads_and_writes() {
	dd if=/dev/urandom of=disk bs=1M count=8 2>/dev/null
	storage
	listens $SOCK
	read_write
	kill -0 $PEER || fail "the back end ended with its first front end"
	# It serves the next one, too.
	read_write
	kill $PEER
}

test_storage_daemon_may_come_late() {
	dd if=/dev/urandom of=disk bs=1M count=8 2>/dev/null
	storage 2
	read_write
	kill $PEER
}

USE_IT='
	echo using
	while :; do
		dd if=/dev/urandom of=/dev/vda bs=64k count=64 conv=fsync 2>/dev/null || echo "an error"
	done
'
test_storage_daemon_that_dies_ends_the_machine() {
	truncate -s 8M disk
	storage
	listens $SOCK
	script <<-END
		$USE_IT
	END
	when using kill -KILL $PEER
	guest --mem 256 --vhost-user $BLOCK $KERNEL
	expect 33 using
	said "--vhost-user: block: the device's process hung up"
}

# hang: the back end stands still; a while later the monitor, which is older than its device
# processes, is told to end.
hang() {
	kill -STOP "$PEER"
	sleep 2
	cut -d. -f1 /proc/uptime >$T/told
	kill -TERM "$(pidof mayfly | tr ' ' '\n' | sort -n | head -n 1)"
}
test_storage_daemon_that_hangs_does_not_keep_the_machine() {
	truncate -s 8M disk
	storage
	listens $SOCK
	script <<-END
		$USE_IT
	END
	when using hang
	guest --mem 256 --vhost-user $BLOCK $KERNEL
	ended=$(cut -d. -f1 /proc/uptime)
	kill -KILL $PEER
	expect 143 using
	grep -q 'block: the device does not come to its end' err || fail "mayfly did not say what hangs"
	grep -q 'stopped by signal 15' err || fail "mayfly did not say why it ends"
	[ $((ended - $(cat told))) -le 15 ] || fail "it took $((ended - $(cat told))) s"
}

# lies MODE TEXT: mayfly is told that by a back end, and says this.
lies() {
	rm -f $SOCK
	/liar "$1" $SOCK &
	listens $SOCK
	begin=$(cut -d. -f1 /proc/uptime)
	refused 1 "--vhost-user: $SOCK: block: $2" --vhost-user $BLOCK $KERNEL
	took=$(($(cut -d. -f1 /proc/uptime) - begin))
	[ $took -le 20 ] || fail "it took $took s"
}
test_back_end_that_says_rubbish() { lies rubbish 'request 1: a message longer than any'; }
test_back_end_that_answers_something_else() { lies wrong 'request 1: an answer to something else'; }
test_back_end_that_stops_inside_an_answer() { lies half 'request 1: no answer'; }
test_back_end_that_is_silent() { lies silent 'request 1: no answer'; }
test_back_end_that_hangs_up() { lies hangup 'request [0-9]*: \(Broken pipe\|the connection\)'; }

test_virtiofsd_shares_a_folder_both_ways() {
	mkdir -p share/sub
	dd if=/dev/urandom of=share/sub/file bs=1M count=3 2>/dev/null
	ln -s sub/file share/link
	virtiofs $T/share
	script <<-'END'
		mount -t virtiofs host /mnt || exit
		echo "read: $(sha256sum </mnt/link)"
		dd if=/dev/urandom of=/mnt/sub/new bs=1M count=2 conv=fsync 2>/dev/null
		echo "wrote: $(sha256sum </mnt/sub/new)"
		mkdir /mnt/made && mv /mnt/sub/new /mnt/made/moved && rm /mnt/link
		for i in $(seq 300); do echo "$i" >/mnt/made/$i; done
		ls /mnt/made | wc -l | sed 's/^/files: /'
		umount /mnt && echo unmounted
	END
	guest --mem 256 --vhost-user type=fs,socket=$SOCK,tag=host $KERNEL
	expect 0 "read: $(sum share/sub/file)"
	expect 0 "wrote: $(sum share/made/moved)"
	expect 0 'files: 301'
	expect 0 unmounted
	[ "$(cat share/made/300)" = 300 ] || fail "a file of the guest's is not there"
	[ ! -e share/link ] || fail "what the guest removed is still there"
	said 'the guest powered off'
}

test_virtiofsd_that_dies_ends_the_machine() {
	mkdir share
	virtiofs $T/share
	script <<-'END'
		mount -t virtiofs host /mnt || exit
		echo using
		while :; do date >/mnt/file; done
	END
	# The one that confines itself is a child of the one that was started.
	when using killall -KILL virtiofsd
	guest --mem 256 --vhost-user type=fs,socket=$SOCK,tag=host $KERNEL
	expect 33 using
	said "--vhost-user: fs: the device's process hung up"
}

BACK="storage_daemon_reads_and_writes storage_daemon_may_come_late
	storage_daemon_that_dies_ends_the_machine storage_daemon_that_hangs_does_not_keep_the_machine
	back_end_that_says_rubbish back_end_that_answers_something_else back_end_that_stops_inside_an_answer
	back_end_that_is_silent back_end_that_hangs_up
	virtiofsd_shares_a_folder_both_ways virtiofsd_that_dies_ends_the_machine"
for name; do
	case $name in
	back) run_tests $BACK ;;
	*) run_tests "$name" ;;
	esac
done
