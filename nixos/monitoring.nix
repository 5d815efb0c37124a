# The host of Prometheus and Grafana: what they need to watch a fleet.
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
        Whether Prometheus on this host scrapes the fleet and has its alerts. Turns on `services.prometheus`. If Grafana runs on this
        host too, it gets the dashboard, which asks for the Prometheus data source.
      '';
    };
    targets = mkOption {
      type = types.listOf types.str;
      default = [ ];
      example = [
        "ns1:9972"
        "cache:9973"
      ];
      description = "Where listeners and builders serve their metrics, as host and port. `lib.fleet` of the flake has them as `targets`. Needed with `enable`.";
    };
  };

  config = lib.mkIf cfg.enable {
    assertions = [
      {
        assertion = cfg.targets != [ ];
        message = "${path}.targets must be set, for example to (lib.fleet self.nixosConfigurations).targets; it is empty there if no host has listener.metrics.enable.";
      }
      {
        assertion = wrong == [ ];
        message = "${path}.targets: ${lib.concatStringsSep ", " wrong}: write a host and a port, as in \"ns1:9972\".";
      }
    ];

    services.prometheus = {
      enable = lib.mkDefault true;
      # The alerts expect this name.
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
