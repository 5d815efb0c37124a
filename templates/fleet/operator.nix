# The program for an operator of this fleet, who has the key in ~/.config/homelab-deploy/admin.nkey.
{
  fleet,
  pkgs,
  program,
}:

let
  settings.contexts.home = fleet.context // {
    nats_url = "nats://ns1.example.org";
    nkey_file = "~/.config/homelab-deploy/admin.nkey";
    branch = "main";
  };
  file = (pkgs.formats.toml { }).generate "config.toml" settings;
  directory = pkgs.linkFarm "fleet-configuration" { "homelab-deploy/config.toml" = file; };
in
# A file of your own in ~/.config/homelab-deploy is used instead of this one.
pkgs.writeShellScriptBin "homelab-deploy" ''
  export XDG_CONFIG_DIRS=${directory}''${XDG_CONFIG_DIRS:+:$XDG_CONFIG_DIRS}
  exec ${program}/bin/homelab-deploy "$@"
''
