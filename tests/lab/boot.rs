//! Hosts boot, connect with their keys, and answer.

use crate::harness::Lab;
use std::time::Instant;

#[test]
fn three_hosts_boot_connect_with_their_keys_and_answer() {
    let begun = Instant::now();
    let lab = Lab::new();
    let hosts = lab.boot_all(["web1", "web2", "db1"]);
    println!("three hosts answered after {:.1} s", begun.elapsed().as_secs_f64());
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
