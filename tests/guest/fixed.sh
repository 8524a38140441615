# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=sh disable=SC2034,SC2154 # sourced: variables cross files
# What guests see under --deterministic and its single options.

FIXED_START=315532800

# Everything that describes the machine, twice, from different places.
test_tables_are_the_same_in_each_run() {
	truncate -s 64k disk
	mkdir one two
	(
		cd one || exit 1
		/mayfly run --deterministic --cpus 2 --block ../disk --dump-tables . --print-hash \
			--initrd $INITRD $KERNEL >digest
	) 2>err || fail "a machine is not described"
	(
		cd two || exit 1
		TZ=Asia/Tokyo /mayfly run --deterministic --cpus 2 --block "$T/disk" --dump-tables "$T/two" \
			--print-hash --initrd $INITRD $KERNEL >digest
	) 2>err || fail "a machine is not described again"
	[ "$(find one -type f | wc -l)" -gt 1 ] || fail "no tables were written"
	diff -r one two >out || fail "two runs differ"
	grep -qE '^[0-9a-f]{64}$' one/digest || fail "'$(cat one/digest)' is no digest"
}

test_hash_knows_what_differs() {
	digest() { /mayfly run --print-hash --initrd $INITRD "$@" $KERNEL 2>>err || fail "no hash of $*"; }
	[ "$(digest --vsock cid=3,socket=v)" != "$(digest --vsock cid=4,socket=v)" ] ||
		fail "the hash does not know of cid"
	[ ! -e v ] || fail "a socket was made"
	one=$(digest)
	[ "$(digest)" = "$one" ] || fail "the hash of the same machine is another one"
	for other in '--mem 512' '--cpus 2' '--params x' '--clock 5' '--seed y' '--no-rng' '--deterministic'; do
		# shellcheck disable=SC2086 # words
		[ "$(digest $other)" != "$one" ] || fail "the hash does not know of $other"
	done
}

# The clock, the seeds, the CPU and a disk's id, as programs in the guest see them.
test_deterministic_guest_sees_fixed_things() {
	truncate -s 64k disk
	script <<-'END'
		echo "time: $(date +%s)"
		cat /proc/cpuinfo | sed 's/^/cpu: /'
		echo "id: $(cat /sys/block/vda/serial)"
		echo "entropy devices: $(ls -d /sys/bus/virtio/drivers/virtio_rng/virtio* 2>/dev/null | grep -c .)"
	END
	guest --deterministic --mem 256 --block disk $KERNEL
	expect 0 "entropy devices: 0"
	seen=$(sed -n 's/^time: //p' out)
	[ "$seen" -ge $FIXED_START ] && [ "$seen" -lt $((FIXED_START + LIMIT)) ] ||
		fail "the guest's time is $seen"
	[ "$ARCH" != x86_64 ] || expect 0 'cpu: model name.*: mayfly baseline'
	id=$(sed -n 's/^id: //p' out)
	guest --deterministic --mem 256 --block "$T/disk" $KERNEL
	expect 0 "^id: $id\$"
	[ ${#id} = 20 ] || fail "the disk's id is '$id'"
}

test_clock_begins_where_it_is_told() {
	script <<-'END'
		echo "time: $(date +%s)"
	END
	guest --clock 1000000000 --mem 256 $KERNEL
	expect 0
	seen=$(sed -n 's/^time: //p' out)
	[ "$seen" -ge 1000000000 ] && [ "$seen" -lt $((1000000000 + LIMIT)) ] ||
		fail "the guest's time is $seen"
}

FIXED="tables_are_the_same_in_each_run hash_knows_what_differs
	deterministic_guest_sees_fixed_things clock_begins_where_it_is_told"
