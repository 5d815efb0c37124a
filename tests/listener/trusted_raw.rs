//! Headers that no client library sends: they may end the connection, but not the listener.

use crate::common::Signer;
use crate::trusted::{SUBJECT, request, signed, trusting};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;

/// Publishes a raw header block and payload, with a key that has all permissions.
fn publish(server: &str, header: &[u8], payload: &[u8]) {
    let mut stream = TcpStream::connect(server).unwrap();
    let mut lines = BufReader::new(stream.try_clone().unwrap()).lines().map(Result::unwrap);
    let info: Value = serde_json::from_str(lines.next().unwrap().strip_prefix("INFO ").unwrap()).unwrap();
    let signer = Signer::of("everything");
    let connect = json!({"nkey": signer.key(), "sig": signer.sign(info["nonce"].as_str().unwrap().as_bytes()),
        "headers": true, "verbose": false, "pedantic": false, "lang": "raw", "version": "0", "protocol": 1});
    let (head, all) = (header.len(), header.len() + payload.len());
    let begin = format!("CONNECT {connect}\r\nHPUB {SUBJECT} {head} {all}\r\n");
    stream.write_all(&[begin.as_bytes(), header, payload, b"\r\nPING\r\n"].concat()).unwrap();
    assert_eq!(lines.find(|line| !line.starts_with("INFO")).as_deref(), Some("PONG"));
}

#[test]
fn an_invalid_header_block_does_not_end_the_listener() {
    let (mut stage, signer) = trusting("echo >> $DIR/calls");
    let server = stage.nats.address("nats");
    for (n, header) in [
        &b"garbage\r\n\r\n"[..],
        b"NATS/1.0\r\n\xff\xfe: x\r\n\r\n",
        b"NATS/1.0\r\nHomelab-Deploy-Key\r\n\r\n",
        b"NATS/1.0\r\nHomelab Deploy Key: x\r\n\r\n",
        b"NATS/1.0 nine\r\n\r\n",
        b"\r\n",
    ]
    .into_iter()
    .enumerate()
    {
        publish(&server, header, &request(&format!("g-{n}"), json!({})));
        stage.host.wait_for_log("connected");
    }
    assert_eq!(stage.calls(), 0);
    assert_eq!(stage.publish(&signed(&signer, "g-9", json!({}))).final_report()["status"], "completed");
}
