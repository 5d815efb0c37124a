//! The first screen shows every trouble of the demo.

use crate::session::DemoSession;
use std::time::{Duration, Instant};

/// How long a person looks at the first screen.
const LOOK: Duration = Duration::from_secs(10);

#[test]
fn a_small_first_screen_shows_all_troubles() {
    troubles((80, 24));
}

#[test]
fn a_usual_first_screen_shows_all_troubles() {
    troubles((120, 40));
}

fn troubles(size: (u16, u16)) {
    let mut session = DemoSession::sized(12, size, |_| {});
    let opened = Instant::now();
    for (host, texts) in [
        // A failed switch that was rolled back.
        ("web3", ["✗ rolled back", "Address already in use"]),
        // Three failures, then a dry run.
        ("cache2", ["✗ rolled back", "health check"]),
        ("dns3", ["! unit failed", "smartd.service"]),
        ("web2", ["! /boot low", "31 MiB"]),
        ("dns2", ["↻ needs reboot", ""]),
    ] {
        session.row(host, &texts);
    }
    session.console.line(&["✗ 2 failed", "! 1 failed unit", "! 1 disk low", "↻ 2 need reboot"]);
    assert!(opened.elapsed() < LOOK, "{:?}", opened.elapsed());
}
