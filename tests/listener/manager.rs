//! What `systemctl status` shows: the listener tells its service manager how it stands.

use crate::common::{Broker, DEADLINE, HostBuilder, Wire};
use crate::stage::changed;
use serde_json::json;
use std::fs;
use std::net::TcpListener;
use std::os::unix::net::UnixDatagram;
use tempfile::TempDir;

/// A service manager that listens.
struct Manager {
    socket: UnixDatagram,
    folder: TempDir,
}

impl Manager {
    fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let socket = UnixDatagram::bind(folder.path().join("notify")).unwrap();
        socket.set_read_timeout(Some(DEADLINE)).unwrap();
        Self { socket, folder }
    }

    /// The listener of `web1`, whose service manager this is.
    fn host(&self, broker: &Broker) -> HostBuilder {
        let socket = self.folder.path().join("notify");
        HostBuilder::new(broker, "web1", "test", "web").env("NOTIFY_SOCKET", socket.to_str().unwrap())
    }

    fn next(&self) -> String {
        let mut buffer = [0; 4096];
        let length = self.socket.recv(&mut buffer).expect("the listener says something");
        String::from_utf8_lossy(&buffer[..length]).trim_end().to_owned()
    }

    /// The next status that holds these words; every status is one line.
    fn status(&self, words: &[&str]) -> String {
        let mut seen = Vec::new();
        loop {
            let said = self.next();
            assert!(!said.contains('\n'), "{said:?}");
            seen.push(said.clone());
            assert!(seen.len() < 200, "none with {words:?}: {seen:#?}");
            if said.starts_with("STATUS=") && words.iter().all(|word| said.contains(word)) {
                return said;
            }
        }
    }
}

#[test]
fn it_is_ready_before_there_is_a_broker_and_tells_the_link_up_and_down() {
    let mut broker = Broker::start();
    broker.stop();
    let manager = Manager::new();
    let _host = manager.host(&broker).launch();
    assert_eq!(manager.next(), "READY=1");
    let url = broker.url();
    manager.status(&[&format!("not connected to {url}: "), "Connection refused", "; idle"]);
    broker.restart();
    assert_eq!(manager.status(&["STATUS=connected"]), format!("STATUS=connected to {url}; idle"));
    broker.stop();
    manager.status(&[&format!("not connected to {url}: ")]);
}

#[test]
fn it_connects_as_long_as_nothing_is_known_of_the_server() {
    let (broker, manager) = (Broker::start(), Manager::new());
    // It takes the connection and says nothing.
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("nats://{}", server.local_addr().unwrap());
    let _host = manager.host(&broker).flag("--nats-url", &url).launch();
    assert_eq!(manager.next(), "READY=1");
    assert_eq!(manager.next(), format!("STATUS=connecting to {url}; idle"));
}

#[test]
fn it_tells_the_running_job_with_its_phase_and_its_end() {
    let broker = Broker::start();
    let manager = Manager::new();
    let script = "echo '@homelab-deploy {\"phase\":\"build\"}'; read _ < $DIR/go";
    let host = manager.host(&broker).script(script).gate("go").start();
    let wire = Wire::connect(&broker, "tester");
    let reports = wire.listen("deploy.responses.j-1");
    let request = json!({"action": "switch", "revision": "master", "reply_to": "deploy.responses.j-1"});
    wire.say("deploy.test.web1", &changed(request, json!({"issuer": "alice@desk"})));
    manager.status(&["; switch master by alice@desk, build"]);
    host.open("go");
    assert_eq!(reports.verdict()["status"], "completed");
    manager.status(&[&format!("connected to {}; idle", broker.url())]);
    host.terminate();
    while manager.next() != "STOPPING=1" {}
}

#[test]
fn a_refused_key_is_told_with_its_public_half_and_what_to_do() {
    let broker = Broker::start();
    let manager = Manager::new();
    let stranger = broker.key("stranger");
    let _host = manager.host(&broker).flag("--nkey-file", stranger.to_str().unwrap()).launch();
    let said =
        manager.status(&["the server refused the key U", "; add it to the server's authorization; idle"]);
    assert!(!said.contains(fs::read_to_string(stranger).unwrap().trim()), "{said}");
}

#[test]
fn a_seed_that_cannot_be_read_is_told_before_it_ends() {
    let broker = Broker::start();
    let manager = Manager::new();
    let mut host = manager.host(&broker).flag("--nkey-file", "/missing/seed").launch();
    assert_eq!(host.ended().code(), Some(2));
    let said = manager.next();
    assert!(said.starts_with("STATUS=could not start: could not read the key file /missing/seed"), "{said}");
}

#[test]
fn a_state_directory_that_cannot_be_used_is_told_before_it_ends() {
    let broker = Broker::start();
    let manager = Manager::new();
    let mut host = manager.host(&broker).flag("--state-dir", "/dev/null/state").launch();
    assert_eq!(host.ended().code(), Some(1));
    let said = manager.next();
    let expected = "STATUS=could not start: could not use the state directory /dev/null/state";
    assert!(said.starts_with(expected), "{said}");
}

#[test]
fn options_that_are_missing_or_wrong_are_named() {
    let broker = Broker::start();
    let manager = Manager::new();
    for (host, expected) in [
        (manager.host(&broker).without("--tier"), "--tier <TIER>"),
        (manager.host(&broker).without("--flake-url"), "--flake-url <URL>"),
        (manager.host(&broker).flag("--role", "web.server"), "\"web.server\" is not a name"),
    ] {
        let mut host = host.launch();
        assert_eq!(host.ended().code(), Some(2));
        let said: Vec<_> = host.rest_of_log().iter().map(ToString::to_string).collect();
        assert!(said.concat().replace('\\', "").contains(expected), "{said:?}");
    }
}
