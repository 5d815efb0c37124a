# The type of hosts, tiers and roles: one token of a subject, checked as the program checks it.
{ lib }:

let
  reserved = [
    "all"
    "role"
    "discover"
    "responses"
    "ask"
    "presence"
  ];
in
lib.types.addCheck lib.types.str (
  text: builtins.match "[A-Za-z0-9_-]{1,63}" text != null && !(builtins.elem text reserved)
)
// {
  name = "token";
  description = "name of 1 to 63 letters, digits, `_` or `-`, and none of ${lib.concatStringsSep ", " reserved}";
  descriptionClass = "noun";
}
