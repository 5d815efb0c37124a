# Updates the fleet's flake on a timer, on one machine that can build every host.
{
  config,
  lib,
  pkgs,
  ...
}:

let
  inherit (lib) mkOption types;
  cfg = config.services.homelab-deploy.flakeUpdate;
  path = "services.homelab-deploy.flakeUpdate";

  token = import ./token.nix { inherit lib; };
  url = import ./url.nix { inherit lib; };
  inherit (import ./service.nix { inherit lib; })
    word
    environmentOption
    textType
    secretAssertion
    secretOption
    withCredentials
    packageOption
    tlsOptions
    tlsArguments
    tlsKey
    flakeCredentials
    tlsAssertions
    daemonAssertion
    nixOptions
    nixArguments
    nixAssertions
    ;

  given =
    name: value:
    lib.optionals (value != null) [
      name
      value
    ];
  arguments = [
    "--repo"
    cfg.repo
    "--base"
    cfg.base
  ]
  ++ given "--forge" cfg.forge
  ++ given "--forge-url" cfg.forgeUrl
  ++ given "--label" cfg.label
  ++ given "--parallel" (if cfg.parallel == 2 then null else toString cfg.parallel)
  ++ given "--timeout" (if cfg.timeout == 14400 then null else toString cfg.timeout)
  ++ lib.optional cfg.notify.enable "--notify"
  ++ given "--builder-repo" cfg.notify.builderRepo
  ++ given "--nats-url" cfg.notify.natsUrl
  ++ given "--fleet-name" cfg.notify.fleetName
  ++ tlsArguments cfg.notify.tls
  ++ nixArguments cfg
  ++ cfg.extraArgs;
  command = "${cfg.package}/bin/homelab-deploy flake-update ${lib.concatMapStringsSep " " word arguments}";
  # The secrets, each with its option, credential name and flag.
  secrets = [
    {
      option = "tokenFile";
      name = "token";
      file = cfg.tokenFile;
      flag = "--token-file";
    }
    (flakeCredentials cfg.flakeCredentialsFile)
    {
      option = "notify.nkeyFile";
      name = "nkey";
      file = cfg.notify.nkeyFile;
      flag = "--nkey-file";
    }
    (tlsKey "notify.tls.key" cfg.notify.tls.key)
  ];
  onlyForNotify = [
    "natsUrl"
    "nkeyFile"
    "builderRepo"
    "fleetName"
  ];
in
{
  options.services.homelab-deploy.flakeUpdate = nixOptions // {
    enable = mkOption {
      type = types.bool;
      default = false;
      example = true;
      description = "Whether to update the fleet's flake on a timer. This builds every host of the fleet.";
    };
    package = packageOption pkgs;
    repo = mkOption {
      type = types.nullOr url.cloneUrl;
      default = null;
      example = "https://git.example.org/alice/fleet.git";
      description = "The repository, as a URL that git can clone. Append `?dir=DIR` if the flake is in a subdirectory. Required. Put credentials into `tokenFile` or `flakeCredentialsFile`, or for ssh into `environment.GIT_SSH_COMMAND`.";
    };
    base = mkOption {
      type = textType "[^- \n~^:?*][^ \n~^:?*]*" "name of a branch";
      default = "master";
      example = "main";
      description = "The branch to update.";
    };
    forge = mkOption {
      type = types.nullOr (
        types.enum [
          "gitea"
          "github"
        ]
      );
      default = null;
      example = "gitea";
      description = "The API of the forge; use `gitea` for Forgejo too. Defaults to `github` for github.com, otherwise `gitea`.";
    };
    forgeUrl = mkOption {
      type = types.nullOr url.webUrl;
      default = null;
      example = "https://git.example.org";
      description = "The URL of the forge, if it differs from the host of the repository.";
    };
    tokenFile = secretOption "/run/keys/flake-update.token" "The file on the host with the forge's token. Without it, a branch whose hosts do not build is pushed, but no pull request is opened.";
    flakeCredentialsFile = secretOption "/run/keys/flake-credentials" "The file on the host with passwords and tokens for the repository and the inputs, in netrc format.";
    label = mkOption {
      type = types.nullOr (textType "[^\n]{1,50}" "string of 1 to 50 characters on one line");
      default = null;
      example = "update";
      description = "The label of the pull request; defaults to `build-failure`.";
    };
    parallel = mkOption {
      type = types.ints.between 1 1000;
      default = 2;
      example = 4;
      description = "The number of hosts to build in parallel.";
    };
    timeout = mkOption {
      type = types.ints.between 1 31536000;
      default = 14400;
      example = 28800;
      description = "Maximum time in seconds for all builds together.";
    };
    dates = mkOption {
      type = textType "[A-Za-z0-9:*,./~ +_-]*[A-Za-z0-9][A-Za-z0-9:*,./~ +_-]*" "calendar event of systemd, such as weekly or Sat 04:00";
      default = "weekly";
      example = "Sat 04:00";
      description = "When to update, in the format of systemd's `OnCalendar`. A run that was missed while the host was off is made up for.";
    };
    notify = {
      enable = mkOption {
        type = types.bool;
        default = false;
        example = true;
        description = "Whether to request builds of the new commit from the builder and the hosts after the branch was updated.";
      };
      natsUrl = mkOption {
        type = types.nullOr url.natsUrl;
        default = null;
        example = "tls://nats.example.org";
        description = "The URL of the NATS server. Required with `notify.enable`.";
      };
      nkeyFile = secretOption "/run/keys/flake-update.nkey" "The file on the host with the nkey seed of an admin, or of a deployer with `builds`. Needed with `notify.enable`.";
      tls = tlsOptions;
      fleetName = mkOption {
        type = types.nullOr token;
        default = null;
        example = "home";
        description = "The name of the fleet, if the hosts set `fleetName`.";
      };
      builderRepo = mkOption {
        type = types.nullOr token;
        default = null;
        example = "infra";
        description = "The name of the repository in the builder's configuration. Defaults to the builder's default repository.";
      };
    };
    environment = environmentOption {
      GIT_SSH_COMMAND = "ssh -i /run/credentials/homelab-deploy-flake-update.service/fleet";
    } "Additional environment variables for the unit, also passed to nix and git; `null` removes a variable.";
    extraArgs = mkOption {
      type = types.listOf types.str;
      default = [ ];
      example = [ "--dry-run" ];
      description = "Additional arguments for `homelab-deploy flake-update`.";
    };
  };

  config = lib.mkIf cfg.enable {
    warnings = url.natsWarnings "${path}.notify.natsUrl" cfg.notify.natsUrl;

    assertions = [
      {
        assertion = cfg.repo != null;
        message = "${path}.repo must be set, for example to \"https://git.example.org/alice/fleet.git\".";
      }
      {
        assertion = cfg.repo == null || !(url.hasCredentials cfg.repo);
        message = "${path}.repo contains a user name or a password, which everyone could read in the nix store; put a token into ${path}.tokenFile or the file of ${path}.flakeCredentialsFile instead.";
      }
      {
        assertion = cfg.notify.enable -> cfg.notify.natsUrl != null && cfg.notify.nkeyFile != null;
        message = "${path}.notify needs natsUrl and nkeyFile.";
      }
      {
        assertion = cfg.notify.enable || builtins.all (option: cfg.notify.${option} == null) onlyForNotify;
        message = "${path}.notify.${lib.concatStringsSep ", " onlyForNotify} have no effect without ${path}.notify.enable.";
      }
    ]
    ++ nixAssertions path cfg
    ++ tlsAssertions "${path}.notify.tls" cfg.notify.tls
    ++ [ (daemonAssertion path config "homelab-deploy-flake-update") ]
    ++ map ({ option, file, ... }: secretAssertion "${path}.${option}" file) secrets;

    systemd.timers.homelab-deploy-flake-update = {
      description = "Updates the fleet's flake";
      wantedBy = [ "timers.target" ];
      timerConfig = {
        OnCalendar = cfg.dates;
        Persistent = true;
        RandomizedDelaySec = "10min";
      };
    };

    systemd.services.homelab-deploy-flake-update = {
      description = "Updates the fleet's flake if every host builds";
      wants = [ "network-online.target" ];
      after = [ "network-online.target" ];
      # A deployment must not restart a running update.
      restartIfChanged = false;
      path = [
        config.nix.package
        pkgs.gitMinimal
        pkgs.openssh
      ];
      environment =
        config.nix.envVars
        // config.networking.proxy.envVars
        // {
          HOME = "/var/lib/homelab-deploy-flake-update";
          # The daemon builds, so this unit does not need the permissions that builds need.
          NIX_REMOTE = "daemon";
        }
        // cfg.environment;
      serviceConfig = withCredentials secrets {
        Type = "oneshot";
        ExecStart = command;
        # Exit code 1 means that a host does not build, which the pull request reports.
        SuccessExitStatus = 1;
        # If an evaluation runs out of memory, only its host fails, and the update reports that.
        OOMPolicy = "continue";
        # A separate user without permissions other than builds by the daemon.
        DynamicUser = true;
        # Keeps what nix fetches between runs.
        StateDirectory = "homelab-deploy-flake-update";
        StateDirectoryMode = "0700";
        UMask = "0077";
        CapabilityBoundingSet = "";
        NoNewPrivileges = true;
        ProtectSystem = "strict";
        ProtectHome = true;
        PrivateTmp = true;
        PrivateMounts = true;
        PrivateDevices = true;
        ProtectClock = true;
        ProtectControlGroups = true;
        ProtectHostname = true;
        ProtectKernelLogs = true;
        ProtectKernelModules = true;
        ProtectKernelTunables = true;
        ProtectProc = "invisible";
        LockPersonality = true;
        MemoryDenyWriteExecute = true;
        RestrictNamespaces = true;
        RestrictRealtime = true;
        RestrictSUIDSGID = true;
        # Internet sockets for the remote, the forge and the NATS server; the socket of nix; netlink for name lookups in the C library.
        RestrictAddressFamilies = [
          "AF_INET"
          "AF_INET6"
          "AF_UNIX"
          "AF_NETLINK"
        ];
        SystemCallArchitectures = "native";
        # The sandbox for nix uses Landlock.
        SystemCallFilter = [
          "@system-service"
          "landlock_create_ruleset"
          "landlock_add_rule"
          "landlock_restrict_self"
        ];
        SystemCallErrorNumber = "EPERM";
      };
    };
  };
}
