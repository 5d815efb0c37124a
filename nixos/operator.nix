# The machine of an operator: the program with its completions and manual pages, and where the fleet is.
{
  config,
  lib,
  pkgs,
  ...
}:

let
  inherit (lib) mkOption types;
  cfg = config.services.homelab-deploy.operator;
  format = pkgs.formats.toml { };
  inherit (import ./service.nix { inherit lib; }) packageOption;
in
{
  options.services.homelab-deploy.operator = {
    enable = mkOption {
      type = types.bool;
      default = false;
      example = true;
      description = "Whether everybody on this machine has the program, with completions and manual pages.";
    };
    package = packageOption pkgs;
    settings = mkOption {
      type = format.type;
      default = { };
      example = {
        contexts.home = {
          nats_url = "tls://nats.example.org";
          nkey_file = "~/.config/homelab-deploy/deployer.nkey";
          branch = "main";
        };
      };
      description = ''
        The configuration file for everybody on this machine, `/etc/xdg/homelab-deploy/config.toml`; docs/config.md has its keys.
        Whoever has a file of their own uses that one instead. Never write a seed here: the file can be read by everybody.
      '';
    };
  };

  config = lib.mkIf cfg.enable {
    environment.systemPackages = [ cfg.package ];
    environment.etc."xdg/homelab-deploy/config.toml" = lib.mkIf (cfg.settings != { }) {
      source = format.generate "homelab-deploy.toml" cfg.settings;
    };
  };
}
