//! A full disk: refused in prepare, or failed clean; the record is intact.

use crate::harness::{Closure, Lab};

const MIB: u64 = 1 << 20;

#[test]
fn a_host_with_a_full_disk_cannot_build_until_it_has_room() {
    let lab = Lab::new();
    let host = lab.host("web1").disk(64).boot();
    lab.flake.commit(&Closure::new("next"));
    host.leave_room(2);
    let free = lab.online("web1")["nix_free_bytes"].as_u64().unwrap();
    assert!((MIB..=2 * MIB).contains(&free), "{free}");
    host.leave_room(0);
    let error = host.build(&lab.flake).unwrap_err();
    assert!(error.contains("No space left") || error.contains("disk is full"), "{error}");
    host.make_room();
    host.build(&lab.flake).unwrap();
}
