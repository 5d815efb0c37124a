# The program, configured for an operator of this fleet with the key in ~/.config/homelab-deploy/admin.nkey.
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
# A configuration file in ~/.config/homelab-deploy replaces this one.
pkgs.writeShellScriptBin "homelab-deploy" ''
  export XDG_CONFIG_DIRS=${directory}''${XDG_CONFIG_DIRS:+:$XDG_CONFIG_DIRS}
  exec ${program}/bin/homelab-deploy "$@"
''
