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
  inherit (import ./service.nix { inherit lib; }) word secretAssertions packageOption;

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
  ++ lib.optional cfg.notify.enable "--notify"
  ++ given "--builder-repo" cfg.notify.builderRepo
  ++ given "--nats-url" cfg.notify.natsUrl
  ++ cfg.extraArgs;
  # systemd fills in where the credentials are.
  command =
    "${cfg.package}/bin/homelab-deploy flake-update ${lib.concatMapStringsSep " " word arguments}"
    + lib.optionalString (cfg.tokenFile != null) " --token-file %d/token"
    + lib.optionalString (cfg.notify.nkeyFile != null) " --nkey-file %d/nkey";
in
{
  options.services.homelab-deploy.flakeUpdate = {
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
      description = "The repository, as git clones it. Required. Credentials belong into `tokenFile`, or for ssh into `environment.GIT_SSH_COMMAND`.";
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
    tokenFile = mkOption {
      type = types.nullOr types.str;
      default = null;
      example = "/run/keys/flake-update.token";
      description = ''
        The file on the host with the forge's token. systemd hands it on as a credential, so only root needs to be able to read it.
        Without, a branch whose hosts do not build is pushed and no pull request opened. It must not lie in the store, where
        everybody can read.
      '';
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
        type = types.nullOr types.str;
        default = null;
        example = "tls://nats.example.org";
        description = "The NATS server for that. Needed with `notify.enable`.";
      };
      nkeyFile = mkOption {
        type = types.nullOr types.str;
        default = null;
        example = "/run/keys/flake-update.nkey";
        description = "The file on the host with the nkey seed of an admin, or of a deployer with `builds`. Needed with `notify.enable`.";
      };
      builderRepo = mkOption {
        type = types.nullOr token;
        default = null;
        example = "infra";
        description = "The name of the repository at the builder. Without, the builder's default one.";
      };
    };
    environment = mkOption {
      type = types.attrsOf types.str;
      default = { };
      example = {
        GIT_SSH_COMMAND = "ssh -i /run/keys/fleet";
      };
      description = "Further variables of the unit's environment, which nix and git have too.";
    };
    extraArgs = mkOption {
      type = types.listOf types.str;
      default = [ ];
      example = [
        "--parallel"
        "4"
      ];
      description = "Further arguments of `homelab-deploy flake-update`.";
    };
  };

  config = lib.mkIf cfg.enable {
    assertions = [
      {
        assertion = cfg.repo != null;
        message = "${path}.repo must be set, for example to \"https://git.example.org/alice/fleet.git\".";
      }
      {
        assertion = cfg.repo == null || builtins.match "[a-z+]+://[^/@]*:[^/@]*@.*" cfg.repo == null;
        message = "${path}.repo holds a password, which everybody could read in the nix store; put a token into ${path}.tokenFile instead.";
      }
      {
        assertion = cfg.notify.enable -> cfg.notify.natsUrl != null && cfg.notify.nkeyFile != null;
        message = "${path}.notify needs natsUrl and nkeyFile.";
      }
      {
        assertion = cfg.notify.enable || cfg.notify.natsUrl == null && cfg.notify.nkeyFile == null && cfg.notify.builderRepo == null;
        message = "${path}.notify.natsUrl, nkeyFile and builderRepo have no effect without ${path}.notify.enable.";
      }
    ]
    ++ secretAssertions "${path}.tokenFile" cfg.tokenFile
    ++ secretAssertions "${path}.notify.nkeyFile" cfg.notify.nkeyFile;

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
      serviceConfig = {
        Type = "oneshot";
        ExecStart = command;
        # It says that a host does not build, and has done what is to be done about it.
        SuccessExitStatus = 1;
        # An evaluation that runs out of memory fails its host, and the update says so.
        OOMPolicy = "continue";
        LoadCredential =
          lib.optional (cfg.tokenFile != null) "token:${cfg.tokenFile}"
          ++ lib.optional (cfg.notify.nkeyFile != null) "nkey:${cfg.notify.nkeyFile}";
        # A user of its own, who may ask the daemon to build and nothing else.
        DynamicUser = true;
        # What nix fetches is kept from one time to the next.
        StateDirectory = "homelab-deploy-flake-update";
        StateDirectoryMode = "0700";
        UMask = "0077";
        CapabilityBoundingSet = "";
        NoNewPrivileges = true;
        ProtectSystem = "strict";
        # The keys of ssh that `environment` names may be there.
        ProtectHome = "read-only";
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
        RestrictAddressFamilies = "AF_INET AF_INET6 AF_UNIX AF_NETLINK";
        SystemCallArchitectures = "native";
        SystemCallFilter = "@system-service";
        SystemCallErrorNumber = "EPERM";
      };
    };
  };
}
