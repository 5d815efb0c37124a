# TOML files with typed settings, which the program checks when they are built.
{ lib, pkgs }:

let
  inherit (lib) mkOption types;
  toml = pkgs.formats.toml { };
  # The value without unset keys.
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

  # An optional key.
  typed =
    type: example: description:
    mkOption {
      type = types.nullOr type;
      default = null;
      inherit example description;
    };

  # These keys are typed; other keys of the program may be set too.
  settingsType =
    options:
    types.submodule {
      freeformType = toml.type;
      inherit options;
    };

  # A machine that builds for another platform cannot run the program, so the check is skipped there.
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
