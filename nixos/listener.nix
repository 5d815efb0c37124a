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
  trustedKeyAssertions = import ./trusted-keys.nix { inherit lib; };
  url = import ./url.nix { inherit lib; };
  inherit (import ./service.nix { inherit lib; })
    word
    readUnit
    environmentOf
    environmentOption
    textType
    flakeAttr
    secretAssertion
    secretOption
    credentialPath
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

  # A number of seconds, as the program takes it.
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
    description = "subject of NATS without wildcards, in which `<hostname>`, `<tier>` and `<role>` may stand";
    descriptionClass = "noun";
  };
  # What looks at commits, and is set. The program decides about `/PATH`, which may be in a repository on the host.
  aboutCommits =
    lib.optional (cfg.allowBranches != [ ]) "allowBranches"
    ++ lib.optional (cfg.commitSigners != null) "commitSigners";
  hasNoCommits = cfg.flakeUrl != null && lib.hasPrefix "path:" cfg.flakeUrl;

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

  # What the program itself takes for its default is not said again.
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
    "--flake-url"
    cfg.flakeUrl
  ]
  ++ given "--flake-attr" cfg.flakeAttr
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
  # A rebuild command builds and activates in the listener's place.
  hardening = lib.optionalAttrs (cfg.rebuildCommand == null) (
    (readUnit (builtins.readFile ./homelab-deploy-listener.hardening.conf)).Service
  );
  port = portOf cfg.metrics.address;
  service =
    let
      inherit (unit.Service // hardening) CapabilityBoundingSet;
      bare = withCredentials [
        {
          name = "flake-credentials";
          file = cfg.flakeCredentialsFile;
          flag = "--flake-credentials";
        }
        {
          name = "tls-key";
          file = cfg.tls.key;
          flag = "--tls-key";
        }
      ] (withLogs cfg (unit.Service // hardening));
    in
    bare
    # What listening on such a port takes.
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
      type = types.nullOr token;
      default = if config.networking.hostName == "" then null else config.networking.hostName;
      defaultText = lib.literalExpression "config.networking.hostName";
      example = "ns1";
      description = "The name of this host, by which it is deployed.";
    };
    flakeAttr = mkOption {
      type = types.nullOr flakeAttr;
      default = null;
      example = "ns1.example.org";
      description = "The name of this host below `nixosConfigurations` of the flake, if that is not `hostname`.";
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
      type = types.nullOr url.natsUrl;
      default = null;
      example = "tls://nats.example.org";
      description = "The NATS server, or a comma list of a cluster's. Required.";
    };
    nkeyFile = secretOption "/run/keys/ns1.nkey" "The file on the host with its nkey seed, as `homelab-deploy keys new listener` writes it. Required.";
    tls = tlsOptions;
    fleetName = mkOption {
      type = types.nullOr token;
      default = null;
      example = "home";
      description = "The name of the fleet: a signed request for another fleet is refused. Operators set `fleet_name` to the same.";
    };
    flakeUrl = mkOption {
      type = types.nullOr url.flakeUrl;
      default = null;
      example = "git+https://git.example.org/fleet";
      description = "The flake to deploy: `git+https://…`, `git+ssh://…`, `github:owner/repo` or `path:…`. Required.";
    };
    flakeCredentialsFile = secretOption "/run/keys/flake-credentials" "The file on the host with the passwords and tokens for the flake and its inputs, in the format of netrc.";
    timeout = mkOption {
      type = seconds 1 year;
      default = 600;
      example = 3600;
      description = "Seconds that prepare, build and check may take together.";
    };
    deploySubjects = mkOption {
      type = types.nonEmptyListOf subject;
      default = [
        "deploy.<tier>.<hostname>"
        "deploy.<tier>.all"
        "deploy.<tier>.role.<role>"
      ];
      example = [ "deploy.<tier>.<hostname>" ];
      description = "Where requests are taken. `<hostname>`, `<tier>` and `<role>` expand; what needs a role is left out without one.";
    };
    discoverSubject = mkOption {
      type = subject;
      default = "deploy.discover";
      example = "deploy.discover";
      description = "Where questions are taken.";
    };
    trustedKeys = mkOption {
      type = types.listOf types.str;
      default = [ ];
      example = [ "UCZTVNFTVZTQZ2FTLL4PA7LDCGM2JQTIU7MQS3WBQUBWTYJJZBBDYRPS" ];
      description = ''
        Public keys of those who may deploy this host, as `homelab-deploy keys new` prints them. With one at least, only requests
        that one of them has signed are taken, whatever the NATS server lets through; without, the server alone decides. A key
        with a date behind it, as in `U…@2027-01-01`, is trusted until the end of that day in UTC; `U…@2027-01-01T12:00:00Z` until
        that moment.
      '';
    };
    allowBranches = mkOption {
      type = types.listOf types.str;
      default = [ ];
      example = [ "main" ];
      description = ''
        The branches of the flake's repository that this host deploys, and with them each commit and tag on one of them. Empty for
        every branch.
      '';
    };
    commitSigners = mkOption {
      type = types.nullOr types.path;
      default = null;
      example = "/etc/homelab-deploy/signers";
      description = ''
        A file of public keys; only a commit that one of them has signed is deployed. Either lines of ssh keys, as in ALLOWED SIGNERS
        of ssh-keygen(1), or OpenPGP keys as `gpg --export` writes them. Without it, commits need no signature.
      '';
    };
    environment = environmentOption {
      GIT_SSH_COMMAND = "ssh -i /run/keys/fleet";
    } "Further variables of the listener's environment, which nix and git have too; `null` leaves one out.";
    heartbeatInterval = mkOption {
      type = seconds 1 year;
      default = 15;
      example = 5;
      description = "Seconds between reports while a job runs.";
    };
    presenceInterval = mkOption {
      type = seconds 0 year;
      default = 30;
      example = 60;
      description = "Seconds between announcements of this host; 0: none.";
    };
    rebuildCommand = mkOption {
      type = types.nullOr types.path;
      default = null;
      example = lib.literalExpression "lib.getExe config.system.build.nixos-rebuild";
      description = ''
        A program that builds and activates in the listener's place, called as `PROGRAM ACTION --flake LOCKED_URL#HOST`. It runs in
        a separate unit, so the restart of the listener in a switch that changes the listener's unit does not end it; the restarted
        listener follows it. The listener's unit is not hardened then. Without it the host is changed step by step and rolled back
        automatically if that fails.
      '';
    };
    rebuildSilence = mkOption {
      type = seconds 1 year;
      default = 3600;
      example = 7200;
      description = "Seconds without output after which the `rebuildCommand` counts as hung while it activates.";
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
      description = "Commands that must succeed within `healthTimeout` after an activation, else the host is rolled back. A shell runs them.";
    };
    healthTimeout = mkOption {
      type = seconds 1 86400;
      default = 60;
      example = 180;
      description = "Seconds that the health checks may take together.";
    };
    preActivateScript = mkOption {
      type = textType "[^/\n][^\n]*" "path within the new system";
      default = "pre-activate-safety-checks";
      example = "sw/bin/may-activate";
      description = "The path of a program within the new system that may refuse it before anything is changed. A system without it is not refused.";
    };
    confirmTimeout = mkOption {
      type = seconds 0 86400;
      default = 60;
      example = 120;
      description = "Seconds that the host has after an activation to prove that it can still be reached, else it goes back; 0: no proof.";
    };
    confirmHold = mkOption {
      type = seconds 0 3600;
      default = 20;
      example = 60;
      description = "Seconds between an activation that touched the network or the listener and its last confirmation.";
    };
    confirmPeers = mkOption {
      type = types.nullOr (types.either (types.enum [ "any" ]) (types.nonEmptyListOf token));
      default = null;
      example = [ "ns2" ];
      description = "The hosts of which one must be heard after an activation, or `any`. The NATS server must let this host hear them: `confirmPeers` of its entry in `nats.hosts`.";
    };
    activateTimeout = mkOption {
      type = seconds 1 86400;
      default = 900;
      example = 1800;
      description = "Seconds that an activation may take. A request may lower it.";
    };
    lastResortReboot = mkOption {
      type = types.bool;
      default = true;
      example = false;
      description = "Whether to reboot into the previous system if nothing else brings it back.";
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
    acceptFlakeConfig = acceptFlakeConfigOption;
    minFree = mkOption {
      type = textType "[0-9]+ *([KMGT](iB)?|B)?" "size such as 500MiB or 5GiB";
      default = "1GiB";
      example = "5GiB";
      description = "What must be free on the nix store and in the state directory, or a deployment is refused.";
    };
    metrics = metricsOptions 9972;
    extraArgs = mkOption {
      type = types.listOf types.str;
      default = [ ];
      example = [ "--debug" ];
      description = "Further arguments of `homelab-deploy listener`. Directories named here must be writable to the unit.";
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
      ++ url.natsWarnings "${path}.natsUrl" cfg.natsUrl
      ++ lib.optional (config.system.autoUpgrade.enable or false
      ) "system.autoUpgrade.enable and ${path}.enable both change the system of this host: an upgrade undoes deployments of other commits, and is neither reported nor rolled back. Leave one of them out.";

    assertions = [
      (required "hostname" "ns1")
      (required "tier" "prod")
      (required "natsUrl" "tls://nats.example.org")
      (required "nkeyFile" "/run/keys/host.nkey")
      (required "flakeUrl" "git+https://git.example.org/fleet")
      {
        assertion = hasNoCommits -> aboutCommits == [ ];
        message = "${path}.flakeUrl is a directory, which has no commits, so ${
          lib.concatMapStringsSep " and " (option: "${path}.${option}") aboutCommits
        } cannot be kept to; write the flake's git repository, such as \"git+https://git.example.org/fleet\", or leave ${
          if builtins.length aboutCommits == 1 then "that" else "those"
        } out.";
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
        message = "${path}.allowBranches must hold names of branches, such as \"main\".";
      }
    ]
    ++ metricsAssertions path 9972 cfg.metrics
    ++ tlsAssertions "${path}.tls" cfg.tls
    ++ [
      (secretAssertion "${path}.nkeyFile" cfg.nkeyFile)
      (secretAssertion "${path}.flakeCredentialsFile" cfg.flakeCredentialsFile)
      (secretAssertion "${path}.tls.key" cfg.tls.key)
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

    networking.firewall.allowedTCPPorts = lib.mkIf (cfg.metrics.openFirewall && port != null) [ port ];

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
      ]
      ++ lib.optional (cfg.commitSigners != null) pkgs.gnupg;
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
