//! Messages that a client library does not send: with a lone CR in the value of a header.

use super::{DEADLINE, NatsServer};
use data_encoding::BASE64URL_NOPAD;
use nkeys::KeyPair;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

const HEADERS: &str = "NATS/1.0\r\nA: x\ry\r\n\r\n";

/// A connection that speaks the NATS protocol directly.
pub struct MalformedClient(BufReader<TcpStream>);

/// A stream of malformed messages, until it is dropped.
pub struct MalformedStream {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl MalformedClient {
    /// Connects with the key of `user`.
    pub fn connect(nats: &NatsServer, user: &str) -> Self {
        let pair = KeyPair::from_seed(super::nats_server::seed(user)).unwrap();
        let stream = TcpStream::connect(nats.address("nats")).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        let mut connection = Self(BufReader::new(stream));
        let info = connection.line();
        let info: Value = serde_json::from_str(info.strip_prefix("INFO ").unwrap()).unwrap();
        let signature = pair.sign(info["nonce"].as_str().unwrap().as_bytes()).unwrap();
        let who = json!({"verbose": false, "pedantic": false, "protocol": 1, "lang": "test", "version": "0",
            "headers": true, "nkey": pair.public_key(), "sig": BASE64URL_NOPAD.encode(&signature)});
        connection.send(&format!("CONNECT {who}\r\n"));
        connection
    }

    /// Publishes a message with malformed headers, and waits until the server has read it.
    pub fn publish(&mut self, subject: &str) {
        let (headers, total) = (HEADERS.len(), HEADERS.len() + 2);
        self.send(&format!("HPUB {subject} {headers} {total}\r\n{HEADERS}{{}}\r\n"));
    }

    /// Publishes one on each of these subjects, repeatedly.
    pub fn every(mut self, pause: Duration, subjects: &[&str]) -> MalformedStream {
        let subjects: Vec<_> = subjects.iter().map(ToString::to_string).collect();
        let (stop, stopped) = channel();
        let thread = std::thread::spawn(move || {
            while let Err(RecvTimeoutError::Timeout) = stopped.recv_timeout(pause) {
                for subject in &subjects {
                    self.publish(subject);
                }
            }
        });
        MalformedStream { stop: Some(stop), thread: Some(thread) }
    }

    /// Sends a line that the server accepts.
    fn send(&mut self, text: &str) {
        self.0.get_mut().write_all(format!("{text}PING\r\n").as_bytes()).unwrap();
        loop {
            match self.line().split(' ').next().unwrap() {
                "PONG" => return,
                "PING" | "INFO" => {}
                other => panic!("unexpected line from the server: {other:?}"),
            }
        }
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.0.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }
}

impl Drop for MalformedStream {
    fn drop(&mut self) {
        self.stop = None;
        let _ = self.thread.take().map(JoinHandle::join);
    }
}
