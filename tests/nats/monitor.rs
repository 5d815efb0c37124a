//! What a server tells of itself over its monitoring port.

use crate::common::Broker;
use serde_json::Value;
use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::TcpStream;

/// The line of a configuration that opens the port.
pub(crate) const MONITORED: &str = "http: \"127.0.0.1:-1\"\n";

fn ask(server: &Broker, path: &str) -> Value {
    let port = server.place("monitoring").rsplit(':').next().unwrap().parse().unwrap();
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    write!(stream, "GET /{path} HTTP/1.0\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap()
}

fn texts(list: &Value, field: &str) -> Vec<String> {
    let list = list.as_array().map(Vec::as_slice).unwrap_or_default();
    list.iter().filter_map(|entry| entry[field].as_str().map(str::to_owned)).collect()
}

/// The names of its clients.
pub(crate) fn clients(server: &Broker) -> Vec<String> {
    texts(&ask(server, "connz")["connections"], "name")
}

/// The other servers of its cluster that it is connected to.
pub(crate) fn peers(server: &Broker) -> BTreeSet<String> {
    texts(&ask(server, "routez")["routes"], "remote_id").into_iter().collect()
}

/// How many leaf nodes it is connected to.
pub(crate) fn leaves(server: &Broker) -> u64 {
    ask(server, "leafz")["leafnodes"].as_u64().unwrap()
}

/// How many clients have tried to connect since it started.
pub(crate) fn ever_connected(server: &Broker) -> u64 {
    ask(server, "varz")["total_connections"].as_u64().unwrap()
}
