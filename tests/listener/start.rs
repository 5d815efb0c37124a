//! Starting: with and without a server, with good, bad and missing keys.

use crate::common::{Broker, Host, HostBuilder, Wire};
use crate::stage::{Stage, text};
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::PermissionsExt;

/// A listener that must not start: its exit code and the last line it says.
fn refused(host: HostBuilder) -> (Option<i32>, String) {
    let mut host = host.launch();
    let code = host.ended().code();
    (code, text(&host.rest_of_log().pop().unwrap()).to_owned())
}

fn web1(broker: &Broker) -> HostBuilder {
    HostBuilder::new(broker, "web1", "test", "web")
}

/// The reason of the next line that says that there is no connection.
fn why_not_connected(host: &mut Host) -> String {
    text(&host.logged("not connected")["reason"]).to_owned()
}

#[test]
fn without_a_server_it_keeps_trying_and_connects_once_there_is_one() {
    let mut broker = Broker::start();
    broker.stop();
    let mut host = web1(&broker).launch();
    let reason = why_not_connected(&mut host);
    assert!(reason.contains("Connection refused"), "{reason}");
    broker.restart();
    let line = host.logged("connected");
    assert_eq!((&line["level"], &line["server"]), (&json!("INFO"), &json!(broker.url())));
    let operator = Wire::connect(&broker, "tester");
    let answers = operator.listen("deploy.responses.s-1");
    operator.say("deploy.discover", &json!({"reply_to": "deploy.responses.s-1"}));
    assert_eq!(answers.next().body["hostname"], "web1");
}

#[test]
fn a_key_that_the_server_does_not_know_is_told_and_tried_again() {
    let mut broker = Broker::start();
    let stranger = broker.key("stranger").display().to_string();
    let mut host = web1(&broker).flag("--nkey-file", &stranger).launch();
    assert_eq!(why_not_connected(&mut host), "the server refused the key");
    // Another reason is told as well, and the old one once more when it comes back.
    broker.stop();
    let reason = why_not_connected(&mut host);
    assert!(reason.contains("Connection refused"), "{reason}");
    broker.restart();
    assert_eq!(why_not_connected(&mut host), "the server refused the key");
    host.terminate();
    assert_eq!(host.ended().code(), Some(0));
}

#[test]
fn a_seed_in_the_place_of_its_file_is_refused_and_not_told_back() {
    let broker = Broker::start();
    let seed = fs::read_to_string(broker.key("web1")).unwrap();
    let (code, said) = refused(web1(&broker).flag("--nkey-file", seed.trim()));
    assert_eq!(code, Some(2));
    let expected = "error: --nkey-file holds a seed itself: write the seed into a file, and name that file";
    assert_eq!(said, expected);
}

#[test]
fn a_key_file_that_cannot_be_used_ends_it_with_a_sentence() {
    let broker = Broker::start();
    let folder = tempfile::TempDir::new().unwrap();
    let seed = fs::read_to_string(broker.key("web1")).unwrap();
    let public = homelab_deploy::keys::Seed::generate().unwrap().public_key().to_owned();
    for (name, content, expected) in [
        ("missing", None, "could not read the key file FILE: No such file or directory"),
        ("empty", Some(""), "the key file FILE is empty; write a seed into it"),
        ("blank", Some(" \n\n"), "the key file FILE is empty; write a seed into it"),
        (
            "words",
            Some("password\n"),
            "the key file FILE holds no nkey seed of a user (a line that starts with SU)",
        ),
        ("public", Some(public.as_str()), "(a line that starts with SU): it holds a public key"),
        ("cut", Some(&seed.trim()[..20]), "(a line that starts with SU): the seed is damaged"),
    ] {
        let file = folder.path().join(name);
        if let Some(content) = content {
            fs::write(&file, content).unwrap();
            fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
        }
        let (code, said) = refused(web1(&broker).flag("--nkey-file", file.to_str().unwrap()));
        assert_eq!(code, Some(2), "{said}");
        let expected = expected.replace("FILE", file.to_str().unwrap());
        assert!(said.starts_with("error: ") && said.contains(&expected), "{said}");
        assert!(!said.contains(&seed.trim()[..20]), "{said}");
    }
}

#[test]
fn a_key_file_that_everybody_can_read_is_a_warning() {
    let broker = Broker::start();
    let key = broker.key("web1").to_owned();
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
    let wire = Wire::connect(&broker, "tester");
    let presence = wire.listen("deploy.responses.presence");
    let mut host = web1(&broker).launch();
    let warning =
        format!("the key file {0} can be read by everybody; run `chmod 600 {0}` first", key.display());
    assert_eq!(host.logged(&warning)["level"], "WARN");
    host.logged("connected");
    assert_eq!(presence.next().body["warnings"], json!([warning]));
    let stage = Stage { wire, host, broker };
    stage.completes("s-2");
    // To the group it may be open.
    fs::set_permissions(&key, fs::Permissions::from_mode(0o640)).unwrap();
    let mut stage = stage;
    stage.restart();
    assert!(stage.ask(json!({}))["warnings"].is_null());
}

#[test]
fn what_it_is_told_must_make_sense() {
    let broker = Broker::start();
    for (flag, value, expected) in [
        ("--hostname", "a b", "is not a name"),
        ("--hostname", "all", "is a reserved word"),
        ("--hostname", "ns1.example.org", "give --hostname ns1 --flake-attr ns1.example.org"),
        ("--flake-attr", "a#b", "is no name below nixosConfigurations"),
        ("--tier", "a.b", "is not a name"),
        ("--flake-url", "flake:nixpkgs", "--flake-url"),
        ("--nats-url", "http://example.org", "is not the URL of a NATS server"),
        ("--timeout", "0", "0 is not in"),
        ("--timeout", "18446744073709551615", "is not in"),
        ("--heartbeat-interval", "0", "0 is not in"),
        ("--presence-interval", "18446744073709551615", "is not in"),
        ("--nats-url", "", "is not the URL of a NATS server: it is empty"),
    ] {
        let mut host = web1(&broker).flag(flag, value).launch();
        assert_eq!(host.ended().code(), Some(2), "{flag} {value:?}");
        let said: Vec<_> = host.rest_of_log().iter().map(Value::to_string).collect();
        assert!(said.concat().contains(expected), "{flag} {value:?}: {said:?}");
    }
}

#[test]
fn the_state_directory_is_that_of_systemd_unless_told_otherwise() {
    let broker = Broker::start();
    let folder = tempfile::TempDir::new().unwrap();
    let host =
        web1(&broker).without("--state-dir").env("STATE_DIRECTORY", folder.path().to_str().unwrap()).start();
    assert!(folder.path().join("identity.json").exists());
    assert!(!host.file("state").exists());
}
