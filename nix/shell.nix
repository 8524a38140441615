# SPDX-License-Identifier: BSD-3-Clause
#
# All that `make test` asks for, as far as nixpkgs has it; Debian's packages for other architectures
# and for guest images are downloaded by the tree's own scripts, and need dpkg and apt.
{
  lib,
  mkShell,
  acpica-tools,
  bc,
  bison,
  clang-tools,
  cmocka,
  cpio,
  cppcheck,
  diffoscopeMinimal,
  dtc,
  erofs-utils,
  flex,
  lz4,
  mayfly,
  qemu,
  shellcheck,
  zstd,
}:
mkShell {
  inputsFrom = [ mayfly ];
  packages = [
    acpica-tools
    bc
    bison
    clang-tools
    cmocka
    cpio
    cppcheck
    diffoscopeMinimal
    dtc
    erofs-utils
    flex
    lz4
    qemu
    shellcheck
    zstd
  ];
}
