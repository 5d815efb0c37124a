//! Clients that connect and say nothing keep nobody out.

use crate::page::{address, get, measured};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

const HEAD: &[u8] = b"GET /metrics HTTP/1.1\r\nHost: x\r\nX: ";

fn silent(address: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(HEAD).unwrap();
    stream
}

/// Waits for the end of a connection.
fn ended(stream: &mut TcpStream) {
    let mut rest = Vec::new();
    // A reset is an end, too.
    let _ = stream.read_to_end(&mut rest);
}

#[test]
fn two_hundred_silent_connections_of_one_address_keep_no_scrape_out() {
    let mut stage = measured("");
    let address = address(&mut stage.host);
    let mut held: Vec<_> = (0..200).map(|_| silent(&address)).collect();
    let begun = Instant::now();
    for _ in 0..3 {
        assert_eq!(get(&address, "/metrics").status, 200);
    }
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    // The oldest gave way.
    ended(&mut held[0]);
}

#[test]
fn a_head_that_does_not_end_is_cut_off_after_seconds() {
    let mut stage = measured("");
    let address = address(&mut stage.host);
    let begun = Instant::now();
    let mut slow = silent(&address);
    slow.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    ended(&mut slow);
    let took = begun.elapsed();
    assert!((Duration::from_secs(4)..Duration::from_secs(20)).contains(&took), "{took:?}");
}
