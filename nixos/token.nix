# The type of host, tier and role names: one token of a NATS subject, with the rules of the program.
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
  description = "name of 1 to 63 letters, digits, `_` or `-`, except ${lib.concatStringsSep ", " reserved}";
  descriptionClass = "noun";
}
