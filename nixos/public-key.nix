# The type of public keys (nkeys of kind user): `U` and 55 more base32 characters. They encode a byte for the kind, the 32 bytes of the
# key, and a checksum of both (CRC16 XMODEM, low byte first), so that a mistyped key is found before anything is built.
{ lib }:

let
  inherit (builtins)
    bitAnd
    bitXor
    elemAt
    foldl'
    genList
    ;

  alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
  # The five bits of each character.
  bitsOf = lib.listToAttrs (
    genList (number: {
      name = builtins.substring number 1 alphabet;
      value = map (place: bitAnd (number / place) 1) [
        16
        8
        4
        2
        1
      ];
    }) 32
  );

  add =
    crc: bit:
    let
      shifted = bitAnd (crc * 2) 65535;
    in
    if bitXor (crc / 32768) bit == 1 then bitXor shifted 4129 else shifted;
  number = foldl' (value: bit: value * 2 + bit) 0;

  isPublicKey =
    text:
    let
      bits = lib.concatMap (at: bitsOf.${builtins.substring at 1 text}) (genList (at: at) 56);
      part = from: count: genList (at: elemAt bits (from + at)) count;
    in
    builtins.match "U[A-Z2-7]{55}" text != null
    && foldl' add 0 (part 0 264) == number (part 264 8) + 256 * number (part 272 8);
in
lib.types.addCheck lib.types.str isPublicKey
// {
  name = "publicKey";
  description = "public key of a user, `U` and 55 more characters (the last ones are a checksum), as printed by `homelab-deploy keys new`";
  descriptionClass = "noun";
}
