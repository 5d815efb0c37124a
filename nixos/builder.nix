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
      # A file beside the configuration becomes one in the store, and belongs to the unit.
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
    default_branch = typed types.str "main" "The branch that is built if a request names none; `master` without.";
    flake_attrs = typed (types.attrsOf flakeAttr) {
      ns1 = "ns1.example.org";
    } "What the flake calls hosts below `nixosConfigurations`, by host, if that is not the name of the host or a domain name that begins with it.";
    default = typed types.bool true "Whether this repository is meant if a request names none. The only one needs not say so.";
  };
  settings = settingsType {
    repos = mkOption {
      type = types.attrsOf repo;
      default = { };
      example = {
        fleet.url = "git+https://git.example.org/fleet";
      };
      description = "The repositories that may be built, by name; at least one.";
    };
    timeout = typed (types.either types.ints.positive (
      textType "[0-9]+ *(s|m|min|h|d)?" "time such as 90s, 30m or 4h"
    )) "2h" "How long a build may take, in seconds or with a unit; `4h` without.";
    parallel = typed (types.ints.between 1 256) 4 "How many programs of nix work at the same time, over all repositories; 2 without.";
    keep_going = typed types.bool false "Whether the other hosts are built if one fails; `true` without.";
    post_build_command = typed (types.either types.str (types.nonEmptyListOf types.str)) [
      "attic"
      "push"
      "fleet"
    ] "A program with its arguments, or a text for the shell, that is called with the store path of each host that was built. Its package belongs into `extraPackages`.";
    trusted_keys = typed (types.listOf types.str) [
      "UCZTVNFTVZTQZ2FTLL4PA7LDCGM2JQTIU7MQS3WBQUBWTYJJZBBDYRPS"
    ] "Public keys of those who may ask, as in `listener.trustedKeys`. With one at least, only what one of them has signed is built; without, the NATS server alone decides.";
    fleet_name = typed token "home" "The name of the fleet: a signed request for another fleet is refused. Operators set `fleet_name` to the same.";
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
  service = withCredentials [
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
  ] (withLogs cfg unit.Service);
  port = portOf cfg.metrics.address;
  # Another module, which may not be imported.
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
      description = "Whether this host builds when operators ask for it.";
    };
    package = packageOption pkgs;
    natsUrl = mkOption {
      type = types.nullOr url.natsUrl;
      default = null;
      example = "tls://nats.example.org";
      description = "The NATS server, or a comma list of a cluster's. Required.";
    };
    nkeyFile = secretOption "/run/keys/builder.nkey" "The file on the host with the builder's nkey seed, as `homelab-deploy keys new builder` writes it. Required.";
    tls = tlsOptions;
    flakeCredentialsFile = secretOption "/run/keys/flake-credentials" "The file on the host with the passwords and tokens for the repositories and their inputs, in the format of netrc.";
    settings = mkOption {
      type = settings;
      default = { };
      example = {
        repos.fleet.url = "git+https://git.example.org/fleet";
        timeout = "2h";
      };
      description = ''
        The builder's file, which is checked when the system is built; docs/builder.md in the repository of homelab-deploy explains
        its keys. Either this or `configFile` must be set. Never write a secret here: the file can be read by everybody.
      '';
    };
    configFile = mkOption {
      type = types.nullOr types.path;
      default = null;
      example = "/etc/homelab-deploy/builder.toml";
      description = "The builder's file, where it is not made from `settings`. The builder's own user must be able to read it.";
    };
    environment = environmentOption {
      GIT_SSH_COMMAND = "ssh -i /run/credentials/homelab-deploy-builder.service/fleet";
    } "Further variables of the builder's environment, which nix, git and the post-build command have too; `null` leaves one out.";
    extraPackages = mkOption {
      type = types.listOf types.package;
      default = [ ];
      example = lib.literalExpression "[ pkgs.attic-client ]";
      description = "Packages for the PATH of the unit, such as that of the post-build command.";
    };
    metrics = metricsOptions 9973;
    extraArgs = mkOption {
      type = types.listOf types.str;
      default = [ ];
      example = [ "--debug" ];
      description = "Further arguments of `homelab-deploy builder`. Directories named here must be writable to the unit.";
    };
  }
  // logOptions;
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
        message = "${path}.metrics.address and services.homelab-deploy.listener.metrics.address have the same port; give each a port of its own.";
      }
      {
        assertion = cfg.metrics.enable && port != null && port != 0 -> port >= 1024;
        message = "${path}.metrics.address: the unit has no right to a port below 1024; choose one from there, such as \":9973\".";
      }
      {
        assertion = cfg.logDir == null || lib.hasPrefix "/var/log/" (plainPath cfg.logDir);
        message = "${path}.logDir must be below /var/log, where systemd makes it for the user of the unit, such as \"/var/log/homelab-deploy-builder\".";
      }
      (daemonAssertion path config "homelab-deploy-builder")
      (secretAssertion "${path}.nkeyFile" cfg.nkeyFile)
      (secretAssertion "${path}.flakeCredentialsFile" cfg.flakeCredentialsFile)
      (secretAssertion "${path}.tls.key" cfg.tls.key)
    ];

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
        # For scripts: NixOS puts no shell on the PATH of a unit.
        pkgs.bash
      ]
      ++ cfg.extraPackages;
      environment =
        config.nix.envVars // config.networking.proxy.envVars // environmentOf service // cfg.environment;
      serviceConfig = removeAttrs service [ "Environment" ];
    };
  };
}
