# The permissions of a fleet's keys, for the NATS server of this host: what `homelab-deploy keys nats-config` prints.
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
  responses = allow [
    "deploy.responses.>"
    "build.responses.>"
  ];
  operatorOf = tiers: builds: {
    publish =
      lib.optionalAttrs builds { inherit (buildRequests) deny; }
      // allow (
        map (tier: "deploy.${tier}.>") tiers
        ++ [ "deploy.discover" ]
        ++ lib.optionals builds buildRequests.allow
      );
    subscribe = responses;
  };

  listener = host: entry: {
    publish = allow (
      [
        "deploy.responses.*.${host}"
        "deploy.responses.ask.*.${host}"
        "deploy.responses.*.log.${host}"
        "deploy.responses.presence"
      ]
      # Operators of the older tool hear these only.
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
      deployer = operatorOf (sorted entry.tiers) entry.builds;
      mcp = operatorOf [ mcpTier ] entry.builds;
      admin = operatorOf everyTier true;
      viewer = operatorOf [ ] false;
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

  # One for each key: two while a key is being replaced.
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

  # The server's file has a fixed place, so that another list of keys is another file there and not another unit: the server takes
  # it up on a reload, and nobody loses the connection. Whatever else is new in it takes a restart, as it does without this module.
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
    description = "The public half of the key, as `homelab-deploy keys new` prints it. Required.";
  };
  nextPublicKey = mkOption {
    type = types.nullOr publicKeyType;
    default = null;
    example = "UCNZ24GVCGUP5GTCPYXXFSRL4MFMJHBQFJDKIRDQ53YTWOKNPJ3PL64D";
    description = "The key that replaces `publicKey`: the server accepts both, until it is written there instead.";
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
        description = "Whether the host hears other hosts, which confirm it after an activation: for the host of the NATS server, and others through which hosts reach it.";
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
        description = "What the key is for. Required.";
      };
      tiers = mkOption {
        type = types.listOf token;
        default = [ ];
        example = [ "test" ];
        description = "The tiers that a deployer may change. An admin has all, an mcp has `test`, and the others have none.";
      };
      builds = mkOption {
        type = types.bool;
        default = false;
        example = true;
        description = "Whether a deployer or mcp may ask the builder too.";
      };
      expires = mkOption {
        type = types.nullOr expiry;
        default = null;
        example = "2027-01-01";
        description = "The last day of the key in UTC, or the moment at which it ends, for the fleet file that `lib.fleet` makes. This server takes the key until the entry is removed; hosts refuse what it has signed later if their `trustedKeys` have the date too, as in `U…@2027-01-01`.";
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
      description = "Whether the NATS server of this host gets the permissions of the fleet. Turns on `services.nats`.";
    };
    baseSubjects = mkOption {
      type = types.bool;
      default = true;
      example = false;
      description = "Whether hosts may publish on the subjects of the older tool, where any host can publish in any name. Switch it off when no listener or operator of the older tool is left.";
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
      description = "Everybody else, people and services, by name.";
    };
  };

  config = lib.mkIf cfg.enable {
    assertions = [
      {
        assertion = users != [ ];
        message = "${path}: name at least one of hosts and operators; a server without users is open to everybody.";
      }
      {
        assertion = lib.allUnique keys;
        message = "${path}: two entries have the same publicKey; give each host and operator a key of its own.";
      }
      {
        assertion = !(lib.any isNoToken (builtins.attrNames (cfg.hosts // cfg.operators)));
        message = "${path}: ${
          lib.concatStringsSep ", " (lib.filter isNoToken (builtins.attrNames (cfg.hosts // cfg.operators)))
        }: a ${token.description}.";
      }
      (noOperator (wrong (entry: entry.kind == "deployer" && entry.tiers == [ ])) "a deployer needs tiers")
      (noOperator (wrong (
        entry: entry.kind == "mcp" && entry.tiers != [ ] && entry.tiers != [ mcpTier ]
      )) "an mcp deploys to the tier ${mcpTier} alone, so leave tiers out")
      (noOperator (wrong (
        entry: !(builtins.elem entry.kind [ "deployer" "mcp" ]) && (entry.tiers != [ ] || entry.builds)
      )) "tiers are for a deployer, and builds for a deployer or mcp")
      # This module does nothing else with the dates, so without this only `lib.fleet` would find a mistyped one.
      (noOperator (wrong (
        entry: entry.expires != null && !(expiry.check entry.expires)
      )) "expires is a ${expiry.description}")
    ];

    services.nats = {
      enable = lib.mkDefault true;
      settings = {
        authorization = { inherit users; };
        # No message of the fleet is larger.
        max_payload = lib.mkDefault 65536;
      };
    };

    environment.etc = lib.mkIf server.enable { ${place}.source = file; };
    systemd.services.nats = lib.mkIf server.enable {
      # Before NixOS's own, and after what a host forces.
      serviceConfig.ExecStart = lib.mkOverride 90 "${lib.getExe pkgs.nats-server} -c /etc/${place}";
      reloadTriggers = [ (digest server.settings.authorization) ];
      restartTriggers = [ (digest (removeAttrs server.settings [ "authorization" ])) ];
    };
  };
}
