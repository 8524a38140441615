# SPDX-License-Identifier: BSD-3-Clause
#
# mayfly for nix users. docs/reproducible.md says what of it is tested, and against what.
{
  description = "A microVM monitor in C: sandboxes, test guests, reproducible builds";

  inputs.nixpkgs.url = "github:NixOS/nixpkgs/nixos-unstable";

  outputs =
    { self, nixpkgs }:
    let
      inherit (nixpkgs) lib;
      systems = [
        "x86_64-linux"
        "aarch64-linux"
        "riscv64-linux"
      ];
      # An attribute for each system, made of its packages.
      eachSystem = make: lib.genAttrs systems (system: make nixpkgs.legacyPackages.${system});

      guestImages = pkgs: import ./nix/guest-images.nix { inherit pkgs; };

      packagesOf =
        pkgs:
        let
          images = guestImages pkgs;
        in
        {
          default = pkgs.callPackage ./nix/package.nix { };
          mayfly = pkgs.callPackage ./nix/package.nix { };
          mayfly-static = pkgs.pkgsStatic.callPackage ./nix/package.nix { };
          mayfly-x86_64-linux = pkgs.pkgsCross.gnu64.callPackage ./nix/package.nix { };
          mayfly-aarch64-linux = pkgs.pkgsCross.aarch64-multiplatform.callPackage ./nix/package.nix { };
          mayfly-riscv64-linux = pkgs.pkgsCross.riscv64.callPackage ./nix/package.nix { };
          guest-kernel = pkgs.callPackage ./nix/guest-kernel.nix { };
          guest-initramfs = images.initramfs;
          guest-rootfs = images.rootfs;
        };
    in
    {
      packages = eachSystem packagesOf;

      apps = eachSystem (pkgs: {
        default = {
          type = "app";
          program = "${self.packages.${pkgs.stdenv.hostPlatform.system}.mayfly}/bin/mayfly";
          meta.description = "The mayfly microVM monitor";
        };
      });

      checks = eachSystem (
        pkgs:
        import ./nix/checks.nix {
          inherit pkgs;
          packages = self.packages.${pkgs.stdenv.hostPlatform.system};
        }
      );

      devShells = eachSystem (pkgs: {
        default = pkgs.callPackage ./nix/shell.nix {
          inherit (self.packages.${pkgs.stdenv.hostPlatform.system}) mayfly;
        };
      });

      overlays.default = final: prev: {
        mayfly = final.callPackage ./nix/package.nix { };
        mayfly-guest-kernel = final.callPackage ./nix/guest-kernel.nix { };
      };

      nixosModules = {
        guest = import ./nix/module-guest.nix;
        default = self.nixosModules.guest;
      };

      lib = {
        # mkGuestImage { pkgs, name, contents, init, uuid }: an erofs root image of these store
        # paths and all that they refer to.
        mkGuestImage = { pkgs, ... }@args: (guestImages pkgs).mkGuestImage (removeAttrs args [ "pkgs" ]);
        # For microvm.nix: lib/runners/mayfly.nix.
        microvmRunner = import ./nix/microvm-runner.nix;
      };

      templates.default = {
        path = ./nix/template;
        description = "A program that runs in a mayfly guest of its own";
      };
    };
}
