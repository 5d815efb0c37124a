# Parses a systemd unit file: `{ Unit = { Description = "…"; }; Service = { … }; }`. A key that occurs more than once becomes a list,
# as NixOS represents such keys, and so does a key that hosts may extend.
{ lib }:

let
  # `NAME=VALUE`. `match` drops the string context. Without the context, NixOS would neither build nor copy a store path in the value,
  # so it is added again.
  assignment =
    line:
    let
      parts = builtins.match "([^=]+)=(.*)" line;
    in
    lib.nameValuePair (builtins.elemAt parts 0) (lib.addContextFrom line (builtins.elemAt parts 1));

  isPair = line: line != "" && !(lib.hasPrefix "#" line) && !(lib.hasPrefix ";" line);

  # Keys that hosts may extend. NixOS merges list definitions, but refuses a second definition of a string.
  ofWords = [
    "CapabilityBoundingSet"
    "ReadWritePaths"
    "RestrictAddressFamilies"
    "SystemCallFilter"
  ];
  ofLists = ofWords ++ [ "LoadCredential" ];

  add =
    section: line:
    let
      inherit (assignment line) name value;
      values = if builtins.elem name ofWords then lib.splitString " " value else [ value ];
      repeated = section ? ${name} || builtins.elem name ofLists;
    in
    section
    // {
      ${name} = if repeated then lib.toList (section.${name} or [ ]) ++ values else value;
    };

  step =
    state: line:
    let
      title = builtins.match "\\[(.*)]" line;
    in
    if title != null then
      state // { section = builtins.head title; }
    else
      state
      // {
        unit = state.unit // {
          ${state.section} = add (state.unit.${state.section} or { }) line;
        };
      };
in
{
  inherit assignment;

  readUnit =
    text:
    (lib.foldl' step {
      section = "Unit";
      unit = { };
    } (builtins.filter isPair (lib.splitString "\n" text))).unit;
}
