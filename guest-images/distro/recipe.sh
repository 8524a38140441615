# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=bash
#
# distro: the kernel that Debian ships, for clouds where there is one, untouched, so
# that guests of mayfly need not be mayfly's own. Its drivers are modules: an archive
# of the ones a guest of mayfly wants is appended to the initramfs.
# Products: distro-IMAGE, distro-config, distro-modules.cpio.gz. IMAGE is bzImage on
# x86_64, and elsewhere Image, compressed or not, as it is shipped.

GI_DISTRO_MODULES="virtio_mmio virtio_console virtio_blk virtio_net virtio-rng virtio_balloon
	vmw_vsock_virtio_transport virtiofs erofs ext4 overlay"

# The architecture's row: flavour of the kernel, name of the product.
gi_distro_arch() {
	case $GI_ARCH in
	x86_64) GI_FLAVOUR=cloud-amd64 GI_DIMAGE=distro-bzImage ;;
	aarch64) GI_FLAVOUR=cloud-arm64 GI_DIMAGE=distro-Image ;;
	riscv64) GI_FLAVOUR=riscv64 GI_DIMAGE=distro-Image ;;
	esac
}

# Choose the image package that the meta-package stands for today.
gi_distro_package() {
	gi_distro_arch
	gi_deb_meta "linux-image-$GI_FLAVOUR$GI_OF" "linux-image-[0-9]*-$GI_FLAVOUR$GI_OF"
}

gi_distro_inputs() {
	gi_need cpio cpio
	gi_need xz xz-utils
	gi_distro_package
	gi_deb_inputs
	gi_file_inputs "$GI_HERE/lib.sh" "$GI_HERE/distro/recipe.sh"
	gi_tool_inputs cpio gzip xz
}

# gi_distro_unpack DIR: the image package's files. GI_KFILE is its kernel, GI_KMODULES
# the directory of its modules.
gi_distro_unpack() {
	gi_distro_package
	gi_deb_unpack "$1"
	GI_KFILE=$(echo "$1"/boot/vmlinu[xz]-*)
	GI_KMODULES=$(find "$1" -name modules.builtin)
	[ -e "$GI_KFILE" ] && [ -e "$GI_KMODULES" ] || gi_die "$GI_DEB_NAME has no kernel, or no modules"
	GI_KMODULES=${GI_KMODULES%/*}
}

declare -A GI_DISTRO_SEEN=()

# gi_distro_file NAME: the file of this module, or nothing. Debian's names have both
# signs where the kernel makes no difference.
gi_distro_file() { find "$GI_KMODULES" -name "${1//[-_]/[-_]}.ko*"; }

# gi_distro_order NAME...: the files of these modules and of all they depend on, in an
# order that insmod accepts.
gi_distro_order() {
	local name file says soft
	for name; do
		[ -z "${GI_DISTRO_SEEN[${name//-/_}]:-}" ] || continue
		GI_DISTRO_SEEN[${name//-/_}]=1
		file=$(gi_distro_file "$name")
		case $file in
		'')
			grep -q "/${name//[-_]/[-_]}\.ko\$" "$GI_KMODULES/modules.builtin" && continue
			gi_die "$GI_DEB_NAME has no module $name"
			;;
		*.xz)
			xz -d "$file"
			file=${file%.xz}
			;;
		esac
		# A module carries NAME=VALUE strings that end in a zero byte.
		says=$(tr '\0' '\n' <"$file" | sed -n 's/^depends=/depends /p; s/^softdep=pre: \([^:]*\)$/soft \1/p')
		# What it asks for while it starts is the name of an algorithm: any module
		# that has it will do, and the generic one is on every machine.
		for soft in $(sed -n 's/^soft //p' <<<"$says"); do
			[ -z "$(gi_distro_file "${soft}_generic")" ] || gi_distro_order "${soft}_generic"
		done
		# shellcheck disable=SC2046 # names have no blanks
		gi_distro_order $(sed -n '/^depends /{s///;y/,/ /;p}' <<<"$says")
		printf '%s\n' "$file"
	done
}

gi_distro_make() {
	local file modules=$2/root/modules
	GI_DISTRO_SEEN=()
	gi_distro_unpack "$2/deb"
	cp "$GI_KFILE" "$1/$GI_DIMAGE"
	cp "$2"/deb/boot/config-* "$1/distro-config"
	mkdir -p "$modules"
	# shellcheck disable=SC2086 # a list
	gi_distro_order $GI_DISTRO_MODULES >"$2/order"
	while read -r file; do
		install -m 644 "$file" "$modules/"
		printf '%s\n' "${file##*/}" >>"$modules/order"
	done <"$2/order"
	gi_cpio "$2/root" | gzip -9n >"$1/distro-modules.cpio.gz"
	chmod 644 "$1"/*
}
