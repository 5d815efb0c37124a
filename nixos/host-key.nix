# The public key of a listener. The host does not use it; `lib.fleet` reads it, so that the key is written in one place.
{ config, lib, ... }:

let
  inherit (lib) mkOption types;
  cfg = config.services.homelab-deploy.listener;
  path = "services.homelab-deploy.listener";
  publicKeyType = import ./public-key.nix { inherit lib; };
in
{
  options.services.homelab-deploy.listener = {
    publicKey = mkOption {
      type = types.nullOr publicKeyType;
      default = null;
      example = "UDTIURL5XECOYYYPTN2RBA4RPLPB3KBHVR4ALZ23QBHYZSYIXMFL7CWN";
      description = ''
        The public key of the seed in `nkeyFile`, as printed by `homelab-deploy keys new listener`. `lib.fleet` of the flake
        reads it for the NATS server and for operators; the listener does not need it.
      '';
    };
    nextPublicKey = mkOption {
      type = types.nullOr publicKeyType;
      default = null;
      example = "UBB3MH6C73Y22Y727SUA4MJDEJHRYAS2C2ZAUKF2EOYX7MUV2HEAISII";
      description = "The key that is to replace `publicKey`. The server and operators accept both until `publicKey` is changed.";
    };
  };

  # The assertion evaluates both keys, so that a mistyped key is found on its own host.
  config = lib.mkIf cfg.enable {
    assertions = [
      {
        assertion = cfg.publicKey != cfg.nextPublicKey || cfg.publicKey == null;
        message = "${path}.publicKey and ${path}.nextPublicKey are the same key; remove nextPublicKey.";
      }
    ];
  };
}
