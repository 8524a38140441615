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
	gi_busybox
	printf 'busybox %s\n' "$(sha256sum <"$GI_BUSYBOX")"
	gi_file_inputs "$GI_HERE/initramfs/recipe.sh" "$GI_TOP/tests/host/recipe.sh" "$GI_TOP/tests/host/init"
	gi_tool_inputs strip
}

gi_host_make() {
	local out=$1 root=$2/root file name list modules
	gi_host_arch
	gi_distro_unpack "$2/deb"
	modules=$(echo "$2"/deb/lib/modules/*)
	cp "$2"/deb/boot/vmlinuz-* "$out/host-kernel"
	mkdir -p "$root/modules"
	gi_busybox_tree "$root"
	install -m 755 "$GI_TOP/tests/host/init" "$root/init"
	for name in boot $GI_HOST_MORE; do
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
