//! Starting: with and without a server, and with valid, invalid and missing keys.

use crate::common::{Host, HostBuilder, NatsServer, RawClient};
use crate::stage::{Stage, text};
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::PermissionsExt;

/// Starts a listener that must refuse to start; returns its exit code and its last log line.
fn refused(host: HostBuilder) -> (Option<i32>, String) {
    let mut host = host.launch();
    let code = host.wait_for_exit().code();
    (code, text(&host.rest_of_log().pop().unwrap()).to_owned())
}

fn web1(nats: &NatsServer) -> HostBuilder {
    HostBuilder::new(nats, "web1", "test", "web")
}

/// The reason in the next "not connected" line.
fn why_not_connected(host: &mut Host) -> String {
    text(&host.wait_for_log("not connected")["reason"]).to_owned()
}

#[test]
fn without_a_server_it_keeps_trying_and_connects_once_there_is_one() {
    let mut nats = NatsServer::start();
    nats.stop();
    let mut host = web1(&nats).launch();
    let reason = why_not_connected(&mut host);
    assert!(reason.contains("Connection refused"), "{reason}");
    nats.restart();
    let line = host.wait_for_log("connected");
    assert_eq!((&line["level"], &line["server"]), (&json!("INFO"), &json!(nats.url())));
    let operator = RawClient::connect(&nats, "tester");
    let replies = operator.subscribe("deploy.responses.s-1");
    operator.publish("deploy.discover", &json!({"reply_to": "deploy.responses.s-1"}));
    assert_eq!(replies.next().body["hostname"], "web1");
}

#[test]
fn a_key_that_the_server_does_not_know_is_reported_and_retried() {
    let mut nats = NatsServer::start();
    let stranger = nats.key("stranger").display().to_string();
    let mut host = web1(&nats).flag("--nkey-file", &stranger).launch();
    assert_eq!(why_not_connected(&mut host), "the server refused the key");
    // A different reason is logged, too, and the first one again when it returns.
    nats.stop();
    let reason = why_not_connected(&mut host);
    assert!(reason.contains("Connection refused"), "{reason}");
    nats.restart();
    assert_eq!(why_not_connected(&mut host), "the server refused the key");
    host.terminate();
    assert_eq!(host.wait_for_exit().code(), Some(0));
}

#[test]
fn a_seed_in_place_of_its_file_is_refused_and_not_repeated() {
    let nats = NatsServer::start();
    let seed = fs::read_to_string(nats.key("web1")).unwrap();
    let (code, error) = refused(web1(&nats).flag("--nkey-file", seed.trim()));
    assert_eq!(code, Some(2));
    let expected = "error: --nkey-file: expected a path but found a seed: write the seed to a file and put its path here";
    assert_eq!(error, expected);
}

#[test]
fn an_unusable_seed_file_is_refused_at_the_start() {
    let nats = NatsServer::start();
    let dir = tempfile::TempDir::new().unwrap();
    let seed = fs::read_to_string(nats.key("web1")).unwrap();
    let public = homelab_deploy::keys::UserSeed::generate().unwrap().public_key().to_owned();
    for (name, content, expected) in [
        ("missing", None, "could not read the key file FILE: No such file or directory"),
        ("empty", Some(""), "the key file FILE is empty; write a seed into it"),
        ("blank", Some(" \n\n"), "the key file FILE is empty; write a seed into it"),
        ("words", Some("password\n"), "the key file FILE contains no user seed (a line that starts with SU)"),
        ("public", Some(public.as_str()), "(a line that starts with SU): it contains a public key"),
        ("cut", Some(&seed.trim()[..20]), "(a line that starts with SU): the seed is damaged"),
    ] {
        let file = dir.path().join(name);
        if let Some(content) = content {
            fs::write(&file, content).unwrap();
            fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
        }
        let (code, error) = refused(web1(&nats).flag("--nkey-file", file.to_str().unwrap()));
        assert_eq!(code, Some(2), "{error}");
        let expected = expected.replace("FILE", file.to_str().unwrap());
        assert!(error.starts_with("error: ") && error.contains(&expected), "{error}");
        assert!(!error.contains(&seed.trim()[..20]), "{error}");
    }
}

#[test]
fn a_world_readable_seed_file_is_a_warning() {
    let nats = NatsServer::start();
    let key = nats.key("web1").to_owned();
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
    let wire = RawClient::connect(&nats, "tester");
    let presence = wire.subscribe("deploy.responses.presence");
    let mut host = web1(&nats).launch();
    let warning =
        format!("the key file {0} is readable by all users; run `chmod 600 {0}` first", key.display());
    assert_eq!(host.wait_for_log(&warning)["level"], "WARN");
    host.wait_for_log("connected");
    assert_eq!(presence.next().body["warnings"], json!([warning]));
    let stage = Stage { wire, host, nats };
    stage.completes("s-2");
    // Group access is allowed.
    fs::set_permissions(&key, fs::Permissions::from_mode(0o640)).unwrap();
    let mut stage = stage;
    stage.restart();
    assert!(stage.query(json!({}))["warnings"].is_null());
}

#[test]
fn contradictory_options_are_refused() {
    let nats = NatsServer::start();
    for (flag, value, expected) in [
        ("--hostname", "a b", "is not a name"),
        ("--hostname", "all", "is a reserved word"),
        ("--hostname", "ns1.example.org", "give --hostname ns1 --flake-attr ns1.example.org"),
        ("--flake-attr", "a#b", "invalid name below nixosConfigurations"),
        ("--tier", "a.b", "is not a name"),
        ("--flake-url", "flake:nixpkgs", "--flake-url"),
        ("--nats-url", "http://example.org", "is not the URL of a NATS server"),
        ("--timeout", "0", "0 is not in"),
        ("--timeout", "18446744073709551615", "is not in"),
        ("--heartbeat-interval", "0", "0 is not in"),
        ("--presence-interval", "18446744073709551615", "is not in"),
        ("--nats-url", "", "is not the URL of a NATS server: it is empty"),
    ] {
        let mut host = web1(&nats).flag(flag, value).launch();
        assert_eq!(host.wait_for_exit().code(), Some(2), "{flag} {value:?}");
        let error: Vec<_> = host.rest_of_log().iter().map(Value::to_string).collect();
        assert!(error.concat().contains(expected), "{flag} {value:?}: {error:?}");
    }
}

#[test]
fn the_state_directory_defaults_to_that_of_systemd() {
    let nats = NatsServer::start();
    let dir = tempfile::TempDir::new().unwrap();
    let host =
        web1(&nats).without("--state-dir").env("STATE_DIRECTORY", dir.path().to_str().unwrap()).start();
    assert!(dir.path().join("identity.json").exists());
    assert!(!host.file("state").exists());
}
