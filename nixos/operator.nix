# The machine of an operator: the program with completions and manual pages, and its configuration.
{
  config,
  lib,
  pkgs,
  ...
}:

let
  inherit (lib) mkOption types;
  cfg = config.services.homelab-deploy.operator;
  inherit (import ./service.nix { inherit lib; }) packageOption;
  operatorSettings = import ./operator-settings.nix { inherit lib pkgs; };
  file = operatorSettings.file cfg.package cfg.settings;
in
{
  options.services.homelab-deploy.operator = {
    enable = mkOption {
      type = types.bool;
      default = false;
      example = true;
      description = "Whether to install the program for all users of this machine, with completions and manual pages.";
    };
    package = packageOption pkgs;
    settings = operatorSettings.option "The configuration file for all users of this machine, `/etc/xdg/homelab-deploy/config.toml`. A configuration file in a user's home directory replaces it.";
  };

  config = lib.mkIf cfg.enable {
    environment.systemPackages = [ cfg.package ];
    environment.etc."xdg/homelab-deploy/config.toml" = lib.mkIf (file != null) { source = file; };
  };
}
