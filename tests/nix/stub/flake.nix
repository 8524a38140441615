# SPDX-License-Identifier: BSD-3-Clause
#
# A stand-in for nixpkgs, as large as mayfly's flake needs it: names and shapes as there, packages
# from the machine that the tests run on. It shows that the flake evaluates and that its recipes
# build in nix's sandbox; not that the real packages fit.
{
  description = "a stand-in for nixpkgs";
  outputs =
    { self }:
    let
      lib = import ./lib.nix;
    in
    {
      inherit lib;
      legacyPackages = lib.genAttrs [ "x86_64-linux" "aarch64-linux" "riscv64-linux" ] (
        system: import ./packages.nix { inherit lib system; }
      );
    };
}
