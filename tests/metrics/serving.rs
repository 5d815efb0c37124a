//! The address of the metrics server, and its HTTP responses.

use crate::common::{HostBuilder, NatsServer, RawClient};
use crate::page::{address, get, measured, try_get};
use crate::stage::{Stage, text};
use serde_json::json;
use std::io::{Read, Write};
use std::net::{Ipv6Addr, TcpListener, TcpStream};

/// A listener with this metrics address.
fn at(address: &str) -> Stage {
    Stage::with("", |host| host.args(&["--metrics-enabled", "--metrics-addr", address]))
}

#[test]
fn without_an_address_every_address_of_the_host_is_served() {
    let mut stage = at(":0");
    let port = address(&mut stage.host).rsplit(':').next().unwrap().to_owned();
    assert_eq!(get(&format!("127.0.0.1:{port}"), "/health").status, 200);
    if TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).is_ok() {
        assert_eq!(get(&format!("[::1]:{port}"), "/health").status, 200);
    }
}

#[test]
fn the_address_may_be_an_ip_address_or_a_name() {
    for given in ["127.0.0.1:0", "[::1]:0", "localhost:0", "0.0.0.0:0"] {
        let mut stage = at(given);
        let address = address(&mut stage.host).replace("0.0.0.0", "127.0.0.1");
        assert_eq!(get(&address, "/metrics").status, 200, "{given}");
    }
}

#[test]
fn an_address_in_use_is_a_warning_and_is_served_once_it_is_free() {
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = other.local_addr().unwrap().to_string();
    let nats = NatsServer::start();
    let wire = RawClient::connect(&nats, "tester");
    let presence = wire.subscribe("deploy.responses.presence");
    let host = HostBuilder::new(&nats, "web1", "test", "web")
        .script("")
        .args(&["--metrics-enabled", "--metrics-addr", &taken])
        .start();
    let mut stage = Stage { wire, host, nats };
    let expected =
        format!("metrics are not served: could not listen on {taken}: Address already in use (os error 98)");
    presence.until(|host| host["warnings"] == json!([expected]));
    assert_eq!(stage.host.last_log(&expected)["level"], "WARN");
    stage.completes("n-1");
    drop(other);
    assert_eq!(stage.host.wait_for_log("serving metrics")["address"], taken);
    presence.until(|host| host["warnings"].is_null());
    assert!(get(&taken, "/metrics").body.contains("homelab_deploy_info"));
}

#[test]
fn the_server_stops_with_the_listener_even_if_a_client_stays_connected() {
    let mut stage = measured("");
    let address = address(&mut stage.host);
    let mut idle = TcpStream::connect(&address).unwrap();
    idle.write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    idle.read_exact(&mut [0; 15]).unwrap();
    stage.host.terminate();
    assert_eq!(stage.host.wait_for_exit().code(), Some(0));
    assert!(try_get(&address, "/metrics").is_err());
}

#[test]
fn nothing_is_served_unless_it_is_enabled() {
    let mut stage = Stage::new("");
    stage.completes("n-2");
    stage.host.terminate();
    stage.host.wait_for_exit();
    let log = stage.host.rest_of_log();
    assert!(log.iter().all(|line| !text(&line["msg"]).contains("metrics")), "{log:?}");
    assert!(!stage.host.file("state/metrics.json").exists());
}

#[test]
fn other_paths_and_methods_are_refused_and_garbage_is_harmless() {
    let mut stage = measured("");
    let address = address(&mut stage.host);
    assert_eq!(get(&address, "/").status, 404);
    assert_eq!(get(&address, "/metrics/../etc/passwd").status, 404);
    for (sent, begin) in [
        (&b"POST /metrics HTTP/1.0\r\nContent-Length: 0\r\n\r\n"[..], "HTTP/1.0 405"),
        (b"\x16\x03\x01\x00\xff\r\n\r\n", "HTTP/1.1 400"),
    ] {
        let mut stream = TcpStream::connect(&address).unwrap();
        stream.write_all(sent).unwrap();
        let mut response = String::new();
        stream.read_to_string(&mut response).unwrap();
        assert!(response.starts_with(begin), "{response}");
    }
    let mut endless = TcpStream::connect(&address).unwrap();
    let head = b"GET /metrics HTTP/1.1\r\n";
    endless.write_all(head).unwrap();
    // The connection is closed before the request fills the memory.
    while endless.write_all(&[b'x'; 4096]).is_ok() {}
    assert_eq!(get(&address, "/health").status, 200);
}

#[test]
fn a_wrong_address_is_refused() {
    let nats = NatsServer::start();
    for given in ["9972", "::1:9972", "[::1]", "127.0.0.1:", "127.0.0.1:70000", "[]:1", "a]:1"] {
        let host = HostBuilder::new(&nats, "web1", "test", "web");
        let mut host = host.args(&["--metrics-enabled", "--metrics-addr", given]).launch();
        assert_eq!(host.wait_for_exit().code(), Some(2), "{given}");
        let expected = format!("{:?}", host.rest_of_log());
        assert!(expected.contains("expected :PORT for all addresses"), "{given}: {expected}");
    }
}
