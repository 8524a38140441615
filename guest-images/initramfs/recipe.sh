# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=bash
#
# initramfs: busybox and init. Product: initramfs.cpio.gz.
# tiny: one static program without a C library. Product: tiny.cpio.gz.

# gi_busybox_tree DIR: busybox and a link for each of its applets.
gi_busybox_tree() {
	local applet
	gi_busybox
	mkdir -p "$1/bin"
	install -m 755 "$GI_BUSYBOX" "$1/bin/busybox"
	for applet in $GI_APPLETS; do
		[ "$applet" = busybox ] || ln -s busybox "$1/bin/$applet"
	done
}

# gi_init_tree DIR: busybox, /init and what that needs, so that it starts few programs: what a
# directory and a link in the image are costs a guest nothing, a program some hundred page faults.
gi_init_tree() {
	local dir
	gi_busybox_tree "$1"
	for dir in proc sys dev tmp run root mnt etc etc/dev etc/dev/pts etc/dev/shm sbin; do
		mkdir "$1/$dir"
	done
	install -m 755 "$GI_HERE/initramfs/init" "$1/sbin/init"
	ln -s sbin/init "$1/init"
	ln -s /proc/self/fd "$1/etc/dev/fd"
	ln -s fd/0 "$1/etc/dev/stdin"
	ln -s fd/1 "$1/etc/dev/stdout"
	ln -s fd/2 "$1/etc/dev/stderr"
	cat >"$1/etc/fstab" <<-END
		proc /proc proc defaults 0 0
		sysfs /sys sysfs defaults 0 0
		devpts /dev/pts devpts defaults 0 0
		shm /dev/shm tmpfs mode=1777 0 0
		tmp /tmp tmpfs mode=1777 0 0
	END
}

gi_initramfs_inputs() {
	gi_need cpio cpio
	gi_busybox_inputs
	gi_file_inputs "$GI_HERE/lib.sh" "$GI_HERE/initramfs/recipe.sh" "$GI_HERE/initramfs/init"
	gi_tool_inputs cpio gzip
}

gi_initramfs_make() {
	gi_init_tree "$2"
	gi_cpio "$2" | gzip -9n >"$1/initramfs.cpio.gz"
}

gi_tiny_inputs() {
	gi_need cpio cpio
	gi_need_gcc
	gi_file_inputs "$GI_HERE/lib.sh" "$GI_HERE/initramfs/recipe.sh" "$GI_HERE/initramfs/tiny.c" \
		"$GI_HERE/initramfs/tiny-$GI_ARCH.inc"
	gi_tool_inputs "${GI_CROSS}gcc" "${GI_CROSS}ld" "${GI_CROSS}strip" cpio gzip
}

gi_tiny_make() {
	mkdir "$2/root"
	# One loadable page, headers included: the usual padding would be most of the file.
	"${GI_CROSS}gcc" -Os -Wall -Wextra -Werror -ffreestanding -fno-stack-protector -fno-pie \
		-fcf-protection=none -fno-asynchronous-unwind-tables -fno-ident -nostdlib -static -no-pie \
		-Wl,--build-id=none -Wl,-z,noseparate-code -Wl,-z,norelro -Wl,-z,max-page-size=4096 \
		"-DTINY_ARCH=\"tiny-$GI_ARCH.inc\"" -o "$2/root/init" "$GI_HERE/initramfs/tiny.c"
	"${GI_CROSS}strip" -s "$2/root/init"
	chmod 755 "$2/root/init"
	gi_cpio "$2/root" | gzip -9n >"$1/tiny.cpio.gz"
}
