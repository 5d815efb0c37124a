# The listener of a host. Its unit is read from the unit file next to this file, which the lab tests on running hosts.
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
  trustedKeyAssertions = import ./trusted-keys.nix { inherit lib; };
  url = import ./url.nix { inherit lib; };
  inherit (import ./service.nix { inherit lib; })
    word
    readUnit
    environmentOf
    environmentOption
    textType
    flakeAttr
    secretAssertions
    secretOption
    credentialPath
    secretsOf
    withCredentials
    packageOption
    tlsOptions
    tlsArguments
    tlsAssertions
    logOptions
    logArguments
    withLogs
    metricsOptions
    metricsAssertions
    acceptFlakeConfigOption
    portOf
    ;

  # A number of seconds, with the limits of the program.
  seconds = least: most: types.ints.between least most;
  year = 31536000;
  isSubject =
    text:
    let
      filled = lib.replaceStrings [ "<hostname>" "<tier>" "<role>" ] [ "x" "x" "x" ] text;
    in
    builtins.match "[^. \n*<>]+([.][^. \n*<>]+)*" filled != null;
  subject = types.addCheck types.str isSubject // {
    name = "subject";
    description = "NATS subject without wildcards, which may contain `<hostname>`, `<tier>` and `<role>`";
    descriptionClass = "noun";
  };
  # The options that check commits, if set. A `/PATH` may be in a repository on the host, so the program checks it.
  aboutCommits =
    lib.optional (cfg.allowBranches != [ ]) "allowBranches"
    ++ lib.optional (cfg.commitSigners != null) "commitSigners";
  hasNoCommits = !isCompose && cfg.flakeUrl != null && lib.hasPrefix "path:" cfg.flakeUrl;

  isCompose = cfg.engine == "compose";
  # The program's own defaults are left out.
  source =
    if isCompose then
      [
        "--engine"
        cfg.engine
        "--repo-url"
        cfg.repoUrl
      ]
      ++ flag "--compose-root" "composeRoot"
      ++ flag "--compose-command" "composeCommand"
      ++ flag "--exposure" "exposure"
      ++ lib.optional cfg.offlineOk "--offline-ok"
    else
      [
        "--flake-url"
        cfg.flakeUrl
      ]
      ++ given "--flake-attr" cfg.flakeAttr;

  changed = option: cfg.${option} != options.${option}.default;
  flag =
    name: option: lib.optionals (changed option) [
      name
      (toString cfg.${option})
    ];
  given =
    name: value:
    lib.optionals (value != null) [
      name
      value
    ];
  each = name: map (value: "${name}=${value}");

  # Options that have the default of the program are left out.
  arguments = [
    "--hostname"
    cfg.hostname
    "--tier"
    cfg.tier
  ]
  ++ given "--role" cfg.role
  ++ [
    "--nats-url"
    cfg.natsUrl
  ]
  ++ source
  ++ tlsArguments cfg.tls
  ++ given "--fleet-name" cfg.fleetName
  ++ flag "--timeout" "timeout"
  ++ lib.optionals (changed "deploySubjects") (each "--deploy-subject" cfg.deploySubjects)
  ++ flag "--discover-subject" "discoverSubject"
  ++ each "--trusted-key" cfg.trustedKeys
  ++ each "--allow-branch" cfg.allowBranches
  ++ lib.optionals (cfg.commitSigners != null) [
    "--commit-signers"
    "${cfg.commitSigners}"
  ]
  ++ flag "--heartbeat-interval" "heartbeatInterval"
  ++ flag "--presence-interval" "presenceInterval"
  ++ lib.optionals (cfg.rebuildCommand != null) [
    "--rebuild-command"
    "${cfg.rebuildCommand}"
  ]
  ++ flag "--rebuild-silence" "rebuildSilence"
  ++ lib.optional cfg.requireHealthy "--require-healthy"
  ++ each "--health-check" cfg.healthChecks
  ++ flag "--health-timeout" "healthTimeout"
  ++ flag "--pre-activate-script" "preActivateScript"
  ++ flag "--confirm-timeout" "confirmTimeout"
  ++ flag "--confirm-hold" "confirmHold"
  ++ given "--confirm-peers" (
    if lib.isList cfg.confirmPeers then lib.concatStringsSep "," cfg.confirmPeers else cfg.confirmPeers
  )
  ++ flag "--activate-timeout" "activateTimeout"
  ++ lib.optional (!cfg.lastResortReboot) "--no-last-resort-reboot"
  ++ each "--ignore-unit" cfg.ignoreUnits
  ++ lib.optional (!cfg.rollback) "--no-rollback"
  ++ lib.optional (!cfg.localBuild) "--no-local-build"
  ++ lib.optional cfg.acceptFlakeConfig "--accept-flake-config"
  ++ flag "--min-free" "minFree"
  ++ logArguments cfg
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
        (credentialPath cfg.nkeyFile)
      ]
      (builtins.readFile ./homelab-deploy-listener.service);
  unit = readUnit text;
  # A rebuild command is started by the listener and may change anything, so the unit is then not hardened.
  hardening = lib.optionalAttrs (cfg.rebuildCommand == null) (
    restrictions
    // lib.optionalAttrs isCompose (
      compose // { Environment = lib.toList restrictions.Environment ++ lib.toList compose.Environment; }
    )
  );
  restrictions = (readUnit (builtins.readFile ./homelab-deploy-listener.hardening.conf)).Service;
  compose =
    (readUnit (
      lib.replaceStrings [ "@root@" ] [ cfg.composeRoot ] (
        builtins.readFile ./homelab-deploy-listener.compose.conf
      )
    )).Service;
  port = portOf cfg.metrics.address;
  service =
    let
      inherit (unit.Service // hardening) CapabilityBoundingSet;
      bare = withCredentials (secretsOf cfg) (withLogs cfg (unit.Service // hardening));
    in
    bare
    # A port below 1024 needs this capability.
    //
      lib.optionalAttrs
        (hardening != { } && cfg.metrics.enable && port != null && port < 1024)
        {
          CapabilityBoundingSet = CapabilityBoundingSet ++ [ "CAP_NET_BIND_SERVICE" ];
        };
  required = option: example: {
    assertion = cfg.${option} != null;
    message = "${path}.${option} must be set, for example to ${builtins.toJSON example}.";
  };
  notWithCompose = option: {
    assertion = !isCompose || !(changed option);
    message = "${path}.${option} has no effect with ${path}.engine = \"compose\", which activates no system; remove one of them.";
  };
  onlyWithCompose = option: {
    assertion = isCompose || !(changed option);
    message = "${path}.${option} has no effect without ${path}.engine = \"compose\".";
  };
  onlyWithoutRebuildCommand = option: {
    assertion = cfg.rebuildCommand == null || !(changed option);
    message = "${path}.${option} has no effect with ${path}.rebuildCommand, because that program does all the work; remove one of them.";
  };

  options = {
    enable = mkOption {
      type = types.bool;
      default = false;
      example = true;
      description = "Whether to run the listener, which accepts deployments of this host.";
    };
    package = packageOption pkgs;
    hostname = mkOption {
      type = types.nullOr token;
      default = if config.networking.hostName == "" then null else config.networking.hostName;
      defaultText = lib.literalExpression "config.networking.hostName";
      example = "ns1";
      description = "The name of this host in requests.";
    };
    flakeAttr = mkOption {
      type = types.nullOr flakeAttr;
      default = null;
      example = "ns1.example.org";
      description = "The attribute of this host in the flake's `nixosConfigurations`, if it differs from `hostname`.";
    };
    tier = mkOption {
      type = types.nullOr token;
      default = null;
      example = "prod";
      description = "The tier of this host, for example `test` or `prod`. Required. Keys have permissions per tier.";
    };
    role = mkOption {
      type = types.nullOr token;
      default = null;
      example = "dns";
      description = "The role of this host. All hosts with the same role and tier can be deployed together.";
    };
    natsUrl = mkOption {
      type = types.nullOr url.natsUrl;
      default = null;
      example = "tls://nats.example.org";
      description = "The URL of the NATS server, or a comma-separated list of URLs for a cluster. Required.";
    };
    nkeyFile = secretOption "/run/keys/ns1.nkey" "The file on the host with its nkey seed, as written by `homelab-deploy keys new listener`. Required.";
    tls = tlsOptions;
    fleetName = mkOption {
      type = types.nullOr token;
      default = null;
      example = "home";
      description = "The name of the fleet. Signed requests for another fleet are refused. Operators set the same `fleet_name`.";
    };
    flakeUrl = mkOption {
      type = types.nullOr url.flakeUrl;
      default = null;
      example = "git+https://git.example.org/fleet";
      description = "The flake to deploy: `git+https://…`, `git+ssh://…`, `github:owner/repo` or `path:…`. Required.";
    };
    engine = mkOption {
      type = types.enum [
        "nix"
        "compose"
      ];
      default = "nix";
      example = "compose";
      description = "What deploys to this host: `nix` activates a system of `flakeUrl`; `compose` brings up the services of `repoUrl` with Docker Compose, and ignores `flakeUrl`.";
    };
    repoUrl = mkOption {
      type = types.nullOr url.flakeUrl;
      default = null;
      example = "git+https://git.example.org/homelab";
      description = "The git repository with the services of a host with Docker Compose: `git+https://…` or `git+ssh://…`. Required with `engine = \"compose\"`.";
    };
    composeRoot = mkOption {
      type = textType "/[A-Za-z0-9._/-]+" "absolute path of letters, digits, `.`, `_`, `-` and `/`";
      default = "/opt/homelab";
      example = "/srv/homelab";
      description = "The directory with the work tree of the repository, the configuration, data, logs and state of the services.";
    };
    composeCommand = mkOption {
      type = textType "[A-Za-z0-9._/-]+( [A-Za-z0-9._/=-]+)*" "command without quotes";
      default = "docker compose";
      example = "/run/current-system/sw/bin/docker compose";
      description = "The command of Docker Compose 2.";
    };
    exposure = mkOption {
      type = types.enum [
        "enforce"
        "warn"
        "off"
      ];
      default = "enforce";
      example = "warn";
      description = "What to do with a service whose published ports violate its declared exposure: refuse the deployment, report it, or nothing.";
    };
    offlineOk = mkOption {
      type = types.bool;
      default = false;
      example = true;
      description = "Whether to deploy the last known commit of a branch if the repository cannot be reached.";
    };
    flakeCredentialsFile = secretOption "/run/keys/flake-credentials" "The file on the host with passwords and tokens for the flake and its inputs, in netrc format.";
    timeout = mkOption {
      type = seconds 1 year;
      default = 600;
      example = 3600;
      description = "Maximum time in seconds for the phases prepare, build and check together.";
    };
    deploySubjects = mkOption {
      type = types.nonEmptyListOf subject;
      default = [
        "deploy.<tier>.<hostname>"
        "deploy.<tier>.all"
        "deploy.<tier>.role.<role>"
      ];
      example = [ "deploy.<tier>.<hostname>" ];
      description = "The subjects on which requests are accepted. `<hostname>`, `<tier>` and `<role>` are expanded. If the host has no role, subjects with `<role>` are left out.";
    };
    discoverSubject = mkOption {
      type = subject;
      default = "deploy.discover";
      example = "deploy.discover";
      description = "The subject on which queries are accepted.";
    };
    trustedKeys = mkOption {
      type = types.listOf types.str;
      default = [ ];
      example = [ "UCZTVNFTVZTQZ2FTLL4PA7LDCGM2JQTIU7MQS3WBQUBWTYJJZBBDYRPS" ];
      description = ''
        The public keys that may deploy this host, as printed by `homelab-deploy keys new`. If the list is not empty, only
        requests signed by one of these keys are accepted, in addition to the permissions on the NATS server. If it is empty,
        only those permissions apply. A key with a date, such as `U…@2027-01-01`, is trusted until the end of that day in UTC;
        `U…@2027-01-01T12:00:00Z` until that time.
      '';
    };
    allowBranches = mkOption {
      type = types.listOf types.str;
      default = [ ];
      example = [ "main" ];
      description = ''
        The branches of the flake's repository that this host deploys, including every commit and tag on them. If the list is
        empty, all branches are allowed.
      '';
    };
    commitSigners = mkOption {
      type = types.nullOr types.path;
      default = null;
      example = "/etc/homelab-deploy/signers";
      description = ''
        A file of public keys. Only commits that one of them has signed are deployed. The file contains either ssh keys, as
        described in ALLOWED SIGNERS of ssh-keygen(1), or OpenPGP keys, as written by `gpg --export`. If unset, commits need
        no signature.
      '';
    };
    environment = environmentOption {
      GIT_SSH_COMMAND = "ssh -i /run/keys/fleet";
    } "Additional environment variables for the listener, also passed to nix and git; `null` removes a variable.";
    heartbeatInterval = mkOption {
      type = seconds 1 year;
      default = 15;
      example = 5;
      description = "Interval in seconds between reports of a running job.";
    };
    presenceInterval = mkOption {
      type = seconds 0 year;
      default = 30;
      example = 60;
      description = "Interval in seconds between announcements of this host; 0 disables them.";
    };
    rebuildCommand = mkOption {
      type = types.nullOr types.path;
      default = null;
      example = lib.literalExpression "lib.getExe config.system.build.nixos-rebuild";
      description = ''
        A program that builds and activates instead of the listener, called as `PROGRAM ACTION --flake LOCKED_URL#HOST`. It
        runs in a separate unit, so it survives a switch that restarts the listener, and the new listener process continues to
        follow it. The listener's unit is then not hardened. If unset, the listener changes the host step by step, and rolls
        back automatically if a step fails.
      '';
    };
    rebuildSilence = mkOption {
      type = seconds 1 year;
      default = 3600;
      example = 7200;
      description = "Seconds without output after which an activating `rebuildCommand` is considered hung.";
    };
    requireHealthy = mkOption {
      type = types.bool;
      default = false;
      example = true;
      description = "Whether to refuse deployments while systemd reports the host as degraded.";
    };
    healthChecks = mkOption {
      type = types.listOf types.str;
      default = [ ];
      example = lib.literalExpression ''[ "''${lib.getExe pkgs.curl} --fail http://localhost/" ]'';
      description = "Shell commands that must succeed within `healthTimeout` after an activation; otherwise the host is rolled back.";
    };
    healthTimeout = mkOption {
      type = seconds 1 86400;
      default = 60;
      example = 180;
      description = "Maximum time in seconds for all health checks together.";
    };
    preActivateScript = mkOption {
      type = textType "[^/\n][^\n]*" "path within the new system";
      default = "pre-activate-safety-checks";
      example = "sw/bin/may-activate";
      description = "The path, in the new system, of a program that can refuse the system before anything is changed. A system without this program is not refused.";
    };
    confirmTimeout = mkOption {
      type = seconds 0 86400;
      default = 60;
      example = 120;
      description = "Seconds within which the host must confirm after an activation that it still reaches the NATS server; otherwise it is rolled back. 0 disables the confirmation.";
    };
    confirmHold = mkOption {
      type = seconds 0 3600;
      default = 20;
      example = 60;
      description = "Seconds from an activation that touched the network or the listener to the last confirmation.";
    };
    confirmPeers = mkOption {
      type = types.nullOr (types.either (types.enum [ "any" ]) (types.nonEmptyListOf token));
      default = null;
      example = [ "ns2" ];
      description = "Other hosts, or `any`: a message from at least one of them must reach this host after an activation. The NATS server must permit this: set `confirmPeers` in this host's entry of `nats.hosts`.";
    };
    activateTimeout = mkOption {
      type = seconds 1 86400;
      default = 900;
      example = 1800;
      description = "Maximum time in seconds for an activation. A request may lower it.";
    };
    lastResortReboot = mkOption {
      type = types.bool;
      default = true;
      example = false;
      description = "Whether to reboot into the previous system if nothing else restores it.";
    };
    ignoreUnits = mkOption {
      type = types.listOf types.str;
      default = [ ];
      example = [ "backup-*.service" ];
      description = "Globs of units whose failure is ignored.";
    };
    rollback = mkOption {
      type = types.bool;
      default = true;
      example = false;
      description = "Whether to roll back if units or health checks fail. A host that lost its connection is always rolled back.";
    };
    localBuild = mkOption {
      type = types.bool;
      default = true;
      example = false;
      description = "Whether to build what is not in any cache. If false, such a deployment is refused until the builder has built it.";
    };
    acceptFlakeConfig = acceptFlakeConfigOption;
    minFree = mkOption {
      type = textType "[0-9]+ *([KMGT](iB)?|B)?" "size such as 500MiB or 5GiB";
      default = "1GiB";
      example = "5GiB";
      description = "The space that must be free on the nix store and in the state directory; otherwise deployments are refused.";
    };
    metrics = metricsOptions 9972;
    extraArgs = mkOption {
      type = types.listOf types.str;
      default = [ ];
      example = [ "--debug" ];
      description = "Additional arguments for `homelab-deploy listener`. Directories named here must be writable by the unit.";
    };
  }
  // logOptions;
in
{
  imports = [ ./host-key.nix ];

  options.services.homelab-deploy.listener = options;

  config = lib.mkIf cfg.enable {
    warnings =
      url.repoWarnings "${path}.flakeUrl" "the file of ${path}.flakeCredentialsFile" cfg.flakeUrl
      ++ url.repoWarnings "${path}.repoUrl" "the file of ${path}.flakeCredentialsFile" cfg.repoUrl
      ++ lib.optional (isCompose && !(config.virtualisation.docker.enable or false)
      ) "${path}.engine is \"compose\", but virtualisation.docker.enable is not set: without a docker daemon, every deployment is refused."
      ++ url.natsWarnings "${path}.natsUrl" cfg.natsUrl
      ++ lib.optional (config.system.autoUpgrade.enable or false
      ) "system.autoUpgrade.enable and ${path}.enable both change the system of this host: an upgrade undoes deployments of other commits, and is neither reported nor rolled back. Disable one of them.";

    assertions = [
      (required "hostname" "ns1")
      (required "tier" "prod")
      (required "natsUrl" "tls://nats.example.org")
      (required "nkeyFile" "/run/keys/host.nkey")
      (
        if isCompose then
          required "repoUrl" "git+https://git.example.org/homelab"
        else
          required "flakeUrl" "git+https://git.example.org/fleet"
      )
      {
        assertion = hasNoCommits -> aboutCommits == [ ];
        message = "${path}.flakeUrl is a directory, which has no commits, so ${
          lib.concatMapStringsSep " and " (option: "${path}.${option}") aboutCommits
        } cannot be enforced; use the git repository of the flake, such as \"git+https://git.example.org/fleet\", or remove ${
          if builtins.length aboutCommits == 1 then "that option" else "those options"
        }.";
      }
    ]
    ++ trustedKeyAssertions "${path}.trustedKeys" cfg.trustedKeys
    ++ [
      {
        assertion = cfg.rebuildCommand != null || !(changed "rebuildSilence");
        message = "${path}.rebuildSilence has no effect without ${path}.rebuildCommand.";
      }
      {
        assertion = cfg.healthChecks != [ ] || !(changed "healthTimeout");
        message = "${path}.healthTimeout has no effect without ${path}.healthChecks.";
      }
      {
        assertion = builtins.all (name: builtins.match "[A-Za-z0-9][A-Za-z0-9._/+-]*" name != null) cfg.allowBranches;
        message = "${path}.allowBranches must contain branch names, such as \"main\".";
      }
    ]
    ++ metricsAssertions path 9972 cfg.metrics
    ++ tlsAssertions "${path}.tls" cfg.tls
    ++ secretAssertions path cfg
    ++ map onlyWithCompose [
      "repoUrl"
      "composeRoot"
      "composeCommand"
      "exposure"
      "offlineOk"
    ]
    ++ map notWithCompose [
      "flakeAttr"
      "rebuildCommand"
      "preActivateScript"
      "confirmHold"
      "confirmPeers"
      "lastResortReboot"
      "localBuild"
      "acceptFlakeConfig"
    ]
    ++ map onlyWithoutRebuildCommand [
      "requireHealthy"
      "healthChecks"
      "healthTimeout"
      "preActivateScript"
      "confirmTimeout"
      "confirmHold"
      "confirmPeers"
      "activateTimeout"
      "lastResortReboot"
      "ignoreUnits"
      "rollback"
      "localBuild"
      "acceptFlakeConfig"
      "minFree"
    ];

    # The unit may only write to directories that exist when it starts.
    systemd.tmpfiles.rules = lib.mkIf isCompose [ "d ${cfg.composeRoot} 0755 root root" ];

    networking.firewall.allowedTCPPorts = lib.mkIf (cfg.metrics.openFirewall && port != null) [ port ];

    systemd.services.homelab-deploy-listener = {
      description = unit.Unit.Description;
      wantedBy = [ "multi-user.target" ];
      wants = lib.splitString " " unit.Unit.Wants ++ lib.optional isCompose "docker.service";
      after = lib.splitString " " unit.Unit.After ++ lib.optional isCompose "docker.service";
      unitConfig = removeAttrs unit.Unit [
        "Description"
        "Wants"
        "After"
      ];
      # A restart is safe even during a deployment, because activations and rebuild commands run in separate units.
      restartIfChanged = true;
      stopIfChanged = service.X-StopIfChanged != "false";
      path = [
        config.nix.package
        pkgs.gitMinimal
        pkgs.openssh
      ]
      ++ lib.optional (cfg.commitSigners != null) pkgs.gnupg
      ++ lib.optionals isCompose [
        (config.virtualisation.docker.package or pkgs.docker)
        # For the health checks of services.
        pkgs.bash
        pkgs.curl
      ];
      environment =
        config.nix.envVars
        // config.networking.proxy.envVars
        // {
          HOME = "/root";
        }
        # The daemon builds, so this unit does not need the permissions that builds need.
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
