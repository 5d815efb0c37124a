# Shared by the home-manager and nix-darwin modules: the options of an operator, and the configuration file.
{ lib, pkgs }:

let
  inherit (lib) mkOption types;
  operatorSettings = import ./operator-settings.nix { inherit lib pkgs; };
  inherit (import ./service.nix { inherit lib; }) packageOption;
in
{
  options = {
    enable = mkOption {
      type = types.bool;
      default = false;
      example = true;
      description = "Whether to install the program, with completions and manual pages, and its configuration.";
    };
    package = packageOption pkgs;
    nkeyFile = mkOption {
      type = types.nullOr types.str;
      default = null;
      example = "~/.config/homelab-deploy/deployer.nkey";
      description = ''
        The file with the operator's nkey seed, as written by `homelab-deploy keys new`, for each context without an `nkey_file`. It
        must not be in the nix store, which everyone can read; agenix and sops-nix put it elsewhere.
      '';
    };
    settings = operatorSettings.option "The configuration file.";
  };

  # The file, or null if nothing is set.
  file =
    cfg:
    let
      withKey = context: lib.optionalAttrs (cfg.nkeyFile != null) { nkey_file = cfg.nkeyFile; } // context;
      settings = operatorSettings.plain cfg.settings;
    in
    operatorSettings.file cfg.package (settings // { contexts = lib.mapAttrs (_: withKey) settings.contexts; });

  assertions = path: cfg: [
    {
      assertion = cfg.nkeyFile == null || builtins.match "(~/|/)[^\n]*" cfg.nkeyFile != null;
      message = "${path}.nkeyFile must be a path that starts with / or ~/, such as \"~/.config/homelab-deploy/deployer.nkey\".";
    }
    {
      assertion = cfg.nkeyFile == null || !(lib.hasPrefix builtins.storeDir cfg.nkeyFile);
      message = "${path}.nkeyFile is in the nix store, where everyone can read it; quote the path, and put the file there in another way.";
    }
    {
      assertion = cfg.nkeyFile == null || cfg.settings.contexts != { };
      message = "${path}.nkeyFile has no effect without ${path}.settings.contexts.";
    }
  ];
}
