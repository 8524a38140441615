# SPDX-License-Identifier: BSD-3-Clause
#
# The monitor. Links dynamically, unless the platform is static.
{
  lib,
  stdenv,
  buildPackages,
  dtc,
  liburing,
  # The tree without what does not decide the program's bytes.
  src ? import ./source.nix { inherit lib; },
}:

let
  cpu = stdenv.hostPlatform.parsed.cpu.name; # x86_64, aarch64 or riscv64, as the Makefile has them
in
stdenv.mkDerivation {
  pname = "mayfly";
  version = lib.removeSuffix "\n" (builtins.readFile ../VERSION);
  inherit src;

  # System call filters are compiled by a program of the building machine, with libseccomp.
  depsBuildBuild = [
    buildPackages.stdenv.cc
    buildPackages.libseccomp
  ];
  buildInputs = [
    dtc # libfdt
    liburing
  ];

  enableParallelBuilding = true;
  makeFlags = [
    "ARCH=${cpu}"
    "PREFIX=$(out)"
    "CC=${stdenv.cc.targetPrefix}cc"
    "AR=${stdenv.cc.targetPrefix}ar"
    "STRIP=${stdenv.cc.targetPrefix}strip"
    "HOSTCC=${buildPackages.stdenv.cc}/bin/cc"
    # Libraries come with the compiler, for whatever machine it builds.
    "SYSROOT="
  ]
  ++ lib.optional (!stdenv.hostPlatform.isStatic) "STATIC=-pie";

  meta = {
    description = "A microVM monitor: boots Linux kernels directly, with virtio-mmio devices in jailed processes";
    license = lib.licenses.bsd3;
    mainProgram = "mayfly";
    platforms = [
      "x86_64-linux"
      "aarch64-linux"
      "riscv64-linux"
    ];
  };
}
