# Reads the text of a systemd unit: `{ Unit = { Description = "…"; }; Service = { … }; }`. A key that occurs more than once
# becomes a list, as NixOS writes such keys, and so does one that hosts add to.
{ lib }:

let
  # `NAME=VALUE`. `match` drops the context of a string: without it, a store path in the value would be a mere name that
  # NixOS neither builds nor copies to the host.
  assignment =
    line:
    let
      parts = builtins.match "([^=]+)=(.*)" line;
    in
    lib.nameValuePair (builtins.elemAt parts 0) (lib.addContextFrom line (builtins.elemAt parts 1));

  isPair = line: line != "" && !(lib.hasPrefix "#" line) && !(lib.hasPrefix ";" line);

  # Keys that hosts add to. NixOS joins definitions of lists, and refuses a second one of a text.
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
