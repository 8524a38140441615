# SPDX-License-Identifier: BSD-3-Clause
#
# The guest kernel: no modules, configured by the same fragments, and by the same script, as
# `make guest-images`. $out/bzImage on x86_64, $out/Image elsewhere.
{
  lib,
  stdenv,
  buildPackages,
  linuxManualConfig,
  # Named linux_VERSION in nixpkgs: the series that the fragments are written for.
  linux_6_12,
}:

let
  arch = stdenv.hostPlatform.parsed.cpu.name;
  fragments = [
    ../guest-images/kernel/common.config
    (../guest-images/kernel + "/${arch}.config")
  ];

  # "CONFIG_X=y" as { CONFIG_X = "y"; }, for those who ask the package what it has. The files are
  # sources, so nothing has to be built to read them.
  symbols =
    file:
    lib.concatMap (
      line:
      let
        parts = builtins.match "(CONFIG_[A-Za-z0-9_]+)=(.*)" line;
      in
      lib.optional (parts != null) {
        name = builtins.elemAt parts 0;
        value = builtins.elemAt parts 1;
      }
    ) (lib.splitString "\n" (builtins.readFile file));

  configfile = stdenv.mkDerivation {
    name = "mayfly-guest-kernel-config";
    inherit (linux_6_12) src;
    depsBuildBuild = [ buildPackages.stdenv.cc ];
    nativeBuildInputs = [
      buildPackages.bison
      buildPackages.flex
    ];
    fragments = ../guest-images/kernel;
    dontFixup = true;
    buildPhase = ''
      GI_HERE=$PWD/fragments GI_ARCH=${arch}
      mkdir -p $GI_HERE
      cp -r $fragments $GI_HERE/kernel
      . $GI_HERE/kernel/recipe.sh
      gi_kernel_arch
      gi_kernel_symbols >symbols
      KCONFIG_ALLCONFIG=$PWD/symbols make ARCH=$GI_KARCH HOSTCC=${buildPackages.stdenv.cc}/bin/cc \
        CROSS_COMPILE=${stdenv.cc.targetPrefix} allnoconfig
      refused=$(gi_kernel_refused .config symbols)
      if [ -n "$refused" ]; then
        echo "this source does not take $refused" >&2
        exit 1
      fi
    '';
    installPhase = "cp .config $out";
  };
in
linuxManualConfig {
  inherit (linux_6_12) src version;
  modDirVersion = "${linux_6_12.modDirVersion}-mayfly"; # CONFIG_LOCALVERSION
  inherit configfile;
  config = builtins.listToAttrs (lib.concatMap symbols fragments);
}
