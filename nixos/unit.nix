# Reads the text of a systemd unit: `{ Unit = { Description = "…"; }; Service = { … }; }`. A key that occurs more than once
# becomes a list, as NixOS writes such keys.
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

  add =
    section: line:
    let
      inherit (assignment line) name value;
    in
    section
    // {
      ${name} = if section ? ${name} then lib.toList section.${name} ++ [ value ] else value;
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
