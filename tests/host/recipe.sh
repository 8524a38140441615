# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=bash
#
# host: what tests/host/run boots. Debian's kernel (distro), and an initramfs that
# makes a KVM host of it. Products: host-kernel, host.cpio (not compressed: the
# emulated CPU would spend longer on unpacking it than QEMU on copying it).
#
# emulator: a QEMU newer than the release's, for architectures whose hosts it makes faster.
# Product: qemu-system-ARCH, which loads the libraries that the release's own QEMU brought.

gi_host_arch() {
	# Loaded at boot, in this order; the others wait in /modules for --module.
	case $GI_ARCH in
	x86_64) GI_HOST_BOOT="virtio_pci virtio_console kvm-amd" ;;
	aarch64 | riscv64) GI_HOST_BOOT="virtio_mmio virtio_console kvm" ;;
	esac
	GI_HOST_MORE="virtio_blk virtio_rng erofs ext4 overlay loop tun vhost_net vhost_vsock"
	# For what tests/peers gives a host.
	[ "$GI_ARCH" != x86_64 ] || GI_HOST_MORE+=" virtiofs vmw_vsock_virtio_transport"
}

gi_host_inputs() {
	gi_host_arch
	gi_distro_inputs
	gi_need "${GI_CROSS}strip" "binutils${GI_CROSS:+-${GI_ARCH//_/-}-linux-gnu}"
	gi_need lz4 lz4
	gi_busybox_inputs
	gi_file_inputs "$GI_HERE/initramfs/recipe.sh" "$GI_TOP/tests/host/recipe.sh" "$GI_TOP/tests/host/init"
	gi_tool_inputs "${GI_CROSS}strip" lz4
}

# gi_host_kernel IMAGE SCRATCH OUT: the kernel inside a bzImage, which QEMU enters
# through its PVH note: an emulated CPU takes a second to unpack and relocate it.
# Elsewhere what Debian ships is not compressed.
gi_host_kernel() {
	local at=''
	# The magic of the LZ4 frame; the length behind the frame makes lz4 complain.
	[ "$GI_ARCH" != x86_64 ] || at=$(grep -aboP -m 1 '\x02\x21\x4c\x18' "$1" | head -n 1) || :
	if [ -n "$at" ] && { tail -c +$((${at%%:*} + 1)) "$1" | lz4 -dc >"$2" 2>/dev/null || :; } &&
		strip -o "$3" "$2" 2>/dev/null; then
		return
	fi
	cp "$1" "$3"
}

gi_host_make() {
	local out=$1 root=$2/root file name list
	gi_host_arch
	gi_distro_unpack "$2/deb"
	gi_host_kernel "$GI_KFILE" "$2/elf" "$out/host-kernel"
	mkdir -p "$root/modules"
	gi_busybox_tree "$root"
	install -m 755 "$GI_TOP/tests/host/init" "$root/init"
	for name in boot $GI_HOST_MORE; do
		# shellcheck disable=SC2034 # gi_distro_order keeps it
		GI_DISTRO_SEEN=()
		list=$name
		[ "$name" != boot ] || list=$GI_HOST_BOOT
		# It asks for its checksum by a name that no dependency tells.
		[ "$name" != ext4 ] || list="crc32c_generic ext4"
		# shellcheck disable=SC2086 # a list
		gi_distro_order $list >"$2/order"
		sed 's|.*/||' "$2/order" >"$root/modules/$name.order"
		while read -r file; do
			# Without its signature, which takes an emulated CPU long to verify.
			"${GI_CROSS}strip" --strip-debug -o "$root/modules/${file##*/}" "$file"
		done <"$2/order"
	done
	chmod 644 "$root"/modules/* "$out/host-kernel"
	gi_cpio "$root" >"$out/host.cpio"
}

# The package goes into GI_EMULATOR. QEMU before 8.1 drops all of a riscv64 CPU's translations
# whenever the kernel opens or closes its window on user memory: hosts take twice as long with it.
# An aarch64 host takes an eighth longer with 7.2 than with 10.0, and an x86_64 host a fifth less.
gi_emulator_package() {
	case $GI_ARCH in
	aarch64) GI_EMULATOR=qemu-system-arm ;;
	riscv64) GI_EMULATOR=qemu-system-riscv ;;
	*) gi_die "the release's own QEMU serves for $GI_ARCH" ;;
	esac
}

# gi_emulator_deb: the newest version that the release or its backports have, where that is new
# enough; apt itself would take the release's.
gi_emulator_deb() {
	gi_emulator_package
	local lists=$GI_CACHE/apt/own/state/lists memo=$GI_CACHE/apt-said/newest-$GI_EMULATOR
	# shellcheck disable=SC2034 # gi_apt and gi_deb_file take it
	GI_APT_SET=own
	[ -d "$lists" ] || gi_apt_update own
	# Asking costs a second, so an answer is kept until the lists change.
	if [ ! -s "$memo" ] || [ "$lists" -nt "$memo" ]; then
		gi_apt apt-cache show "$GI_EMULATOR" 2>/dev/null | awk '/^$/ { done = 1 } !done' >"$memo.$$"
		mv "$memo.$$" "$memo"
	fi
	# shellcheck disable=SC2034 # gi_apt_field takes it
	GI_SHOWN=$(<"$memo")
	# shellcheck disable=SC2034 # as above
	GI_DEB_NAME=$GI_EMULATOR
	GI_DEB_VERSION=$(gi_apt_field Version)
	GI_DEB_SHA256=$(gi_apt_field SHA256)
	# What an earlier run downloaded serves where no list does.
	[ -n "$GI_DEB_SHA256" ] || gi_deb_cached "$GI_EMULATOR"
	dpkg --compare-versions "$GI_DEB_VERSION" ge 1:8.1 ||
		gi_die "no package source of this system has a newer $GI_EMULATOR than ${GI_DEB_VERSION:-none}"
}

gi_emulator_inputs() {
	gi_emulator_deb
	gi_deb_inputs
	gi_file_inputs "$GI_TOP/tests/host/recipe.sh"
}

gi_emulator_make() {
	gi_emulator_deb
	gi_deb_unpack "$2/from"
	"$2/from/usr/bin/qemu-system-$GI_ARCH" --version >/dev/null 2>&1 ||
		gi_die "$GI_EMULATOR $GI_DEB_VERSION does not run here"
	cp "$2/from/usr/bin/qemu-system-$GI_ARCH" "$1/"
}
