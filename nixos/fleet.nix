# `fleet` and `checks`, which a fleet's flake derives from its own `nixosConfigurations`, so that each host is described once.
{ lib }:

let
  optionPath = "services.homelab-deploy";
  # The settings of our modules on a host; empty if it imports none of them.
  ours = configuration: configuration.config.services.homelab-deploy or { };
  enabled = module: configuration: ((ours configuration).${module} or { }).enable or false;
  withModule = module: lib.filterAttrs (_: enabled module);
  names = lib.concatStringsSep ", ";

  # The host part and the port of an address.
  split = builtins.match "(.*):([0-9]+)";
  isLoopback = host: builtins.match "localhost|127[.].*|\\[::1]" host != null;
  isEverywhere = host: builtins.elem host [ "" "0.0.0.0" "[::]" ];
  targetsOf =
    configuration:
    let
      inherit (configuration.config) networking;
      targetOf =
        module:
        let
          parts = split (ours configuration).${module}.metrics.address;
          host = builtins.head parts;
        in
        if isEverywhere host then
          "${networking.fqdnOrHostName or networking.hostName}:${builtins.elemAt parts 1}"
        else
          "${host}:${builtins.elemAt parts 1}";
      isReachable =
        module:
        enabled module configuration
        && (ours configuration).${module}.metrics.enable
        && !(isLoopback (builtins.head (split (ours configuration).${module}.metrics.address)));
    in
    map targetOf (lib.filter isReachable [ "listener" "builder" ]);

  # The host as the NATS module and the fleet file need it.
  hostOf =
    name: configuration:
    let
      inherit (ours configuration) listener;
    in
    {
      inherit (listener) tier role nextPublicKey;
      publicKey =
        if listener.publicKey != null then
          listener.publicKey
        else
          throw "${optionPath}.listener.publicKey of ${name} is not set: set it to the public key that `homelab-deploy keys new listener --host ${listener.hostname}` printed.";
      # Only another client can confirm the host of the server.
      confirmPeers = enabled "nats" configuration || !(builtins.elem (listener.confirmPeers or null) [ null [ ] ]);
    };

  nameOf = configuration: (ours configuration).listener.hostname;

  # Values, such as names or keys, that more than one entry has, with these entries.
  shared =
    valuesOf: entries:
    let
      byValue = lib.groupBy (entry: entry.value) (
        lib.concatLists (
          lib.mapAttrsToList (entry: content: map (value: { inherit entry value; }) (valuesOf content)) entries
        )
      );
    in
    lib.filterAttrs (_: users: builtins.length users > 1) (
      lib.mapAttrs (_: map (user: user.entry)) byValue
    );
  keysOf = listener: lib.filter (key: key != null) [ listener.publicKey listener.nextPublicKey ];

  fleet =
    nixosConfigurations:
    let
      listeners = withModule "listener" nixosConfigurations;
      servers = withModule "nats" nixosConfigurations;
      twice = shared (configuration: [ (nameOf configuration) ]) listeners;
      hosts =
        if twice != { } then
          throw "${names (builtins.head (lib.attrValues twice))} have the same ${optionPath}.listener.hostname, ${builtins.head (builtins.attrNames twice)}: give each host its own name."
        else
          lib.mapAttrs' (name: configuration: lib.nameValuePair (nameOf configuration) (hostOf name configuration)) listeners;
      operators = lib.foldl' (all: configuration: all // (ours configuration).nats.operators) { } (
        lib.attrValues servers
      );

      line = key: value: lib.optionalString (value != null) "${key} = ${builtins.toJSON value}\n";
      section = path: lines: "[${path}]\n${lib.concatStrings lines}";
      # The format that `homelab-deploy keys nats-config` reads. It contains no secrets.
      file = builtins.toFile "fleet.toml" (
        lib.concatStringsSep "\n" (
          # Base subjects are allowed if this flake has no server, or if at least one of its servers allows them.
          lib.optional (
            servers != { } && !(lib.any (server: (ours server).nats.baseSubjects) (lib.attrValues servers))
          ) (line "base_subjects" false)
          ++ lib.mapAttrsToList (
            name: host:
            section "hosts.${name}" [
              (line "tier" host.tier)
              (line "role" host.role)
              (line "confirm_peers" host.confirmPeers)
              (line "public_key" host.publicKey)
              (line "next_public_key" host.nextPublicKey)
            ]
          ) hosts
          ++ lib.mapAttrsToList (
            name: operator:
            section "operators.${name}" [
              (line "kind" operator.kind)
              (line "tiers" (if operator.tiers == [ ] then null else operator.tiers))
              (line "builds" (if operator.builds then true else null))
              (line "public_key" operator.publicKey)
              (line "next_public_key" operator.nextPublicKey)
              (line "expires" operator.expires)
            ]
          ) operators
        )
      );

      fleetNames = lib.unique (
        lib.filter (name: name != null) (
          map (configuration: (ours configuration).listener.fleetName or null) (lib.attrValues listeners)
        )
      );
    in
    {
      # For `services.homelab-deploy.nats.hosts`.
      inherit hosts;

      # The fleet file: the public keys of hosts and operators.
      inherit file;

      # For a context of an operator's configuration, which adds `nats_url` and `nkey_file`.
      context = {
        fleet = file;
        hosts = lib.mapAttrs (
          _: host: { inherit (host) tier; } // lib.optionalAttrs (host.role != null) { inherit (host) role; }
        ) hosts;
      }
      // lib.optionalAttrs (servers != { }) {
        nats_hosts = map nameOf (lib.attrValues (builtins.intersectAttrs servers listeners));
      }
      // lib.optionalAttrs (builtins.length fleetNames == 1) { fleet_name = builtins.head fleetNames; };

      # Where Prometheus finds the metrics of listeners and builders.
      targets = lib.concatLists (lib.mapAttrsToList (_: targetsOf) nixosConfigurations);
    };

  # The problems of a host, including conflicts with other hosts.
  problemsOf =
    nixosConfigurations: name: configuration:
    let
      listeners = withModule "listener" nixosConfigurations;
      servers = withModule "nats" nixosConfigurations;
      inherit (ours configuration) listener;
      others = shared: lib.filter (users: builtins.elem name users) (lib.attrValues shared);
      attribute = if listener.flakeAttr or null == null then listener.hostname else listener.flakeAttr;
      entryAt = server: (ours server).nats.hosts.${listener.hostname} or null;
      knowsKey =
        entry: lib.any (key: builtins.elem key [ entry.publicKey entry.nextPublicKey ]) (keysOf listener);
      atServer =
        serverName: server:
        let
          entry = entryAt server;
          there = "${optionPath}.nats.hosts of ${serverName}";
        in
        if entry == null then
          "${there} has no ${listener.hostname}: the NATS server refuses the host. Set it to (lib.fleet self.nixosConfigurations).hosts, or add the host."
        else if !(knowsKey entry) then
          "${there} has another key for ${listener.hostname} than ${optionPath}.listener.publicKey of ${name}: the NATS server refuses the host. Write the same key in both, or set nats.hosts to (lib.fleet self.nixosConfigurations).hosts."
        else if entry.tier != listener.tier || entry.role != listener.role then
          "${there} has another tier or role for ${listener.hostname} than ${optionPath}.listener of ${name}: the host may not receive its own requests. Write the same in both, or set nats.hosts to (lib.fleet self.nixosConfigurations).hosts."
        else
          null;
      ofListener =
        map (users: "${names users} have the same ${optionPath}.listener.hostname, ${listener.hostname}: give each host its own name.") (
          others (shared (other: [ (nameOf other) ]) listeners)
        )
        ++ map (users: "${names users} have the same ${optionPath}.listener.publicKey or nextPublicKey: give each host its own key by `homelab-deploy keys new listener`.") (
          others (shared (other: lib.unique (keysOf (ours other).listener)) listeners)
        )
        ++ lib.optional (attribute != name) "${optionPath}.listener of ${name} deploys nixosConfigurations.${attribute}: set its hostname to ${name}, or rename the attribute."
        ++ lib.optional (listener.publicKey == null) "${optionPath}.listener.publicKey of ${name} is not set: set it to the public key that `homelab-deploy keys new listener --host ${listener.hostname}` printed."
        ++ lib.optionals (listener.publicKey != null) (
          lib.filter (problem: problem != null) (lib.mapAttrsToList atServer servers)
        );
      failed = lib.filter (assertion: !assertion.assertion) configuration.config.assertions;
    in
    map (assertion: assertion.message) failed
    ++ lib.optionals (enabled "listener" configuration) ofListener;

  # Builds and checks the units and files of our modules on a host.
  checkOf =
    nixosConfigurations: name: configuration:
    let
      inherit (configuration) config pkgs;
      problems = problemsOf nixosConfigurations name configuration;
      units = lib.filter (unit: config.systemd.units ? ${unit}) (
        map (service: "${service}.service") [
          "homelab-deploy-listener"
          "homelab-deploy-builder"
          "homelab-deploy-flake-update"
          "nats"
        ]
      );
      programs = lib.unique (
        map (module: (ours configuration).${module}.package) (
          lib.filter (module: enabled module configuration) [ "listener" "builder" "flakeUpdate" "operator" ]
        )
      );
      operatorFile = config.environment.etc."xdg/homelab-deploy/config.toml" or null;
      # TLS needs files that only the host has, so only the permissions are checked.
      permissions = pkgs.writeText "authorization.json" (
        builtins.toJSON { inherit (config.services.nats.settings) authorization; }
      );
    in
    if problems != [ ] then
      throw "The host ${name} of the fleet:\n${lib.concatMapStringsSep "\n" (problem: "- ${problem}") problems}"
    else
      pkgs.runCommand "homelab-deploy-check-${name}" { } ''
        for unit in ${toString (map (unit: "${config.systemd.units.${unit}.unit}/${unit}") units)}; do
          for path in $(grep -o '${builtins.storeDir}/[0-9a-z]\{32\}-[0-9A-Za-z+._?=-]*' "$unit"); do
            test -e "$path" || { echo "$unit refers to $path, which is not in its closure" >&2; exit 1; }
          done
        done
        for program in ${toString (map lib.getExe programs)}; do
          "$program" --version
        done
        ${lib.optionalString (operatorFile != null) ''
          mkdir -p xdg/homelab-deploy
          ln -s ${operatorFile.source} xdg/homelab-deploy/config.toml
          HOME=$PWD XDG_CONFIG_DIRS=$PWD/xdg ${lib.getExe (ours configuration).operator.package} config show
        ''}
        ${lib.optionalString (enabled "nats" configuration) ''
          ${lib.getExe pkgs.nats-server} -t -c ${permissions}
        ''}
        touch $out
      '';
in
{
  inherit fleet;

  # For the output `checks` of the fleet's flake: one check for each host that enables one of our modules.
  checks =
    self:
    let
      inherit (self) nixosConfigurations;
      members = lib.filterAttrs (
        _: configuration:
        lib.any (module: enabled module configuration) [ "listener" "builder" "flakeUpdate" "nats" "operator" ]
      ) nixosConfigurations;
    in
    lib.foldl' lib.recursiveUpdate { } (
      lib.mapAttrsToList (name: configuration: {
        ${configuration.pkgs.stdenv.hostPlatform.system}."homelab-deploy-${name}" =
          checkOf nixosConfigurations name configuration;
      }) members
    );
}
