# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=bash
#
# sysroot: what the monitor and its tests link, for a compiler that builds for another
# architecture: headers and static libraries from Debian's -dev packages, and the kernel's
# headers of the same release, for liburing's need those. cmocka has no static library
# there, so that one is compiled here.
# Product: sysroot, with include/ and lib/, for -isystem and -L. The C library is the
# compiler's own; Debian 12's for riscv64 links -static, but has no -static-pie.

GI_SYSROOT_PACKAGES="linux-libc-dev liburing-dev libfdt-dev zlib1g-dev liblz4-dev libxxhash-dev libzstd-dev"
GI_SYSROOT_LIBS="uring fdt z lz4 zstd"

gi_sysroot_inputs() {
	local name
	gi_need_gcc
	gi_need xz xz-utils
	for name in $GI_SYSROOT_PACKAGES; do
		gi_deb "$name$GI_OF"
		gi_deb_inputs
	done
	gi_deb cmocka:source
	gi_deb_inputs
	gi_file_inputs "$GI_HERE/lib.sh" "$GI_HERE/sysroot/recipe.sh"
	gi_tool_inputs "${GI_CROSS}gcc" "${GI_CROSS}ar"
}

gi_sysroot_make() {
	local name sysroot=$1/sysroot from=$2/from/usr
	mkdir -p "$sysroot/include" "$sysroot/lib"
	for name in $GI_SYSROOT_PACKAGES; do
		gi_deb "$name$GI_OF"
		gi_deb_unpack "$2/from"
	done
	# Packages for several architectures have a directory for each, some with links.
	cp -RL "$from/include/$GI_ARCH-linux-gnu/." "$sysroot/include/"
	rm -rf "$from"/include/*-linux-*
	cp -R "$from/include/." "$sysroot/include/"
	for name in $GI_SYSROOT_LIBS; do
		cp "$from/lib/$GI_ARCH-linux-gnu/lib$name.a" "$sysroot/lib/"
	done
	# Debian 13's lz4 leaves its checksums to another library: they become one again.
	printf '%s\n' "OPEN $sysroot/lib/liblz4.a" "ADDLIB $from/lib/$GI_ARCH-linux-gnu/libxxhash.a" SAVE END |
		"${GI_CROSS}ar" -M
	gi_deb cmocka:source
	gi_deb_unpack "$2/cmocka"
	gi_sysroot_cmocka "$2/cmocka" "$2/cmocka.o"
	"${GI_CROSS}ar" rcD "$sysroot/lib/libcmocka.a" "$2/cmocka.o"
	cp "$2/cmocka/include/cmocka.h" "$sysroot/include/"
}

# gi_sysroot_cmocka SOURCE OBJECT: cmocka is one file; this is what its own build would
# find out about glibc.
gi_sysroot_cmocka() {
	local name
	local -a has=()
	for name in CLOCK_REALTIME GCC_THREAD_LOCAL_STORAGE INTTYPES_H MALLOC_H SIGLONGJMP SIGNAL_H SNPRINTF \
		STRINGS_H STRSIGNAL STRUCT_TIMESPEC VSNPRINTF; do
		has+=("-DHAVE_$name=1")
	done
	"${GI_CROSS}gcc" -O2 -fPIE -D_GNU_SOURCE "${has[@]}" "-ffile-prefix-map=$1=cmocka" "-I$1/include" \
		-c -o "$2" "$1/src/cmocka.c"
}
