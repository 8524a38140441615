# SPDX-License-Identifier: BSD-3-Clause
#
# The functions of nixpkgs' lib that the flake calls.
let
  inherit (builtins)
    concatLists
    elem
    filter
    isString
    listToAttrs
    map
    replaceStrings
    stringLength
    substring
    ;
in
rec {
  inherit (builtins) concatStringsSep;
  genAttrs =
    names: f:
    listToAttrs (
      map (name: {
        inherit name;
        value = f name;
      }) names
    );
  concatMap = f: list: concatLists (map f list);
  optional = cond: value: if cond then [ value ] else [ ];
  optionalString = cond: value: if cond then value else "";
  hasInfix = infix: s: replaceStrings [ infix ] [ "" ] s != s;
  hasPrefix = prefix: s: substring 0 (stringLength prefix) s == prefix;
  removePrefix =
    prefix: s: if hasPrefix prefix s then substring (stringLength prefix) (stringLength s) s else s;
  removeSuffix =
    suffix: s:
    let
      at = stringLength s - stringLength suffix;
    in
    if at >= 0 && substring at (stringLength suffix) s == suffix then substring 0 at s else s;
  splitString = sep: s: filter isString (builtins.split sep s);
  escape = chars: replaceStrings chars (map (c: "\\${c}") chars);
  escapeShellArg = arg: "'${replaceStrings [ "'" ] [ "'\\''" ] (toString arg)}'";
  escapeShellArgs = args: concatStringsSep " " (map escapeShellArg args);
  cleanSourceWith =
    {
      src,
      filter,
      name,
    }:
    builtins.path {
      inherit filter name;
      path = src;
    };
  # Values of modules with a priority.
  mkOverride = priority: content: {
    _type = "override";
    inherit priority content;
  };
  mkForce = mkOverride 50;
  mkDefault = mkOverride 1000;
  licenses.bsd3 = {
    spdxId = "BSD-3-Clause";
    free = true;
  };
}
