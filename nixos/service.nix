# What the modules of services have in common: words of a command line, and what is read from the text of a unit.
{ lib }:

let
  readUnit = import ./unit.nix { inherit lib; };

  variable =
    line:
    let
      parts = builtins.match "([^=]+)=(.*)" line;
    in
    lib.nameValuePair (builtins.elemAt parts 0) (builtins.elemAt parts 1);
in
{
  # One word of a systemd command line.
  word =
    value:
    let
      # What is missing is told by an assertion.
      text = toString value;
      plain = builtins.match "[A-Za-z0-9_./:@+,=-]+" text != null;
      escaped = lib.replaceStrings [ "%" "$" ] [ "%%" "$$" ] text;
    in
    if plain then text else builtins.toJSON escaped;

  # The variables that a unit sets.
  environmentOf = service: lib.listToAttrs (map variable (lib.toList (service.Environment or [ ])));

  # A file with a secret: an absolute path on the host and never in the store.
  secretAssertions = option: file: [
    {
      assertion = file == null || builtins.match "/[^\n]*" file != null;
      message = "${option} must be an absolute path on the host.";
    }
    {
      assertion = file == null || !(lib.hasPrefix builtins.storeDir file);
      message = "${option} lies in the nix store, where everybody can read it; write the path in quotes and put the file on the host by other means.";
    }
  ];

  # The port of an address, as a text; null where it has none.
  portOf =
    address:
    let
      parts = builtins.match ".*:([0-9]{1,5})" address;
    in
    if parts == null then null else builtins.head parts;

  inherit readUnit;
}
