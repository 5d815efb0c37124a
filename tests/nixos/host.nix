# A host with the modules, and stand-ins for the parts of NixOS that they use. `lib` is the library of nixpkgs or lib.nix,
# `settings` a module with the settings of a test, `modules` the modules under test, `overlay` more packages, and
# `specialArgs` more arguments of modules.
{
  lib,
  settings,
  modules ? [ ../../nixos ],
  overlay ? { },
  specialArgs ? { },
}:

let
  inherit (lib) mkOption types;
  inherit (builtins) currentSystem;

  any = default: mkOption {
    type = types.anything;
    inherit default;
  };
  # Definitions are concatenated.
  list =
    type:
    mkOption {
      type = types.listOf type;
      default = [ ];
    };

  # Real derivations, built by a shell, because only these record what a text depends on.
  shell =
    script: name: content:
    derivation {
      inherit name content;
      system = currentSystem;
      builder = "/bin/sh";
      args = [
        "-c"
        script
      ];
    };
  derive = shell "printf '%s' \"$content\" >$out";
  package = name: derive name "the package ${name}" // { meta.mainProgram = name; };
  runCommand =
    name: _: script:
    derivation {
      inherit name;
      system = currentSystem;
      builder = "/bin/sh";
      PATH = "/bin:/usr/bin:/sbin:/usr/sbin";
      args = [
        "-euc"
        script
      ];
    };
  # A package with a program of this machine.
  program =
    name: path:
    runCommand name { } ''
      mkdir -p $out/bin
      printf '#!/bin/sh\nexec %s "$@"\n' '${path}' >$out/bin/${name}
      chmod +x $out/bin/${name}
    ''
    // {
      meta.mainProgram = name;
    };
  # The module under test, if the test names one.
  ours = builtins.getEnv "HOMELAB_DEPLOY_BINARY";

  # TOML with each table on one line.
  toml =
    value:
    if lib.isAttrs value then
      "{ ${lib.concatStringsSep ", " (lib.mapAttrsToList (name: value: "${builtins.toJSON name} = ${toml value}") value)} }"
    else if lib.isList value then
      "[ ${lib.concatStringsSep ", " (map toml value)} ]"
    else
      builtins.toJSON value;
  tomlValue =
    if lib ? mkOptionType then
      types.oneOf [
        types.bool
        types.int
        types.float
        types.str
        types.path
        (types.attrsOf tomlValue)
        (types.listOf tomlValue)
      ]
      // {
        description = "TOML value";
      }
    else
      types.anything;

  pkgs = {
    stdenv = {
      hostPlatform.system = currentSystem;
      buildPlatform.canExecute = _: true;
    };
    gitMinimal = package "git";
    nats-server = program "nats-server" "nats-server";
    writeText = derive;
    writeTextDir = shell "/bin/mkdir $out; printf '%s' \"$content\" >$out/$name";
    inherit runCommand;
    # The package that the nixpkgs of a host builds from package.nix.
    callPackage = _: _: program "homelab-deploy" (if ours == "" then "true" else ours);
    formats.toml = _: {
      type = tomlValue;
      generate =
        name: value:
        derive name (
          lib.concatStrings (lib.mapAttrsToList (name: value: "${builtins.toJSON name} = ${toml value}\n") value)
        );
    };
    formats.json = _: { generate = name: value: derive name (builtins.toJSON value); };
  }
  // lib.genAttrs [ "attic-client" "bash" "coreutils" "curl" "docker" "findutils" "gnupg" "gnused" "openssh" "other" ] package
  // overlay;

  # Merges settings of units as NixOS does: lists are concatenated, other values must be equal.
  unitOption =
    if lib ? mkOptionType then
      lib.mkOptionType {
        name = "systemd option";
        merge =
          loc: defs:
          if lib.any (def: lib.isList def.value) defs then
            lib.concatMap (def: lib.toList def.value) defs
          else
            lib.mergeEqualOption loc defs;
      }
    else
      types.unspecified
      // {
        merge =
          defs: if lib.any lib.isList defs then lib.concatMap lib.toList defs else types.unspecified.merge defs;
      };
  unitOptions = mkOption {
    type = types.attrsOf unitOption;
    default = { };
  };

  service = {
    options = {
      description = any "";
      wantedBy = list types.str;
      wants = list types.str;
      after = list types.str;
      unitConfig = unitOptions;
      serviceConfig = unitOptions;
      restartIfChanged = any true;
      stopIfChanged = any true;
      reloadTriggers = list types.str;
      restartTriggers = list types.unspecified;
      path = list types.package;
      environment = mkOption {
        type = types.attrsOf (
          types.nullOr (
            types.oneOf [
              types.str
              types.path
              types.package
            ]
          )
        );
        default = { };
      };
    };
  };

  timer = {
    options = {
      description = any "";
      wantedBy = list types.str;
      timerConfig = any { };
    };
  };

  surroundings.options = {
    specialisation = mkOption {
      type = types.attrsOf types.anything;
      default = { };
    };
    system = any { };
    virtualisation = any { };
    assertions = list types.unspecified;
    warnings = list types.str;
    systemd.services = mkOption {
      type = types.attrsOf (types.submodule service);
      default = { };
    };
    systemd.timers = mkOption {
      type = types.attrsOf (types.submodule timer);
      default = { };
    };
    systemd.tmpfiles.rules = list types.str;
    services.nats = {
      enable = any false;
      serverName = any "nats";
      port = any 4222;
      validateConfig = any true;
      settings = mkOption {
        type = types.attrsOf types.anything;
        default = { };
      };
    };
    services.prometheus = {
      enable = any false;
      scrapeConfigs = list types.unspecified;
      ruleFiles = list types.path;
    };
    services.grafana = {
      enable = any false;
      provision = {
        enable = any false;
        dashboards.settings.providers = list types.unspecified;
      };
    };
    networking = {
      hostName = any "web1";
      proxy.envVars = any { };
      firewall.allowedTCPPorts = list types.port;
    };
    nix = {
      package = any (package "nix");
      envVars = any { };
      settings = any { };
    };
    environment = {
      systemPackages = list types.package;
      etc = mkOption {
        type = types.attrsOf types.anything;
        default = { };
      };
    };
  };

  # The NixOS module of the server, as far as the modules use it.
  nats =
    { config, ... }:
    let
      server = config.services.nats;
    in
    {
      options = { };
      config = lib.mkIf server.enable {
        services.nats.settings = {
          server_name = server.serverName;
          inherit (server) port;
        };
        systemd.services.nats = {
          description = "NATS messaging system";
          wantedBy = [ "multi-user.target" ];
          serviceConfig = {
            ExecStart = "${lib.getExe pkgs.nats-server} -c ${derive "nats.conf" (builtins.toJSON server.settings)}";
            ExecReload = "${pkgs.coreutils}/bin/kill -HUP $MAINPID";
            ExecStop = "${pkgs.coreutils}/bin/kill -SIGUSR2 $MAINPID";
          };
        };
      };
    };

  evaluated = lib.evalModules {
    modules = modules ++ [
      surroundings
      nats
      settings
    ];
    specialArgs = specialArgs // { inherit pkgs; };
  };
  inherit (evaluated) config;

  # Writes a unit as NixOS does.
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
      ]
      ++ lib.optional (def.reloadTriggers != [ ]) (pair "X-Reload-Triggers" def.reloadTriggers)
      ++ lib.optional (def.restartTriggers != [ ]) (pair "X-Restart-Triggers" def.restartTriggers)
      ++ [ "[Service]" ]
      ++ lib.mapAttrsToList (name: value: "Environment=${builtins.toJSON "${name}=${value}"}") (
        lib.filterAttrs (_: value: value != null) def.environment // { PATH = lib.makeBinPath def.path; }
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

  # The name of a store path.
  nameOf = path: builtins.substring (builtins.stringLength builtins.storeDir + 34) (-1) path;
  # The store paths that a text names without depending on them. NixOS would neither build them nor copy them to the host. A
  # derivation has the same name as its output.
  unbound =
    text:
    let
      named = builtins.split "(${builtins.storeDir}/[0-9a-z]{32}-[0-9A-Za-z+._?=-]+)" text;
      paths = map builtins.head (lib.filter lib.isList named);
      context = builtins.attrNames (builtins.getContext text);
      bound = path: builtins.elem path context || builtins.elem "${nameOf path}.drv" (map nameOf context);
    in
    lib.filter (path: !bound path) paths;
in
{
  inherit (evaluated) config options;
  inherit pkgs texts derive;
  unbound = lib.mapAttrs (_: unbound) texts;
  inherit (config) warnings;
  failed = map (assertion: assertion.message) (lib.filter (assertion: !assertion.assertion) config.assertions);
}
