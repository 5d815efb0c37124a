# What the modules of services have in common: options, words of a command line, and what is read from the text of a unit.
{ lib }:

let
  inherit (lib) mkOption types;
  inherit (import ./unit.nix { inherit lib; }) assignment readUnit;

  acceptFlakeConfigOption = mkOption {
    type = types.bool;
    default = false;
    example = true;
    description = "Whether the `nixConfig` of a flake may set options of nix, such as caches and hooks.";
  };

  # What a flake calls a host, as the program takes it.
  flakeAttr = textType "[A-Za-z0-9._+'-]{1,253}" "name of letters, digits, `.`, `_`, `-`, `+` or `'`";

  # Texts that match a pattern.
  textType =
    pattern: description:
    types.strMatching pattern
    // {
      inherit description;
      descriptionClass = "noun";
    };

  # A path that only the host has, such as that of a secret: it is never copied to the store.
  hostFile =
    types.addCheck types.path (value: builtins.match "/[^\n]*" (toString value) != null)
    // {
      name = "hostFile";
      description = "absolute path on the host";
      descriptionClass = "noun";
    };

  secretOption =
    example: what:
    mkOption {
      type = types.nullOr hostFile;
      default = null;
      inherit example;
      description = ''
        ${what} systemd hands it on as a credential, so only root needs to be able to read it. It must not be in the store, where
        everybody can read.
      '';
    };

  # As a path of the host, without `..` and the like.
  plainPath = file: toString (/. + builtins.unsafeDiscardStringContext (toString file));
  isInStore =
    file:
    let
      path = plainPath file;
    in
    path == builtins.storeDir || lib.hasPrefix "${builtins.storeDir}/" path;

  # The path of a credential: systemd would expand what follows a `%`.
  credentialPath = file: lib.replaceStrings [ "%" ] [ "%%" ] (toString file);

  # Address and port of a metrics server, as the program reads them.
  addressParts = builtins.match "(\\[[^][]+]|[^]:[]*):([0-9]{1,5})";
  # The port of an address, as a number; `null` where there is none.
  portOf =
    address:
    let
      parts = addressParts address;
      port = if parts == null then 65536 else lib.toIntBase10 (builtins.elemAt parts 1);
    in
    if port > 65535 then null else port;
  isLoopback =
    address:
    builtins.match "localhost|127[.].*|\\[::1]" (builtins.head (addressParts address)) != null;
in
{
  inherit
    acceptFlakeConfigOption
    credentialPath
    flakeAttr
    hostFile
    plainPath
    portOf
    readUnit
    secretOption
    textType
    ;

  packageOption =
    pkgs:
    mkOption {
      type = types.package;
      # The flake's modules name the flake's own instead.
      default = pkgs.homelab-deploy or (pkgs.callPackage ./package.nix { });
      defaultText = lib.literalMD "the flake's own, if the module comes from the flake; else `pkgs.homelab-deploy`, if an overlay has it; else built from this repository with the host's nixpkgs";
      example = lib.literalExpression "pkgs.homelab-deploy";
      description = "The package with the program.";
    };

  # What nix may do while it works on flakes.
  nixOptions = {
    sandbox = mkOption {
      type = types.bool;
      default = true;
      example = false;
      description = "Whether nix runs where it can read no credentials and home directories. Without, an input of an input can take the credentials of this unit.";
    };
    nixMayRead = mkOption {
      type = types.listOf hostFile;
      default = [ ];
      example = [ "/run/keys/fleet" ];
      description = "Files and directories that nix may read in its sandbox, such as a key for a private input. Each input of an input can take them.";
    };
    acceptFlakeConfig = acceptFlakeConfigOption;
  };

  nixArguments =
    cfg:
    map (path: "--nix-may-read=${toString path}") cfg.nixMayRead
    ++ lib.optional (!cfg.sandbox) "--no-sandbox"
    ++ lib.optional cfg.acceptFlakeConfig "--accept-flake-config";

  nixAssertions = path: cfg: [
    {
      assertion = cfg.sandbox || cfg.nixMayRead == [ ];
      message = "${path}.nixMayRead has no effect without ${path}.sandbox.";
    }
    {
      assertion = !(builtins.any (file: plainPath file == "/") cfg.nixMayRead);
      message = "${path}.nixMayRead must not be all files of this machine: name those that nix needs, or set ${path}.sandbox = false.";
    }
  ];

  # The daemon builds for a unit with a user that has the unit's name.
  daemonAssertion =
    path: config: user:
    let
      named = name: default: lib.toList (config.nix.settings.${name} or default);
      allowed = named "allowed-users" [ "*" ] ++ named "trusted-users" [ ];
    in
    {
      assertion = builtins.any (
        name:
        builtins.elem name [
          "*"
          user
          "@${user}"
        ]
      ) allowed;
      message = "${path}: nix.settings.allowed-users does not have the user of the unit, so nix-daemon would not build for it; add it, as in nix.settings.allowed-users = [ \"${user}\" ].";
    };

  # Variables, as NixOS types those of a unit.
  environmentOption =
    example: description:
    mkOption {
      type = types.attrsOf (
        types.nullOr (
          types.oneOf [
            types.str
            types.path
            types.package
          ]
        )
      );
      default = { };
      inherit example description;
    };

  # The certificates of a connection to the NATS server.
  tlsOptions = {
    ca = mkOption {
      type = types.nullOr types.path;
      default = null;
      example = "/etc/ssl/fleet-ca.pem";
      description = "The certificate authority to trust instead of the system's, as PEM.";
    };
    cert = mkOption {
      type = types.nullOr types.path;
      default = null;
      example = "/etc/ssl/ns1.pem";
      description = "The certificate for a NATS server that wants one, as PEM. It belongs together with `tls.key`.";
    };
    key = secretOption "/run/keys/ns1-key.pem" "The file on the host with the key of `tls.cert`, as PEM.";
  };

  tlsArguments =
    tls:
    lib.optionals (tls.ca != null) [
      "--tls-ca"
      "${tls.ca}"
    ]
    ++ lib.optionals (tls.cert != null) [
      "--tls-cert"
      "${tls.cert}"
    ];

  tlsAssertions = path: tls: [
    {
      assertion = (tls.cert == null) == (tls.key == null);
      message = "${path}.cert and ${path}.key belong together: set both, or neither.";
    }
  ];

  # The log of a service.
  logOptions = {
    debug = mkOption {
      type = types.bool;
      default = false;
      example = true;
      description = "Whether to log more.";
    };
    logFormat = mkOption {
      type = types.enum [
        "json"
        "text"
      ];
      default = "json";
      example = "text";
      description = "How to log to the journal: JSON lines, or plain text.";
    };
    logDir = mkOption {
      type = types.nullOr hostFile;
      default = null;
      example = "/var/log/homelab-deploy";
      description = "A directory for daily log files besides the journal, 14 kept. Below `/var/log` systemd makes it; any other must be there.";
    };
  };

  logArguments =
    cfg:
    lib.optional cfg.debug "--debug"
    ++ lib.optionals (cfg.logFormat != "json") [
      "--log-format"
      cfg.logFormat
    ]
    ++ lib.optionals (cfg.logDir != null) [
      "--log-dir"
      (toString cfg.logDir)
    ];

  # A unit that may write to its directory of log files.
  withLogs =
    cfg: service:
    let
      below = builtins.match "/var/log/(.+)" (plainPath cfg.logDir);
    in
    service
    // lib.optionalAttrs (cfg.logDir != null) (
      if below == null then
        {
          # One that is not there is for the program to say.
          ReadWritePaths = service.ReadWritePaths or [ ] ++ [ "-${plainPath cfg.logDir}" ];
        }
      else
        {
          LogsDirectory = builtins.head below;
          LogsDirectoryMode = "0700";
        }
    );

  # Where metrics are served, on this port where nothing else is said.
  metricsOptions = port: {
    enable = mkOption {
      type = types.bool;
      default = false;
      example = true;
      description = "Whether to serve `/metrics` for Prometheus, and `/health`.";
    };
    address = mkOption {
      type = types.str;
      default = ":${toString port}";
      example = "127.0.0.1:${toString port}";
      description = "Where to serve them; without an address before the port, on all of the host's.";
    };
    openFirewall = mkOption {
      type = types.bool;
      default = false;
      example = true;
      description = "Whether to open that port in the firewall.";
    };
  };

  # One word of a systemd command line.
  word =
    value:
    let
      # What is missing is told by an assertion.
      text = toString value;
      plain = builtins.match "[A-Za-z0-9_./:@+,=-]+" text != null;
      escaped = lib.replaceStrings [ "%" "$" ] [ "%%" "$$" ] text;
    in
    if plain then text else builtins.toJSON escaped;

  # The variables that a unit sets.
  environmentOf = service: lib.listToAttrs (map assignment (lib.toList (service.Environment or [ ])));

  # A file with a secret is never in the store.
  secretAssertion = option: file: {
    assertion = file == null || !(isInStore file);
    message = "${option} is in the nix store, where everybody can read it; write the path in quotes and put the file on the host by other means.";
  };

  # A unit that gets files as credentials, each with a name, the file and the flag that tells the program of it.
  withCredentials =
    credentials: service:
    let
      given = lib.filter (credential: credential.file != null) credentials;
    in
    service
    // {
      LoadCredential =
        lib.toList (service.LoadCredential or [ ])
        ++ map ({ name, file, ... }: "${name}:${credentialPath file}") given;
      ExecStart =
        service.ExecStart + lib.concatStrings (map ({ name, flag, ... }: " ${flag} %d/${name}") given);
    };
  # Where metrics are served on `port` if nothing else is said.
  metricsAssertions = path: port: metrics: [
    {
      assertion = metrics.openFirewall -> metrics.enable;
      message = "${path}.metrics.openFirewall has no effect without ${path}.metrics.enable.";
    }
    {
      assertion = portOf metrics.address != null;
      message = "${path}.metrics.address must be a port up to 65535 for all addresses of the host, or an address with its port, as in \":${toString port}\", \"127.0.0.1:${toString port}\" or \"[::1]:${toString port}\".";
    }
    {
      assertion = metrics.openFirewall && portOf metrics.address != null -> portOf metrics.address != 0;
      message = "${path}.metrics.openFirewall needs a fixed port in ${path}.metrics.address, such as \":${toString port}\".";
    }
    {
      assertion =
        metrics.openFirewall && portOf metrics.address != null -> !(isLoopback metrics.address);
      message = "${path}.metrics.openFirewall has no effect: ${path}.metrics.address is reached from this host alone; write \":${toString port}\" for all of its addresses.";
    }
  ];
}
