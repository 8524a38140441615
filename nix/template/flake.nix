# SPDX-License-Identifier: BSD-3-Clause
#
# A program that runs in a mayfly guest of its own: nix run
{
  description = "A program in a microVM";

  inputs.nixpkgs.url = "github:NixOS/nixpkgs/nixos-unstable";
  # By the name that you gave it: nix registry add mayfly URL-OF-ITS-REPOSITORY
  inputs.mayfly.url = "flake:mayfly";
  inputs.mayfly.inputs.nixpkgs.follows = "nixpkgs";

  outputs =
    { nixpkgs, mayfly, ... }:
    let
      eachSystem = nixpkgs.lib.genAttrs [
        "x86_64-linux"
        "aarch64-linux"
        "riscv64-linux"
      ];
    in
    {
      packages = eachSystem (
        system:
        let
          pkgs = nixpkgs.legacyPackages.${system};
          # The first program of the guest. Its end is the guest's end.
          init = pkgs.writeScript "init" ''
            #!${pkgs.pkgsStatic.busybox}/bin/sh
            PATH=${pkgs.pkgsStatic.busybox}/bin
            mount -t devtmpfs dev /dev
            ${pkgs.hello}/bin/hello
            poweroff -f
          '';
          image = mayfly.lib.mkGuestImage {
            inherit pkgs init;
            contents = [ pkgs.hello ];
          };
          inherit (mayfly.packages.${system}) guest-kernel;
        in
        {
          default = pkgs.writeShellScriptBin "in-a-guest" ''
            exec ${mayfly.packages.${system}.mayfly}/bin/mayfly run \
              --block path=${image},ro,root --params "rootfstype=erofs init=/init quiet" \
              ${guest-kernel}/*Image
          '';
        }
      );
    };
}
