# Stand-ins for other options that the pages about NixOS set: agenix, sops-nix, impermanence, and parts of NixOS.
{ lib, ... }:

let
  inherit (lib) mkOption types;
  any = default: mkOption {
    type = types.anything;
    inherit default;
  };
  # Secrets that a host decrypts below `directory`, with more options.
  secrets =
    directory: further:
    mkOption {
      type = types.attrsOf (
        types.submodule (
          { name, ... }:
          {
            options = {
              path = any "${directory}/${name}";
            }
            // further;
          }
        )
      );
      default = { };
    };
in
{
  options = {
    age.secrets = secrets "/run/agenix" { file = mkOption { type = types.path; }; };
    sops.secrets = secrets "/run/secrets" {
      sopsFile = mkOption { type = types.path; };
      key = any "";
      restartUnits = any [ ];
    };
    security.acme = {
      acceptTerms = any false;
      defaults.email = any null;
      certs = mkOption {
        type = types.attrsOf (
          types.submodule (
            { name, ... }:
            {
              options = {
                directory = any "/var/lib/acme/${name}";
                listenHTTP = any null;
                group = any "acme";
                reloadServices = any [ ];
              };
            }
          )
        );
        default = { };
      };
    };
    environment.persistence = any { };
    fileSystems = any { };
    services.openssh.hostKeys = any [ ];
    services.grafana.settings = any { };
    programs.ssh.knownHosts = any { };
    services.grafana.provision.datasources.settings.datasources = any [ ];
  };
}
