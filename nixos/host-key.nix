# The public key of a listener. The host itself does not use it: `lib.fleet` reads it, so that it is written once.
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
        The public half of the seed in `nkeyFile`, as `homelab-deploy keys new listener` prints it. `lib.fleet` of the flake reads it
        for the NATS server and for operators; the listener does not need it.
      '';
    };
    nextPublicKey = mkOption {
      type = types.nullOr publicKeyType;
      default = null;
      example = "UBB3MH6C73Y22Y727SUA4MJDEJHRYAS2C2ZAUKF2EOYX7MUV2HEAISII";
      description = "The key that replaces `publicKey`: the server and operators accept both, until it is written there instead.";
    };
  };

  # It looks at both, so that a mistyped key is found on its host.
  config = lib.mkIf cfg.enable {
    assertions = [
      {
        assertion = cfg.publicKey != cfg.nextPublicKey || cfg.publicKey == null;
        message = "${path}.publicKey and ${path}.nextPublicKey are the same key; leave nextPublicKey out.";
      }
    ];
  };
}
