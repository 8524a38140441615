# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=bash
#
# distro: the kernel that Debian ships for clouds, untouched, so that guests of
# mayfly need not be mayfly's own. Its drivers are modules: an archive of the
# ones a guest of mayfly wants is appended to the initramfs.
# Products: distro-bzImage, distro-config, distro-modules.cpio.gz.

GI_DISTRO_MODULES="virtio_mmio virtio_console virtio_blk virtio_net virtio-rng virtio_balloon
	vmw_vsock_virtio_transport virtiofs erofs overlay"

# Choose the image package that the meta-package stands for today.
gi_distro_package() {
	local meta
	case $GI_ARCH in
	x86_64) meta=linux-image-cloud-amd64 ;;
	*) gi_die "distro: no recipe for $GI_ARCH" ;;
	esac
	gi_deb_meta "$meta" "linux-image-[0-9]*-${meta#linux-image-}"
}

gi_distro_inputs() {
	gi_need cpio cpio
	gi_distro_package
	printf 'package %s %s %s\n' "$GI_DEB_NAME" "$GI_DEB_VERSION" "$GI_DEB_SHA256"
	gi_file_inputs "$GI_HERE/lib.sh" "$GI_HERE/distro/recipe.sh"
	gi_tool_inputs cpio gzip
}

# gi_distro_unpack DIR: the image package's files.
gi_distro_unpack() {
	gi_distro_package
	gi_deb_file "$GI_DEB_NAME"
	dpkg-deb -x "$GI_DEB" "$1"
}

declare -A GI_DISTRO_SEEN=()

# gi_distro_order MODULES NAME...: the files of these modules below MODULES and of
# all they depend on, in an order that insmod accepts.
gi_distro_order() {
	local dir=$1 name file dep
	shift
	for name; do
		[ -z "${GI_DISTRO_SEEN[${name//-/_}]:-}" ] || continue
		GI_DISTRO_SEEN[${name//-/_}]=1
		file=$(find "$dir" \( -name "${name//_/-}.ko" -o -name "${name//-/_}.ko" -o -name "$name.ko" \))
		if [ -z "$file" ]; then
			grep -q "/$name\.ko\$" "$dir"/modules.builtin && continue
			gi_die "$GI_DEB_NAME has no module $name"
		fi
		# A module carries NAME=VALUE strings that end in a zero byte.
		dep=$(tr '\0' '\n' <"$file" | sed -n 's/^depends=//p')
		# shellcheck disable=SC2086 # names have no blanks
		gi_distro_order "$dir" ${dep//,/ }
		printf '%s\n' "$file"
	done
}

gi_distro_make() {
	local file modules=$2/root/modules
	GI_DISTRO_SEEN=()
	gi_distro_unpack "$2/deb"
	cp "$2"/deb/boot/vmlinuz-* "$1/distro-bzImage"
	cp "$2"/deb/boot/config-* "$1/distro-config"
	mkdir -p "$modules"
	# shellcheck disable=SC2086 # a list
	gi_distro_order "$2"/deb/lib/modules/* $GI_DISTRO_MODULES >"$2/order"
	while read -r file; do
		install -m 644 "$file" "$modules/"
		printf '%s\n' "${file##*/}" >>"$modules/order"
	done <"$2/order"
	gi_cpio "$2/root" | gzip -9n >"$1/distro-modules.cpio.gz"
	chmod 644 "$1"/*
}
