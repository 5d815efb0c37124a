# Files of ours in TOML: typed settings, and a check by the program when the file is made.
{ lib, pkgs }:

let
  inherit (lib) mkOption types;
  toml = pkgs.formats.toml { };
  # Without the keys that are not set.
  plain =
    value:
    if lib.isAttrs value && !(value ? outPath) then
      lib.mapAttrs (_: plain) (lib.filterAttrs (_: value: value != null) value)
    else if lib.isList value then
      map plain value
    else
      value;
in
{
  inherit toml plain;

  # A key that may be left out.
  typed =
    type: example: description:
    mkOption {
      type = types.nullOr type;
      default = null;
      inherit example description;
    };

  # These keys have types; what else the program knows may be set too.
  settingsType =
    options:
    types.submodule {
      freeformType = toml.type;
      inherit options;
    };

  # A machine that builds for another kind of machine cannot run the program, so it leaves the check out.
  generate =
    {
      name,
      settings,
      package,
      check,
    }:
    let
      file = toml.generate name (plain settings);
    in
    if pkgs.stdenv.buildPlatform.canExecute pkgs.stdenv.hostPlatform then
      pkgs.runCommand name { } ''
        ${package}/bin/homelab-deploy ${check} ${file}
        cp ${file} $out
      ''
    else
      file;
}
