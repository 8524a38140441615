# SPDX-License-Identifier: BSD-3-Clause
#
# A runner for microvm.nix (lib/runners/mayfly.nix there): the options of a MicroVM as one command
# line of mayfly. What mayfly has no device for is refused by the name of its option.
#
# - The order of disks is a promise: the store is /dev/vda, volumes follow.
# - microvm.nix replaces argv[0] by the name that ps shall show; mayfly does not look at it.
# - The kernel is what boots by itself, bzImage or Image; it lies in the kernel's first output.
# - mayfly listens on no socket, so that none can be left over from an earlier run. Sockets of
#   virtiofsd are its own business.
{
  pkgs,
  microvmConfig,
  linuxTarget ? pkgs.stdenv.hostPlatform.linux-kernel.target,
  ...
}:

let
  inherit (pkgs) lib;
  inherit (microvmConfig)
    hostName
    preStart
    vcpu
    mem
    volumes
    shares
    kernel
    initrdPath
    kernelParams
    storeOnDisk
    storeDisk
    ;

  # What is asked for although mayfly does not have it.
  refused = map (o: o.option) (
    builtins.filter (o: o.asked) [
      {
        option = "user";
        asked = (microvmConfig.user or null) != null;
      }
      {
        option = "cpu";
        asked = (microvmConfig.cpu or null) != null;
      }
      {
        option = "balloon";
        asked = microvmConfig.balloon or false;
      }
      {
        option = "initialBalloonMem";
        asked = (microvmConfig.initialBalloonMem or 0) != 0;
      }
      {
        option = "hotplugMem";
        asked = (microvmConfig.hotplugMem or 0) != 0;
      }
      {
        option = "hotpluggedMem";
        asked = (microvmConfig.hotpluggedMem or 0) != 0;
      }
      {
        option = "hugepageMem";
        asked = microvmConfig.hugepageMem or false;
      }
      {
        option = "interfaces";
        asked = (microvmConfig.interfaces or [ ]) != [ ];
      }
      {
        option = "forwardPorts";
        asked = (microvmConfig.forwardPorts or [ ]) != [ ];
      }
      {
        option = "devices";
        asked = (microvmConfig.devices or [ ]) != [ ];
      }
      {
        option = "vsock.cid";
        asked = (microvmConfig.vsock.cid or null) != null;
      }
      {
        option = "graphics.enable";
        asked = microvmConfig.graphics.enable or false;
      }
      {
        option = "credentialFiles";
        asked = (microvmConfig.credentialFiles or { }) != { };
      }
      {
        option = "shares.*.proto of another kind than virtiofs and 9p";
        asked = builtins.any (share: share.proto != "virtiofs" && share.proto != "9p") shares;
      }
      {
        option = "shares.*.source with a colon";
        asked = builtins.any (share: share.proto == "9p" && lib.hasInfix ":" (toString share.source)) shares;
      }
      {
        option = "volumes.*.serial of more than 20 bytes";
        asked = builtins.any (v: v.serial or null != null && builtins.stringLength v.serial > 20) volumes;
      }
    ]
  );

  # A value in a list of keys: quoted, since a path may hold commas.
  quoted = value: "\"${lib.escape [ "\\" "\"" ] (toString value)}\"";

  disk =
    {
      image,
      readOnly ? false,
      direct ? false,
      serial ? null,
      ...
    }:
    [
      "--block"
      (lib.concatStringsSep "," (
        [ "path=${quoted image}" ]
        ++ lib.optional readOnly "ro"
        ++ lib.optional direct "direct"
        ++ lib.optional (serial != null) "id=${quoted serial}"
      ))
    ];

  # virtiofsd serves the one, as microvm.nix starts it; mayfly itself the other.
  share =
    {
      proto,
      socket ? null,
      source,
      tag,
      readOnly ? false,
      ...
    }:
    if proto == "9p" then
      [
        "--shared-dir"
        "${toString source}:${tag}:type=p9${lib.optionalString readOnly ":ro=true"}"
      ]
    else
      [
        "--vhost-user"
        "type=fs,socket=${quoted socket},tag=${quoted tag}"
      ];

  arguments = [
    "${microvmConfig.mayfly.package}/bin/mayfly"
    "run"
    "--name"
    hostName
    "--cpus"
    (toString vcpu)
    "--mem"
    (toString mem)
    "--initrd"
    (toString initrdPath)
    "--params"
    (toString kernelParams)
  ]
  ++ lib.concatMap disk (
    lib.optional storeOnDisk {
      image = storeDisk;
      readOnly = true;
    }
    ++ volumes
  )
  ++ lib.concatMap share shares
  ++ (microvmConfig.mayfly.extraArgs or [ ])
  ++ [ "${kernel.out}/${linuxTarget}" ];
in
{
  command =
    if refused != [ ] then
      throw "mayfly does not support ${lib.concatStringsSep ", " refused}"
    else
      lib.escapeShellArgs arguments;
  inherit preStart;
  # There is no way yet to press a guest's power button.
  canShutdown = false;
  setBalloonScript = null;
  supportsNotifySocket = false;
  tapMultiQueue = false;
  requiresMacvtapAsFds = false;
}
