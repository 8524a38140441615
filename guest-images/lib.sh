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

gi_say() { printf '%s: %s\n' "$GI_SELF" "$*" >&2; }
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

gi_cleanup() { [ -z "$GI_WORK" ] || rm -rf "$GI_WORK"; }

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
	"gi_$1_make" "$GI_WORK/out" "$GI_WORK/tmp"
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
	command -v "$1" >/dev/null || gi_die "$1 is missing: tools/setup build, or apt-get install $2"
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

# The busybox that goes into images: the installed one where it is static.
gi_busybox() {
	GI_BUSYBOX=$(command -v busybox) || gi_die "busybox is missing: tools/setup build, or apt-get install busybox-static"
	# A dynamic program names its loader.
	if grep -q /ld-linux "$GI_BUSYBOX"; then
		gi_die "$GI_BUSYBOX is not static: apt-get install busybox-static"
	fi
}

# --- Debian packages: downloaded and unpacked, never installed

# gi_apt COMMAND ARGS...: as the system is configured, or on lists of our own
# (GI_APT_OWN=1) that any user may write and that also hold backports.
gi_apt() {
	local tool=$1 own=$GI_CACHE/apt
	local -a opts=(-o APT::Sandbox::User=root)
	shift
	[ -z "${GI_APT_OWN:-}" ] || opts+=(-o "Dir::State=$own/state" -o "Dir::Cache=$own/cache"
		-o Dir::State::status=/var/lib/dpkg/status
		-o "Dir::Etc::sourcelist=/dev/null" -o "Dir::Etc::sourceparts=$own/sources")
	"$tool" "${opts[@]}" "$@"
}

# Bring our own lists up to date: the system's sources, and backports beside them.
gi_apt_update() {
	local own=$GI_CACHE/apt f site codename
	mkdir -p "$own/state/lists/partial" "$own/cache/archives/partial" "$own/sources"
	rm -f "$own/sources/"*
	for f in /etc/apt/sources.list /etc/apt/sources.list.d/*.list /etc/apt/sources.list.d/*.sources; do
		[ ! -e "$f" ] || ln -sf "$f" "$own/sources/"
	done
	[ ! -e "$own/sources/sources.list" ] || mv "$own/sources/sources.list" "$own/sources/system.list"
	codename=$(. /etc/os-release && printf %s "${VERSION_CODENAME:-}")
	# shellcheck disable=SC2016 # apt's variables
	site=$(GI_APT_OWN=1 gi_apt apt-get indextargets --format '$(REPO_URI) $(CODENAME) $(SUITE)' 2>/dev/null |
		awk -v c="$codename" '$2 == c || $3 == c { print $1; exit }' || :)
	[ -z "$site" ] || printf 'deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] %s %s-backports main\n' \
		"$site" "$codename" >"$own/sources/backports.list"
	gi_say "asking the package sources what they have now"
	GI_APT_OWN=1 gi_apt apt-get -qq update >/dev/null 2>&1 || :
	touch "$own/state/lists"
}

# gi_apt_show PACKAGE: what apt says of the version that it would take goes into
# GI_SHOWN, and GI_APT_OWN says whose lists know it. Asking costs a second, so an
# answer is kept until the lists change.
gi_apt_show() {
	local memo lists=/var/lib/apt/lists own=$GI_CACHE/apt/state/lists
	local -a order=('' 1)
	[ ! "$own" -nt "$lists" ] || order=(1 '')
	for GI_APT_OWN in "${order[@]}"; do
		memo="$GI_CACHE/apt-said/${GI_APT_OWN:+own-}$1"
		if [ ! -s "$memo" ] || [ "$lists" -nt "$memo" ] || [ "$own" -nt "$memo" ]; then
			gi_apt apt-cache show --no-all-versions "$1" >"$memo.$$" 2>/dev/null || :
			mv "$memo.$$" "$memo"
		fi
		GI_SHOWN=$(<"$memo")
		[ -z "$GI_SHOWN" ] || return 0
	done
}

# gi_apt_field NAME: the first word of that line of GI_SHOWN, or nothing.
gi_apt_field() { sed -n "s/^$1: *\\([^ ,(]*\\).*/\\1/p" <<<"$GI_SHOWN"; }

# gi_deb_cached PATTERN: the newest such package that an earlier run downloaded
# goes into GI_DEB_NAME, GI_DEB_VERSION and GI_DEB_SHA256, or nothing does.
gi_deb_cached() {
	local f
	f=$(find "$GI_CACHE/debs" -name "$1=*.deb" -printf '%T@ %f\n' | sort -n | tail -n 1)
	f=${f#* }
	IFS='=' read -r GI_DEB_NAME GI_DEB_VERSION GI_DEB_SHA256 <<<"${f%.deb}"
}

# gi_deb_known PACKAGE: the version that apt would take, into the same variables.
gi_deb_known() {
	gi_apt_show "$1"
	# shellcheck disable=SC2034 # for the recipes
	GI_DEB_NAME=$1
	GI_DEB_VERSION=$(gi_apt_field Version)
	GI_DEB_SHA256=$(gi_apt_field SHA256)
	[ -n "$GI_DEB_SHA256" ]
}

# gi_deb_behind META: the same for the package that a meta-package stands for.
gi_deb_behind() {
	local image
	gi_apt_show "$1"
	image=$(gi_apt_field Depends)
	[ -n "$image" ] && gi_deb_known "$image"
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
	gi_apt_update
	"gi_deb_$1" "$2" || gi_die "no package source of this system has $2"
}

# gi_deb_file PACKAGE, after gi_deb: its path in the cache goes into GI_DEB.
gi_deb_file() {
	local tmp sum
	GI_DEB="$GI_CACHE/debs/$1=$GI_DEB_VERSION=$GI_DEB_SHA256.deb"
	[ ! -e "$GI_DEB" ] || return 0
	gi_say "downloading $1 $GI_DEB_VERSION"
	tmp=$(mktemp -d "$GI_WORK/deb.XXXXXX")
	if ! (cd "$tmp" && gi_apt apt-get -qq download "$1=$GI_DEB_VERSION" >/dev/null 2>log); then
		# Lists older than their mirror name packages that are gone. With fresh
		# lists the inputs are others, so the whole run starts again.
		[ -z "${GI_RETRIED:-}" ] || gi_die "cannot download $1: $(tail -n 1 "$tmp/log")"
		gi_apt_update
		gi_cleanup
		exec {GI_LOCK}>&-
		GI_RETRIED=1 exec "$0" "${GI_ARGV[@]}"
	fi
	sum=$(sha256sum "$tmp"/*.deb)
	[ "${sum%% *}" = "$GI_DEB_SHA256" ] || gi_die "$1: the downloaded package is not the one that apt describes"
	# One version of a package is enough; another run may be reading the old one, which stays open.
	find "$GI_CACHE/debs" -name "$1=*.deb" -delete
	mv "$tmp"/*.deb "$GI_DEB"
	rm -r "$tmp"
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
