# Reads the text of a systemd unit: `{ Unit = { Description = "…"; }; Service = { … }; }`. A key that stands there more than
# once becomes a list, as NixOS writes such keys.
{ lib }:

let
  isPair = line: line != "" && !(lib.hasPrefix "#" line) && !(lib.hasPrefix ";" line);

  add =
    section: line:
    let
      parts = builtins.match "([^=]+)=(.*)" line;
      key = builtins.elemAt parts 0;
      value = builtins.elemAt parts 1;
    in
    section
    // {
      ${key} = if section ? ${key} then lib.toList section.${key} ++ [ value ] else value;
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
text:
(lib.foldl' step {
  section = "Unit";
  unit = { };
} (builtins.filter isPair (lib.splitString "\n" text))).unit
