# For operators with home-manager, on Linux or a Mac.
{
  config,
  lib,
  pkgs,
  ...
}:

let
  cfg = config.programs.homelab-deploy;
  operator = import ./operator-file.nix { inherit lib pkgs; };
  file = operator.file cfg;
in
{
  options.programs.homelab-deploy = operator.options;

  config = lib.mkIf cfg.enable {
    assertions = operator.assertions "programs.homelab-deploy" cfg;
    home.packages = [ cfg.package ];
    xdg.configFile."homelab-deploy/config.toml" = lib.mkIf (file != null) { source = file; };
  };
}
