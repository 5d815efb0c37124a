# The flake of a fleet in the directory `fleet`, with stand-ins for its inputs: nixpkgs, whose programs are this machine's, agenix,
# and this repository's own flake.
{
  lib,
  fleet,
  binary,
}:

let
  inherit (lib) mkOption types;
  system = builtins.currentSystem;

  # A real derivation, built by a shell with the programs of this machine.
  run =
    name: arguments: script:
    derivation (
      {
        inherit name system;
        builder = "/bin/sh";
        PATH = "/usr/bin:/bin:/usr/sbin:/sbin";
        args = [
          "-euc"
          script
        ];
      }
      // arguments
    );
  program =
    name: path:
    run name { } ''
      mkdir -p $out/bin
      printf '#!/bin/sh\nexec %s "$@"\n' ${path} >$out/bin/${name}
      chmod +x $out/bin/${name}
    ''
    // {
      meta.mainProgram = name;
    };

  toml =
    value:
    if lib.isAttrs value then
      "{ ${lib.concatStringsSep ", " (lib.mapAttrsToList (key: value: "${builtins.toJSON key} = ${toml value}") value)} }"
    else if lib.isList value then
      "[${lib.concatStringsSep ", " (map toml value)}]"
    else
      builtins.toJSON value;

  overlay = {
    stdenv = {
      hostPlatform = { inherit system; };
      buildPlatform.canExecute = _: true;
    };
    nats-server = program "nats-server" "nats-server";
    callPackage = _: _: program "homelab-deploy" binary;
    runCommand = run;
    linkFarm =
      name: files:
      run name { } (
        lib.concatStrings (
          lib.mapAttrsToList (path: file: ''
            mkdir -p $(dirname $out/${path})
            ln -s ${file} $out/${path}
          '') files
        )
      );
    writeShellScriptBin =
      name: text:
      run name { inherit text; } ''
        mkdir -p $out/bin
        printf '#!/bin/sh\n%s' "$text" >$out/bin/${name}
        chmod +x $out/bin/${name}
      '';
    mkShell = shell: run "shell" { } "" // shell;
    formats.toml = _: {
      type = types.attrsOf types.anything;
      generate =
        name: value:
        run name {
          text = lib.concatStrings (lib.mapAttrsToList (key: value: "${key} = ${toml value}\n") value);
        } "printf '%s' \"$text\" >$out";
    };
  };

  any = default: mkOption {
    type = types.anything;
    inherit default;
  };
  # Other options of NixOS that a fleet sets.
  nixos = {
    options = {
      nixpkgs.hostPlatform = any "";
      boot = any { };
      fileSystems = any { };
      users.users = any { };
      services.openssh.enable = any false;
    };
  };

  nixosSystem =
    { modules, specialArgs }:
    let
      evaluated = import ./host.nix {
        inherit lib overlay specialArgs;
        modules = modules ++ [ nixos ];
        settings = { };
      };
      units = lib.mapAttrs' (
        name: text:
        lib.nameValuePair "${name}.service" {
          unit = run "unit-${name}.service" { inherit text; } ''
            mkdir $out
            printf '%s' "$text" >"$out/${name}.service"
          '';
        }
      ) evaluated.texts;
    in
    evaluated
    // {
      config = evaluated.config // {
        systemd = evaluated.config.systemd // { inherit units; };
        system = evaluated.config.system // { build.toplevel = run "nixos-system" { } "touch $out"; };
      };
    };

  inherit
    (import ./host.nix {
      inherit lib overlay;
      modules = [ ];
      settings = { };
    })
    pkgs
    ;

  inputs = {
    nixpkgs = {
      lib = lib // { inherit nixosSystem; };
      legacyPackages = lib.genAttrs [ "x86_64-linux" "aarch64-linux" "aarch64-darwin" ] (
        system: pkgs // { stdenv.hostPlatform = { inherit system; }; }
      );
    };

    agenix = {
      nixosModules.default.options.age.secrets = mkOption {
        type = types.attrsOf (
          types.submodule (
            { name, ... }:
            {
              options = {
                file = mkOption { type = types.path; };
                path = mkOption {
                  type = types.str;
                  default = "/run/agenix/${name}";
                };
              };
            }
          )
        );
        default = { };
      };
      packages = lib.genAttrs [ "x86_64-linux" "aarch64-linux" "aarch64-darwin" ] (_: {
        default = program "agenix" "agenix";
      });
    };

    homelab-deploy = (import ../../flake.nix).outputs {
      self = inputs.homelab-deploy;
      inherit (inputs) nixpkgs;
    };

    self = (import (fleet + "/flake.nix")).outputs inputs;
  };
  inherit (inputs) self homelab-deploy;
in
rec {
  inherit inputs self homelab-deploy pkgs;
  fleet = homelab-deploy.lib.fleet self.nixosConfigurations;
  # The same as a derivation.
  fleetFile = run "fleet-file" { } "cp ${fleet.file} $out";
  operator = self.packages.${system}.default;
  checks = self.checks.${system};
  tools = map (tool: tool.name) self.devShells.${system}.default.packages;
  hosts = lib.mapAttrs (_: host: {
    inherit (host) failed unbound warnings;
    unit = host.texts.homelab-deploy-listener;
    triggers = map toString host.config.systemd.services.homelab-deploy-listener.restartTriggers;
    nats = host.config.services.nats;
    ports = host.config.networking.firewall.allowedTCPPorts;
  }) self.nixosConfigurations;
}
