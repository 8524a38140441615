# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=bash
#
# peer: QEMU of another architecture, as the distribution ships it, for tests/bench to run
# in that architecture's emulated host. The packages that apt would install on an empty
# system are downloaded; what goes in is the program and the libraries that it names.
# Products: peer.erofs, with usr/bin and usr/lib, to be mounted; peer.facts, its version and
# sizes in bytes, "KEY VALUE".

# gi_peer_package: the package's name goes into GI_PEER.
gi_peer_package() {
	case $GI_ARCH in
	x86_64) GI_PEER=qemu-system-x86 ;;
	aarch64) GI_PEER=qemu-system-arm ;;
	riscv64) GI_PEER=qemu-system-riscv ;;
	esac
	[ -n "$GI_OF" ] || gi_die "peer is for other architectures: this machine's QEMU can be installed"
}

# What the installation would bring but a program does not load.
GI_PEER_NOT='-(common|data|bin|db|base|config)$|^(libpam|libsemanage|libsepol|libdebconf|libcap2-bin)'

# gi_peer_closure: names of the packages, one a line, on stdout. apt thinks about it for
# seconds, so its answer is kept until its lists change. What it says of each package is
# asked for at once, for the same reason.
gi_peer_closure() {
	# shellcheck disable=SC2034 # gi_apt reads it
	local GI_APT_SET=$GI_DEBIAN memo=$GI_CACHE/apt-said/$GI_DEBIAN-closure-$GI_PEER
	local lists=$GI_CACHE/apt/$GI_DEBIAN/state/lists
	[ -s "$memo" ] || [ -d "$lists" ] || gi_apt_update "$GI_DEBIAN"
	if [ ! -s "$memo" ] || [ "$lists" -nt "$memo" ]; then
		gi_apt apt-get -s --no-install-recommends install "$GI_PEER" 2>/dev/null |
			awk -v not="$GI_PEER_NOT" '$1 == "Inst" && $2 !~ not && $2 ~ /^(lib|zlib|qemu-system-[^dc])/ { print $2 }' |
			sort >"$memo.$$" || :
		[ -s "$memo.$$" ] || gi_die "no package source of this system has $GI_PEER for $GI_ARCH"
		# shellcheck disable=SC2046 # names have no blanks
		gi_apt apt-cache show --no-all-versions $(<"$memo.$$") 2>/dev/null |
			awk -v RS= -v to="$GI_CACHE/apt-said/$GI_DEBIAN-" -v of=":$GI_DEBIAN" '
				{ name = $0; sub(/^Package: */, "", name); sub(/\n.*/, "", name)
				  file = to name of; print >file; close(file) }'
		mv "$memo.$$" "$memo"
	fi
	cat "$memo"
}

gi_peer_inputs() {
	local name names
	gi_need mkfs.erofs erofs-utils
	gi_need "${GI_CROSS}readelf" "binutils-${GI_ARCH//_/-}-linux-gnu"
	gi_peer_package
	names=$(gi_peer_closure)
	for name in $names; do
		gi_deb "$name$GI_OF"
		gi_deb_inputs
	done
	gi_file_inputs "$GI_HERE/lib.sh" "$GI_TOP/tests/bench/recipe.sh"
	gi_tool_inputs mkfs.erofs "${GI_CROSS}readelf"
}

# gi_peer_take TREE TO FILE: copies a program or library, and all it names, into TO/usr.
gi_peer_take() {
	local need found
	for need in $("${GI_CROSS}readelf" -dl "$3" |
		sed -n 's/.*Shared library: \[\(.*\)\]/\1/p; s/.*interpreter: \(.*\)\]/\1/p'); do
		case $need in
		/*)
			# The loader, at its own place; /lib is a link into /usr.
			[ ! -e "$2/usr${need#/usr}" ] || continue
			found=$(find "$1" -name "${need##*/}" | sort | head -n 1)
			[ -n "$found" ] || gi_die "no package has the loader $need"
			mkdir -p "$2/usr/lib"
			cp -L "$(gi_peer_inside "$1" "$found")" "$2/usr${need#/usr}"
			continue
			;;
		esac
		[ ! -e "$2/usr/lib/$GI_ARCH-linux-gnu/$need" ] || continue
		found=$(find "$1" -name "$need" | sort | head -n 1)
		[ -n "$found" ] || gi_die "no package has ${3##*/}'s $need"
		cp -L "$(gi_peer_inside "$1" "$found")" "$2/usr/lib/$GI_ARCH-linux-gnu/$need"
		gi_peer_take "$1" "$2" "$2/usr/lib/$GI_ARCH-linux-gnu/$need"
	done
}

# gi_peer_inside TREE FILE: what FILE is, where an absolute link starts at TREE.
gi_peer_inside() {
	local to
	to=$(readlink "$2") || to=''
	case $to in
	/*) printf '%s\n' "$1$to" ;;
	*) printf '%s\n' "$2" ;;
	esac
}

gi_peer_make() {
	local name names root=$2/root program
	gi_peer_package
	names=$(gi_peer_closure)
	for name in $names; do
		gi_deb "$name$GI_OF"
		gi_deb_unpack "$2/from"
		if [ "$name" = "$GI_PEER" ]; then printf 'version %s\n' "$GI_DEB_VERSION" >"$1/peer.facts"; fi
	done
	program=usr/bin/qemu-system-$GI_ARCH
	[ -x "$2/from/$program" ] || gi_die "$GI_PEER has no $program"
	mkdir -p "$root/usr/bin" "$root/usr/lib/$GI_ARCH-linux-gnu"
	cp "$2/from/$program" "$root/usr/bin/"
	gi_peer_take "$2/from" "$root" "$root/$program"
	printf 'size %s\nlibraries %s\n' "$(stat -c %s "$root/$program")" \
		"$(find "$root/usr/lib" -type f -printf '%s\n' | awk '{ n += $1 } END { print n }')" >>"$1/peer.facts"
	find "$root" -exec touch -h -d "$GI_TIME" {} +
	mkfs.erofs -T 1 -U 00000000-0000-0000-0000-000000000001 --all-root "$1/peer.erofs" "$root" >"$2/log" 2>&1 ||
		gi_die "mkfs.erofs: $(tail -n 1 "$2/log")"
}
