//! The data of a server's monitoring port.

use crate::common::NatsServer;
use serde_json::Value;
use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::TcpStream;

/// The configuration line that enables the port.
pub(crate) const MONITORED: &str = "http: \"127.0.0.1:-1\"\n";

fn get_json(server: &NatsServer, path: &str) -> Value {
    let port = server.address("monitoring").rsplit(':').next().unwrap().parse().unwrap();
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    write!(stream, "GET /{path} HTTP/1.0\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap()
}

fn string_fields(list: &Value, field: &str) -> Vec<String> {
    let list = list.as_array().map(Vec::as_slice).unwrap_or_default();
    list.iter().filter_map(|entry| entry[field].as_str().map(str::to_owned)).collect()
}

/// The names of its clients.
pub(crate) fn clients(server: &NatsServer) -> Vec<String> {
    string_fields(&get_json(server, "connz")["connections"], "name")
}

/// The other servers of its cluster that it is connected to.
pub(crate) fn peers(server: &NatsServer) -> BTreeSet<String> {
    string_fields(&get_json(server, "routez")["routes"], "remote_id").into_iter().collect()
}

/// The number of connected leaf nodes.
pub(crate) fn leaves(server: &NatsServer) -> u64 {
    get_json(server, "leafz")["leafnodes"].as_u64().unwrap()
}

/// The number of connection attempts since the start.
pub(crate) fn total_connections(server: &NatsServer) -> u64 {
    get_json(server, "varz")["total_connections"].as_u64().unwrap()
}
