//! The module and `keys nats-config` generate the same permissions for every kind of credential.

use crate::common::{RawClient, eventually};
use crate::evaluate::Library;
use crate::fixture::{fleet_file, pair, public_key};
use crate::store::Store;
use homelab_deploy::keys::{CredentialKind, SubjectRules, User, parse_fleet_file, permissions};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use std::collections::HashSet;
use std::fmt::Write;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use strum::VariantArray as _;

/// A fleet file with a host and an operator whose keys are being replaced.
fn file() -> String {
    ["hosts.ns1", "operators.dana"].into_iter().fold(fleet_file().to_owned(), |file, entry| {
        let key = format!("public_key = {:?}\n", public_key(entry));
        assert!(file.contains(&key));
        let next = public_key(&format!("next of {entry}"));
        file.replace(&key, &format!("{key}next_public_key = {next:?}\n"))
    })
}

/// The same fleet in nix.
fn settings() -> String {
    let fleet: Value = toml::from_str(&file()).unwrap();
    let mut nix = "services.homelab-deploy.nats = { enable = true;\n".to_owned();
    for (section, entries) in fleet.as_object().unwrap() {
        for (name, entry) in entries.as_object().unwrap() {
            write!(nix, "{section}.{name} = {{").unwrap();
            for (key, value) in entry.as_object().unwrap() {
                let key = match key.as_str() {
                    "public_key" => "publicKey",
                    "next_public_key" => "nextPublicKey",
                    "confirm_peers" => "confirmPeers",
                    key => key,
                };
                write!(nix, " {key} = {};", value.to_string().replace(',', " ")).unwrap();
            }
            nix.push_str(" };\n");
        }
    }
    nix + "};"
}

fn rules(rules: &SubjectRules) -> Value {
    let mut value = json!({"allow": rules.allow});
    if !rules.deny.is_empty() {
        value["deny"] = json!(rules.deny);
    }
    value
}

/// The users of the server that `keys nats-config` generates from a fleet file.
pub(crate) fn users(file: &str) -> Value {
    let of_key = |key: &str, user: &User| {
        let allowed = permissions(&user.credential);
        json!({
            "nkey": key,
            "permissions": {"publish": rules(&allowed.publish), "subscribe": rules(&allowed.subscribe)},
        })
    };
    let users = parse_fleet_file(file, "fleet.toml".as_ref()).unwrap();
    users.iter().flat_map(|user| user.public_keys().map(move |key| of_key(key, user))).collect()
}

#[test]
fn every_credential_has_the_permissions_that_the_program_prints() {
    for library in Library::all() {
        let nats = &library.evaluate(&settings())["nats"];
        assert_eq!(nats["enable"], true);
        assert_eq!(nats["settings"]["authorization"], json!({"users": users(&file())}), "{library:?}");
        assert_eq!(nats["settings"]["max_payload"], 65536);
    }
}

#[test]
fn the_permissions_are_equal_without_base_subjects_too() {
    let settings = settings() + "services.homelab-deploy.nats.baseSubjects = false;";
    let expected = users(&format!("base_subjects = false\n{}", file()));
    for library in Library::all() {
        let nats = &library.evaluate(&settings)["nats"];
        assert_eq!(nats["settings"]["authorization"]["users"], expected, "{library:?}");
    }
}

#[test]
fn every_kind_of_credential_is_compared() {
    let users = parse_fleet_file(&file(), "fleet.toml".as_ref()).unwrap();
    let compared: HashSet<_> = users.iter().map(|user| user.credential.kind()).collect();
    assert_eq!(
        compared,
        CredentialKind::VARIANTS.iter().copied().collect(),
        "add the new kind to the fleet of these tests"
    );
}

#[test]
fn the_module_accepts_exactly_the_operators_that_the_program_accepts() {
    let key = public_key("operators.al");
    for kind in CredentialKind::VARIANTS.iter().filter(|kind| **kind != CredentialKind::Listener) {
        for fields in [
            &[][..],
            &["tiers = [\"test\"]"],
            &["tiers = [\"prod\"]"],
            &["tiers = [\"test\" \"prod\"]"],
            &["builds = true"],
            &["tiers = [\"test\"]", "builds = true"],
            &["expires = \"2027-01-01\""],
            &["expires = \"soon\""],
        ] {
            let toml = fields.join("\n").replace("\" \"", "\", \"");
            let file = format!("[operators.al]\nkind = \"{kind}\"\npublic_key = \"{key}\"\n{toml}\n");
            let accepted = parse_fleet_file(&file, "fleet.toml".as_ref()).is_ok();
            let nix: String = fields.iter().flat_map(|field| [*field, "; "]).collect();
            let settings = format!(
                "services.homelab-deploy.nats = {{ enable = true; operators.al = {{ kind = \"{kind}\"; publicKey = \"{key}\"; {nix}}}; }};"
            );
            for library in Library::all() {
                let evaluated = library.try_evaluate(&settings);
                let is_valid = evaluated.is_ok_and(|host| host["failed"] == json!([]));
                assert_eq!(is_valid, accepted, "{library:?}: {settings}");
            }
        }
    }
}

#[test]
fn the_server_accepts_the_file_that_nixos_writes() {
    let nats = &Library::Little.evaluate(&settings())["nats"];
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("nats.conf");
    std::fs::write(&file, nats["settings"].to_string()).unwrap();
    let check = Command::new("nats-server").arg("-c").arg(&file).arg("-t").output().unwrap();
    assert!(check.status.success(), "{}", String::from_utf8_lossy(&check.stderr));
}

#[test]
fn another_limit_for_the_size_of_messages_takes_precedence() {
    let settings = settings() + "services.nats.settings.max_payload = 131072;";
    for library in Library::all() {
        assert_eq!(library.evaluate(&settings)["nats"]["settings"]["max_payload"], 131_072, "{library:?}");
    }
}

const REPLIES: &str = "deploy.responses.a-1";

/// A fleet in nix with these entries of the fleet file.
fn fleet_of(entries: &[&str]) -> String {
    let mut nix = "services.homelab-deploy.nats.enable = true;".to_owned();
    for entry in entries {
        let kind = match entry.split('.').next().unwrap() {
            "hosts" => "tier = \"prod\";",
            _ => "kind = \"admin\";",
        };
        write!(
            nix,
            "services.homelab-deploy.nats.{entry} = {{ {kind} publicKey = {:?}; }};",
            public_key(entry)
        )
        .unwrap();
    }
    nix
}

/// The reload triggers of the server's unit, and the unit without them.
fn triggers(library: &Library, settings: &str) -> (String, String) {
    let unit = library.unit_named("nats", settings);
    let (reload, rest): (Vec<_>, Vec<_>) =
        unit.lines().partition(|line| line.starts_with("X-Reload-Triggers="));
    (reload.concat(), rest.join("\n"))
}

#[test]
fn a_new_host_reloads_the_server_and_anything_else_restarts_it() {
    let (one, two) = (fleet_of(&["hosts.ns1"]), fleet_of(&["hosts.ns1", "hosts.www"]));
    for library in Library::all() {
        let (reload, unit) = triggers(&library, &one);
        assert!(
            !reload.is_empty() && unit.contains("-nats-server/bin/nats-server -c /etc/nats/nats.conf\n"),
            "{unit}"
        );
        let (other_reload, other_unit) = triggers(&library, &two);
        assert_ne!(reload, other_reload);
        assert_eq!(unit, other_unit, "a change besides the trigger would be a restart");
        for more in ["services.nats.settings.max_payload = 131072;", "services.nats.port = 4223;"] {
            let (other_reload, other_unit) = triggers(&library, &format!("{one} {more}"));
            assert_eq!(reload, other_reload);
            assert_ne!(unit, other_unit);
        }
    }
}

#[test]
fn a_running_server_accepts_a_new_host_and_keeps_its_connections() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::new();
    let place = directory.path().join("nats.conf");
    let install = |entries: &[&str]| {
        let made = store.build(&Library::Little, &fleet_of(entries), "etc.\"nats/nats.conf\".source");
        let _ = fs::remove_file(&place);
        std::os::unix::fs::symlink(made, &place).unwrap();
    };
    install(&["hosts.ns1", "operators.root"]);
    let log = fs::File::create(directory.path().join("log")).unwrap();
    let mut server = Command::new("nats-server")
        .args(["-a", "127.0.0.1", "-p", "-1", "--ports_file_dir"])
        .arg(directory.path())
        .arg("-c")
        .arg(&place)
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .spawn()
        .unwrap();
    let ports = directory.path().join(format!("nats-server_{}.ports", server.id()));
    let ports: Value =
        eventually("the server starting", || serde_json::from_slice(&fs::read(&ports).ok()?).ok());
    let connect = |entry: &str| {
        let file = directory.path().join(entry);
        fs::write(&file, pair(entry).seed().unwrap()).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
        RawClient::with_key(ports["nats"][0].as_str().unwrap(), &file)
    };
    let operator = connect("operators.root");
    let replies = operator.subscribe(REPLIES);
    install(&["hosts.ns1", "hosts.www", "operators.root"]);
    let pid = Pid::from_raw(i32::try_from(server.id()).unwrap()).unwrap();
    kill_process(pid, Signal::HUP).unwrap();
    eventually("the server reloading", || {
        fs::read_to_string(directory.path().join("log"))
            .unwrap()
            .contains("Reloaded server configuration")
            .then_some(())
    });
    connect("hosts.www").publish(REPLIES, &json!({"from": "www"}));
    assert_eq!(replies.until(|heard| heard["from"] == "www")["from"], "www");
    server.kill().unwrap();
    server.wait().unwrap();
}

#[test]
fn a_file_that_the_server_refuses_is_refused_at_build_time() {
    let store = Store::new();
    let build = |more: &str| {
        let settings = format!("{} {more}", fleet_of(&["hosts.ns1"]));
        store.try_build_of(&Library::Little, &settings, "etc.\"nats/nats.conf\".source")
    };
    let error = build("services.nats.settings.cluster = 3;").unwrap_err();
    assert!(error.contains("nats.conf:1:") && error.contains("Expected map to define cluster"), "{error}");
    // The option of NixOS recommends this for files that exist only on the host.
    let unchecked =
        "services.nats.validateConfig = false; services.nats.settings.tls.cert_file = \"/missing\";";
    build(unchecked).unwrap();
    build(unchecked.split_once(' ').unwrap().1).unwrap_err();
}
