# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=bash
#
# What every recipe shares: the cache, Debian packages as inputs, archives whose
# bytes depend on nothing but their contents.
#
# Invariants:
#  1. A product lives in CACHE/TARGET-ARCH/KEY, where KEY is the SHA-256 of the
#     text that gi_TARGET_inputs prints. That text names everything that decides
#     the product's bytes, and is kept beside it as `inputs`.
#  2. CACHE/TARGET-ARCH/KEY exists complete or not at all: it is made elsewhere
#     in the cache and renamed into place.
#  3. Nothing is installed and no file outside the cache is written.

set -euo pipefail
shopt -s inherit_errexit
export LC_ALL=C TZ=UTC
umask 022

GI_TOP=$(cd "${BASH_SOURCE[0]%/*}/.." && pwd)
# shellcheck disable=SC2034 # for the recipes
GI_HERE=$GI_TOP/guest-images
GI_SELF=${0##*/}
GI_ARCH=${GI_ARCH:-$(uname -m)}
# One second after the epoch: some tools take 0 for "not set".
GI_TIME=@1
GI_WORK=

# On a terminal the last line may be one of progress.
GI_ERASE=''
[ ! -t 2 ] || GI_ERASE=$'\r\033[K'
GI_TICKER=

gi_say() { printf '%s%s: %s\n' "$GI_ERASE" "$GI_SELF" "$*" >&2; }
gi_die() {
	gi_say "$@"
	exit 1
}

# --- the cache

gi_cache_open() {
	GI_CACHE=${MAYFLY_CACHE:-${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/mayfly}
	case $GI_CACHE in /*) ;; *) GI_CACHE=$PWD/$GI_CACHE ;; esac
	if ! mkdir -p "$GI_CACHE/apt-said" "$GI_CACHE/debs" "$GI_CACHE/locks" "$GI_CACHE/work" 2>/dev/null ||
		[ ! -w "$GI_CACHE/work" ]; then
		gi_die "cannot write the cache $GI_CACHE: set MAYFLY_CACHE to a directory of yours"
	fi
	trap gi_cleanup EXIT
	trap 'exit 130' INT TERM HUP
}

gi_cleanup() {
	gi_ticker_end
	[ -z "$GI_WORK" ] || rm -rf "$GI_WORK"
}

# --- a line of progress, on a terminal

# gi_ticker TARGET, in the background: how long it has taken, and how many files were made, sources
# not counted. It ends with who began it.
gi_ticker() {
	local begin=$SECONDS files took
	trap - EXIT
	trap 'exit 0' TERM
	[ -z "${GI_LOCK:-}" ] || exec {GI_LOCK}>&-
	while kill -0 $$ 2>/dev/null; do
		files=$(find "$GI_WORK/tmp" "$GI_WORK/out" -path '*/src' -prune -o -type f -print 2>/dev/null | wc -l)
		took=$((SECONDS - begin))
		printf '%s%s: making %s for %s: %d:%02d, %d files' "$GI_ERASE" "$GI_SELF" "$1" "$GI_ARCH" \
			$((took / 60)) $((took % 60)) "$files" >&2
		sleep 1
	done
}

gi_ticker_end() {
	[ -n "$GI_TICKER" ] || return 0
	kill "$GI_TICKER" 2>/dev/null || :
	wait "$GI_TICKER" 2>/dev/null || :
	GI_TICKER=
	printf %s "$GI_ERASE" >&2
}

# gi_key TARGET: what it is made of goes into GI_INPUTS, the digest of that into GI_KEY.
gi_key() {
	GI_INPUTS=$("gi_$1_inputs")
	GI_KEY=$(printf '%s\n' "$GI_INPUTS" | sha256sum)
	GI_KEY=${GI_KEY%% *}
}

# gi_product TARGET: make it unless it is there; its directory goes into GI_DIR.
gi_product() {
	local dir
	gi_key "$1"
	dir=$GI_CACHE/$1-$GI_ARCH/$GI_KEY
	if [ ! -d "$dir" ]; then
		# The kernel drops a lock with its holder: a killed build blocks nobody.
		exec {GI_LOCK}>"$GI_CACHE/locks/$1-$GI_ARCH"
		flock "$GI_LOCK"
		[ -d "$dir" ] || gi_make "$1" "$dir"
		exec {GI_LOCK}>&-
	fi
	# shellcheck disable=SC2034 # what the caller came for
	GI_DIR=$dir
}

# gi_make TARGET DIRECTORY, after gi_key.
gi_make() {
	gi_say "making $1 for $GI_ARCH"
	GI_WORK=$(mktemp -d "$GI_CACHE/work/$1.XXXXXX")
	chmod 755 "$GI_WORK"
	mkdir "$GI_WORK/out" "$GI_WORK/tmp" "${2%/*}" 2>/dev/null || [ -d "${2%/*}" ]
	if [ -n "$GI_ERASE" ]; then
		gi_ticker "$1" &
		GI_TICKER=$!
	fi
	"gi_$1_make" "$GI_WORK/out" "$GI_WORK/tmp"
	gi_ticker_end
	printf '%s\n' "$GI_INPUTS" >"$GI_WORK/out/inputs"
	mv -T "$GI_WORK/out" "$2"
	rm -rf "$GI_WORK"
	GI_WORK=
}

# gi_link FILE DIRECTORY: replaced in one step, for a test may be opening it.
gi_link() {
	mkdir -p "$2"
	ln -sfn "$1" "$2/.${1##*/}.$$"
	mv -T "$2/.${1##*/}.$$" "$2/${1##*/}"
}

# --- inputs

# gi_need COMMAND PACKAGE
gi_need() {
	command -v "$1" >/dev/null ||
		gi_die "$1 is missing: tools/setup --arch $GI_ARCH images, or apt-get install $2"
}

# gi_file_inputs FILE...: one line for each, named from the top of the tree.
gi_file_inputs() {
	local f sum
	for f; do
		sum=$(sha256sum <"$f")
		printf 'file %s %s\n' "${f#"$GI_TOP/"}" "${sum%% *}"
	done
}

# gi_tool_inputs COMMAND...: the first line that each says of its version.
gi_tool_inputs() {
	local t v
	for t; do
		# Some say it and then fail, for want of other arguments.
		v=$("$t" --version 2>&1 </dev/null || :)
		[ -n "$v" ] || gi_die "$t does not say its version"
		printf 'tool %s %s\n' "$t" "${v%%$'\n'*}"
	done
}

# --- architectures, by the names that uname -m has for them

# Debian's name for GI_ARCH goes into GI_DEBIAN, and into GI_OF what a package's
# name needs behind it: nothing where the package is this machine's own. GI_CROSS
# is what the compiler and its tools have before their names.
gi_arch() {
	GI_OF='' GI_CROSS=''
	case $GI_ARCH in
	x86_64) GI_DEBIAN=amd64 ;;
	aarch64) GI_DEBIAN=arm64 ;;
	riscv64) GI_DEBIAN=riscv64 ;;
	*) gi_die "no recipes for $GI_ARCH: there are x86_64, aarch64 and riscv64" ;;
	esac
	# shellcheck disable=SC2034 # for the recipes
	[ "$GI_ARCH" = "$(uname -m)" ] || GI_OF=:$GI_DEBIAN GI_CROSS=$GI_ARCH-linux-gnu-
}

# gi_need_gcc: the compiler of GI_ARCH, and the tools that come with it.
gi_need_gcc() {
	gi_need "${GI_CROSS}gcc" "gcc${GI_CROSS:+-${GI_ARCH//_/-}-linux-gnu}"
	gi_need "${GI_CROSS}ld" "binutils${GI_CROSS:+-${GI_ARCH//_/-}-linux-gnu}"
}

# The busybox that goes into images: the installed one where that is static and runs
# in the guest, else the one in the package.
gi_busybox_inputs() {
	if [ -n "$GI_OF" ]; then
		gi_deb "busybox-static$GI_OF"
		gi_deb_inputs
	else
		gi_busybox_installed
		printf 'busybox %s\n' "$(sha256sum <"$GI_BUSYBOX")"
	fi
}

gi_busybox_installed() {
	GI_BUSYBOX=$(command -v busybox) ||
		gi_die "busybox is missing: tools/setup images, or apt-get install busybox-static"
	# A dynamic program names its loader.
	if grep -q /ld-linux "$GI_BUSYBOX"; then
		gi_die "$GI_BUSYBOX is not static: apt-get install busybox-static"
	fi
}

# gi_busybox: its path goes into GI_BUSYBOX, its applets' names into GI_APPLETS.
gi_busybox() {
	local dir
	if [ -z "$GI_OF" ]; then
		gi_busybox_installed
		GI_APPLETS=$("$GI_BUSYBOX" --list)
		return
	fi
	dir=$GI_WORK/busybox
	gi_deb "busybox-static$GI_OF"
	gi_deb_unpack "$dir"
	GI_BUSYBOX=$dir/bin/busybox
	[ -e "$GI_BUSYBOX" ] || GI_BUSYBOX=$dir/usr/bin/busybox
	# It does not run here, but holds the names one after another, in order, each
	# ending in a zero byte, the first two of them "[" and "[[".
	GI_APPLETS=$(tr '\0' '\n' <"$GI_BUSYBOX" | awk '
		!done && before ~ /\[$/ && $0 == "[[" { print "["; inside = 1 }
		inside && $0 "" <= before "" && $0 != "[[" { inside = 0; done = 1 }
		inside { print }
		{ before = $0 }')
	grep -qx mount <<<"$GI_APPLETS" || gi_die "cannot find the names of the applets in $GI_DEB_NAME's busybox"
}

# --- Debian packages: downloaded and unpacked, never installed
#
# A package is named as apt does, NAME or NAME:ARCH; NAME:source is what its authors
# published, without Debian's changes. Lists of packages come in sets (GI_APT_SET),
# each with a directory in the cache but the first:
#   system  as the system is configured
#   own     the same sources and backports, in lists that any user may write
#   ARCH    packages of another architecture, from the mirrors of the system's sources
#   source  source packages, from the same mirrors

gi_apt() {
	local tool=$1 dir=$GI_CACHE/apt/$GI_APT_SET
	local -a opts=(-o APT::Sandbox::User=root)
	shift
	[ "$GI_APT_SET" = system ] || opts+=(-o "Dir::State=$dir/state" -o "Dir::State::lists=$dir/state/lists"
		-o "Dir::Cache=$dir/cache" -o "Dir::Cache::archives=$dir/cache/archives"
		-o "Dir::Etc::sourcelist=/dev/null" -o "Dir::Etc::sourceparts=$dir/sources")
	case $GI_APT_SET in
	system) ;;
	own | source) opts+=(-o Dir::State::status=/var/lib/dpkg/status) ;;
	*) opts+=(-o Dir::State::status=/dev/null -o "APT::Architecture=$GI_APT_SET"
		-o "APT::Architectures=$GI_APT_SET") ;;
	esac
	"$tool" "${opts[@]}" "$@"
}

# gi_apt_mirrors CODENAME: "SITE SUFFIX" of each of the system's sources that hold this
# release, where SUFFIX is nothing, -updates or -security. Needs no lists.
gi_apt_mirrors() {
	apt-get --print-uris update 2>/dev/null |
		sed -nE "s,^'(.*)/dists/($1|(old)?stable)(-updates|-security)?/InRelease'.*,\\1 \\4,p" || :
}

# gi_apt_update SET: bring a set of our own up to date.
gi_apt_update() {
	local GI_APT_SET=$1 dir=$GI_CACHE/apt/$1 codename release site suffix f type=deb lock asked=$EPOCHSECONDS
	local keys=/usr/share/keyrings/debian-archive-keyring.gpg
	# apt refuses to work beside another one, rather than wait. Who had to wait here has
	# fresh lists, and files of the set are replaced in one step: someone may be asking.
	exec {lock}>"$GI_CACHE/locks/apt-$1"
	flock "$lock"
	if [ "$(stat -c %Y "$dir/state/lists" 2>/dev/null || echo 0)" -ge "$asked" ]; then
		exec {lock}>&-
		return
	fi
	codename=$(. /etc/os-release && printf %s "${VERSION_CODENAME:-}")
	mkdir -p "$dir/state/lists/partial" "$dir/cache/archives/partial" "$dir/sources"
	release=$codename
	if [ "$1" = own ]; then
		for f in /etc/apt/sources.list /etc/apt/sources.list.d/*.list /etc/apt/sources.list.d/*.sources; do
			[ ! -e "$f" ] || gi_link "$f" "$dir/sources"
		done
		find "$dir/sources" -xtype l -delete
	elif [ "$codename $1" = "bookworm riscv64" ]; then
		# The first release with this architecture.
		release=trixie
	fi
	[ "$1" != source ] || type=deb-src
	gi_apt_mirrors "$codename" | while read -r site suffix; do
		if [ "$1" != own ]; then
			printf '%s [signed-by=%s] %s %s main\n' $type "$keys" "$site" "$release$suffix"
		elif [ -z "$suffix" ]; then
			printf 'deb [signed-by=%s] %s %s-backports main\n' "$keys" "$site" "$release"
		fi
	done >"$dir/sources/more.new"
	mv "$dir/sources/more.new" "$dir/sources/more.list"
	[ "$1" = own ] || [ -s "$dir/sources/more.list" ] ||
		gi_die "this system has no package source of Debian to take packages for $1 from"
	gi_say "asking the package sources what they have now for $1"
	gi_apt apt-get -qq update >/dev/null 2>&1 || :
	touch "$dir/state/lists"
	exec {lock}>&-
}

# gi_apt_show PACKAGE: what apt says of the version that it would take goes into
# GI_SHOWN, and GI_APT_SET says whose lists know it. Asking costs a second, so an
# answer is kept until the lists change.
gi_apt_show() {
	local memo lists system=/var/lib/apt/lists
	local -a order=(system own)
	[ ! "$GI_CACHE/apt/own/state/lists" -nt "$system" ] || order=(own system)
	case $1 in *:*) order=("${1#*:}") ;; esac
	for GI_APT_SET in "${order[@]}"; do
		memo=$GI_CACHE/apt-said/$GI_APT_SET-$1
		lists=$system
		[ "$GI_APT_SET" = system ] || lists=$GI_CACHE/apt/$GI_APT_SET/state/lists
		if [ ! -s "$memo" ] || [ "$lists" -nt "$memo" ]; then
			case $GI_APT_SET in
			source) gi_apt apt-cache showsrc --only-source "${1%:*}" ;;
			*) gi_apt apt-cache show --no-all-versions "$1" ;;
			esac >"$memo.$$" 2>/dev/null || :
			mv "$memo.$$" "$memo"
		fi
		GI_SHOWN=$(<"$memo")
		[ -z "$GI_SHOWN" ] || return 0
	done
}

# gi_apt_field NAME: the first word of the first such line of GI_SHOWN, or nothing.
gi_apt_field() { sed -n "/^$1: */{s///;s/[ ,(].*//;p;q}" <<<"$GI_SHOWN"; }

# gi_deb_cached PATTERN: the newest such package that an earlier run downloaded
# goes into GI_DEB_NAME, GI_DEB_VERSION and GI_DEB_SHA256, or nothing does.
gi_deb_cached() {
	local f
	f=$(find "$GI_CACHE/debs" -name "$1=*" -printf '%T@ %f\n' | sort -n | tail -n 1)
	f=${f#* }
	IFS='=' read -r GI_DEB_NAME GI_DEB_VERSION GI_DEB_SHA256 <<<"${f%.*}"
}

# gi_deb_known PACKAGE: the version that apt would take, into the same variables.
gi_deb_known() {
	gi_apt_show "$1"
	GI_DEB_NAME=$1
	GI_DEB_VERSION=$(gi_apt_field Version)
	case $1 in
	*:source)
		GI_DEB_SHA256=$(awk '/^[^ ]/ { sums = $1 == "Checksums-Sha256:" }
			sums && $3 ~ /\.orig\.tar\.[a-z0-9]*$/ && !sum { sum = $1 }
			END { print sum }' <<<"$GI_SHOWN")
		;;
	*) GI_DEB_SHA256=$(gi_apt_field SHA256) ;;
	esac
	[ -n "$GI_DEB_SHA256" ]
}

# gi_deb_behind META: the same for the package that a meta-package stands for.
gi_deb_behind() {
	local image of=''
	case $1 in *:*) of=:${1#*:} ;; esac
	gi_apt_show "$1"
	image=$(gi_apt_field Depends)
	[ -n "$image" ] && gi_deb_known "$image$of"
}

# gi_deb PACKAGE: choose its version.
gi_deb() { gi_deb_choose known "$1" "$1"; }

# gi_deb_meta META PATTERN: choose what META stands for, which PATTERN describes.
gi_deb_meta() { gi_deb_choose behind "$1" "$2"; }

# What earlier runs downloaded comes second, so that a machine without lists and
# without a network still has its images.
gi_deb_choose() {
	! "gi_deb_$1" "$2" || return 0
	gi_deb_cached "$3"
	[ -z "$GI_DEB_SHA256" ] || return 0
	case $2 in
	*:*) gi_apt_update "${2#*:}" ;;
	*) gi_apt_update own ;;
	esac
	"gi_deb_$1" "$2" || gi_die "no package source of this system has $2"
}

# gi_deb_inputs, after gi_deb.
gi_deb_inputs() { printf 'package %s %s %s\n' "$GI_DEB_NAME" "$GI_DEB_VERSION" "$GI_DEB_SHA256"; }

# gi_deb_file, after gi_deb: the package's path in the cache goes into GI_DEB.
gi_deb_file() {
	local tmp sum kind=deb
	local -a get=(download "$GI_DEB_NAME=$GI_DEB_VERSION")
	case $GI_DEB_NAME in
	*:source) kind=tar get=(source --download-only --tar-only "${GI_DEB_NAME%:*}=$GI_DEB_VERSION") ;;
	esac
	GI_DEB="$GI_CACHE/debs/$GI_DEB_NAME=$GI_DEB_VERSION=$GI_DEB_SHA256.$kind"
	[ ! -e "$GI_DEB" ] || return 0
	gi_say "downloading $GI_DEB_NAME $GI_DEB_VERSION"
	tmp=$(mktemp -d "$GI_WORK/deb.XXXXXX")
	if ! (cd "$tmp" && gi_apt apt-get -qq "${get[@]}" >/dev/null 2>log); then
		# Lists older than their mirror name packages that are gone. With fresh
		# lists the inputs are others, so the whole run starts again.
		[ "$GI_APT_SET" != system ] || GI_APT_SET=own
		case " ${GI_RETRIED:-} " in
		*" $GI_APT_SET "*) gi_die "cannot download $GI_DEB_NAME: $(tail -n 1 "$tmp/log")" ;;
		esac
		gi_apt_update "$GI_APT_SET"
		gi_cleanup
		exec {GI_LOCK}>&-
		GI_RETRIED="${GI_RETRIED:-} $GI_APT_SET" exec "$0" "${GI_ARGV[@]}"
	fi
	sum=$(cat "$tmp"/*".$kind"* | sha256sum)
	[ "${sum%% *}" = "$GI_DEB_SHA256" ] ||
		gi_die "$GI_DEB_NAME: the downloaded package is not the one that apt describes"
	# One version of a package is enough; another run may be reading the old one, which stays open.
	find "$GI_CACHE/debs" -name "$GI_DEB_NAME=*" -delete
	mv "$tmp"/*".$kind"* "$GI_DEB"
	rm -r "$tmp"
}

# gi_deb_unpack DIR, after gi_deb: the package's files.
gi_deb_unpack() {
	gi_deb_file
	mkdir -p "$1"
	case $GI_DEB in
	*.tar) tar -x -f "$GI_DEB" -C "$1" --strip-components=1 ;;
	*) dpkg-deb -x "$GI_DEB" "$1" ;;
	esac
}

# --- archives

# gi_cpio DIR: DIR as a newc archive on stdout. Order, owner, times, inode and
# device numbers are all fixed; modes are the caller's business.
gi_cpio() {
	(
		cd "$1"
		find . -depth -exec touch -h -d "$GI_TIME" {} +
		find . -mindepth 1 -print0 | sort -z | cpio --reproducible -0 -o -H newc -R 0:0 --quiet
	)
}
