//! Usage errors do not repeat credentials.

use crate::common::{binary, run};
use std::process::Command;

#[test]
fn a_bad_flake_url_is_refused_without_its_credentials() {
    for (url, shown) in [
        ("git+https://alice:s3cret@git.example/infra#web1", "'git+https://git.example/infra#web1'"),
        ("git+https://alice:s3cret@git.example/in fra", "'git+https://git.example/in fra'"),
        ("git+https:/alice:s3cret@git.example/infra", "'…@git.example/infra'"),
        ("git+https://git.example/infra?ref=main&token=s3cret", "'git+https://git.example/infra?…'"),
    ] {
        let ended = run(Command::new(binary()).args(["listener", "--flake-url", url]), 2);
        assert!(!ended.stderr.contains("s3cret"), "{ended}");
        assert!(ended.stderr.contains(&format!("invalid value {shown} for '--flake-url <URL>'")), "{ended}");
    }
    // An unexpected positional argument.
    let stray = ["listener", "https://alice:s3cret@git.example/infra"];
    let ended = run(Command::new(binary()).args(stray), 2);
    assert!(!ended.stderr.contains("s3cret"), "{ended}");
}

#[test]
fn a_bad_url_of_the_server_is_refused_without_its_credentials() {
    let mut hosts = Command::new(binary());
    hosts.args(["hosts", "--nats-url", "nats://alice:s3cret@host:port"]);
    let ended = run(hosts.env("XDG_CONFIG_HOME", "/nowhere"), 2);
    assert!(!ended.stderr.contains("s3cret") && ended.stderr.contains("\"nats://…@host:…\""), "{ended}");
}
