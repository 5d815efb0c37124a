# The test in virtual machines, evaluated with stand-ins: its script and its machines.
{ lib }:

let
  host =
    modules:
    let
      evaluated = import ./host.nix {
        inherit lib;
        settings.imports = modules;
        modules = [ ];
      };
      inherit (evaluated) config;
    in
    evaluated
    // {
      config = config // {
        system.build.toplevel = evaluated.derive "nixos-system" (builtins.toJSON evaluated.texts);
        specialisation = lib.mapAttrs (_: special: {
          configuration = (host (modules ++ [ special.configuration ])).config;
        }) config.specialisation;
      };
    };
  inherit (host [ ]) pkgs;

  test = import ../../nixos/test.nix { module = ../../nixos; } { inherit lib pkgs; };
  hosts = lib.mapAttrs (_: node: host [ node ]) test.nodes;
in
{
  inherit (test) name;
  script = test.testScript { nodes = lib.mapAttrs (_: host: host.config) hosts; };
  machines = lib.mapAttrs (_: host: { inherit (host) failed unbound; }) hosts;
}
