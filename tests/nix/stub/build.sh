# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=bash disable=SC2086,SC2154 # the derivation's variables; lists of words
#
# What the stand-in's mkDerivation does: as much of a stdenv as the flake's recipes need.
export PATH=/usr/bin:/bin:/usr/sbin:/sbin LC_ALL=C TZ=UTC SOURCE_DATE_EPOCH=315532800
export HOME=/homeless-shelter
cd "$NIX_BUILD_TOP" || exit
umask 022
if [ -z "${noSource:-}" ]; then
	cp -r "$src" source
	chmod -R u+w source
	cd source || exit
fi
# "PREFIX=$(out)" is for make to expand, from the environment.
export out
if [ -n "${buildPhase:-}" ]; then
	eval "$buildPhase"
else
	make -j"${NIX_BUILD_CORES:-1}" $makeFlags all
fi
if [ -n "${installPhase:-}" ]; then
	eval "$installPhase"
else
	make $makeFlags install
fi
