# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=sh disable=SC2034,SC2154 # sourced: variables cross files
# Disks under a real driver: what the guest wrote is what the host has.

sum() { sha256sum <"$1" | cut -d' ' -f1; }

# read_write OPTIONS: the guest reads what the host wrote, the host what the guest wrote.
read_write() {
	dd if=/dev/urandom of=disk bs=1M count=8 2>/dev/null
	before=$(sum disk)
	script <<-'END'
		echo "read: $(sha256sum </dev/vda)"
		dd if=/dev/urandom of=/tmp/new bs=1M count=4 2>/dev/null
		dd if=/tmp/new of=/dev/vda bs=64k seek=32 conv=fsync 2>/dev/null
		echo "wrote: $(sha256sum </tmp/new)"
		echo 3 >/proc/sys/vm/drop_caches
		echo "again: $(dd if=/dev/vda bs=64k skip=32 count=64 2>/dev/null | sha256sum)"
	END
	guest --mem 256 --block "disk$1" $KERNEL
	expect 0 "read: $before"
	dd if=disk of=part bs=64k skip=32 count=64 2>/dev/null
	expect 0 "wrote: $(sum part)"
	expect 0 "again: $(sum part)"
}
test_read_write_fsync() { read_write ''; }
test_read_write_plain() { read_write ,async-executor=epoll; }
test_read_write_uring() { read_write ,async-executor=uring; }
test_read_write_many_queues() {
	dd if=/dev/urandom of=disk bs=1M count=4 2>/dev/null
	script <<-'END'
		ls /sys/block/vda/mq | wc -l | sed 's/^/queues: /'
		for i in 0 1 2 3; do
			(
				taskset -c $i dd if=/dev/vda of=/tmp/$i bs=64k skip=$((i * 16)) count=16 2>/dev/null
				taskset -c $i dd if=/tmp/$i of=/dev/vda bs=64k seek=$((i * 16)) conv=fsync 2>/dev/null
			) &
		done
		wait
		echo "read: $(cat /tmp/0 /tmp/1 /tmp/2 /tmp/3 | sha256sum)"
	END
	before=$(sum disk)
	guest --mem 256 --cpus 4 --block disk,queues=4 $KERNEL
	expect 0 'queues: 4'
	expect 0 "read: $before"
	[ "$(sum disk)" = "$before" ] || fail "the disk is not what it was"
}

# O_DIRECT needs a file system that has it; the disk lies on a loop device's ext4.
test_read_write_direct() {
	[ -b /dev/loop0 ] || skip "the host has no loop device"
	truncate -s 64M fs
	mke2fs -F fs >/dev/null 2>&1 || skip "no file system could be made"
	mkdir mnt
	mount -o loop fs mnt 2>/dev/null || skip "no file system could be mounted"
	dd if=/dev/urandom of=mnt/disk bs=1M count=8 2>/dev/null
	before=$(sum mnt/disk)
	script <<-'END'
		echo "read: $(sha256sum </dev/vda)"
		dd if=/dev/vda of=/tmp/part bs=1M count=4 2>/dev/null
		dd if=/tmp/part of=/dev/vda bs=1M seek=4 conv=fsync 2>/dev/null
	END
	guest --mem 256 --block mnt/disk,direct $KERNEL
	dd if=mnt/disk of=a bs=1M count=4 2>/dev/null
	dd if=mnt/disk of=b bs=1M skip=4 2>/dev/null
	umount mnt
	expect 0 "read: $before"
	cmp -s a b || fail "what was written with O_DIRECT is not there"
}

test_read_only() {
	dd if=/dev/urandom of=disk bs=1M count=1 2>/dev/null
	before=$(sum disk)
	chmod 444 disk
	script <<-'END'
		cat /sys/block/vda/ro | sed 's/^/ro: /'
		dd if=/dev/zero of=/dev/vda bs=512 count=1 conv=fsync 2>/dev/null && echo written
		echo "read: $(sha256sum </dev/vda)"
	END
	guest --mem 256 --block disk,ro $KERNEL
	expect 0 'ro: 1'
	expect 0 "read: $before"
	! grep -q '^written' out || fail "a read-only disk was written to"
	[ "$(sum disk)" = "$before" ] || fail "the file changed"
}

test_discard_shrinks_the_file() {
	dd if=/dev/urandom of=disk bs=1M count=16 2>/dev/null
	script <<-'END'
		blkdiscard -o 4194304 -l 8388608 /dev/vda && echo discarded
	END
	before=$(stat -c %b disk)
	guest --mem 256 --block disk $KERNEL
	expect 0 discarded
	after=$(stat -c %b disk)
	[ $((before - after)) -ge 16000 ] || fail "$before blocks became $after"
	[ "$(stat -c %s disk)" = 16777216 ] || fail "the file's length changed"
}

test_no_discard_unless_sparse() {
	dd if=/dev/urandom of=disk bs=1M count=1 2>/dev/null
	script <<-'END'
		cat /sys/block/vda/queue/discard_max_bytes | sed 's/^/max: /'
	END
	guest --mem 256 --block disk,sparse=false $KERNEL
	expect 0 'max: 0$'
}

test_serial_id() {
	dd if=/dev/zero of=disk bs=1M count=1 2>/dev/null
	script <<-'END'
		echo "id: $(cat /sys/block/vda/serial)."
	END
	guest --mem 256 --block disk,id=twenty-bytes-of-name $KERNEL
	expect 0 'id: twenty-bytes-of-name\.'
}

test_block_size() {
	dd if=/dev/urandom of=disk bs=1M count=1 2>/dev/null
	script <<-'END'
		cat /sys/block/vda/queue/logical_block_size | sed 's/^/block: /'
		echo "read: $(sha256sum </dev/vda)"
	END
	guest --mem 256 --block disk,block-size=4096 $KERNEL
	expect 0 'block: 4096'
	expect 0 "read: $(sum disk)"
}

# disks_in_order COUNT
disks_in_order() {
	args=
	for i in $(seq 1 "$1"); do
		printf 'disk %02d' "$i" >d$i
		truncate -s 4096 d$i
		args="$args --block d$i"
	done
	script <<-'END'
		for d in /sys/block/vd? /sys/block/vd??; do
			head -c 7 /dev/${d##*/}
			echo " ${d##*/}"
		done
	END
	# shellcheck disable=SC2086 # options
	guest --mem 256 $args $KERNEL
	expect 0
	i=1
	for d in a b c d e f g h i j k l m n o p q r s t u v w x y z aa ab ac ad ae af ag ah ai aj ak al am an; do
		[ $i -le "$1" ] || break
		grep -q "^$(printf 'disk %02d' $i) vd$d" out || fail "vd$d is not disk $i"
		i=$((i + 1))
	done
	[ $i -gt "$1" ] || fail "looked for $i disks only"
}
test_forty_disks_in_order() { disks_in_order 40; }
# As many as are served by the AIA of a host that has it.
test_twenty_disks_in_order() { disks_in_order 20; }

test_root_image() {
	RD=
	guest --mem 256 --block /images/rootfs.erofs,ro,root -p 'init=/init end=poweroff' $KERNEL
	expect 0 'mayfly guest: .* is up'
}

test_file_system_on_a_disk() {
	truncate -s 32M disk
	mke2fs -F disk >/dev/null 2>&1 || skip "no file system could be made"
	script <<-'END'
		mount /dev/vda /mnt || exit
		seq 1 20000 >/mnt/file
		mkdir /mnt/d && cp /mnt/file /mnt/d/copy
		umount /mnt
		mount /dev/vda /mnt
		cmp /mnt/file /mnt/d/copy && wc -l </mnt/d/copy | sed 's/^/lines: /'
		umount /mnt
	END
	guest --mem 256 --block disk $KERNEL
	expect 0 'lines: 20000'
}

# The host's disk is full: the guest gets an I/O error and goes on; nothing else is lost.
test_full_disk() {
	mkdir small
	mount -t tmpfs -o size=2m small small || skip "no small file system could be mounted"
	truncate -s 8M small/disk
	script <<-'END'
		dd if=/dev/urandom of=/dev/vda bs=1M count=8 conv=fsync 2>/dev/null || echo 'write failed'
		echo still here
	END
	guest --mem 256 --block small/disk,async-executor=epoll $KERNEL
	umount small
	expect 0 'write failed'
	expect 0 'still here'
}

test_entropy_device() {
	script <<-'END'
		cat /sys/class/misc/hw_random/rng_current | sed 's/^/source: /'
		dd if=/dev/hwrng of=/tmp/r bs=64 count=64 2>/dev/null
		wc -c </tmp/r | sed 's/^/bytes: /'
		xxd -p -c 16 /tmp/r | sort -u | wc -l | sed 's/^/different: /'
	END
	guest --mem 256 $KERNEL
	expect 0 'source: virtio_rng'
	expect 0 'bytes: 4096'
	expect 0 'different: 256'
	guest --mem 256 --no-rng $KERNEL
	expect 0 'source: none'
}

BLOCK="read_write_fsync read_write_plain read_write_uring read_write_many_queues
	read_write_direct read_only discard_shrinks_the_file no_discard_unless_sparse serial_id
	block_size forty_disks_in_order root_image file_system_on_a_disk full_disk entropy_device"
