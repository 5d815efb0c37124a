# What the modules of services have in common: words of a command line, and what is read from the text of a unit.
{ lib }:

let
  inherit (lib) mkOption types;
  inherit (import ./unit.nix { inherit lib; }) assignment readUnit;

  portIn = builtins.match ".*:([0-9]{1,5})";
in
{
  packageOption =
    pkgs:
    mkOption {
      type = types.package;
      # The flake's modules name the flake's own instead.
      default = pkgs.homelab-deploy or (pkgs.callPackage ./package.nix { });
      defaultText = lib.literalMD "the flake's own, if the module comes from the flake; else `pkgs.homelab-deploy`, if an overlay has it; else built from this repository with the host's nixpkgs";
      example = lib.literalExpression "pkgs.homelab-deploy";
      description = "The package with the program.";
    };

  # Where metrics are served, on this port where nothing else is said.
  metricsOptions = port: {
    enable = mkOption {
      type = types.bool;
      default = false;
      example = true;
      description = "Whether to serve `/metrics` for Prometheus, and `/health`.";
    };
    address = mkOption {
      type = types.str;
      default = ":${toString port}";
      example = "127.0.0.1:${toString port}";
      description = "Where to serve them; without an address before the port, on all of the host's.";
    };
    openFirewall = mkOption {
      type = types.bool;
      default = false;
      example = true;
      description = "Whether to open that port in the firewall.";
    };
  };

  # One word of a systemd command line.
  word =
    value:
    let
      # What is missing is told by an assertion.
      text = toString value;
      plain = builtins.match "[A-Za-z0-9_./:@+,=-]+" text != null;
      escaped = lib.replaceStrings [ "%" "$" ] [ "%%" "$$" ] text;
    in
    if plain then text else builtins.toJSON escaped;

  # The variables that a unit sets.
  environmentOf = service: lib.listToAttrs (map assignment (lib.toList (service.Environment or [ ])));

  # A file with a secret: an absolute path on the host and never in the store.
  secretAssertions = option: file: [
    {
      assertion = file == null || builtins.match "/[^\n]*" file != null;
      message = "${option} must be an absolute path on the host.";
    }
    {
      assertion = file == null || !(lib.hasPrefix builtins.storeDir file);
      message = "${option} lies in the nix store, where everybody can read it; write the path in quotes and put the file on the host by other means.";
    }
  ];

  # Where metrics are served on `port` if nothing else is said.
  metricsAssertions = path: port: metrics: [
    {
      assertion = metrics.openFirewall -> metrics.enable;
      message = "${path}.metrics.openFirewall has no effect without ${path}.metrics.enable.";
    }
    {
      assertion = metrics.enable -> portIn metrics.address != null;
      message = "${path}.metrics.address must end with a port, as in \":${toString port}\" or \"[::1]:${toString port}\".";
    }
  ];

  # The port of an address, as a number.
  portOf = address: lib.toIntBase10 (builtins.head (portIn address));

  inherit readUnit;
}
