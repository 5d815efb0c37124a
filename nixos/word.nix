# One word of a systemd command line.
{ lib }:

value:
let
  # What is missing is told by an assertion.
  text = toString value;
  plain = builtins.match "[A-Za-z0-9_./:@+,=-]+" text != null;
  escaped = lib.replaceStrings [ "%" "$" ] [ "%%" "$$" ] text;
in
if plain then text else builtins.toJSON escaped
