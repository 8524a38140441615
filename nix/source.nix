# SPDX-License-Identifier: BSD-3-Clause
#
# What the monitor and the guest images are made of: a change to anything else rebuilds nothing.
{ lib }:
let
  top = ./..;
  leave = [
    ".ci"
    ".git"
    "README.md"
    "build"
    "default.nix"
    "docs"
    "flake.lock"
    "flake.nix"
    "nix"
    "result"
    "tests"
  ];
  # What the recipes of guest images and `make install` read of it.
  take = [
    "docs"
    "docs/mayfly.1"
    "tests"
    "tests/bench"
    "tests/bench/recipe.sh"
    "tests/host"
    "tests/host/recipe.sh"
  ];
  under = name: folder: name == folder || lib.hasPrefix "${folder}/" name;
in
lib.cleanSourceWith {
  name = "mayfly-source";
  src = top;
  filter =
    path: type:
    let
      name = lib.removePrefix (toString top + "/") (toString path);
    in
    builtins.elem name take || !(builtins.any (under name) leave);
}
