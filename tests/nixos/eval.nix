# Evaluates our modules with stand-ins for the parts of NixOS that they touch. `--arg lib` is nixpkgs' library or the
# little one beside this file, `--arg settings` a module with what a test sets, `--arg modules` where ours come from.
{
  lib,
  settings,
  modules ? [ ../../nixos ],
  overlay ? { },
}:

let
  inherit (lib) mkOption types;

  any = default: mkOption {
    type = types.anything;
    inherit default;
  };

  # Real derivations, which a shell builds: only those show what a text depends on.
  derive =
    name: content:
    derivation {
      inherit name content;
      system = builtins.currentSystem;
      builder = "/bin/sh";
      args = [
        "-c"
        "printf '%s' \"$content\" >$out"
      ];
    };
  package = name: derive name "the package ${name}";
  pkgs = {
    stdenv.hostPlatform.system = builtins.currentSystem;
    gitMinimal = package "git";
    openssh = package "openssh";
    curl = package "curl";
    other = package "other";
    # What a host's own nixpkgs makes of our package.nix.
    callPackage = _: _: package "homelab-deploy";
    formats.toml = _: {
      type = types.attrsOf types.anything;
      generate = name: value: derive name (builtins.toJSON value);
    };
  }
  // overlay;

  service = {
    options = {
      description = any "";
      wantedBy = any [ ];
      wants = any [ ];
      after = any [ ];
      unitConfig = any { };
      serviceConfig = any { };
      restartIfChanged = any true;
      stopIfChanged = any true;
      path = any [ ];
      environment = any { };
    };
  };

  timer = {
    options = {
      description = any "";
      wantedBy = any [ ];
      timerConfig = any { };
    };
  };

  surroundings.options = {
    assertions = mkOption {
      type = types.listOf types.unspecified;
      default = [ ];
    };
    systemd.services = mkOption {
      type = types.attrsOf (types.submodule service);
      default = { };
    };
    systemd.timers = mkOption {
      type = types.attrsOf (types.submodule timer);
      default = { };
    };
    services.nats = {
      enable = any false;
      settings = any { };
    };
    networking = {
      hostName = any "web1";
      proxy.envVars = any { };
      firewall.allowedTCPPorts = mkOption {
        type = types.listOf types.port;
        default = [ ];
      };
    };
    nix = {
      package = any (package "nix");
      envVars = any { };
    };
    environment = {
      systemPackages = mkOption {
        type = types.listOf types.package;
        default = [ ];
      };
      etc = mkOption {
        type = types.attrsOf types.anything;
        default = { };
      };
    };
  };

  evaluated = lib.evalModules {
    modules = modules ++ [
      surroundings
      settings
    ];
    specialArgs = { inherit pkgs; };
  };
  inherit (evaluated) config;

  # As NixOS writes units.
  pair = name: value: "${name}=${if lib.isBool value then lib.boolToString value else toString value}";
  section = attrs: lib.concatLists (lib.mapAttrsToList (name: value: map (pair name) (lib.toList value)) attrs);
  unit =
    def:
    lib.concatStringsSep "\n" (
      [ "[Unit]" ]
      ++ section def.unitConfig
      ++ [
        (pair "Description" def.description)
        (pair "Wants" def.wants)
        (pair "After" def.after)
        "[Service]"
      ]
      ++ lib.mapAttrsToList (name: value: "Environment=${builtins.toJSON "${name}=${value}"}") (
        def.environment // { PATH = lib.makeBinPath def.path; }
      )
      ++ lib.optional (!def.restartIfChanged) "X-RestartIfChanged=false"
      ++ lib.optional (!def.stopIfChanged) "X-StopIfChanged=false"
      ++ section def.serviceConfig
      ++ [
        "[Install]"
        (pair "WantedBy" def.wantedBy)
      ]
    )
    + "\n";

  texts = lib.mapAttrs (_: unit) config.systemd.services;

  # The name of a path in the store.
  nameOf = path: builtins.substring (builtins.stringLength builtins.storeDir + 34) (-1) path;
  # The store paths that a text names and does not depend on. NixOS would neither build them nor copy them to the host. A
  # derivation has the name of what it makes.
  unbound =
    text:
    let
      named = builtins.split "(${builtins.storeDir}/[0-9a-z]{32}-[0-9A-Za-z+._?=-]+)" text;
      paths = map builtins.head (lib.filter lib.isList named);
      context = builtins.attrNames (builtins.getContext text);
      bound = path: builtins.elem path context || builtins.elem "${nameOf path}.drv" (map nameOf context);
    in
    lib.filter (path: !bound path) paths;

  # In nix, on one line, as a page shows it.
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
        if name == "_module" then
          [ ]
        else if lib.isOption option then
          [ (described here option) ] ++ list "${here}.<name>" (option.type.getSubOptions [ ])
        else
          list here option
      ) options
    );
in
{
  failed = map (assertion: assertion.message) (lib.filter (assertion: !assertion.assertion) config.assertions);
  units = texts;
  unbound = lib.mapAttrs (_: unbound) texts;
  # A unit as NixOS makes it: a path in the store that holds the text and nothing else.
  built = lib.mapAttrs (name: derive "unit-${name}.service") texts;
  timers = lib.mapAttrs (_: timer: { inherit (timer) wantedBy timerConfig; }) config.systemd.timers;
  nats = config.services.nats;
  ports = config.networking.firewall.allowedTCPPorts;
  programs = config.environment.systemPackages;
  packages = map (package: package.name) config.environment.systemPackages;
  inherit (config.environment) etc;
  options = list "" evaluated.options.services.homelab-deploy;
}
