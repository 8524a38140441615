# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=bash
#
# The guest kernel: Debian's linux-source, allnoconfig plus the fragments here.
# Products: bzImage on x86_64, Image elsewhere (not compressed); vmlinux (stripped; the
# PVH note stays); config.

GI_KERNEL_PACKAGE=linux-source-6.12

# The architecture's row: the kernel's name for it, the image to build.
gi_kernel_arch() {
	case $GI_ARCH in
	x86_64) GI_KARCH=x86 GI_KIMAGE=arch/x86/boot/bzImage ;;
	aarch64) GI_KARCH=arm64 GI_KIMAGE=arch/arm64/boot/Image ;;
	riscv64) GI_KARCH=riscv GI_KIMAGE=arch/riscv/boot/Image ;;
	esac
}

# The fragments as one list, the last setting of each symbol.
gi_kernel_symbols() {
	awk '/^(# )?CONFIG_/ {
		s = $1 == "#" ? $2 : $1
		sub(/=.*/, "", s)
		if (!(s in v)) order[++n] = s
		v[s] = $0
	}
	END { for (i = 1; i <= n; i++) print v[order[i]] }' \
		"$GI_HERE/kernel/common.config" "$GI_HERE/kernel/$GI_ARCH.config"
}

gi_kernel_inputs() {
	local t
	gi_kernel_arch
	gi_need_gcc
	for t in make:make gcc:gcc ld:binutils bison:bison flex:flex bc:bc lz4:lz4 xz:xz-utils gzip:gzip; do
		gi_need "${t%:*}" "${t#*:}"
	done
	echo '#include <gelf.h>' | gcc -E -o /dev/null - 2>/dev/null ||
		gi_die "gelf.h is missing: tools/setup build, or apt-get install libelf-dev"
	gi_deb "$GI_KERNEL_PACKAGE"
	printf 'package %s %s %s\n' "$GI_KERNEL_PACKAGE" "$GI_DEB_VERSION" "$GI_DEB_SHA256"
	gi_file_inputs "$GI_HERE/kernel/recipe.sh"
	gi_tool_inputs "${GI_CROSS}gcc" "${GI_CROSS}ld" "${GI_CROSS}strip" bison flex make lz4 gzip
	# Symbols, not files: a comment that changes does not cost a kernel.
	gi_kernel_symbols
}

# gi_kernel_mk SOURCE OBJECTS ARGS...
gi_kernel_mk() {
	local src=$1 obj=$2 map
	shift 2
	map="-ffile-prefix-map=$src=. -ffile-prefix-map=$obj=."
	# rustc, bindgen and pahole are asked for their versions, which end up in the
	# configuration that the kernel carries: there are none.
	make -s -C "$src" O="$obj" ARCH="$GI_KARCH" CROSS_COMPILE="$GI_CROSS" \
		RUSTC=no-rustc BINDGEN=no-bindgen PAHOLE=no-pahole \
		KBUILD_BUILD_TIMESTAMP='1970-01-01 00:00:01' KBUILD_BUILD_VERSION=1 \
		KBUILD_BUILD_USER=mayfly KBUILD_BUILD_HOST=mayfly \
		KCFLAGS="$map" KAFLAGS="$map" "$@"
}

# Every symbol that was asked for, and is not what was asked.
gi_kernel_refused() {
	awk 'function name(s) { sub(/=.*/, "", s); return s }
	NR == FNR { if (/^CONFIG_/) got[name($0)] = $0; next }
	/^# CONFIG_/ { if ($2 in got) print $2 }
	/^CONFIG_/ { n = name($0); if (/=n$/ ? n in got : got[n] != $0) print n }' "$1" "$2"
}

gi_kernel_make() {
	local out=$1 tmp=$2 src obj log refused
	gi_kernel_arch
	gi_deb "$GI_KERNEL_PACKAGE"
	gi_deb_file "$GI_KERNEL_PACKAGE"
	src=$tmp/src obj=$tmp/obj log=$tmp/log
	mkdir "$src" "$obj"
	dpkg-deb --fsys-tarfile "$GI_DEB" | tar -xO "./usr/src/$GI_KERNEL_PACKAGE.tar.xz" |
		tar -xJ -C "$src" --strip-components=1
	gi_kernel_symbols >"$tmp/symbols"
	KCONFIG_ALLCONFIG="$tmp/symbols" gi_kernel_mk "$src" "$obj" allnoconfig >"$log" 2>&1 ||
		gi_kernel_fail "$log"
	refused=$(gi_kernel_refused "$obj/.config" "$tmp/symbols")
	[ -z "$refused" ] || gi_die "kernel: this source does not take ${refused//$'\n'/ }"
	gi_kernel_mk "$src" "$obj" -j"${MAYFLY_JOBS:-$(nproc)}" "${GI_KIMAGE##*/}" vmlinux >"$log" 2>&1 ||
		gi_kernel_fail "$log"
	cp "$obj/$GI_KIMAGE" "$out/"
	cp "$obj/.config" "$out/config"
	"${GI_CROSS}strip" -o "$out/vmlinux" "$obj/vmlinux"
	chmod 644 "$out"/*
}

gi_kernel_fail() {
	tail -n 40 "$1" >&2
	cp "$1" "$GI_CACHE/kernel-failed.log"
	gi_die "kernel: the build failed (all of its log: $GI_CACHE/kernel-failed.log)"
}
