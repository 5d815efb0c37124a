# For the host of Prometheus and Grafana: scrape job, alerts and dashboard of a fleet.
{
  config,
  lib,
  pkgs,
  ...
}:

let
  inherit (lib) mkOption types;
  cfg = config.services.homelab-deploy.monitoring;
  path = "services.homelab-deploy.monitoring";
  isTarget = target: builtins.match "[^ /]+:[0-9]{1,5}" target != null;
  wrong = lib.filter (target: !(isTarget target)) cfg.targets;
in
{
  options.services.homelab-deploy.monitoring = {
    enable = mkOption {
      type = types.bool;
      default = false;
      example = true;
      description = ''
        Whether to add the scrape job and alerts of the fleet to Prometheus on this host. Enables `services.prometheus`. If
        Grafana runs on this host too, the dashboard is added to it; select the Prometheus data source there.
      '';
    };
    targets = mkOption {
      type = types.listOf types.str;
      default = [ ];
      example = [
        "ns1:9972"
        "cache:9973"
      ];
      description = "The metrics addresses of listeners and builders, as host and port. `lib.fleet` of the flake provides them as `targets`. Required with `enable`.";
    };
  };

  config = lib.mkIf cfg.enable {
    assertions = [
      {
        assertion = cfg.targets != [ ];
        message = "${path}.targets must be set, for example to (lib.fleet self.nixosConfigurations).targets; that list is empty if no host sets listener.metrics.enable.";
      }
      {
        assertion = wrong == [ ];
        message = "${path}.targets: ${lib.concatStringsSep ", " wrong}: expected a host and a port, such as \"ns1:9972\".";
      }
    ];

    services.prometheus = {
      enable = lib.mkDefault true;
      # The alerts select this job name.
      scrapeConfigs = [
        {
          job_name = "homelab-deploy";
          static_configs = [ { inherit (cfg) targets; } ];
        }
      ];
      ruleFiles = [ ./alerts.yml ];
    };

    services.grafana.provision = lib.mkIf config.services.grafana.enable {
      enable = true;
      dashboards.settings.providers = [
        {
          name = "homelab-deploy";
          options.path = pkgs.writeTextDir "homelab-deploy.json" (builtins.readFile ./dashboard.json);
        }
      ];
    };
  };
}
