# SPDX-License-Identifier: BSD-3-Clause
#
# What `nix flake check` builds.
{ pkgs, packages }:
{
  inherit (packages) mayfly guest-initramfs guest-rootfs;

  # The program runs, and says what it is.
  version = pkgs.runCommand "mayfly-check-version" { } ''
    ${packages.mayfly}/bin/mayfly version | tee $out
    grep -q '^mayfly ' $out
  '';

  # Two builds in directories of different depth, at different times, are the same bytes.
  reproducible = packages.mayfly.overrideAttrs (old: {
    name = "mayfly-check-reproducible";
    buildPhase = ''
      one=$TMPDIR/one two=$TMPDIR/another/and/deeper
      mkdir -p $one $two
      for dir in $one $two; do
        cp -r . $dir/
        (cd $dir && TZ=UTC-$RANDOM make $makeFlags -j''${NIX_BUILD_CORES:-1} all)
      done
      cmp $one/build/*/release/mayfly $two/build/*/release/mayfly
    '';
    installPhase = "sha256sum $TMPDIR/one/build/*/release/mayfly >$out";
  });

  # A guest boots, says so and powers off, where the builder has KVM.
  boot =
    pkgs.runCommand "mayfly-check-boot"
      {
        requiredSystemFeatures = [ "kvm" ];
      }
      ''
        kernel=$(echo ${packages.guest-kernel}/*Image)
        ${packages.mayfly}/bin/mayfly run --timeout 120 --deterministic \
          --initrd ${packages.guest-initramfs}/initramfs.cpio.gz --params "quiet end=poweroff" $kernel |
          tee $out
        grep -q 'mayfly guest: .* is up' $out
      '';
}
