# The builder. Its unit is read from the unit file next to this file.
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
    nixOptions
    nixArguments
    nixAssertions
    daemonAssertion
    portOf
    plainPath
    ;
  token = import ./token.nix { inherit lib; };
  url = import ./url.nix { inherit lib; };
  trustedKeyAssertions = import ./trusted-keys.nix { inherit lib; };
  checked = import ./checked-toml.nix { inherit lib pkgs; };
  inherit (checked) toml typed settingsType;

  configFile =
    if cfg.configFile != null then
      # A path literal is copied to the store and becomes a dependency of the unit.
      "${cfg.configFile}"
    else
      "${checked.generate {
        name = "homelab-deploy-builder.toml";
        inherit (cfg) package settings;
        check = "builder --check --config";
      }}";

  repo = settingsType {
    url = mkOption {
      type = url.repoUrl;
      example = "git+https://git.example.org/fleet";
      description = "The flake of the repository. Required.";
    };
    default_branch = typed types.str "main" "The branch to build if a request names none; defaults to `master`.";
    flake_attrs = typed (types.attrsOf flakeAttr) {
      ns1 = "ns1.example.org";
    } "The attributes of hosts in the flake's `nixosConfigurations`, by host name, if they are neither the host name nor a domain name that starts with it.";
    default = typed types.bool true "Whether this repository is used if a request names none. Not needed if there is only one.";
  };
  settings = settingsType {
    repos = mkOption {
      type = types.attrsOf repo;
      default = { };
      example = {
        fleet.url = "git+https://git.example.org/fleet";
      };
      description = "The repositories that may be built, by name. At least one is required.";
    };
    timeout = typed (types.either types.ints.positive (
      textType "[0-9]+ *(s|m|min|h|d)?" "time such as 90s, 30m or 4h"
    )) "2h" "Maximum duration of a build, in seconds or with a unit; defaults to `4h`.";
    parallel = typed (types.ints.between 1 256) 4 "Maximum number of concurrent nix processes, over all repositories; defaults to 2.";
    keep_going = typed types.bool false "Whether to build the other hosts if one fails; defaults to `true`.";
    post_build_command = typed (types.either types.str (types.nonEmptyListOf types.str)) [
      "attic"
      "push"
      "fleet"
    ] "A program and its arguments, or a shell command, that is called with the store path of each built host. Add its package to `extraPackages`.";
    trusted_keys = typed (types.listOf types.str) [
      "UCZTVNFTVZTQZ2FTLL4PA7LDCGM2JQTIU7MQS3WBQUBWTYJJZBBDYRPS"
    ] "The public keys that may request builds, in the format of `listener.trustedKeys`. If the list is not empty, only requests signed by one of these keys are accepted, in addition to the permissions on the NATS server. If it is empty, only those permissions apply.";
    fleet_name = typed token "home" "The name of the fleet. Signed requests for another fleet are refused. Operators set the same `fleet_name`.";
  };
  isSet = checked.plain cfg.settings != { repos = { }; };

  arguments = [
    "--nats-url"
    cfg.natsUrl
  ]
  ++ lib.optionals cfg.metrics.enable [
    "--metrics-enabled"
    "--metrics-addr"
    cfg.metrics.address
  ]
  ++ tlsArguments cfg.tls
  ++ logArguments cfg
  ++ nixArguments cfg
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
        (credentialPath cfg.nkeyFile)
      ]
      (builtins.readFile ./homelab-deploy-builder.service)
  );
  service = withCredentials (secretsOf cfg) (withLogs cfg unit.Service);
  port = portOf cfg.metrics.address;
  # The listener module may not be imported.
  listener = config.services.homelab-deploy.listener or { enable = false; };

  required = option: example: {
    assertion = cfg.${option} != null;
    message = "${path}.${option} must be set, for example to ${builtins.toJSON example}.";
  };

  options = nixOptions // {
    enable = mkOption {
      type = types.bool;
      default = false;
      example = true;
      description = "Whether to run the builder, which builds hosts when operators request it.";
    };
    package = packageOption pkgs;
    natsUrl = mkOption {
      type = types.nullOr url.natsUrl;
      default = null;
      example = "tls://nats.example.org";
      description = "The URL of the NATS server, or a comma-separated list of URLs for a cluster. Required.";
    };
    nkeyFile = secretOption "/run/keys/builder.nkey" "The file on the host with the builder's nkey seed, as written by `homelab-deploy keys new builder`. Required.";
    tls = tlsOptions;
    flakeCredentialsFile = secretOption "/run/keys/flake-credentials" "The file on the host with passwords and tokens for the repositories and their inputs, in netrc format.";
    settings = mkOption {
      type = settings;
      default = { };
      example = {
        repos.fleet.url = "git+https://git.example.org/fleet";
        timeout = "2h";
      };
      description = ''
        The builder's configuration file, which is checked when the system is built; docs/builder.md in the homelab-deploy
        repository explains its keys. Either this or `configFile` must be set. Do not put secrets here: everyone can read the
        file.
      '';
    };
    configFile = mkOption {
      type = types.nullOr types.path;
      default = null;
      example = "/etc/homelab-deploy/builder.toml";
      description = "The builder's configuration file, if it is not generated from `settings`. The builder's user must be able to read it.";
    };
    environment = environmentOption {
      GIT_SSH_COMMAND = "ssh -i /run/credentials/homelab-deploy-builder.service/fleet";
    } "Additional environment variables for the builder, also passed to nix, git and the post-build command; `null` removes a variable.";
    extraPackages = mkOption {
      type = types.listOf types.package;
      default = [ ];
      example = lib.literalExpression "[ pkgs.attic-client ]";
      description = "Additional packages on the unit's PATH, such as the package of the post-build command.";
    };
    metrics = metricsOptions 9973;
    extraArgs = mkOption {
      type = types.listOf types.str;
      default = [ ];
      example = [ "--debug" ];
      description = "Additional arguments for `homelab-deploy builder`. Directories named here must be writable by the unit.";
    };
  }
  // logOptions
  // {
    logDir = logOptions.logDir // {
      example = "/var/log/homelab-deploy-builder";
      description = "A directory below `/var/log`, which systemd creates, for daily log files in addition to the journal; 14 files are kept.";
    };
  };
in
{
  options.services.homelab-deploy.builder = options;

  config = lib.mkIf cfg.enable {
    warnings =
      url.natsWarnings "${path}.natsUrl" cfg.natsUrl
      ++ lib.concatLists (
        lib.mapAttrsToList (
          name: repo:
          url.repoWarnings "${path}.settings.repos.${name}.url" "the file of ${path}.flakeCredentialsFile" repo.url
        ) cfg.settings.repos
      );

    assertions = [
      (required "natsUrl" "tls://nats.example.org")
      (required "nkeyFile" "/run/keys/builder.nkey")
      {
        assertion = isSet != (cfg.configFile != null);
        message = "set exactly one of ${path}.settings, for example to { repos.fleet.url = \"git+https://git.example.org/fleet\"; }, and ${path}.configFile.";
      }
      {
        assertion = isSet -> cfg.settings.repos != { };
        message = "${path}.settings.repos must name at least one repository, for example fleet.url = \"git+https://git.example.org/fleet\".";
      }
    ]
    ++ trustedKeyAssertions "${path}.settings.trusted_keys" (
      if cfg.settings.trusted_keys == null then [ ] else cfg.settings.trusted_keys
    )
    ++ metricsAssertions path 9973 cfg.metrics
    ++ nixAssertions path cfg
    ++ tlsAssertions "${path}.tls" cfg.tls
    ++ [
      {
        assertion = builtins.all token.check (builtins.attrNames cfg.settings.repos);
        message = "${path}.settings.repos: ${
          lib.concatStringsSep ", " (
            lib.filter (name: !(token.check name)) (builtins.attrNames cfg.settings.repos)
          )
        }: expected a ${token.description}.";
      }
      {
        assertion =
          cfg.metrics.enable
          && listener.enable
          && listener.metrics.enable
          && port != null
          && port != 0
          -> port != portOf listener.metrics.address;
        message = "${path}.metrics.address and services.homelab-deploy.listener.metrics.address use the same port; give each a different port.";
      }
      {
        assertion = cfg.metrics.enable && port != null && port != 0 -> port >= 1024;
        message = "${path}.metrics.address: the unit may not listen on a port below 1024; choose a higher port, such as \":9973\".";
      }
      {
        assertion = cfg.logDir == null || lib.hasPrefix "/var/log/" (plainPath cfg.logDir);
        message = "${path}.logDir must be below /var/log, where systemd creates it for the user of the unit, for example \"/var/log/homelab-deploy-builder\".";
      }
      (daemonAssertion path config "homelab-deploy-builder")
    ]
    ++ secretAssertions path cfg;

    networking.firewall.allowedTCPPorts = lib.mkIf (cfg.metrics.openFirewall && port != null) [ port ];

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
        # For scripts, because NixOS does not put a shell on the PATH of a unit.
        pkgs.bash
      ]
      ++ cfg.extraPackages;
      environment =
        config.nix.envVars // config.networking.proxy.envVars // environmentOf service // cfg.environment;
      serviceConfig = removeAttrs service [ "Environment" ];
    };
  };
}
