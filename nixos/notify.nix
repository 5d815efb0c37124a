# Notifications of deployments. The unit is read from the unit file next to this file.
{
  config,
  lib,
  pkgs,
  ...
}:

let
  inherit (lib) mkOption types;
  cfg = config.services.homelab-deploy.notify;
  path = "services.homelab-deploy.notify";

  inherit (import ./service.nix { inherit lib; })
    word
    readUnit
    environmentOf
    environmentOption
    hostFile
    textType
    secretAssertion
    secretOption
    credentialPath
    withCredentials
    packageOption
    tlsKey
    tlsOptions
    tlsArguments
    tlsAssertions
    logOptions
    logArguments
    withLogs
    plainPath
    ;
  token = import ./token.nix { inherit lib; };
  url = import ./url.nix { inherit lib; };
  checked = import ./checked-toml.nix { inherit lib pkgs; };
  inherit (checked) typed settingsType;

  # The keys of a target that name a file with a secret. Each such file becomes a credential of the unit.
  secretKeys = [
    "url_file"
    "token_file"
    "secret_file"
  ];
  given = target: lib.filter (key: (target.${key} or null) != null) secretKeys;
  credentials = lib.concatLists (
    lib.mapAttrsToList (
      name: target:
      map (key: {
        name = "${name}-${key}";
        option = "settings.targets.${name}.${key}";
        file = target.${key};
      }) (given target)
    ) cfg.settings.targets
  );
  # The settings with the names of the credentials instead of the files.
  written = cfg.settings // {
    targets = lib.mapAttrs (
      name: target:
      target
      // lib.listToAttrs (map (key: lib.nameValuePair key "%d/${name}-${key}") (given target))
    ) cfg.settings.targets;
  };
  further = lib.mapAttrsToList (name: file: {
    inherit name file;
    option = "credentials.${name}";
  }) cfg.credentials;

  configFile =
    if cfg.configFile != null then
      # A path literal is copied to the store and becomes a dependency of the unit.
      "${cfg.configFile}"
    else
      "${checked.generate {
        name = "homelab-deploy-notify.toml";
        inherit (cfg) package;
        settings = written;
        check = "notify --check --config";
      }}";

  time = textType "[0-9]+ *(s|m|min|h)" "time such as 90s, 15m or 1h";
  names = types.listOf token;
  oneOrMore = words: types.nonEmptyListOf (types.enum words);
  target = settingsType {
    kind = mkOption {
      type = types.enum [
        "ntfy"
        "matrix"
        "slack"
        "discord"
        "webhook"
      ];
      example = "ntfy";
      description = "The kind of server. `slack` is any server that accepts Slack's incoming webhooks. Required.";
    };
    url = typed types.str "https://ntfy.example.org/fleet" "The URL of the ntfy topic, the Matrix server or the webhook. Everyone can read it in the nix store; set `url_file` if it is secret.";
    url_file = typed hostFile "/run/keys/slack.url" "The file on the host with the URL. systemd passes it to the unit as a credential.";
    token_file = typed hostFile "/run/keys/ntfy.token" "The file on the host with the access token. systemd passes it to the unit as a credential.";
    secret_file = typed hostFile "/run/keys/webhook.secret" "The file on the host with the secret that signs what a webhook receives. systemd passes it to the unit as a credential.";
    room = typed types.str "!abc:example.org" "The id of the Matrix room.";
    insecure_http = typed types.bool true "Whether notifications and tokens may leave the host without TLS; defaults to `false`.";
    timeout = typed time "10s" "Timeout of one attempt; defaults to `20s`.";
    limit = typed (types.ints.between 1 600) 5 "The most messages a minute; defaults to 10. What exceeds it is folded into one message.";
    events =
      typed
        (oneOrMore [
          "failure"
          "end"
          "offline"
          "units"
        ])
        [
          "failure"
          "end"
          "offline"
        ]
        "What is posted: the first failure of a deployment, its end, hosts that are offline, failed units; defaults to the first two.";
    tiers = typed names [ "prod" ] "The tiers; defaults to all.";
    roles = typed names [ "dns" ] "The roles; defaults to all.";
    hosts = typed names [ "ns1" ] "The hosts; defaults to all.";
    results = typed (oneOrMore [
      "completed"
      "cancelled"
      "rejected"
      "unknown"
      "failed"
    ]) [ "failed" ] "The results of jobs of which a deployment needs at least one; defaults to all.";
    actions = typed (types.listOf types.str) [
      "switch"
      "boot"
    ] "The actions; defaults to all that change a host.";
    title = typed types.str "{result}: {title}" "The template of titles; docs/notify.md in the homelab-deploy repository lists its fields.";
    message = typed types.str "{message}" "The template of messages.";
    priority = typed (types.attrsOf (types.ints.between 1 5)) {
      failed = 5;
    } "The priority of ntfy, by result.";
    tags = typed (types.attrsOf (types.listOf types.str)) {
      failed = [ "skull" ];
    } "The tags of ntfy, by result.";
  };
  settings = settingsType {
    fleet = typed types.path "/etc/fleet.toml" "The fleet file, which has the public key of each host. Without it, the first key of each host is trusted.";
    fleet_name = typed token "home" "The name of the fleet, if the hosts set `fleetName`.";
    unproven = typed (types.enum [
      "allow"
      "refuse"
    ]) "allow" "Whether reports of hosts that do not prove their identity count; defaults to `refuse`.";
    end_after = typed time "30s" "How long after the last result a deployment has ended; defaults to `15s`.";
    silent_after = typed time "1h" "How long after the last report a deployment has ended although hosts have no result; defaults to `15m`.";
    host_after = typed time "10m" "How long a host is offline, or its units have failed, before that is posted; defaults to `5m`.";
    targets = mkOption {
      type = types.attrsOf target;
      default = { };
      example = {
        phone = {
          kind = "ntfy";
          url = "https://ntfy.example.org/fleet";
        };
      };
      description = "Where notifications are posted, by name. At least one is required.";
    };
  };
  isSet = checked.plain cfg.settings != { targets = { }; };

  arguments = [
    "--nats-url"
    cfg.natsUrl
  ]
  ++ tlsArguments cfg.tls
  ++ logArguments cfg
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
      (builtins.readFile ./homelab-deploy-notify.service)
  );
  withTls = withCredentials [ (tlsKey "tls.key" cfg.tls.key) ] (withLogs cfg unit.Service);
  service = withTls // {
    LoadCredential =
      withTls.LoadCredential
      ++ map ({ name, file, ... }: "${name}:${credentialPath file}") (credentials ++ further);
  };

  required = option: example: {
    assertion = cfg.${option} != null;
    message = "${path}.${option} must be set, for example to ${builtins.toJSON example}.";
  };

  options = {
    enable = mkOption {
      type = types.bool;
      default = false;
      example = true;
      description = "Whether to post results of deployments to chat and push servers. One host of a fleet is enough.";
    };
    package = packageOption pkgs;
    natsUrl = mkOption {
      type = types.nullOr url.natsUrl;
      default = null;
      example = "tls://nats.example.org";
      description = "The URL of the NATS server, or a comma-separated list of URLs for a cluster. Required.";
    };
    nkeyFile = secretOption "/run/keys/notify.nkey" "The file on the host with the nkey seed of a viewer, as written by `homelab-deploy keys new viewer`. Required.";
    tls = tlsOptions;
    settings = mkOption {
      type = settings;
      default = { };
      example = {
        targets.phone = {
          kind = "ntfy";
          url = "https://ntfy.example.org/fleet";
        };
      };
      description = ''
        The configuration file, which is checked when the system is built; docs/notify.md in the homelab-deploy repository
        explains its keys. Either this or `configFile` must be set. Do not put secrets here: everyone can read the file.
      '';
    };
    configFile = mkOption {
      type = types.nullOr types.path;
      default = null;
      example = "/etc/homelab-deploy/notify.toml";
      description = "The configuration file, if it is not generated from `settings`. The user of the unit must be able to read it.";
    };
    credentials = mkOption {
      type = types.attrsOf hostFile;
      default = { };
      example = {
        slack = "/run/keys/slack.url";
      };
      description = "Further files on the host that systemd passes to the unit, by the name that `configFile` uses, as in `url_file = \"%d/slack\"`.";
    };
    environment = environmentOption {
      https_proxy = "http://proxy.example.org:3128";
    } "Additional environment variables for the unit; `null` removes a variable.";
    extraArgs = mkOption {
      type = types.listOf types.str;
      default = [ ];
      example = [ "--debug" ];
      description = "Additional arguments for `homelab-deploy notify`.";
    };
  }
  // logOptions
  // {
    logDir = logOptions.logDir // {
      example = "/var/log/homelab-deploy-notify";
      description = "A directory below `/var/log`, which systemd creates, for daily log files in addition to the journal; 14 files are kept.";
    };
  };
in
{
  options.services.homelab-deploy.notify = options;

  config = lib.mkIf cfg.enable {
    warnings = url.natsWarnings "${path}.natsUrl" cfg.natsUrl;

    assertions = [
      (required "natsUrl" "tls://nats.example.org")
      (required "nkeyFile" "/run/keys/notify.nkey")
      {
        assertion = isSet != (cfg.configFile != null);
        message = "set exactly one of ${path}.settings, for example to { targets.phone = { kind = \"ntfy\"; url = \"https://ntfy.example.org/fleet\"; }; }, and ${path}.configFile.";
      }
      {
        assertion = isSet -> cfg.settings.targets != { };
        message = "${path}.settings.targets must name at least one target, for example phone = { kind = \"ntfy\"; url = \"https://ntfy.example.org/fleet\"; }.";
      }
      {
        assertion = cfg.logDir == null || lib.hasPrefix "/var/log/" (plainPath cfg.logDir);
        message = "${path}.logDir must be below /var/log, where systemd creates it for the user of the unit, for example \"/var/log/homelab-deploy-notify\".";
      }
      {
        assertion = builtins.all token.check (builtins.attrNames cfg.settings.targets);
        message = "${path}.settings.targets: ${
          lib.concatStringsSep ", " (
            lib.filter (name: !(token.check name)) (builtins.attrNames cfg.settings.targets)
          )
        }: expected a ${token.description}.";
      }
      (secretAssertion "${path}.nkeyFile" cfg.nkeyFile)
      (secretAssertion "${path}.tls.key" cfg.tls.key)
    ]
    ++ tlsAssertions "${path}.tls" cfg.tls
    ++ map ({ option, file, ... }: secretAssertion "${path}.${option}" file) (credentials ++ further);

    systemd.services.homelab-deploy-notify = {
      description = unit.Unit.Description;
      wantedBy = [ "multi-user.target" ];
      wants = lib.splitString " " unit.Unit.Wants;
      after = lib.splitString " " unit.Unit.After;
      unitConfig = removeAttrs unit.Unit [
        "Description"
        "Wants"
        "After"
      ];
      environment = config.networking.proxy.envVars // environmentOf service // cfg.environment;
      serviceConfig = removeAttrs service [ "Environment" ];
    };
  };
}
