# The safe update of the fleet's flake on a timer: on one machine that can build every host.
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
  # Each secret with its option.
  secrets = [
    {
      option = "tokenFile";
      name = "token";
      file = cfg.tokenFile;
      flag = "--token-file";
    }
    {
      option = "flakeCredentialsFile";
      name = "flake-credentials";
      file = cfg.flakeCredentialsFile;
      flag = "--flake-credentials";
    }
    {
      option = "notify.nkeyFile";
      name = "nkey";
      file = cfg.notify.nkeyFile;
      flag = "--nkey-file";
    }
    {
      option = "notify.tls.key";
      name = "tls-key";
      file = cfg.notify.tls.key;
      flag = "--tls-key";
    }
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
      description = "Whether this host updates the fleet's flake on a timer. It builds every host of the fleet.";
    };
    package = packageOption pkgs;
    repo = mkOption {
      type = types.nullOr types.str;
      default = null;
      example = "https://git.example.org/alice/fleet.git";
      description = "The repository, as git clones it; `?dir=DIR` behind it names the directory of the flake. Required. Credentials belong into `tokenFile` or `flakeCredentialsFile`, or for ssh into `environment.GIT_SSH_COMMAND`.";
    };
    base = mkOption {
      type = types.str;
      default = "master";
      example = "main";
      description = "The branch that is updated.";
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
      description = "Which API the forge has; `gitea` is Forgejo's too. Without, `github` for github.com, else `gitea`.";
    };
    forgeUrl = mkOption {
      type = types.nullOr types.str;
      default = null;
      example = "https://git.example.org";
      description = "Where the forge is, if not where the repository is.";
    };
    tokenFile = secretOption "/run/keys/flake-update.token" "The file on the host with the forge's token. Without, a branch whose hosts do not build is pushed and no pull request opened.";
    flakeCredentialsFile = secretOption "/run/keys/flake-credentials" "The file on the host with the passwords and tokens for the repository and the inputs, in the format of netrc.";
    label = mkOption {
      type = types.nullOr (textType "[^\n]{1,50}" "text of 1 to 50 characters on one line");
      default = null;
      example = "update";
      description = "The label of the pull request; `build-failure` without.";
    };
    parallel = mkOption {
      type = types.ints.between 1 1000;
      default = 2;
      example = 4;
      description = "How many hosts to build at once.";
    };
    timeout = mkOption {
      type = types.ints.between 1 31536000;
      default = 14400;
      example = 28800;
      description = "Seconds that all builds may take together.";
    };
    dates = mkOption {
      type = types.str;
      default = "weekly";
      example = "Sat 04:00";
      description = "When to update, as systemd's `OnCalendar` takes it. A date that was slept through is made up for.";
    };
    notify = {
      enable = mkOption {
        type = types.bool;
        default = false;
        example = true;
        description = "Whether to ask the builder and the hosts to build the new commit, once the branch has moved on.";
      };
      natsUrl = mkOption {
        type = types.nullOr url.natsUrl;
        default = null;
        example = "tls://nats.example.org";
        description = "The NATS server for that. Needed with `notify.enable`.";
      };
      nkeyFile = secretOption "/run/keys/flake-update.nkey" "The file on the host with the nkey seed of an admin, or of a deployer with `builds`. Needed with `notify.enable`.";
      tls = tlsOptions;
      fleetName = mkOption {
        type = types.nullOr token;
        default = null;
        example = "home";
        description = "The name of the fleet, if the hosts have a `fleetName`.";
      };
      builderRepo = mkOption {
        type = types.nullOr token;
        default = null;
        example = "infra";
        description = "The name of the repository at the builder. Without, the builder's default one.";
      };
    };
    environment = environmentOption {
      GIT_SSH_COMMAND = "ssh -i /run/credentials/homelab-deploy-flake-update.service/fleet";
    } "Further variables of the unit's environment, which nix and git have too; `null` leaves one out.";
    extraArgs = mkOption {
      type = types.listOf types.str;
      default = [ ];
      example = [ "--dry-run" ];
      description = "Further arguments of `homelab-deploy flake-update`.";
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
        message = "${path}.repo holds a user or a password, which everybody could read in the nix store; put a token into ${path}.tokenFile or the file of ${path}.flakeCredentialsFile instead.";
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
      description = "Updates the fleet's flake where every host builds";
      wants = [ "network-online.target" ];
      after = [ "network-online.target" ];
      # An update under way is not begun anew by a deployment.
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
          # The daemon builds, so that this unit needs none of the rights that builds take.
          NIX_REMOTE = "daemon";
        }
        // cfg.environment;
      serviceConfig = withCredentials secrets {
        Type = "oneshot";
        ExecStart = command;
        # It says that a host does not build, and has done what is to be done about it.
        SuccessExitStatus = 1;
        # An evaluation that runs out of memory fails its host, and the update says so.
        OOMPolicy = "continue";
        # A user of its own, who may ask the daemon to build and nothing else.
        DynamicUser = true;
        # What nix fetches is kept from one time to the next.
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
        # The remote, the forge and the broker; the socket of nix; netlink for the C library, which looks up names with it.
        RestrictAddressFamilies = [
          "AF_INET"
          "AF_INET6"
          "AF_UNIX"
          "AF_NETLINK"
        ];
        SystemCallArchitectures = "native";
        # Landlock keeps nix from reading what it must not.
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
