# SPDX-License-Identifier: BSD-3-Clause
#
# Packages of one system. Those that something is built with are the machine's own, under /usr;
# the others are only there to be named.
{
  lib,
  system,
  isStatic ? false,
  prefix ? "",
}:
let
  cpu = builtins.head (builtins.split "-" system);

  # An empty package.
  dummy = name: derivation {
    inherit name system;
    builder = "/bin/sh";
    args = [
      "-c"
      "/bin/mkdir $out"
    ];
  };

  mkDerivation =
    args:
    let
      attrs = removeAttrs args [
        "meta"
        "passthru"
        "depsBuildBuild"
        "nativeBuildInputs"
        "buildInputs"
      ];
      drv = derivation (
        {
          name = args.name or "${args.pname}-${args.version}";
          inherit system;
          builder = "/bin/bash";
          args = [
            "-eu"
            ./build.sh
          ];
        }
        // attrs
      );
    in
    drv
    // (args.passthru or { })
    // {
      meta = args.meta or { };
      overrideAttrs = f: mkDerivation (args // f args);
    };

  runCommand =
    name: env: script:
    mkDerivation (
      env
      // {
        inherit name;
        buildPhase = script;
        installPhase = ":";
        noSource = "1";
      }
    );

  pkgs = rec {
    inherit
      lib
      runCommand
      ;
    stdenv = {
      inherit mkDerivation;
      hostPlatform = {
        inherit system isStatic;
        parsed.cpu.name = cpu;
        linux-kernel.target = if cpu == "x86_64" then "bzImage" else "Image";
      };
      cc = {
        outPath = "/usr";
        targetPrefix = prefix;
      };
    };
    buildPackages = pkgs;
    callPackage =
      file: extra:
      let
        f = import file;
      in
      f (builtins.intersectAttrs (builtins.functionArgs f) pkgs // extra);

    mkShell = args: dummy "shell" // { inherit (args) inputsFrom packages; };
    writeText = name: text: derivation {
      inherit name system text;
      builder = "/bin/sh";
      args = [
        "-c"
        "printf %s \"$text\" >$out"
      ];
    };
    closureInfo = { rootPaths }: mkDerivation {
      name = "closure-info";
      noSource = "1";
      inherit rootPaths;
      # The real one knows what they refer to.
      buildPhase = "mkdir $out; printf '%s\\n' $rootPaths >$out/store-paths";
      installPhase = ":";
    };

    linux_6_12 = {
      version = "6.12";
      modDirVersion = "6.12.0";
      src = dummy "linux-source";
    };
    linuxManualConfig =
      args:
      assert args.config ? CONFIG_VIRTIO_MMIO && !(args.config ? CONFIG_MODULES);
      mkDerivation {
        name = "linux-${args.version}";
        inherit (args) src configfile modDirVersion;
        passthru = { inherit (args) config; };
      };
    linuxPackagesFor = kernel: { inherit kernel; };

    pkgsStatic = import ./packages.nix {
      inherit lib system prefix;
      isStatic = true;
    };
    pkgsCross =
      let
        cross =
          cpu:
          import ./packages.nix {
            inherit lib;
            system = "${cpu}-linux";
            prefix = "${cpu}-unknown-linux-gnu-";
          };
      in
      {
        gnu64 = cross "x86_64";
        aarch64-multiplatform = cross "aarch64";
        riscv64 = cross "riscv64";
      };
  }
  // lib.genAttrs [
    "acpica-tools"
    "bc"
    "bison"
    "busybox"
    "clang-tools"
    "cmocka"
    "cpio"
    "cppcheck"
    "diffoscopeMinimal"
    "dtc"
    "erofs-utils"
    "flex"
    "gawk"
    "gzip"
    "hello"
    "liburing"
    "libseccomp"
    "lz4"
    "qemu"
    "shellcheck"
    "util-linux"
    "zstd"
  ] dummy;
in
pkgs
