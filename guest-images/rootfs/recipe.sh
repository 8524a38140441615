# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=bash
#
# rootfs: busybox as a read-only root file system, for root=/dev/vda.
# Product: rootfs.erofs.

# Two images of the same files are the same bytes, so their UUID is fixed too.
GI_ROOTFS_UUID=6d617966-6c79-4f00-8000-000000000001

gi_rootfs_inputs() {
	gi_need mkfs.erofs erofs-utils
	gi_busybox_inputs
	gi_file_inputs "$GI_HERE/lib.sh" "$GI_HERE/initramfs/recipe.sh" "$GI_HERE/initramfs/init" \
		"$GI_HERE/rootfs/recipe.sh"
	# It does not say its version before it has made an image.
	printf 'tool mkfs.erofs %s\n' "$(sha256sum <"$(command -v mkfs.erofs)")"
}

gi_rootfs_make() {
	local root=$2/root
	mkdir "$root"
	gi_init_tree "$root"
	printf 'root:x:0:0:root:/root:/bin/sh\n' >"$root/etc/passwd"
	printf 'root:x:0:\n' >"$root/etc/group"
	# The variable would count for more than the option.
	env -u SOURCE_DATE_EPOCH mkfs.erofs -T0 -U "$GI_ROOTFS_UUID" --all-root "$1/rootfs.erofs" "$root" >/dev/null
}
