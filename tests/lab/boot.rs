//! Hosts boot, connect with their keys, and answer.

use crate::harness::{LISTENER, Lab};
use std::time::Instant;

#[test]
fn three_hosts_boot_connect_with_their_keys_and_answer() {
    let started_at = Instant::now();
    let lab = Lab::new();
    let hosts = lab.boot_all(["web1", "web2", "db1"]);
    println!("three hosts answered after {:.1} s", started_at.elapsed().as_secs_f64());
    for host in &hosts {
        let answer = lab.online(host.name());
        assert_eq!(answer["hostname"], host.name());
        assert_eq!(answer["system"], host.current_system());
        assert_eq!(answer["booted_system"], host.system_profile());
        assert_eq!(answer["generation"], 1);
        assert_eq!(host.label(), "base");
        assert_eq!(host.failed_units(), [""; 0]);
        assert_eq!(host.sh("hostname"), host.name());
    }
}

#[test]
fn unit_of_the_listener_protects_it_if_memory_runs_out() {
    let lab = Lab::new();
    let host = lab.boot("web1");
    // The score in the kernel is not compared, because not every machine lets a container lower the score of a process.
    let policy = host.sh(&format!("systemctl show --property=OOMPolicy,OOMScoreAdjust {LISTENER} | sort"));
    assert_eq!(policy, "OOMPolicy=continue\nOOMScoreAdjust=-500");
}
