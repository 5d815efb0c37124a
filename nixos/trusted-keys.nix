# Trusted public keys, each followed by a date if it expires. They are checked by assertions and not by their type, because the error
# of a type would print a seed that is in the wrong place.
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
  # A repeated entry is harmless; the same key with different dates is not.
  keys = map keyOf (lib.unique trustedKeys);
  repeated = lib.filter (key: builtins.length (lib.filter (other: other == key) keys) > 1) keys;
in
[
  {
    assertion = areKeys;
    message = "${option} must contain only public keys as printed by `homelab-deploy keys new` (they start with U and end with a checksum), each followed by `@2027-01-01` or `@2027-01-01T12:00:00Z` if it expires.";
  }
  {
    assertion = areKeys -> repeated == [ ];
    message = "${option} has ${head repeated} with two dates; remove one of them.";
  }
]
