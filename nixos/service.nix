# Shared by the service modules: options, command line arguments, and values from unit files.
{ lib }:

let
  inherit (lib) mkOption types;
  inherit (import ./unit.nix { inherit lib; }) assignment readUnit;

  acceptFlakeConfigOption = mkOption {
    type = types.bool;
    default = false;
    example = true;
    description = "Whether the `nixConfig` of a flake may set nix options, such as caches and hooks.";
  };

  # The attribute name of a host in a flake, with the rules of the program.
  flakeAttr = textType "[A-Za-z0-9._+'-]{1,253}" "name of letters, digits, `.`, `_`, `-`, `+` or `'`";

  # Strings that match a pattern.
  textType =
    pattern: description:
    types.strMatching pattern
    // {
      inherit description;
      descriptionClass = "noun";
    };

  # A path on the host, such as that of a secret, which is never copied to the store.
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
        ${what} systemd passes it to the unit as a credential, so only root needs read access. It must not be in the nix
        store, which everyone can read.
      '';
    };

  # The normalised path, without `..`, `.` and repeated slashes.
  plainPath = file: toString (/. + builtins.unsafeDiscardStringContext (toString file));
  isInStore =
    file:
    let
      path = plainPath file;
    in
    path == builtins.storeDir || lib.hasPrefix "${builtins.storeDir}/" path;

  # The path of a credential for a unit file, in which systemd would expand `%` specifiers.
  credentialPath = file: lib.replaceStrings [ "%" ] [ "%%" ] (toString file);

  # Address and port of a metrics server, parsed like the program does.
  addressParts = builtins.match "(\\[[^][]+]|[^]:[]*):([0-9]{1,5})";
  # The port of an address as a number; `null` if the address has none or it is invalid.
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

  # A file with a secret must not be in the store.
  secretAssertion = option: file: {
    assertion = file == null || !(isInStore file);
    message = "${option} is in the nix store, where everyone can read it; quote the path, and put the file on the host in another way.";
  };

  # Two secrets, in the form for `withCredentials`.
  flakeCredentials = file: {
    inherit file;
    option = "flakeCredentialsFile";
    name = "flake-credentials";
    flag = "--flake-credentials";
  };
  tlsKey = option: file: {
    inherit option file;
    name = "tls-key";
    flag = "--tls-key";
  };

  # The secrets of a listener or a builder besides its key, in the form for `withCredentials`.
  secretsOf = cfg: [
    (flakeCredentials cfg.flakeCredentialsFile)
    (tlsKey "tls.key" cfg.tls.key)
  ];
in
{
  inherit
    acceptFlakeConfigOption
    credentialPath
    flakeAttr
    flakeCredentials
    hostFile
    plainPath
    portOf
    readUnit
    secretAssertion
    secretOption
    secretsOf
    textType
    tlsKey
    ;

  packageOption =
    pkgs:
    mkOption {
      type = types.package;
      # The flake's modules set the flake's package instead.
      default = pkgs.homelab-deploy or (pkgs.callPackage ./package.nix { });
      defaultText = lib.literalMD "the flake's own, if the module comes from the flake; else `pkgs.homelab-deploy`, if an overlay has it; else built from this repository with the host's nixpkgs";
      example = lib.literalExpression "pkgs.homelab-deploy";
      description = "The homelab-deploy package to use.";
    };

  # The sandbox options of nix when it evaluates and builds flakes.
  nixOptions = {
    sandbox = mkOption {
      type = types.bool;
      default = true;
      example = false;
      description = "Whether to run nix in a sandbox without access to credentials and home directories. Without the sandbox, any transitive input can read the credentials of this unit.";
    };
    nixMayRead = mkOption {
      type = types.listOf hostFile;
      default = [ ];
      example = [ "/run/keys/fleet" ];
      description = "Files and directories that nix may read in its sandbox, such as a key for a private input. Every transitive input can read them too.";
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
      message = "${path}.nixMayRead must not contain the root directory: list only the paths that nix needs, or set ${path}.sandbox = false.";
    }
  ];

  # nix-daemon must accept the unit's user, which has the same name as the unit.
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
      message = "${path}: nix.settings.allowed-users does not include the user of the unit, so nix-daemon would refuse its builds; add it, for example nix.settings.allowed-users = [ \"${user}\" ].";
    };

  # Environment variables, with the type that NixOS uses for units.
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
      description = "The client certificate, as PEM, for a NATS server that requires one. It must be set together with `tls.key`.";
    };
    key = secretOption "/run/keys/ns1-key.pem" "The file on the host with the private key of `tls.cert`, as PEM.";
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
      message = "${path}.cert and ${path}.key must be set together.";
    }
  ];

  # The log options of a service.
  logOptions = {
    debug = mkOption {
      type = types.bool;
      default = false;
      example = true;
      description = "Whether to enable verbose logging.";
    };
    logFormat = mkOption {
      type = types.enum [
        "json"
        "text"
      ];
      default = "json";
      example = "text";
      description = "Format of the log in the journal: JSON lines or plain text.";
    };
    logDir = mkOption {
      type = types.nullOr hostFile;
      default = null;
      example = "/var/log/homelab-deploy";
      description = "A directory for daily log files in addition to the journal; 14 files are kept. systemd creates a directory below `/var/log`; any other must exist.";
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

  # Allows a unit to write to its log directory.
  withLogs =
    cfg: service:
    let
      below = builtins.match "/var/log/(.+)" (plainPath cfg.logDir);
    in
    service
    // lib.optionalAttrs (cfg.logDir != null) (
      if below == null then
        {
          # The `-` ignores a missing directory, so that the program can report it.
          ReadWritePaths = service.ReadWritePaths or [ ] ++ [ "-${plainPath cfg.logDir}" ];
        }
      else
        {
          LogsDirectory = builtins.head below;
          LogsDirectoryMode = "0700";
        }
    );

  # The metrics options, with the default port.
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
      description = "The address and port on which to serve them. Without an address, all addresses of the host.";
    };
    openFirewall = mkOption {
      type = types.bool;
      default = false;
      example = true;
      description = "Whether to open the port in the firewall.";
    };
  };

  # Quotes one argument of a systemd command line.
  word =
    value:
    let
      # `null` becomes an empty string here; an assertion reports the missing option.
      text = toString value;
      plain = builtins.match "[A-Za-z0-9_./:@+,=-]+" text != null;
      escaped = lib.replaceStrings [ "%" "$" ] [ "%%" "$$" ] text;
    in
    if plain then text else builtins.toJSON escaped;

  # The environment variables that a unit file sets.
  environmentOf = service: lib.listToAttrs (map assignment (lib.toList (service.Environment or [ ])));

  secretAssertions =
    path: cfg:
    [ (secretAssertion "${path}.nkeyFile" cfg.nkeyFile) ]
    ++ map ({ option, file, ... }: secretAssertion "${path}.${option}" file) (secretsOf cfg);

  # Adds files to a unit as credentials, each with its name, its path and the flag that passes it to the program.
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

  # `port` is the default port, for the examples in the messages.
  metricsAssertions = path: port: metrics: [
    {
      assertion = metrics.openFirewall -> metrics.enable;
      message = "${path}.metrics.openFirewall has no effect without ${path}.metrics.enable.";
    }
    {
      assertion = portOf metrics.address != null;
      message = "${path}.metrics.address must be a port up to 65535, for all addresses of the host, or an address and a port, such as \":${toString port}\", \"127.0.0.1:${toString port}\" or \"[::1]:${toString port}\".";
    }
    {
      assertion = metrics.openFirewall && portOf metrics.address != null -> portOf metrics.address != 0;
      message = "${path}.metrics.openFirewall needs a fixed port in ${path}.metrics.address, such as \":${toString port}\".";
    }
    {
      assertion =
        metrics.openFirewall && portOf metrics.address != null -> !(isLoopback metrics.address);
      message = "${path}.metrics.openFirewall has no effect: ${path}.metrics.address is reachable only from this host; use \":${toString port}\" for all addresses.";
    }
  ];
}
