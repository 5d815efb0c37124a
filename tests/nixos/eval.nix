# An evaluated host with the modules, in the form that the tests read. The arguments are those of host.nix.
{ lib, ... }@arguments:

let
  host = import ./host.nix arguments;
  inherit (host) config;

  # A value as nix on one line, as the page shows it.
  shown =
    value:
    if value ? text then
      value.text
    else if lib.isAttrs value then
      if value == { } then "{ }" else "{ ${lib.concatStringsSep " " (lib.mapAttrsToList (name: value: "${name} = ${shown value};") value)} }"
    else if lib.isList value then
      if value == [ ] then "[ ]" else "[ ${lib.concatStringsSep " " (map shown value)} ]"
    else
      builtins.toJSON value;
  described = name: option: {
    inherit name;
    type = option.type.description;
    default =
      if option ? defaultText then
        shown option.defaultText
      else if option ? default then
        shown option.default
      else
        null;
    example = if option ? example then shown option.example else null;
    description = option.description or null;
  };
  list =
    prefix: options:
    lib.concatLists (
      lib.mapAttrsToList (
        name: option:
        let
          here = if prefix == "" then name else "${prefix}.${name}";
        in
        if name == "_module" || name == "_freeformOptions" then
          [ ]
        else if lib.isOption option then
          [ (described here option) ]
          ++ list (if option.type.name or "" == "submodule" then here else "${here}.<name>") (
            option.type.getSubOptions [ ]
          )
        else
          list here option
      ) options
    );
in
{
  inherit (host) failed unbound warnings;
  units = host.texts;
  # A unit as NixOS builds it: a store path that contains only the text.
  built = lib.mapAttrs (name: host.derive "unit-${name}.service") host.texts;
  timers = lib.mapAttrs (_: timer: { inherit (timer) wantedBy timerConfig; }) config.systemd.timers;
  tmpfiles = config.systemd.tmpfiles.rules;
  nats = config.services.nats;
  inherit (config.services) grafana prometheus;
  ports = config.networking.firewall.allowedTCPPorts;
  programs = config.environment.systemPackages;
  packages = map (package: package.name) config.environment.systemPackages;
  inherit (config.environment) etc;
  persistence = config.environment.persistence or { };
  options = list "" host.options.services.homelab-deploy;
}
