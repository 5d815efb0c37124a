# The Mac of an operator, with nix-darwin: the program, and a configuration for all users.
{
  config,
  lib,
  pkgs,
  ...
}:

let
  path = "services.homelab-deploy.operator";
  cfg = config.services.homelab-deploy.operator;
  operator = import ./operator-file.nix { inherit lib pkgs; };
  file = operator.file cfg;
in
{
  options.services.homelab-deploy.operator = operator.options;

  config = lib.mkIf cfg.enable {
    assertions = operator.assertions path cfg;
    environment = {
      # On nix-darwin, XDG_CONFIG_DIRS contains `etc/xdg` of the profiles, but not /etc/xdg.
      systemPackages = [
        cfg.package
      ]
      ++ lib.optional (file != null) (pkgs.linkFarm "homelab-deploy-config" { "etc/xdg/homelab-deploy/config.toml" = file; });
      pathsToLink = [ "/etc/xdg" ];
    };
  };
}
