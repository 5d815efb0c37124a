# The outputs of the flake, for use without flakes: `import (fetchTarball …) { }`, or with npins or niv.
{
  pkgs ? import <nixpkgs> { },
}:

let
  package = pkgs: pkgs.callPackage ./nixos/package.nix { };
in
{
  homelab-deploy = package pkgs;

  overlay = final: _: { homelab-deploy = package final; };

  nixosModules = {
    default = ./nixos;
    builder = ./nixos/builder.nix;
    flakeUpdate = ./nixos/flake-update.nix;
    listener = ./nixos/listener.nix;
    monitoring = ./nixos/monitoring.nix;
    nats = ./nixos/nats.nix;
    notify = ./nixos/notify.nix;
    operator = ./nixos/operator.nix;
  };

  homeModules.default = ./nixos/home-manager.nix;

  darwinModules.default = ./nixos/darwin.nix;

  lib = import ./nixos/fleet.nix { inherit (pkgs) lib; };
}
