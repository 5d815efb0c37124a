//! The seed history: hosts with jobs of several weeks, each with a different scenario.

use crate::session::DemoSession;
use serde_json::{Value, json};
use std::os::unix::fs::symlink;
use std::path::PathBuf;

fn newest_first(history: &[Value]) -> bool {
    history.is_sorted_by(|newer, older| newer["at"].as_str() >= older["at"].as_str())
}

#[test]
fn each_host_has_a_history_whose_commits_are_those_of_its_flake() {
    let session = DemoSession::open(12);
    let commit = |revision: &str| session.git(&["rev-parse", revision]);
    for (host, revision, branch) in [
        ("cache1", "main~1", "main"),
        ("ci1", "main~1", "main"),
        ("web2", "main~1", "main"),
        ("dns3", "main~1", "main"),
        ("cache3", "main", "main"),
        ("ci2", "testing", "testing"),
        ("ci3", "main~2", "main"),
        ("web3", "main~2", "main"),
        ("cache2", "main~4", "main"),
    ] {
        let facts = session.host(host);
        assert_eq!(
            (&facts["commit"], &facts["revision"]),
            (&json!(commit(revision)), &json!(branch)),
            "{host}"
        );
        let url = format!("git+file://{}/fleet.git", session.directory.display());
        assert_eq!(facts["flake_url"], json!(url));
        let history = session.history(host);
        assert!(history.len() >= 6 && newest_first(&history), "{host}: {history:#?}");
        let made = history.iter().filter(|job| job["action"] == "switch" && job["status"] == "completed");
        let made: Vec<u64> = made.map(|job| job["generation"].as_u64().unwrap()).collect();
        assert_eq!(Some(made[0]), facts["generation"].as_u64(), "{host}");
        assert!(made.is_sorted_by(|newer, older| newer >= older), "{host}: {made:?}");
        for job in history.iter().filter(|job| job["action"] == "switch") {
            session.git(&["cat-file", "-e", job["commit"].as_str().unwrap()]);
        }
    }
    let by = |host: &str| -> Vec<String> {
        let history = session.history(host);
        history.iter().map(|job| job["issuer"].as_str().unwrap().to_owned()).collect()
    };
    assert!(
        by("cache1").contains(&"alice@laptop".to_owned()) && by("cache1").contains(&"ci@runner".to_owned())
    );
    assert!(by("web1").iter().all(|issuer| issuer == "operator@demo"));
    let failed = session.history("cache2");
    let failed: Vec<_> = failed.iter().filter(|job| job["error"] == "verification_failed").collect();
    assert_eq!(failed.len(), 3, "{failed:#?}");
}

#[test]
fn logs_and_failures_of_previous_jobs_can_be_read() {
    let session = DemoSession::open(12);
    let log = session.run(&["logs", "web3"], 0).stdout;
    let lines = ["deploying git+file://", "warning: the following units failed: nginx.service"];
    for line in lines.into_iter().chain(["rolling back: a unit started failing: nginx.service"]) {
        assert!(log.contains(line), "no {line:?} in\n{log}");
    }
    let status = session.run(&["status", "web3"], 0).stdout;
    for line in ["failed units: nginx.service", "-- journal of nginx.service", "-- now runs /nix/store/"] {
        assert!(status.contains(line), "no {line:?} in\n{status}");
    }
    let history = session.history("cache3");
    let broken = history.iter().find(|job| job["error"] == "build_failed").expect("a failed build");
    let log = session.run(&["logs", "cache3", "--id", broken["id"].as_str().unwrap()], 0).stdout;
    assert!(log.contains("error: build of nginx-1.28.0 failed"), "{log}");
}

#[test]
fn some_hosts_need_attention() {
    let session = DemoSession::open(12);
    let dns2 = session.host("dns2");
    assert_eq!(dns2["reboot_needed"], true);
    assert_ne!(dns2["booted_system"], dns2["system"]);
    assert_eq!(session.host("dns3")["failed_units"], json!(["smartd.service"]));
    let web2 = session.host("web2");
    assert!(web2["boot_free_bytes"].as_u64().unwrap() < 64 << 20, "{web2}");
    assert_ne!(web2["os_version"], dns2["os_version"]);
    assert_eq!(session.host("ci3")["warnings"].as_array().unwrap().len(), 1);
    let fine = session.host("dns1");
    assert_eq!((&fine["reboot_needed"], &fine["failed_units"]), (&json!(false), &Value::Null));
}

#[test]
fn without_git_only_the_flake_is_different() {
    let path = std::env::var_os("PATH").unwrap();
    let directories = std::env::split_paths(&path).chain(["/usr/sbin".into(), "/usr/local/sbin".into()]);
    let server: PathBuf =
        directories.map(|directory| directory.join("nats-server")).find(|file| file.exists()).unwrap();
    let programs = tempfile::tempdir().unwrap();
    symlink(server, programs.path().join("nats-server")).unwrap();
    let session = DemoSession::open_with(4, |command| {
        command.env("PATH", programs.path());
    });
    let facts = session.host("cache1");
    assert_eq!(facts["flake_url"], "git+https://git.example.org/fleet");
    let with = DemoSession::open(4);
    assert_eq!(facts["commit"], json!(with.git(&["rev-parse", "main~1"])));
}
