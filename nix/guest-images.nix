# SPDX-License-Identifier: BSD-3-Clause
#
# Guest images: the ones that guest-images/build makes, by that script, and root images of store
# paths. The same files give the same bytes.
{ pkgs }:
let
  inherit (pkgs) lib;

  # One target of guest-images/build, as the file PRODUCT.
  image =
    target: product:
    pkgs.runCommand "mayfly-guest-${target}"
      {
        src = import ./source.nix { inherit lib; };
        nativeBuildInputs = [
          pkgs.pkgsStatic.busybox # what goes in; its applets come last in PATH
          pkgs.cpio
          pkgs.erofs-utils
          pkgs.gawk
          pkgs.gzip
          pkgs.util-linux
        ];
        meta.description = "mayfly's guest ${target}";
      }
      ''
        # Applets of the same names must not do the work: theirs differ from one version to the next.
        mkdir -p bin $out
        ln -s "$(command -v busybox)" bin/busybox
        export PATH=$PATH:$PWD/bin MAYFLY_CACHE=$PWD/cache
        bash $src/guest-images/build ${target}
        cp cache/${target}-*/*/${product} $out/
      '';
in
{
  initramfs = image "initramfs" "initramfs.cpio.gz";
  rootfs = image "rootfs" "rootfs.erofs";

  # An erofs image of contents (store paths) and all that they refer to, with init as its first
  # program. Hard links are broken: a store that was optimised gives the same image.
  mkGuestImage =
    {
      name ? "mayfly-guest-image",
      contents,
      init,
      uuid ? "6d617966-6c79-4f00-8000-000000000002",
    }:
    pkgs.runCommand name
      {
        nativeBuildInputs = [ pkgs.erofs-utils ];
        closure = pkgs.closureInfo { rootPaths = contents ++ [ init ]; };
      }
      ''
        mkdir -p root/{dev,etc,proc,root,run,sys,tmp}
        while read -r path; do
          mkdir -p "root''${path%/*}"
          cp -r --no-dereference --preserve=mode "$path" "root$path"
        done <$closure/store-paths
        ln -s ${init} root/init
        env -u SOURCE_DATE_EPOCH mkfs.erofs -T0 -U ${uuid} --all-root $out root
      '';
}
