# SPDX-License-Identifier: BSD-3-Clause
#
# What a NixOS guest of mayfly needs: mayfly's kernel, which has no modules and everything built in;
# no boot loader; a console on the first serial line.
{ lib, pkgs, ... }:
{
  boot.kernelPackages = pkgs.linuxPackagesFor (pkgs.callPackage ./guest-kernel.nix { });

  # Without /lib/modules a list that is not empty cannot be served, and others fill these lists.
  boot.initrd.includeDefaultModules = false;
  boot.initrd.availableKernelModules = lib.mkForce [ ];
  boot.initrd.kernelModules = lib.mkForce [ ];
  boot.kernelModules = lib.mkForce [ ];
  boot.extraModulePackages = lib.mkForce [ ];
  # What is asked for as a module's option is judged by the configuration of the kernel.
  system.requiredKernelConfig = lib.mkForce [ ];

  boot.kernelParams = [
    "console=ttyS0"
    "panic=-1" # mayfly's exit status tells of it
  ];
  boot.loader.grub.enable = false;
  boot.initrd.systemd.enable = lib.mkDefault true;
  hardware.enableRedistributableFirmware = lib.mkDefault false;
  services.getty.autologinUser = lib.mkDefault "root";
  # The entropy device, or the seed that boot data carry, is enough.
  services.haveged.enable = lib.mkForce false;
}
