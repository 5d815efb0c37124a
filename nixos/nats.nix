# Adds the permissions of a fleet's keys to the NATS server of this host, the same ones that `homelab-deploy keys nats-config` prints.
{
  config,
  lib,
  pkgs,
  ...
}:

let
  inherit (lib) mkOption types;
  cfg = config.services.homelab-deploy.nats;
  path = "services.homelab-deploy.nats";

  token = import ./token.nix { inherit lib; };
  expiry = import ./expiry.nix { inherit lib; };
  publicKeyType = import ./public-key.nix { inherit lib; };

  # The one tier that an assistant may change.
  mcpTier = "test";

  allow = subjects: { allow = subjects; };
  buildRequests = {
    allow = [ "build.>" ];
    deny = [ "build.responses.>" ];
  };
  # A process that runs a rollout publishes its status and receives commands to it.
  rolloutControls = "rollouts.control.*";
  operatorOf = tiers: builds: rollouts: {
    publish =
      lib.optionalAttrs builds { inherit (buildRequests) deny; }
      // allow (
        map (tier: "deploy.${tier}.>") tiers
        ++ [ "deploy.discover" ]
        ++ rollouts
        ++ lib.optionals builds buildRequests.allow
      );
    subscribe = allow (
      [
        "deploy.responses.>"
        "build.responses.>"
        "rollouts.status.*"
      ]
      ++ lib.optional (rollouts != [ ]) rolloutControls
    );
  };

  listener = host: entry: {
    publish = allow (
      [
        "deploy.responses.*.${host}"
        "deploy.responses.ask.*.${host}"
        "deploy.responses.*.log.${host}"
        "deploy.responses.presence"
      ]
      # Operators of the older tool subscribe only to these.
      ++ lib.optionals cfg.baseSubjects [
        "deploy.responses.*"
        "deploy.responses.ask.*"
      ]
      ++ lib.optional entry.confirmPeers "deploy.discover"
    );
    subscribe = allow (
      [
        "deploy.${entry.tier}.${host}"
        "deploy.${entry.tier}.all"
      ]
      ++ lib.optional (entry.role != null) "deploy.${entry.tier}.role.${entry.role}"
      ++ [ "deploy.discover" ]
      ++ lib.optional entry.confirmPeers "deploy.responses.presence"
    );
  };
  operator =
    entry:
    {
      deployer = operatorOf (sorted entry.tiers) entry.builds [
        "rollouts.status.*"
        rolloutControls
      ];
      mcp = operatorOf [ mcpTier ] entry.builds [ "rollouts.status.*" ];
      admin = operatorOf everyTier true [
        "rollouts.status.*"
        rolloutControls
      ];
      viewer = operatorOf [ ] false [ ];
      builder = {
        publish = allow [ "build.responses.>" ];
        subscribe = buildRequests;
      };
    }
    .${entry.kind};

  sorted = names: lib.sort (a: b: a < b) (lib.unique names);
  # Every tier that any entry names.
  everyTier = sorted (
    lib.mapAttrsToList (_: entry: entry.tier) cfg.hosts
    ++ lib.concatLists (lib.mapAttrsToList (_: entry: entry.tiers) cfg.operators)
    ++ lib.optional (lib.any (entry: entry.kind == "mcp") (lib.attrValues cfg.operators)) mcpTier
  );

  # One user per key: two while a key is being replaced.
  usersOf =
    permissions: entry:
    map (nkey: { inherit nkey permissions; }) (
      [ entry.publicKey ] ++ lib.optional (entry.nextPublicKey != null) entry.nextPublicKey
    );
  users = lib.concatLists (
    lib.mapAttrsToList (host: entry: usersOf (listener host entry) entry) cfg.hosts
    ++ lib.mapAttrsToList (_: entry: usersOf (operator entry) entry) cfg.operators
  );
  keys = map (user: user.nkey) users;

  # The server's configuration file has a fixed path, so that a change of keys changes the file but not the unit. The server then
  # reloads it, and clients stay connected. Any other change needs a restart, as without this module.
  server = config.services.nats;
  place = "nats/nats.conf";
  file =
    let
      made = (pkgs.formats.json { }).generate "nats.conf" server.settings;
      isChecked =
        server.validateConfig or true
        && pkgs.stdenv.buildPlatform.canExecute pkgs.stdenv.hostPlatform;
    in
    if isChecked then
      pkgs.runCommand "nats.conf" { } ''
        ${lib.getExe pkgs.nats-server} -t -c ${made}
        cp ${made} $out
      ''
    else
      made;
  digest = value: builtins.hashString "sha256" (builtins.toJSON value);

  names = attrs: lib.concatStringsSep ", " (builtins.attrNames attrs);
  wrong = check: lib.filterAttrs (_: entry: check entry) cfg.operators;
  isNoToken = name: !(token.check name);
  noOperator = wrong: rule: {
    assertion = wrong == { };
    message = "${path}.operators: ${rule}; see ${names wrong}.";
  };

  publicKey = mkOption {
    type = publicKeyType;
    example = "UDXU4RCSJNZOIQHZNWXHXORDPRTGNJAHAHFRGZNEEJCPQTT2M7NLCNF4";
    description = "The public key, as printed by `homelab-deploy keys new`. Required.";
  };
  nextPublicKey = mkOption {
    type = types.nullOr publicKeyType;
    default = null;
    example = "UCNZ24GVCGUP5GTCPYXXFSRL4MFMJHBQFJDKIRDQ53YTWOKNPJ3PL64D";
    description = "The key that is to replace `publicKey`. The server accepts both until `publicKey` is changed.";
  };
  host = {
    options = {
      tier = mkOption {
        type = token;
        example = "prod";
        description = "The tier of the host. Required.";
      };
      role = mkOption {
        type = types.nullOr token;
        default = null;
        example = "dns";
        description = "The role of the host.";
      };
      confirmPeers = mkOption {
        type = types.bool;
        default = false;
        example = true;
        description = "Whether this host may receive messages of other hosts, which confirm it after an activation. Enable this for the host of the NATS server, and for hosts that others need to reach it.";
      };
      inherit publicKey nextPublicKey;
    };
  };
  operatorEntry = {
    options = {
      kind = mkOption {
        type = types.enum [
          "deployer"
          "admin"
          "viewer"
          "builder"
          "mcp"
        ];
        example = "deployer";
        description = "The kind of the key. Required.";
      };
      tiers = mkOption {
        type = types.listOf token;
        default = [ ];
        example = [ "test" ];
        description = "The tiers that a deployer may change. An admin may change all tiers, an mcp only `test`, and the other kinds none.";
      };
      builds = mkOption {
        type = types.bool;
        default = false;
        example = true;
        description = "Whether a deployer or mcp may also request builds.";
      };
      expires = mkOption {
        type = types.nullOr expiry;
        default = null;
        example = "2027-01-01";
        description = "The last day of the key in UTC, or the time at which it expires, for the fleet file that `lib.fleet` generates. The NATS server accepts the key until the entry is removed. Hosts refuse later requests signed with the key if their `trustedKeys` have the date too, as in `U…@2027-01-01`.";
      };
      inherit publicKey nextPublicKey;
    };
  };
in
{
  options.services.homelab-deploy.nats = {
    enable = mkOption {
      type = types.bool;
      default = false;
      example = true;
      description = "Whether to add the permissions of the fleet to the NATS server of this host. Enables `services.nats`.";
    };
    baseSubjects = mkOption {
      type = types.bool;
      default = true;
      example = false;
      description = "Whether hosts may publish on the subjects of the older tool, where any host can publish under any name. Disable this when no listener or operator of the older tool is left.";
    };
    hosts = mkOption {
      type = types.attrsOf (types.submodule host);
      default = { };
      example = {
        ns1 = {
          tier = "prod";
          role = "dns";
          publicKey = "UDXU4RCSJNZOIQHZNWXHXORDPRTGNJAHAHFRGZNEEJCPQTT2M7NLCNF4";
        };
      };
      description = "The hosts with a listener, by name.";
    };
    operators = mkOption {
      type = types.attrsOf (types.submodule operatorEntry);
      default = { };
      example = {
        alice = {
          kind = "deployer";
          tiers = [ "prod" ];
          publicKey = "UCZTVNFTVZTQZ2FTLL4PA7LDCGM2JQTIU7MQS3WBQUBWTYJJZBBDYRPS";
        };
      };
      description = "All other keys, of people and services, by name.";
    };
  };

  config = lib.mkIf cfg.enable {
    assertions = [
      {
        assertion = users != [ ];
        message = "${path}: set at least one of hosts and operators; a server without users is open to everyone.";
      }
      {
        assertion = lib.allUnique keys;
        message = "${path}: two entries have the same publicKey; give each host and operator a separate key.";
      }
      {
        assertion = !(lib.any isNoToken (builtins.attrNames (cfg.hosts // cfg.operators)));
        message = "${path}: ${
          lib.concatStringsSep ", " (lib.filter isNoToken (builtins.attrNames (cfg.hosts // cfg.operators)))
        }: expected a ${token.description}.";
      }
      (noOperator (wrong (entry: entry.kind == "deployer" && entry.tiers == [ ])) "a deployer needs tiers")
      (noOperator (wrong (
        entry: entry.kind == "mcp" && entry.tiers != [ ] && entry.tiers != [ mcpTier ]
      )) "an mcp deploys only to the tier ${mcpTier}, so remove tiers")
      (noOperator (wrong (
        entry: !(builtins.elem entry.kind [ "deployer" "mcp" ]) && (entry.tiers != [ ] || entry.builds)
      )) "tiers are only for a deployer, and builds only for a deployer or mcp")
      # Nothing else in this module uses the dates, so without this check only `lib.fleet` would find a mistyped one.
      (noOperator (wrong (
        entry: entry.expires != null && !(expiry.check entry.expires)
      )) "expires must be a ${expiry.description}")
    ];

    services.nats = {
      enable = lib.mkDefault true;
      settings = {
        authorization = { inherit users; };
        # The largest message of the fleet.
        max_payload = lib.mkDefault 65536;
      };
    };

    environment.etc = lib.mkIf server.enable { ${place}.source = file; };
    systemd.services.nats = lib.mkIf server.enable {
      # Takes precedence over the NixOS module, but not over `mkForce` on a host.
      serviceConfig.ExecStart = lib.mkOverride 90 "${lib.getExe pkgs.nats-server} -c /etc/${place}";
      reloadTriggers = [ (digest server.settings.authorization) ];
      restartTriggers = [ (digest (removeAttrs server.settings [ "authorization" ])) ];
    };
  };
}
