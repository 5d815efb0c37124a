# The configuration file of operators: typed keys, and the file, which the program checks.
{ lib, pkgs }:

let
  inherit (lib) mkOption types;
  token = import ./token.nix { inherit lib; };
  publicKey = import ./public-key.nix { inherit lib; };
  url = import ./url.nix { inherit lib; };
  checked = import ./checked-toml.nix { inherit lib pkgs; };
  inherit (checked) typed settingsType;

  names = types.listOf token;
  # Keys that may be set at the top level and in each context.
  general = {
    branch = typed types.str "main" "The branch to deploy; defaults to `master`.";
    confirm_tiers = typed names [ "prod" ] "The tiers in which changes need confirmation; defaults to `[ \"prod\" ]`.";
    aliases = typed (types.attrsOf types.str) {
      dns = "deploy.prod.role.dns";
    } "Aliases for a subject, a host or another alias.";
  };
  host = settingsType {
    tier = mkOption {
      type = token;
      example = "prod";
      description = "The tier of the host. Required.";
    };
    role = typed token "dns" "The role of the host.";
    public_key = typed publicKey "UDXU4RCSJNZOIQHZNWXHXORDPRTGNJAHAHFRGZNEEJCPQTT2M7NLCNF4" "The public key that the host signs with.";
    subject = typed types.str "deploy.prod.ns1" "The subject for requests to the host, if it is not `deploy.<tier>.<hostname>`.";
  };
  context = settingsType (
    general
    // {
      nats_url = typed url.natsUrl "tls://nats.example.org" "The URL of the NATS server, or a comma-separated list of URLs for a cluster.";
      nkey_file = typed types.str "~/.config/homelab-deploy/deployer.nkey" "The file with the operator's nkey seed. File names may start with `~/`.";
      tls_ca = typed types.str "/etc/ssl/fleet-ca.pem" "The certificate authority to trust instead of the system's, as PEM.";
      tls_cert = typed types.str "~/fleet.pem" "The client certificate, as PEM, for a NATS server that requires one.";
      tls_key = typed types.str "~/fleet-key.pem" "The private key of that certificate.";
      fleet = typed types.str "/etc/fleet.toml" "The fleet file, which has the public key of each host.";
      fleet_name = typed token "home" "The name of the fleet, which is part of everything that is signed.";
      unproven = typed (types.enum [
        "allow"
        "refuse"
      ]) "refuse" "How to treat hosts that do not prove their identity.";
      flake_credentials = typed types.str "~/flakes" "The file with passwords for looking up branch heads, in netrc format.";
      nats_hosts = typed names [ "ns1" ] "The hosts of the NATS server, which are deployed last.";
      allowed_flakes = typed (types.listOf types.str) [
        "git+https://git.example.org/fleet"
      ] "The flakes whose branch heads may be looked up.";
      hosts = typed (types.attrsOf host) {
        ns1.tier = "prod";
      } "The expected hosts, by name.";
    }
  );
  settings = settingsType (
    general
    // {
      context = typed token "home" "The context to use if none is named.";
      contexts = mkOption {
        type = types.attrsOf context;
        default = { };
        example = {
          home.nats_url = "tls://nats.example.org";
        };
        description = "The fleets, by name.";
      };
      console = mkOption {
        type = settingsType {
          shell = typed types.str "ssh root@{host}" "The command that opens a shell on a host; defaults to `ssh {host}`.";
          mouse = typed types.bool false "Whether the console uses the mouse; defaults to `true`.";
          title = typed types.bool false "Whether the console sets the title of the terminal; defaults to `true`.";
          progress = typed types.bool false "Whether the console reports the progress of its deployments to the terminal; defaults to `true`.";
          notify = typed types.bool false "Whether the terminal notifies at the end of a deployment; defaults to `true`.";
          bell = typed types.bool false "Whether the bell rings at the end of a deployment; defaults to `true`.";
          columns = typed (types.listOf types.str) [
            "host"
            "state"
            "phases"
            "what_to_know"
          ] "The columns of the host table; one of them is `host`.";
          system_columns = typed (types.listOf types.str) [
            "host"
            "revision"
          ] "The columns of its wide form; one of them is `host`.";
          keys = typed (types.attrsOf (types.either types.str (types.listOf types.str))) {
            deploy = [
              "d"
              "f2"
            ];
          } "The keys of commands.";
          theme = typed (types.attrsOf types.str) {
            warn = "bold magenta";
          } "The colours and modifiers of styles.";
          aliases = typed (types.attrsOf types.str) {
            up = "deploy action=switch";
          } "Aliases for lines of the command line.";
        };
        default = { };
        example = {
          mouse = false;
        };
        description = "The console.";
      };
    }
  );
in
{
  inherit (checked) plain;

  option =
    what:
    mkOption {
      type = settings;
      default = { };
      example = {
        contexts.home = {
          nats_url = "tls://nats.example.org";
          nkey_file = "~/.config/homelab-deploy/deployer.nkey";
          branch = "main";
        };
      };
      description = ''
        ${what} It is checked when it is built; docs/config.md in the homelab-deploy repository explains its keys. Do not put
        a seed here: everyone can read the file.
      '';
    };

  # The file, or null if nothing is set.
  file =
    package: settings:
    let
      # Without empty sections.
      written = lib.filterAttrs (_: value: value != { }) (checked.plain settings);
    in
    if written == { } then
      null
    else
      checked.generate {
        name = "homelab-deploy.toml";
        inherit package;
        settings = written;
        check = "config check --file";
      };
}
