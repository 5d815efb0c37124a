# Whose signatures count: public keys, each with a date behind it if it expires. They are checked by assertions and not by their
# type, whose error would repeat a seed.
{ lib }:

let
  inherit (builtins) head match;
  publicKey = import ./public-key.nix { inherit lib; };
  expiry = import ./expiry.nix { inherit lib; };

  # The key, and the date or `null`.
  partsOf = match "([^@]*)(@(.*))?";
  keyOf = trusted: head (partsOf trusted);
  isTrustedKey =
    text:
    let
      parts = partsOf text;
      date = builtins.elemAt parts 2;
    in
    parts != null && publicKey.check (head parts) && (date == null || expiry.check date);
in
option: trustedKeys:
let
  areKeys = builtins.all isTrustedKey trustedKeys;
  # The same line twice does no harm.
  keys = map keyOf (lib.unique trustedKeys);
  repeated = lib.filter (key: builtins.length (lib.filter (other: other == key) keys) > 1) keys;
in
[
  {
    assertion = areKeys;
    message = "${option} must hold public keys alone, the texts starting with U that `homelab-deploy keys new` printed (the last characters are a checksum), each with `@2027-01-01` or `@2027-01-01T12:00:00Z` behind it if it expires.";
  }
  {
    assertion = areKeys -> repeated == [ ];
    message = "${option} has ${head repeated} with two dates; leave one of them out.";
  }
]
