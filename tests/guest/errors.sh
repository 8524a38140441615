# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=sh disable=SC2034,SC2154 # sourced: variables cross files
# Bad input: one line that names the option, the file and the cause, and a documented status.

test_kernel_missing() { refused 1 'KERNEL: /no/such/file: No such file' /no/such/file; }
test_kernel_not_a_kernel() { refused 1 'KERNEL: /suite/errors.sh: ' /suite/errors.sh; }
test_kernel_empty() {
	: >empty
	refused 1 'KERNEL: empty: ' empty
}
test_kernel_is_a_directory() { refused 1 'KERNEL: /images: ' /images; }

# cut_short KERNEL LENGTH...: refused, or, where only padding is gone, still boots: never loaded
# in part.
cut_short() {
	k=$1
	shift
	for n; do
		head -c "$n" "/images/$k" >short
		refused 1 'KERNEL: short: ' short
	done
}
test_kernel_cut_short() {
	# A bare Image does not say how long it is. One with an EFI header does, and what is
	# compressed ends when it is complete.
	kernels='vmlinux distro-kernel'
	if [ "$ARCH" = x86_64 ]; then
		kernels="$kernels kernel"
	else
		kernels="$kernels kernel.gz kernel.lz4 kernel.zst kernel.zboot"
		cut_short kernel 1 63
	fi
	for k in $kernels; do
		size=$(stat -Lc %s /images/$k)
		cut_short $k 1 511 512 600 1000 20000 $((size / 2)) $((size * 9 / 10))
	done
}
test_vmlinux_robbed_of_its_relocations() {
	refused 1 'KERNEL: /images/vmlinux-robbed: .*without its relocations' /images/vmlinux-robbed
}
test_kernel_too_big_for_ram() {
	refused 1 'KERNEL: /images/distro-kernel: ' --mem 16 /images/distro-kernel
	[ "$ARCH" != x86_64 ] || refused 1 'KERNEL: /images/vmlinux: ' --mem 16 /images/vmlinux
}

# Options of another architecture's machine are refused by name, not passed over.
test_options_of_other_machines() {
	if [ "$ARCH" = x86_64 ]; then
		refused 35 'dump-device-tree-blob: x86_64 machines have no device tree' \
			--dump-device-tree-blob /tmp/t/dtb $KERNEL
	else
		refused 35 "no-acpi: $ARCH machines have no ACPI" --no-acpi $KERNEL
	fi
}
test_initrd_missing() { refused 1 'initrd: nowhere: No such file' -i nowhere $KERNEL; }
test_initrd_empty() {
	: >empty
	refused 1 'initrd: empty: ' -i empty $KERNEL
}
test_initrd_does_not_fit() {
	truncate -s 300M big
	refused 1 'initrd: big: ' --mem 256 -i big $KERNEL
}
test_command_line_too_long() {
	words=$(seq 1 800 | tr '\n' ' ')
	refused 1 'params: ' -p "$words" $KERNEL
}
test_disk_missing() { refused 1 'block: nodisk: No such file' --block nodisk $KERNEL; }
test_disk_unwritable() {
	truncate -s 1M disk
	chmod 444 disk
	mkdir ro && mount -t tmpfs tmpfs ro && cp disk ro/ && mount -o remount,ro ro
	refused 1 'block: ro/disk: Read-only file system' --block ro/disk $KERNEL
	umount ro
	chmod 711 /tmp
	chmod 1777 $T
	cp disk mine
	chmod 600 mine
	as_user user "/mayfly run $MAYFLY_OPTIONS --block $T/mine $KERNEL"
	expect 1
	said 'block: /tmp/t/mine: Permission denied'
}
test_disk_of_an_odd_size() {
	truncate -s 1000 disk
	refused 1 'block: disk: ' --block disk $KERNEL
}
test_disk_empty() {
	: >disk
	refused 1 'block: disk: ' --block disk $KERNEL
}
test_disk_twice() {
	truncate -s 1M disk
	refused 1 'block: disk: ' --block disk --block disk $KERNEL
}
test_disk_is_a_directory() { refused 1 'block: /images: ' --block /images $KERNEL; }
test_usage() {
	refused 35 "'num-cores'\|num-cores" --cpus 0 $KERNEL
	refused 35 'num-cores' --cpus 65 $KERNEL
	refused 35 'cpus' --cpus many $KERNEL
	refused 35 'mem' --mem 1 $KERNEL
	refused 35 'mem' --mem 99999999999999999999 $KERNEL
	refused 35 'no-such-option' --no-such-option $KERNEL
	refused 35 'block.*colour' --block path=x,colour=red $KERNEL
	refused 35 'serial.*type' --serial type=telepathy $KERNEL
	refused 35 'KERNEL'
	LIMIT=soon refused 35 'timeout' $KERNEL
}
test_more_memory_than_there_is() {
	# Reserved, not touched: it may start; what it may not do is fail without a line.
	RD=
	LIMIT=5
	guest --mem 4194304 $KERNEL
	[ "$STATUS" != 0 ] || fail "status 0"
	[ "$(wc -l <err)" = 1 ] || fail "$(wc -l <err) lines on stderr"
}
test_no_hypervisor() {
	refused 38 '/dev/nothing: no such device' --hypervisor 'kvm[device=/dev/nothing]' $KERNEL
	refused 38 '/dev/null: is not KVM' --hypervisor 'kvm[device=/dev/null]' $KERNEL
	chmod 711 /tmp
	chmod 1777 $T
	grep -q '^nobody:' /etc/passwd || echo 'nobody:x:1001:1001::/:/bin/sh' >>/etc/passwd
	as_user nobody "/mayfly run $MAYFLY_OPTIONS $KERNEL"
	expect 38
	said '/dev/kvm: permission denied'
}
test_doctor() {
	/mayfly doctor >out 2>err || fail "status $?"
	grep -q 'ok  guest speed' out || fail "KVM is not found to run at hardware speed"
	! grep -q '^BAD' out || fail "$(grep '^BAD' out | head -n 1)"
	STATUS=0
	/mayfly doctor /dev/nothing >out 2>err || STATUS=$?
	expect 38
	grep -q '^BAD hypervisor' out || fail "the missing hypervisor is not named"
}
test_version_and_help() {
	/mayfly version | grep -q '^mayfly [0-9]' || fail "version"
	/mayfly run --help | grep -q -- '--block' || fail "help"
	/mayfly help markdown | grep -q -- '--serial' || fail "markdown"
	STATUS=0
	/mayfly nonsense >out 2>err || STATUS=$?
	expect 35
}

ERRORS="kernel_missing kernel_not_a_kernel kernel_empty kernel_is_a_directory kernel_cut_short
	kernel_too_big_for_ram options_of_other_machines initrd_missing initrd_empty initrd_does_not_fit
	command_line_too_long disk_missing disk_unwritable disk_of_an_odd_size disk_empty disk_twice
	disk_is_a_directory usage more_memory_than_there_is no_hypervisor doctor version_and_help"
[ "$ARCH" != riscv64 ] || ERRORS="$ERRORS vmlinux_robbed_of_its_relocations"
