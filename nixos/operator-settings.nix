# The configuration file of operators: its keys with their types, and the file, which the program checks.
{ lib, pkgs }:

let
  inherit (lib) mkOption types;
  token = import ./token.nix { inherit lib; };
  publicKey = import ./public-key.nix { inherit lib; };
  url = import ./url.nix { inherit lib; };
  checked = import ./checked-toml.nix { inherit lib pkgs; };
  inherit (checked) typed settingsType;

  names = types.listOf token;
  # What may be set for every context, and for each.
  general = {
    branch = typed types.str "main" "The branch that is deployed; `master` without.";
    confirm_tiers = typed names [ "prod" ] "The tiers that are asked about before anything is done there; `[ \"prod\" ]` without.";
    aliases = typed (types.attrsOf types.str) {
      dns = "deploy.prod.role.dns";
    } "Names for a subject, a host or another alias.";
  };
  host = settingsType {
    tier = mkOption {
      type = token;
      example = "prod";
      description = "The tier of the host. Required.";
    };
    role = typed token "dns" "The role of the host.";
    public_key = typed publicKey "UDXU4RCSJNZOIQHZNWXHXORDPRTGNJAHAHFRGZNEEJCPQTT2M7NLCNF4" "The key that the host signs with.";
    subject = typed types.str "deploy.prod.ns1" "Where requests to the host go, if that is not `deploy.<tier>.<hostname>`.";
  };
  context = settingsType (
    general
    // {
      nats_url = typed url.natsUrl "tls://nats.example.org" "The NATS server, or a comma list of a cluster's.";
      nkey_file = typed types.str "~/.config/homelab-deploy/deployer.nkey" "The file with the operator's nkey seed. Each file name may begin with `~/`.";
      tls_ca = typed types.str "/etc/ssl/fleet-ca.pem" "The certificate authority to trust instead of the system's, as PEM.";
      tls_cert = typed types.str "~/fleet.pem" "The certificate for a NATS server that wants one, as PEM.";
      tls_key = typed types.str "~/fleet-key.pem" "The key of that certificate.";
      fleet = typed types.str "/etc/fleet.toml" "The fleet file, which names the public key of each host.";
      fleet_name = typed token "home" "The name of the fleet, which is part of everything that is signed.";
      unproven = typed (types.enum [
        "allow"
        "refuse"
      ]) "refuse" "What is done with hosts that do not prove who they are.";
      flake_credentials = typed types.str "~/flakes" "The file with the passwords for looking up heads of branches, in the format of netrc.";
      broker_hosts = typed names [ "ns1" ] "The hosts of the NATS server, which come last.";
      allowed_flakes = typed (types.listOf types.str) [
        "git+https://git.example.org/fleet"
      ] "The flakes whose heads are looked up.";
      hosts = typed (types.attrsOf host) {
        ns1.tier = "prod";
      } "The hosts that are expected, by name.";
    }
  );
  settings = settingsType (
    general
    // {
      context = typed token "home" "The context that is used if none is named.";
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
          shell = typed types.str "ssh root@{host}" "The command for a shell on a host; `ssh {host}` without.";
          mouse = typed types.bool false "Whether the console takes the mouse; `true` without.";
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
        ${what} It is checked when it is made; docs/config.md in the repository of homelab-deploy explains its keys. Never write a
        seed here: the file can be read by everybody.
      '';
    };

  # The file, or null if nothing is set.
  file =
    package: settings:
    let
      # Without sections that say nothing.
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
