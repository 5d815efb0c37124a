//! What an operator finds: hosts that have lived for weeks, each in its own way.

use crate::stage::Stage;
use serde_json::{Value, json};
use std::os::unix::fs::symlink;
use std::path::PathBuf;

fn newest_first(history: &[Value]) -> bool {
    history.is_sorted_by(|newer, older| newer["at"].as_str() >= older["at"].as_str())
}

#[test]
fn each_host_has_a_history_whose_commits_are_those_of_its_flake() {
    let stage = Stage::open(12);
    let commit = |revision: &str| stage.git(&["rev-parse", revision]);
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
        let told = stage.host(host);
        assert_eq!(
            (&told["commit"], &told["revision"]),
            (&json!(commit(revision)), &json!(branch)),
            "{host}"
        );
        let url = format!("git+file://{}/fleet.git", stage.folder.display());
        assert_eq!(told["flake_url"], json!(url));
        let history = stage.history(host);
        assert!(history.len() >= 6 && newest_first(&history), "{host}: {history:#?}");
        let made = history.iter().filter(|job| job["action"] == "switch" && job["status"] == "completed");
        let made: Vec<u64> = made.map(|job| job["generation"].as_u64().unwrap()).collect();
        assert_eq!(Some(made[0]), told["generation"].as_u64(), "{host}");
        assert!(made.is_sorted_by(|newer, older| newer >= older), "{host}: {made:?}");
        for job in history.iter().filter(|job| job["action"] == "switch") {
            stage.git(&["cat-file", "-e", job["commit"].as_str().unwrap()]);
        }
    }
    let by = |host: &str| -> Vec<String> {
        let history = stage.history(host);
        history.iter().map(|job| job["issuer"].as_str().unwrap().to_owned()).collect()
    };
    assert!(
        by("cache1").contains(&"alice@laptop".to_owned()) && by("cache1").contains(&"ci@runner".to_owned())
    );
    assert!(by("web1").iter().all(|issuer| issuer == "operator@demo"));
    let failed = stage.history("cache2");
    let failed: Vec<_> = failed.iter().filter(|job| job["error"] == "verification_failed").collect();
    assert_eq!(failed.len(), 3, "{failed:#?}");
}

#[test]
fn the_logs_of_past_jobs_and_what_failed_in_them_can_be_read() {
    let stage = Stage::open(12);
    let log = stage.run(&["logs", "web3"], 0).out;
    let lines = ["deploying git+file://", "warning: the following units failed: nginx.service"];
    for line in lines.into_iter().chain(["going back: a unit started failing: nginx.service"]) {
        assert!(log.contains(line), "no {line:?} in\n{log}");
    }
    let status = stage.run(&["status", "web3"], 0).out;
    for line in ["failed units: nginx.service", "-- journal of nginx.service", "-- now runs /nix/store/"] {
        assert!(status.contains(line), "no {line:?} in\n{status}");
    }
    let history = stage.history("cache3");
    let broken = history.iter().find(|job| job["error"] == "build_failed").expect("a failed build");
    let log = stage.run(&["logs", "cache3", "--id", broken["id"].as_str().unwrap()], 0).out;
    assert!(log.contains("error: build of nginx-1.28.0 failed"), "{log}");
}

#[test]
fn some_hosts_want_attention() {
    let stage = Stage::open(12);
    let dns2 = stage.host("dns2");
    assert_eq!(dns2["reboot_needed"], true);
    assert_ne!(dns2["booted_system"], dns2["system"]);
    assert_eq!(stage.host("dns3")["failed_units"], json!(["smartd.service"]));
    let web2 = stage.host("web2");
    assert!(web2["boot_free_bytes"].as_u64().unwrap() < 64 << 20, "{web2}");
    assert_ne!(web2["os_version"], dns2["os_version"]);
    assert_eq!(stage.host("ci3")["warnings"].as_array().unwrap().len(), 1);
    let fine = stage.host("dns1");
    assert_eq!((&fine["reboot_needed"], &fine["failed_units"]), (&json!(false), &Value::Null));
}

#[test]
fn without_git_all_is_the_same_but_the_flake() {
    let path = std::env::var_os("PATH").unwrap();
    let folders = std::env::split_paths(&path).chain(["/usr/sbin".into(), "/usr/local/sbin".into()]);
    let server: PathBuf =
        folders.map(|folder| folder.join("nats-server")).find(|file| file.exists()).unwrap();
    let programs = tempfile::tempdir().unwrap();
    symlink(server, programs.path().join("nats-server")).unwrap();
    let stage = Stage::open_with(4, |command| {
        command.env("PATH", programs.path());
    });
    let told = stage.host("cache1");
    assert_eq!(told["flake_url"], "git+https://git.example.org/fleet");
    let with = Stage::open(4);
    assert_eq!(told["commit"], json!(with.git(&["rev-parse", "main~1"])));
}
