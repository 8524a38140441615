# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=sh disable=SC2034,SC2154 # sourced: variables cross files
# Kernels of every format, CPUs, memory, how devices are found, what the kernel's log says.

UP='mayfly guest: Linux .* is up'

boots() {
	script <<-'END'
		true
	END
	guest --mem 256 "$1"
	expect 0 "$UP"
	said 'the guest powered off'
}

test_image_boots() { boots /images/kernel; }
test_vmlinux_boots() { boots /images/vmlinux; }
test_vmlinux_without_pvh_note_boots() { boots /images/vmlinux-nopvh; }
test_distribution_kernel_boots() { boots /images/distro-kernel; }
test_gzip_kernel_boots() { boots /images/kernel.gz; }
test_lz4_kernel_boots() { boots /images/kernel.lz4; }
test_zstd_kernel_boots() { boots /images/kernel.zst; }
test_efi_zboot_kernel_boots() { boots /images/kernel.zboot; }

# A stock kernel with its drivers in modules finds the devices through ACPI or the device tree.
test_distribution_kernel_uses_a_disk() {
	dd if=/dev/urandom of=disk bs=64k count=16 2>/dev/null
	script <<-'END'
		sha256sum </dev/vda
	END
	zcat /images/distro-modules.cpio.gz >modules.cpio
	cat modules.cpio initrd >both
	RD=$T/both
	guest --mem 256 --block disk /images/distro-kernel
	expect 0 "$(sha256sum <disk | cut -d' ' -f1)"
}

# The kernel's log of a machine with each kind of device: no error, no wait for what is not there.
test_log_is_clean() {
	dd if=/dev/zero of=disk bs=1M count=1 2>/dev/null
	script <<-'END'
		for d in /sys/bus/virtio/devices/*; do echo "virtio: ${d##*/}"; done
		ls -d /sys/bus/acpi/devices/LNRO0005* /sys/firmware/devicetree/base/virtio* 2>/dev/null |
			grep -c . | sed 's/^/described: /'
		cat /sys/devices/system/clocksource/clocksource0/current_clocksource
		# On the serial line each byte is an exit.
		exec 3<>/dev/hvc0
		stty raw -echo <&3
		dmesg | sed 's/^/log: /' >&3
	END
	guest --mem 256 --block disk --serial type=stdout,console \
		--serial type=file,path=log,hardware=virtio-console $KERNEL
	cat log >>out
	expect 0 'log: .*Linux version'
	expect 0 'described: 3'
	expect 0 'virtio: virtio2'
	! grep -iE 'log: .*(ACPI.*(error|warning|exception)|BIOS bug|firmware bug)' out >bad ||
		fail "ACPI: $(head -n 1 bad)"
	! grep -iE 'log: .*(call trace|bug:|lost interrupt|unable to calibrate|i8042.*(no controller|timeout)|OF: .*(fail|error|bad|invalid)|failed to (map|get|init|probe)|cannot find)' out >bad ||
		fail "$(head -n 1 bad)"
	grep -q 'log: .*crng init done' out || fail "the random generator was not ready"
	# Entropy must be there before the first program: the seed is mixed in at boot.
	ready=$(grep -n 'crng init done' out | head -n 1 | cut -d: -f1)
	init=$(grep -n 'Run /init' out | head -n 1 | cut -d: -f1)
	[ "$ready" -lt "$init" ] || fail "the random generator was ready only after init"
}

# cpus N: all come up, and each runs a program.
cpus() {
	script <<-'END'
		echo "online: $(nproc)"
		for c in $(seq 0 $(($(nproc) - 1))); do
			taskset -c "$c" sh -c 'cut -d" " -f39 /proc/self/stat'
		done | sort -un | wc -l | sed 's/^/ran on: /'
	END
	guest --mem 512 --cpus "$1" $KERNEL
	expect 0 "online: $1\$"
	expect 0 "ran on: $1\$"
}
test_one_cpu() { cpus 1; }
test_two_cpus() { cpus 2; }
test_eight_cpus() { cpus 8; }
# The kernel finds 64 and starts four of them, and then the last: on the host's one emulated
# processor the others would take a minute, in which they wait for each other. It is a
# distribution's kernel, for ours does not start CPUs later on every architecture.
test_sixty_four_cpus() {
	script <<-'END'
		cd /sys/devices/system/cpu
		echo "at first: $(cat present) $(cat online)"
		echo 1 >cpu63/online
		echo "then: $(cat online) $(nproc)"
		taskset 8000000000000000 sh -c 'echo "on: $(cut -d" " -f39 /proc/self/stat)"'
	END
	guest --mem 512 --cpus num-cores=64 -p maxcpus=4 /images/distro-kernel
	expect 0 'at first: 0-63 0-3$'
	expect 0 'then: 0-3,63 5$'
	expect 0 'on: 63$'
}

# memory MIB: the kernel's System RAM adds up to all of it but the legacy hole below 1 MiB,
# and the last page holds what is written to it.
memory() {
	script <<-'END'
		sum=0
		while IFS=' :-' read -r from to name; do
			sum=$((sum + 0x$to - 0x$from + 1))
			last=$to
		done <<-LIST
			$(grep ' : System RAM' /proc/iomem | sed 's/^ *//')
		LIST
		echo "ram: $((sum >> 10)) KiB"
		echo "last: $((0x$last >> 20))"
		awk '$1 == "MemTotal:" { print "total: " int($2 / 1024) }' /proc/meminfo
	END
	guest --mem "$1" -p quiet $KERNEL
	expect 0 'ram: '
	seen=$(sed -n 's/^ram: \([0-9]*\) KiB.*/\1/p' out)
	# A PC's kernel keeps its first page and the hole from 640 KiB to 1 MiB to itself.
	missing=$(($1 * 1024 - seen))
	most=0
	[ "$ARCH" != x86_64 ] || most=400
	[ $missing -ge 0 ] && [ $missing -le $most ] || fail "$missing KiB of $1 MiB are not RAM"
	total=$(sed -n 's/^total: \([0-9]*\).*/\1/p' out)
	# What the kernel keeps: itself and its page structures; on riscv64 also a table of 16 MiB
	# (sparse sections for 56 bits of addresses), and of all machines with RAM past 4 GiB, of which
	# 3 GiB make one there, 64 MiB to copy through (swiotlb).
	kept=16
	[ "$ARCH" != riscv64 ] || kept=32
	[ "$1" -lt 3072 ] || kept=$((kept + 64))
	[ "$total" -gt $(($1 * 96 / 100 - kept)) ] || fail "only $total MiB of $1 MiB can be used"
}
test_memory_128_mib() { memory 128; }
test_memory_3_gib() { memory 3072; }
test_memory_5_gib() { memory 5120; }

test_initrd_is_complete() {
	dd if=/dev/urandom of=rd-file bs=1M count=24 2>/dev/null
	mkdir rd
	mv rd-file rd/blob
	printf 'sha256sum </blob\n' >rd/test.sh
	(cd rd && printf "test.sh\nblob\n" | cpio -o -H newc 2>/dev/null) | gzip >rd.cpio
	cat $INITRD rd.cpio >initrd
	RD=$T/initrd
	guest --mem 256 $KERNEL
	expect 0 "$(sha256sum <rd/blob | cut -d' ' -f1)"
}

test_command_line_arrives() {
	script <<-'END'
		cat /proc/cmdline
	END
	guest --mem 256 --params 'first=1' -p "second='two words'" $KERNEL
	expect 0 "^panic=-1 console=ttyS0 .*first=1 second='two words'\$"
}

# Devices named on the command line, with an MP table for CPUs and lines.
test_without_acpi() {
	dd if=/dev/urandom of=a bs=64k count=4 2>/dev/null
	dd if=/dev/urandom of=b bs=64k count=4 2>/dev/null
	script <<-'END'
		echo "online: $(nproc)"
		sha256sum /dev/vda /dev/vdb
		dd if=/dev/hwrng bs=16 count=1 2>/dev/null | wc -c | sed 's/^/random: /'
		[ ! -d /sys/firmware/acpi/tables ] && echo 'no tables'
	END
	guest --mem 256 --cpus 2 --no-acpi --block a --block b -p end=reboot $KERNEL
	expect 32 'online: 2'
	expect 32 "$(sha256sum <a | cut -d' ' -f1)  /dev/vda"
	expect 32 "$(sha256sum <b | cut -d' ' -f1)  /dev/vdb"
	expect 32 'random: 16'
	expect 32 'no tables'
}

# More CPUs than an IOAPIC's id register could tell apart from it.
test_without_acpi_many_cpus() {
	script <<-'END'
		echo "online: $(nproc)"
		dd if=/dev/hwrng bs=16 count=1 2>/dev/null | wc -c | sed 's/^/random: /'
	END
	guest --mem 512 --cpus 18 --no-acpi -p end=reboot $KERNEL
	expect 32 'online: 18'
	expect 32 'random: 16'
}

# The dump is what the kernel was given, but for the seeds, which it wipes once it has them.
test_tree_is_dumped() {
	mkdir -p /out/fdt
	truncate -s 128K disk
	script <<-'END'
		dd if=/sys/firmware/fdt of=/dev/vda bs=64k conv=fsync 2>/dev/null
	END
	guest --mem 256 --cpus 3 --block disk --dump-tables /out/fdt \
		--dump-device-tree-blob again.dtb $KERNEL
	expect 0
	cmp -s /out/fdt/fdt.dtb again.dtb || fail "the two dumps differ"
	size=$(stat -c %s again.dtb)
	head -c "$size" disk >seen.dtb
	differ=$(cmp -l seen.dtb again.dtb | wc -l)
	[ "$differ" -gt 0 ] || fail "the kernel did not wipe its seeds"
	[ "$differ" -le 96 ] || fail "$differ of $size bytes are not what the guest was given"
}

test_tables_are_dumped() {
	mkdir -p /out/acpi
	dd if=/dev/zero of=disk bs=4k count=1 2>/dev/null
	script <<-'END'
		cd /sys/firmware/acpi/tables
		sha256sum DSDT APIC FACP
	END
	guest --mem 256 --cpus 3 --block disk --dump-tables /out/acpi $KERNEL
	expect 0
	for t in DSDT:dsdt APIC:apic FACP:facp; do
		f=$(ls /out/acpi/"${t#*:}".dat) || fail "no file for ${t%:*}"
		grep -q "$(sha256sum <"$f" | cut -d' ' -f1)  ${t%:*}" out ||
			fail "$f is not what the guest was given"
	done
}

# The clock device's time is the host's, give or take the boot.
test_clock_is_set() {
	script <<-'END'
		dmesg | sed -n 's/.*\(registered as rtc0\)/clock: \1/p'
		echo "time: $(date +%s)"
	END
	guest --mem 256 $KERNEL
	expect 0 'clock: registered as rtc0'
	seen=$(sed -n 's/^time: //p' out)
	off=$(($(date +%s) - seen))
	[ $off -ge -2 ] && [ $off -le 60 ] || fail "the guest's clock is $off s off"
}

test_ordinary_user() {
	script <<-'END'
		true
	END
	AS=user
	guest --mem 256 $KERNEL
	expect 0 "$UP"
}

BOOT="image_boots vmlinux_boots distribution_kernel_boots distribution_kernel_uses_a_disk
	log_is_clean one_cpu two_cpus eight_cpus sixty_four_cpus memory_128_mib memory_3_gib
	memory_5_gib initrd_is_complete command_line_arrives ordinary_user"
# What only some machines have: docs/testing.md says why.
if [ "$ARCH" = x86_64 ]; then
	BOOT="$BOOT vmlinux_without_pvh_note_boots without_acpi without_acpi_many_cpus
		tables_are_dumped"
else
	BOOT="$BOOT gzip_kernel_boots lz4_kernel_boots zstd_kernel_boots efi_zboot_kernel_boots
		clock_is_set tree_is_dumped"
fi
