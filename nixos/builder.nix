# The builder. Its unit is read from the text beside this file.
{
  config,
  lib,
  pkgs,
  ...
}:

let
  inherit (lib) mkOption types;
  cfg = config.services.homelab-deploy.builder;
  path = "services.homelab-deploy.builder";

  inherit (import ./service.nix { inherit lib; })
    word
    readUnit
    environmentOf
    secretAssertions
    packageOption
    metricsOptions
    metricsAssertions
    portOf
    ;
  toml = pkgs.formats.toml { };

  configFile =
    if cfg.configFile != null then
      # A file beside the configuration becomes one in the store, and belongs to the unit.
      "${cfg.configFile}"
    else
      "${toml.generate "homelab-deploy-builder.toml" cfg.settings}";

  arguments = [
    "--nats-url"
    cfg.natsUrl
  ]
  ++ lib.optionals cfg.metrics.enable [
    "--metrics-enabled"
    "--metrics-addr"
    cfg.metrics.address
  ]
  ++ cfg.extraArgs;

  unit = readUnit (
    lib.replaceStrings
      [
        "@program@"
        "@arguments@"
        "@config@"
        "@key@"
      ]
      [
        "${cfg.package}/bin/homelab-deploy"
        (lib.concatMapStringsSep " " word arguments)
        (word configFile)
        (toString cfg.nkeyFile)
      ]
      (builtins.readFile ./homelab-deploy-builder.service)
  );
  service = unit.Service;

  required = option: example: {
    assertion = cfg.${option} != null;
    message = "${path}.${option} must be set, for example to ${builtins.toJSON example}.";
  };

  options = {
    enable = mkOption {
      type = types.bool;
      default = false;
      example = true;
      description = "Whether this host builds when operators ask for it.";
    };
    package = packageOption pkgs;
    natsUrl = mkOption {
      type = types.nullOr types.str;
      default = null;
      example = "tls://nats.example.org";
      description = "The NATS server, or a comma list of a cluster's. Required.";
    };
    nkeyFile = mkOption {
      type = types.nullOr types.str;
      default = null;
      example = "/run/keys/builder.nkey";
      description = ''
        The file on the host with the builder's nkey seed, as `homelab-deploy keys new builder` writes it. Required. systemd hands
        it on as a credential, so only root needs to be able to read it. It must not lie in the store, where everybody can read.
      '';
    };
    settings = mkOption {
      inherit (toml) type;
      default = { };
      example = {
        repos.fleet.url = "git+https://git.example.org/fleet";
        timeout = "2h";
      };
      description = ''
        The builder's file: `repos.<name>` with `url`, `default_branch` and `default`; `timeout`, `parallel`, `keep_going` and
        `post_build_command`; docs/builder.md has them. Either this or `configFile` must be set. Never write a secret here: the file
        can be read by everybody.
      '';
    };
    configFile = mkOption {
      type = types.nullOr types.path;
      default = null;
      example = "/etc/homelab-deploy/builder.toml";
      description = "The builder's file, where it is not made from `settings`. The builder's own user must be able to read it.";
    };
    environment = mkOption {
      type = types.attrsOf types.str;
      default = { };
      example = {
        GIT_SSH_COMMAND = "ssh -i /run/credentials/homelab-deploy-builder.service/fleet";
      };
      description = "Further variables of the builder's environment, which nix, git and the post-build command have too.";
    };
    metrics = metricsOptions 9973;
    extraArgs = mkOption {
      type = types.listOf types.str;
      default = [ ];
      example = [ "--debug" ];
      description = "Further arguments of `homelab-deploy builder`. Directories named here must be writable to the unit.";
    };
  };
in
{
  options.services.homelab-deploy.builder = options;

  config = lib.mkIf cfg.enable {
    assertions = [
      (required "natsUrl" "tls://nats.example.org")
      (required "nkeyFile" "/run/keys/builder.nkey")
      {
        assertion = (cfg.settings != { }) != (cfg.configFile != null);
        message = "set exactly one of ${path}.settings, for example to { repos.fleet.url = \"git+https://git.example.org/fleet\"; }, and ${path}.configFile.";
      }
      {
        assertion = cfg.settings == { } || (cfg.settings.repos or { }) != { };
        message = "${path}.settings.repos must name at least one repository, for example fleet.url = \"git+https://git.example.org/fleet\".";
      }
    ]
    ++ metricsAssertions path 9973 cfg.metrics
    ++ secretAssertions "${path}.nkeyFile" cfg.nkeyFile;

    networking.firewall.allowedTCPPorts = lib.mkIf cfg.metrics.openFirewall [
      (portOf cfg.metrics.address)
    ];

    systemd.services.homelab-deploy-builder = {
      description = unit.Unit.Description;
      wantedBy = [ "multi-user.target" ];
      wants = lib.splitString " " unit.Unit.Wants;
      after = lib.splitString " " unit.Unit.After;
      unitConfig = removeAttrs unit.Unit [
        "Description"
        "Wants"
        "After"
      ];
      path = [
        config.nix.package
        pkgs.gitMinimal
        pkgs.openssh
      ];
      environment =
        config.nix.envVars // config.networking.proxy.envVars // environmentOf service // cfg.environment;
      serviceConfig = removeAttrs service [ "Environment" ];
    };
  };
}
