# The listener of a host. Its unit is read from the text beside this file, which the lab proves on running hosts.
{
  config,
  lib,
  pkgs,
  ...
}:

let
  inherit (lib) mkOption types;
  cfg = config.services.homelab-deploy.listener;
  path = "services.homelab-deploy.listener";

  token = import ./token.nix { inherit lib; };
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

  changed = option: cfg.${option} != options.${option}.default;
  flag =
    name: option: lib.optionals (changed option) [
      name
      (toString cfg.${option})
    ];
  each = name: map (value: "${name}=${value}");

  # What the program itself takes for its default is not said again.
  arguments = [
    "--hostname"
    cfg.hostname
    "--tier"
    cfg.tier
  ]
  ++ lib.optionals (cfg.role != null) [
    "--role"
    cfg.role
  ]
  ++ [
    "--nats-url"
    cfg.natsUrl
    "--flake-url"
    cfg.flakeUrl
  ]
  ++ flag "--timeout" "timeout"
  ++ lib.optionals (changed "deploySubjects") (each "--deploy-subject" cfg.deploySubjects)
  ++ flag "--discover-subject" "discoverSubject"
  ++ each "--trusted-key" cfg.trustedKeys
  ++ flag "--heartbeat-interval" "heartbeatInterval"
  ++ lib.optionals (cfg.rebuildCommand != null) [
    "--rebuild-command"
    "${cfg.rebuildCommand}"
  ]
  ++ lib.optional cfg.requireHealthy "--require-healthy"
  ++ each "--health-check" cfg.healthChecks
  ++ flag "--confirm-timeout" "confirmTimeout"
  ++ each "--ignore-unit" cfg.ignoreUnits
  ++ lib.optional (!cfg.rollback) "--no-rollback"
  ++ lib.optional (!cfg.localBuild) "--no-local-build"
  ++ lib.optionals cfg.metrics.enable [
    "--metrics-enabled"
    "--metrics-addr"
    cfg.metrics.address
  ]
  ++ cfg.extraArgs;

  text =
    lib.replaceStrings
      [
        "@program@"
        "@arguments@"
        "@key@"
      ]
      [
        "${cfg.package}/bin/homelab-deploy"
        (lib.concatMapStringsSep " " word arguments)
        (toString cfg.nkeyFile)
      ]
      (builtins.readFile ./homelab-deploy-listener.service);
  unit = readUnit text;
  # A rebuild command builds and activates in the listener's place.
  hardening = lib.optionalAttrs (cfg.rebuildCommand == null) (
    (readUnit (builtins.readFile ./homelab-deploy-listener.hardening.conf)).Service
  );
  service = unit.Service // hardening;
  required = option: example: {
    assertion = cfg.${option} != null;
    message = "${path}.${option} must be set, for example to ${builtins.toJSON example}.";
  };
  onlyWithoutRebuildCommand = option: {
    assertion = cfg.rebuildCommand == null || !(changed option);
    message = "${path}.${option} has no effect with ${path}.rebuildCommand, which does all the work itself; leave one of them out.";
  };

  options = {
    enable = mkOption {
      type = types.bool;
      default = false;
      example = true;
      description = "Whether this host takes deployments.";
    };
    package = packageOption pkgs;
    hostname = mkOption {
      type = token;
      default = config.networking.hostName;
      defaultText = lib.literalExpression "config.networking.hostName";
      example = "ns1";
      description = "The name of this host, as the flake calls it below `nixosConfigurations`.";
    };
    tier = mkOption {
      type = types.nullOr token;
      default = null;
      example = "prod";
      description = "The tier of this host, for example `test` or `prod`. Required. Keys have their rights by tier.";
    };
    role = mkOption {
      type = types.nullOr token;
      default = null;
      example = "dns";
      description = "The role of this host. All hosts of a role and tier can be deployed at once.";
    };
    natsUrl = mkOption {
      type = types.nullOr types.str;
      default = null;
      example = "tls://nats.example.org";
      description = "The NATS server, or a comma list of a cluster's. Required.";
    };
    nkeyFile = mkOption {
      type = types.nullOr types.str;
      default = null;
      example = "/run/keys/ns1.nkey";
      description = ''
        The file on the host with its nkey seed, as `homelab-deploy keys new listener` writes it. Required. systemd hands it
        on as a credential, so only root needs to be able to read it. It must not lie in the store, where everybody can read.
      '';
    };
    flakeUrl = mkOption {
      type = types.nullOr types.str;
      default = null;
      example = "git+https://git.example.org/fleet";
      description = "The flake to deploy: `git+https://…`, `git+ssh://…`, `github:owner/repo` or `path:…`. Required.";
    };
    timeout = mkOption {
      type = types.ints.between 1 31536000;
      default = 600;
      example = 3600;
      description = "Seconds that prepare, build and check may take together.";
    };
    deploySubjects = mkOption {
      type = types.nonEmptyListOf types.str;
      default = [
        "deploy.<tier>.<hostname>"
        "deploy.<tier>.all"
        "deploy.<tier>.role.<role>"
      ];
      example = [ "deploy.<tier>.<hostname>" ];
      description = "Where requests are taken. `<hostname>`, `<tier>` and `<role>` expand; what needs a role is left out without one.";
    };
    discoverSubject = mkOption {
      type = types.str;
      default = "deploy.discover";
      example = "deploy.discover";
      description = "Where questions are taken.";
    };
    trustedKeys = mkOption {
      type = types.listOf types.str;
      default = [ ];
      example = [ "UAAVKPMLJOLZDMDFQ2TM5ZRAZHJBA4V2PDGXRK7OGPMQ4XIQE5KKIGDY" ];
      description = ''
        Public keys of those who may deploy this host, as `homelab-deploy keys new` prints them. With one at least, only requests
        that one of them has signed are taken, whatever the NATS server lets through; without, the server alone decides.
      '';
    };
    environment = mkOption {
      type = types.attrsOf types.str;
      default = { };
      example = {
        GIT_SSH_COMMAND = "ssh -i /run/keys/fleet";
      };
      description = "Further variables of the listener's environment, which nix and git have too.";
    };
    heartbeatInterval = mkOption {
      type = types.ints.between 1 31536000;
      default = 15;
      example = 5;
      description = "Seconds between reports while a job runs.";
    };
    rebuildCommand = mkOption {
      type = types.nullOr types.path;
      default = null;
      example = lib.literalExpression "lib.getExe pkgs.nixos-rebuild";
      description = ''
        A program that builds and activates in the listener's place, called as `PROGRAM ACTION --flake LOCKED_URL#HOST`. It runs in
        a separate unit, so the restart of the listener in a switch that changes the listener's unit does not end it; the restarted
        listener follows it. The listener's unit is not hardened then. Without it the host is changed step by step and rolled back
        automatically if that fails.
      '';
    };
    requireHealthy = mkOption {
      type = types.bool;
      default = false;
      example = true;
      description = "Whether to refuse deployments while systemd calls the host degraded.";
    };
    healthChecks = mkOption {
      type = types.listOf types.str;
      default = [ ];
      example = lib.literalExpression ''[ "''${lib.getExe pkgs.curl} --fail http://localhost/" ]'';
      description = "Commands that must succeed within a minute after an activation, else the host goes back. A shell runs them.";
    };
    confirmTimeout = mkOption {
      type = types.ints.between 0 86400;
      default = 60;
      example = 120;
      description = "Seconds that the host has after an activation to prove that it can still be reached, else it goes back; 0: no proof.";
    };
    ignoreUnits = mkOption {
      type = types.listOf types.str;
      default = [ ];
      example = [ "backup-*.service" ];
      description = "Globs of units whose failure does not count.";
    };
    rollback = mkOption {
      type = types.bool;
      default = true;
      example = false;
      description = "Whether to go back where units or health checks fail. A host that lost its link goes back all the same.";
    };
    localBuild = mkOption {
      type = types.bool;
      default = true;
      example = false;
      description = "Whether to build what no cache holds. Without, such a deployment is refused, and the builder has to build it first.";
    };
    metrics = metricsOptions 9972;
    extraArgs = mkOption {
      type = types.listOf types.str;
      default = [ ];
      example = [
        "--min-free"
        "5GiB"
      ];
      description = "Further arguments of `homelab-deploy listener`. Directories named here must be writable to the unit.";
    };
  };
in
{
  options.services.homelab-deploy.listener = options;

  config = lib.mkIf cfg.enable {
    assertions = [
      (required "tier" "prod")
      (required "natsUrl" "tls://nats.example.org")
      (required "nkeyFile" "/run/keys/host.nkey")
      (required "flakeUrl" "git+https://git.example.org/fleet")
      {
        assertion = builtins.all (key: builtins.match "U[A-Z2-7]{55}" key != null) cfg.trustedKeys;
        message = "${path}.trustedKeys must hold public keys alone, the texts starting with U that `homelab-deploy keys new` printed.";
      }
    ]
    ++ metricsAssertions path 9972 cfg.metrics
    ++ secretAssertions "${path}.nkeyFile" cfg.nkeyFile
    ++ map onlyWithoutRebuildCommand [
      "requireHealthy"
      "healthChecks"
      "confirmTimeout"
      "ignoreUnits"
      "rollback"
      "localBuild"
    ];

    networking.firewall.allowedTCPPorts = lib.mkIf cfg.metrics.openFirewall [
      (portOf cfg.metrics.address)
    ];

    systemd.services.homelab-deploy-listener = {
      description = unit.Unit.Description;
      wantedBy = [ "multi-user.target" ];
      wants = lib.splitString " " unit.Unit.Wants;
      after = lib.splitString " " unit.Unit.After;
      unitConfig = removeAttrs unit.Unit [
        "Description"
        "Wants"
        "After"
      ];
      # Also in the middle of a deployment: activations and rebuild commands run in separate units.
      restartIfChanged = true;
      stopIfChanged = service.X-StopIfChanged != "false";
      path = [
        config.nix.package
        pkgs.gitMinimal
        pkgs.openssh
      ];
      environment =
        config.nix.envVars
        // config.networking.proxy.envVars
        // {
          HOME = "/root";
        }
        # The daemon builds, so that this unit needs none of the rights that builds take.
        // lib.optionalAttrs (cfg.rebuildCommand == null) { NIX_REMOTE = "daemon"; }
        // environmentOf service
        // cfg.environment;
      serviceConfig = removeAttrs service [
        "Environment"
        "X-StopIfChanged"
      ];
    };
  };
}
