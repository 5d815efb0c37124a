# A host with our modules, and stand-ins for the parts of NixOS that they touch. `lib` is nixpkgs' library or the little one
# beside this file, `settings` a module with what a test sets, `modules` where ours come from, `overlay` further packages.
{
  lib,
  settings,
  modules ? [ ../../nixos ],
  overlay ? { },
}:

let
  inherit (lib) mkOption types;
  inherit (builtins) currentSystem;

  any = default: mkOption {
    type = types.anything;
    inherit default;
  };
  # Each definition adds to it.
  list =
    type:
    mkOption {
      type = types.listOf type;
      default = [ ];
    };

  # Real derivations, which a shell builds: only those show what a text depends on.
  derive =
    name: content:
    derivation {
      inherit name content;
      system = currentSystem;
      builder = "/bin/sh";
      args = [
        "-c"
        "printf '%s' \"$content\" >$out"
      ];
    };
  package = name: derive name "the package ${name}" // { meta.mainProgram = name; };
  pkgs = {
    stdenv.hostPlatform.system = currentSystem;
    gitMinimal = package "git";
    writeText = derive;
    writeTextDir = derive;
    # What a host's own nixpkgs makes of our package.nix.
    callPackage = _: _: package "homelab-deploy";
    formats.toml = _: {
      type = types.attrsOf types.anything;
      generate = name: value: derive name (builtins.toJSON value);
    };
  }
  // lib.genAttrs [ "bash" "coreutils" "curl" "findutils" "gnused" "openssh" "other" ] package
  // overlay;

  service = {
    options = {
      description = any "";
      wantedBy = list types.str;
      wants = list types.str;
      after = list types.str;
      unitConfig = any { };
      serviceConfig = any { };
      restartIfChanged = any true;
      stopIfChanged = any true;
      path = list types.package;
      environment = any { };
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
      settings = any { };
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
in
{
  inherit (evaluated) config options;
  inherit pkgs texts derive;
  unbound = lib.mapAttrs (_: unbound) texts;
  failed = map (assertion: assertion.message) (lib.filter (assertion: !assertion.assertion) config.assertions);
}
