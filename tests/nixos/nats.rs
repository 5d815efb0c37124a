//! The permissions of the module are those that `keys nats-config` prints, for every kind of credential.

use crate::evaluate::Library;
use crate::fixture::fleet_file;
use homelab_deploy::keys::{Rules, parse_fleet_file, permissions};
use serde_json::{Value, json};
use std::fmt::Write;
use std::process::Command;

/// The fleet file in nix.
fn settings() -> String {
    let fleet: Value = toml::from_str(fleet_file()).unwrap();
    let mut nix = "services.homelab-deploy.nats = { enable = true;\n".to_owned();
    for (section, entries) in fleet.as_object().unwrap() {
        for (name, entry) in entries.as_object().unwrap() {
            write!(nix, "{section}.{name} = {{").unwrap();
            for (key, value) in entry.as_object().unwrap() {
                let key = match key.as_str() {
                    "public_key" => "publicKey",
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

/// What the server is told, as `keys nats-config` has it.
fn expected() -> Value {
    let user = |user: homelab_deploy::keys::User| {
        let allowed = permissions(&user.credential);
        json!({
            "nkey": user.public_key,
            "permissions": {"publish": rules(&allowed.publish), "subscribe": rules(&allowed.subscribe)},
        })
    };
    parse_fleet_file(fleet_file()).unwrap().into_iter().map(user).collect()
}

#[test]
fn every_credential_has_the_permissions_that_the_program_prints() {
    for library in Library::all() {
        let nats = &library.evaluate(&settings())["nats"];
        assert_eq!(nats["enable"], true);
        assert_eq!(nats["settings"], json!({"authorization": {"users": expected()}}), "{library:?}");
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
