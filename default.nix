# SPDX-License-Identifier: BSD-3-Clause
#
# Without flakes: nix-build, or callPackage from another tree.
{
  pkgs ? import <nixpkgs> { },
}:
pkgs.callPackage ./nix/package.nix { }
