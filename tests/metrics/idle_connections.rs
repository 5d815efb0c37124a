//! Idle clients do not block other clients.

use crate::page::{address, get, measured};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

const HEAD: &[u8] = b"GET /metrics HTTP/1.1\r\nHost: x\r\nX: ";

fn idle(address: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(HEAD).unwrap();
    stream
}

/// Waits until a connection is closed.
fn wait_closed(stream: &mut TcpStream) {
    let mut rest = Vec::new();
    // A reset counts, too.
    let _ = stream.read_to_end(&mut rest);
}

#[test]
fn two_hundred_idle_connections_of_one_address_do_not_block_a_scrape() {
    let mut stage = measured("");
    let address = address(&mut stage.host);
    let mut idle: Vec<_> = (0..200).map(|_| idle(&address)).collect();
    let started = Instant::now();
    for _ in 0..3 {
        assert_eq!(get(&address, "/metrics").status, 200);
    }
    assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
    // The oldest connection was evicted.
    wait_closed(&mut idle[0]);
}

#[test]
fn an_incomplete_head_is_cut_off_after_seconds() {
    let mut stage = measured("");
    let address = address(&mut stage.host);
    let started = Instant::now();
    let mut slow = idle(&address);
    slow.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    wait_closed(&mut slow);
    let took = started.elapsed();
    assert!((Duration::from_secs(4)..Duration::from_secs(20)).contains(&took), "{took:?}");
}
