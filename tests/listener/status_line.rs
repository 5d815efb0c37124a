//! The status that a listener reports to its service manager, and that `systemctl status` shows.

use crate::common::{HostBuilder, NatsServer, RawClient, ServiceManager};
use crate::stage::changed;
use serde_json::json;
use std::fs;
use std::net::TcpListener;

/// The listener of `web1` with this service manager.
fn web1(manager: &ServiceManager, nats: &NatsServer) -> HostBuilder {
    manager.manages(HostBuilder::new(nats, "web1", "test", "web"))
}

#[test]
fn it_is_ready_without_a_nats_server_and_shows_the_connection_state() {
    let mut nats = NatsServer::start();
    nats.stop();
    let manager = ServiceManager::new();
    let _host = web1(&manager, &nats).launch();
    assert_eq!(manager.next(), "READY=1");
    let url = nats.url();
    manager.status(&[&format!("not connected to {url}: "), "Connection refused", "; idle"]);
    nats.restart();
    assert_eq!(manager.status(&["STATUS=connected"]), format!("STATUS=connected to {url}; idle"));
    nats.stop();
    manager.status(&[&format!("not connected to {url}: ")]);
}

#[test]
fn the_status_is_connecting_until_the_first_attempt_has_ended() {
    let (nats, manager) = (NatsServer::start(), ServiceManager::new());
    // This server accepts the connection but sends nothing.
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("nats://{}", server.local_addr().unwrap());
    let _host = web1(&manager, &nats).flag("--nats-url", &url).launch();
    assert_eq!(manager.next(), "READY=1");
    assert_eq!(manager.next(), format!("STATUS=connecting to {url}; idle"));
}

#[test]
fn it_shows_the_running_job_with_its_phase_and_its_end() {
    let nats = NatsServer::start();
    let manager = ServiceManager::new();
    let script = "echo '@homelab-deploy {\"phase\":\"build\"}'; read _ < $DIR/go";
    let host = web1(&manager, &nats).script(script).gate("go").start();
    let wire = RawClient::connect(&nats, "tester");
    let reports = wire.subscribe("deploy.responses.j-1");
    let request = json!({"action": "switch", "revision": "master", "reply_to": "deploy.responses.j-1"});
    wire.publish("deploy.test.web1", &changed(request, json!({"issuer": "alice@desk"})));
    manager.status(&["; switch master by alice@desk, build"]);
    host.open("go");
    assert_eq!(reports.final_report()["status"], "completed");
    manager.status(&[&format!("connected to {}; idle", nats.url())]);
    host.terminate();
    while manager.next() != "STOPPING=1" {}
}

#[test]
fn a_refused_key_is_shown_with_its_public_key_and_advice() {
    let nats = NatsServer::start();
    let manager = ServiceManager::new();
    let stranger = nats.key("stranger");
    let _host = web1(&manager, &nats).flag("--nkey-file", stranger.to_str().unwrap()).launch();
    let status =
        manager.status(&["the server refused the key U", "; add it to the server's authorization; idle"]);
    assert!(!status.contains(fs::read_to_string(stranger).unwrap().trim()), "{status}");
}

#[test]
fn an_unreadable_seed_is_shown_before_exit() {
    let nats = NatsServer::start();
    let manager = ServiceManager::new();
    let mut host = web1(&manager, &nats).flag("--nkey-file", "/missing/seed").launch();
    assert_eq!(host.wait_for_exit().code(), Some(2));
    let status = manager.next();
    assert!(
        status.starts_with("STATUS=could not start: could not read the key file /missing/seed"),
        "{status}"
    );
}

#[test]
fn an_unusable_state_directory_is_shown_before_exit() {
    let nats = NatsServer::start();
    let manager = ServiceManager::new();
    let mut host = web1(&manager, &nats).flag("--state-dir", "/dev/null/state").launch();
    assert_eq!(host.wait_for_exit().code(), Some(1));
    let status = manager.next();
    let expected = "STATUS=could not start: could not use the state directory /dev/null/state";
    assert!(status.starts_with(expected), "{status}");
}

#[test]
fn options_that_are_missing_or_wrong_are_named() {
    let nats = NatsServer::start();
    let manager = ServiceManager::new();
    for (host, expected) in [
        (web1(&manager, &nats).without("--tier"), "--tier <TIER>"),
        (web1(&manager, &nats).without("--flake-url"), "--flake-url <URL>"),
        (web1(&manager, &nats).flag("--role", "web.server"), "\"web.server\" is not a name"),
    ] {
        let mut host = host.launch();
        assert_eq!(host.wait_for_exit().code(), Some(2));
        let status: Vec<_> = host.rest_of_log().iter().map(ToString::to_string).collect();
        assert!(status.concat().replace('\\', "").contains(expected), "{status:?}");
    }
}

#[test]
fn a_low_limit_of_the_server_is_shown_until_the_next_connection() {
    let mut nats = NatsServer::start();
    nats.stop();
    nats.restart_with("max_payload: 4096\n");
    let manager = ServiceManager::new();
    let mut host = web1(&manager, &nats).start();
    manager.status(&["; idle; the server accepts messages of at most 4096 bytes (max_payload)"]);
    nats.stop();
    nats.restart_with("");
    host.wait_for_log("connected");
    let expected = format!("STATUS=connected to {}; idle", nats.url());
    manager.status_where("without a warning", |status| status == expected);
}
