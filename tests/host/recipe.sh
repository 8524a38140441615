# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=bash
#
# host: what tests/host/run boots. Debian's cloud kernel, and an initramfs that
# makes a KVM host of it. Products: host-kernel, host.cpio (not compressed: the
# emulated CPU would spend longer on unpacking it than QEMU on copying it).

gi_host_arch() {
	# Loaded at boot, in this order; the others wait in /modules for --module.
	case $GI_ARCH in
	x86_64)
		GI_HOST_BOOT="virtio_pci virtio_console kvm-amd"
		GI_HOST_MORE="virtio_blk erofs overlay loop tun vhost_net vhost_vsock"
		;;
	*) gi_die "host: no recipe for $GI_ARCH" ;;
	esac
}

gi_host_inputs() {
	gi_host_arch
	gi_distro_inputs
	gi_need strip binutils
	gi_need lz4 lz4
	gi_busybox
	printf 'busybox %s\n' "$(sha256sum <"$GI_BUSYBOX")"
	gi_file_inputs "$GI_HERE/initramfs/recipe.sh" "$GI_TOP/tests/host/recipe.sh" "$GI_TOP/tests/host/init"
	gi_tool_inputs strip lz4
}

# gi_host_kernel IMAGE SCRATCH OUT: the kernel inside a bzImage, which QEMU enters
# through its PVH note: an emulated CPU takes a second to unpack and relocate it.
gi_host_kernel() {
	local at
	# The magic of the LZ4 frame; the length behind the frame makes lz4 complain.
	at=$(grep -aboP -m 1 '\x02\x21\x4c\x18' "$1" | head -n 1) || :
	if [ -n "$at" ] && { tail -c +$((${at%%:*} + 1)) "$1" | lz4 -dc >"$2" 2>/dev/null || :; } &&
		strip -o "$3" "$2" 2>/dev/null; then
		return
	fi
	cp "$1" "$3"
}

gi_host_make() {
	local out=$1 root=$2/root file name list modules
	gi_host_arch
	gi_distro_unpack "$2/deb"
	modules=$(echo "$2"/deb/lib/modules/*)
	gi_host_kernel "$2"/deb/boot/vmlinuz-* "$2/elf" "$out/host-kernel"
	mkdir -p "$root/modules"
	gi_busybox_tree "$root"
	install -m 755 "$GI_TOP/tests/host/init" "$root/init"
	for name in boot $GI_HOST_MORE; do
		# shellcheck disable=SC2034 # gi_distro_order keeps it
		GI_DISTRO_SEEN=()
		list=$name
		[ "$name" != boot ] || list=$GI_HOST_BOOT
		# shellcheck disable=SC2086 # a list
		gi_distro_order "$modules" $list >"$2/order"
		sed 's|.*/||' "$2/order" >"$root/modules/$name.order"
		while read -r file; do
			# Without its signature, which takes an emulated CPU long to verify.
			strip --strip-debug -o "$root/modules/${file##*/}" "$file"
		done <"$2/order"
	done
	chmod 644 "$root"/modules/* "$out/host-kernel"
	gi_cpio "$root" >"$out/host.cpio"
}
