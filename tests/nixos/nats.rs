//! The permissions of the module are those that `keys nats-config` prints, for every kind of credential.

use crate::common::{Wire, eventually};
use crate::evaluate::Library;
use crate::fixture::{fleet_file, pair, public_key};
use crate::store::Store;
use homelab_deploy::keys::{Rules, User, parse_fleet_file, permissions};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use std::fmt::Write;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

/// The fleet file, with a host and an operator whose keys are being replaced.
fn file() -> String {
    ["hosts.ns1", "operators.dana"].into_iter().fold(fleet_file().to_owned(), |file, entry| {
        let key = format!("public_key = {:?}\n", public_key(entry));
        assert!(file.contains(&key));
        let next = public_key(&format!("next of {entry}"));
        file.replace(&key, &format!("{key}next_public_key = {next:?}\n"))
    })
}

/// The same in nix.
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

fn rules(rules: &Rules) -> Value {
    let mut told = json!({"allow": rules.allow});
    if !rules.deny.is_empty() {
        told["deny"] = json!(rules.deny);
    }
    told
}

/// What the server is told of a fleet file, as `keys nats-config` has it.
pub(crate) fn users(file: &str) -> Value {
    let of_key = |key: &str, user: &User| {
        let allowed = permissions(&user.credential);
        json!({
            "nkey": key,
            "permissions": {"publish": rules(&allowed.publish), "subscribe": rules(&allowed.subscribe)},
        })
    };
    let users = parse_fleet_file(file).unwrap();
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
fn without_base_subjects_too() {
    let settings = settings() + "services.homelab-deploy.nats.baseSubjects = false;";
    let expected = users(&format!("base_subjects = false\n{}", file()));
    for library in Library::all() {
        let nats = &library.evaluate(&settings)["nats"];
        assert_eq!(nats["settings"]["authorization"]["users"], expected, "{library:?}");
    }
}

#[test]
fn the_server_takes_it_as_nixos_writes_it() {
    let nats = &Library::Little.evaluate(&settings())["nats"];
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("nats.conf");
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

/// A fleet of these entries of the fleet file.
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

/// What makes NixOS reload the server's unit, and the unit without it.
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
fn a_running_server_takes_up_a_new_host_and_keeps_its_connections() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::new();
    let place = folder.path().join("nats.conf");
    let install = |entries: &[&str]| {
        let made = store.build(&Library::Little, &fleet_of(entries), "etc.\"nats/nats.conf\".source");
        let _ = fs::remove_file(&place);
        std::os::unix::fs::symlink(made, &place).unwrap();
    };
    install(&["hosts.ns1", "operators.root"]);
    let log = fs::File::create(folder.path().join("log")).unwrap();
    let mut server = Command::new("nats-server")
        .args(["-a", "127.0.0.1", "-p", "-1", "--ports_file_dir"])
        .arg(folder.path())
        .arg("-c")
        .arg(&place)
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .spawn()
        .unwrap();
    let ports = folder.path().join(format!("nats-server_{}.ports", server.id()));
    let ports: Value =
        eventually("the server starting", || serde_json::from_slice(&fs::read(&ports).ok()?).ok());
    let connect = |entry: &str| {
        let file = folder.path().join(entry);
        fs::write(&file, pair(entry).seed().unwrap()).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
        Wire::with_key(ports["nats"][0].as_str().unwrap(), &file)
    };
    let operator = connect("operators.root");
    let replies = operator.listen(REPLIES);
    install(&["hosts.ns1", "hosts.www", "operators.root"]);
    let pid = Pid::from_raw(i32::try_from(server.id()).unwrap()).unwrap();
    kill_process(pid, Signal::HUP).unwrap();
    eventually("the server reloading", || {
        fs::read_to_string(folder.path().join("log"))
            .unwrap()
            .contains("Reloaded server configuration")
            .then_some(())
    });
    connect("hosts.www").say(REPLIES, &json!({"from": "www"}));
    assert_eq!(replies.until(|heard| heard["from"] == "www")["from"], "www");
    server.kill().unwrap();
    server.wait().unwrap();
}

#[test]
fn a_file_that_the_server_refuses_is_refused_when_it_is_made() {
    let store = Store::new();
    let build = |more: &str| {
        let settings = format!("{} {more}", fleet_of(&["hosts.ns1"]));
        store.try_build_of(&Library::Little, &settings, "etc.\"nats/nats.conf\".source")
    };
    let error = build("services.nats.settings.cluster = 3;").unwrap_err();
    assert!(error.contains("nats.conf:1:") && error.contains("Expected map to define cluster"), "{error}");
    // As NixOS's own option says for files that are on the host only.
    let unchecked =
        "services.nats.validateConfig = false; services.nats.settings.tls.cert_file = \"/missing\";";
    build(unchecked).unwrap();
    build(unchecked.split_once(' ').unwrap().1).unwrap_err();
}
