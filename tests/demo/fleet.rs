//! Operations on simulated hosts, with the same results as on real ones.

use crate::session::DemoSession;
use serde_json::{Value, json};

/// The facts of a host that a job may change.
fn system_state(host: &Value) -> [&Value; 4] {
    ["system", "generation", "commit", "revision"].map(|field| &host[field])
}

#[test]
fn a_diff_shows_changes_and_applies_none() {
    let session = DemoSession::open(1);
    let before = session.host("cache1");
    let diff = session.run(&["diff", "cache1", "--branch", "main"], 0).stdout;
    let squeezed: Vec<_> =
        diff.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    for line in ["openssl 3.3.2 3.3.3", "would restart: harmonia.service, nginx.service, nix-daemon.service"]
    {
        assert!(squeezed.iter().any(|shown| shown == line), "no {line:?} in\n{diff}");
    }
    assert_eq!(system_state(&session.host("cache1")), system_state(&before));
}

#[test]
fn a_host_rolls_back_to_the_previous_or_any_earlier_generation() {
    let session = DemoSession::open(1);
    let before = session.host("cache1");
    let generation = before["generation"].as_u64().unwrap();
    session.run(&["deploy", "cache1", "--branch", "main", "--yes"], 0);
    let after = session.host("cache1");
    assert_eq!(after["generation"], generation + 1);
    assert_eq!(after["commit"], json!(session.git(&["rev-parse", "main"])));

    session.run(&["rollback", "cache1", "--yes"], 0);
    assert_eq!(system_state(&session.host("cache1")), system_state(&before));
    let oldest = generation - 4;
    session.run(&["rollback", "cache1", "--generation", &oldest.to_string(), "--yes"], 0);
    let back = session.host("cache1");
    assert_eq!(
        (&back["generation"], &back["commit"]),
        (&json!(oldest), &json!(session.git(&["rev-parse", "main~5"])))
    );
    let status = session.run(&["status", "cache1", "--output", "json"], 0).json();
    let phases = status[0]["answer"]["phases"].as_array().unwrap();
    let done = phases.iter().filter(|phase| phase["state"] == "done");
    let done: Vec<_> = done.map(|phase| phase["name"].as_str().unwrap()).collect();
    assert_eq!(done, ["prepare", "check", "activate", "verify", "persist"]);

    let refused = session.run(&["rollback", "cache1", "--generation", "7", "--yes"], 1).stdout;
    assert!(refused.contains("not found: generation 7 does not exist; the host has "), "{refused}");
}

#[test]
fn a_host_is_held_until_it_is_released() {
    let mut session = DemoSession::open(1);
    session.run(&["hold", "cache1", "--reason", "kernel bisect"], 0);
    assert!(session.host("cache1")["held"].as_str().unwrap().starts_with("kernel bisect (tester@"));
    session.row("cache1", &["held"]);
    let deploy = &["deploy", "cache1", "--branch", "main", "--yes"];
    assert!(session.run(deploy, 1).stdout.contains("held: held since 20"));
    let history = session.history("cache1");
    assert_eq!((&history[0]["action"], &history[0]["reason"]), (&json!("hold"), &json!("kernel bisect")));
    session.run(&["release", "cache1"], 0);
    session.run(deploy, 0);
}

#[test]
fn a_system_for_the_next_boot_runs_after_the_reboot() {
    let mut session = DemoSession::open(1);
    let before = session.host("cache1");
    session.run(&["deploy", "cache1", "--branch", "testing", "--action", "boot", "--yes"], 0);
    let prepared = session.host("cache1");
    assert_eq!(prepared["system"], before["system"]);
    assert_eq!(prepared["generation"], before["generation"].as_u64().unwrap() + 1);

    let result = session.ask("deploy.test.cache1", "reboot");
    assert_eq!(
        (&result["status"], &result["message"]),
        (&json!("completed"), &json!("reboot done")),
        "{result}"
    );
    let commit = session.git(&["rev-parse", "testing"]);
    session.console.line(&["│", "cache1", "● idle", &commit[..7]]);
    let after = session.host("cache1");
    assert_eq!(after["commit"], json!(commit));
    assert_eq!((&after["booted_system"], &after["reboot_needed"]), (&after["system"], &json!(false)));
    assert_ne!(after["booted_at"], before["booted_at"]);
    assert_eq!(session.history("cache1")[0]["action"], "reboot");
}

#[test]
fn a_host_that_needs_a_reboot_goes_offline_and_returns() {
    let mut session = DemoSession::open(7);
    session.console.line(&["│", "dns2", "reboot"]);
    let before = session.host("dns2");
    let result = session.ask("deploy.prod.dns2", "reboot");
    assert_eq!(result["status"], "completed", "{result}");
    session.console.line(&["│", "dns2", "● idle"]);
    let after = session.host("dns2");
    assert_eq!((&after["booted_system"], &after["reboot_needed"]), (&after["system"], &json!(false)));
    assert_eq!(system_state(&after), system_state(&before));
}

#[test]
fn the_branch_broken_does_not_build_on_any_host() {
    let session = DemoSession::open(4);
    let before = session.host("web1");
    let lines =
        session.run(&["deploy", "web1", "dns1", "--branch", "broken", "--yes", "--output", "json"], 1).json();
    let hosts = lines[lines.len() - 1]["value"]["hosts"].as_array().unwrap();
    assert_eq!(hosts.len(), 2, "{hosts:#?}");
    for report in hosts.iter().map(|host| &host["report"]) {
        assert_eq!(report["error"], "build_failed", "{report}");
        assert!(report["message"].as_str().unwrap().contains("build of nginx-1.28.0 failed"), "{report}");
        assert!(report["diagnostics"].as_str().unwrap().contains("fatal error: brotli/encode.h"), "{report}");
    }
    assert_eq!(system_state(&session.host("web1")), system_state(&before));
    let unknown = session.run(&["deploy", "web1", "--branch", "nosuch", "--yes"], 1).stdout;
    assert!(unknown.contains("it has main, testing, broken"), "{unknown}");
}

#[test]
fn the_builder_builds_every_host_and_explains_a_failure() {
    let session = DemoSession::open(4);
    let built = session.run(&["build", "--all", "--branch", "main"], 0).stdout;
    for host in ["cache1", "ci1", "dns1", "web1"] {
        assert!(
            built.contains(&format!("\n{host}")) && built.contains(&format!("-nixos-system-{host}-")),
            "{built}"
        );
    }
    assert!(
        built.contains("\nall: commit 2541e4a151a866f4f74eaf055807ca22147f75cc of fleet\n  4 of 4 built"),
        "{built}"
    );
    let broken = session.run(&["build", "web1", "--branch", "broken"], 1).stdout;
    for text in [
        "\nweb1: \"web1\" did not build: build of nginx-1.28.0 failed",
        "\n  | nginx-1.28.0> ngx_http_brotli",
    ] {
        assert!(broken.contains(text), "no {text:?} in {broken}");
    }
    session.run(&["build", "web2"], 1);
}

#[test]
fn a_failed_verification_is_rolled_back_unless_no_rollback_is_set() {
    let session = DemoSession::open(12);
    let before = session.host("web3");
    let rolled_back = session.run(&["deploy", "web3", "--branch", "main", "--yes"], 1).stdout;
    for text in ["verification failed: a unit started failing: nginx.service", "-- journal of nginx.service"]
    {
        assert!(rolled_back.contains(text), "no {text:?} in\n{rolled_back}");
    }
    assert_eq!(system_state(&session.host("web3")), system_state(&before));

    session.run(&["deploy", "web3", "--branch", "main", "--no-rollback", "--yes"], 0);
    let host = session.host("web3");
    assert_eq!(host["commit"], json!(session.git(&["rev-parse", "main"])));
    assert_eq!(host["failed_units"], json!(["nginx.service"]));
}

#[test]
fn a_job_is_cancelled_until_it_activates() {
    let mut session = DemoSession::open(2);
    let before = session.host("ci1");
    session.console.types("/ci1\rd\r");
    session.console.line(&["│", "ci1", "▶ build"]);
    session.run(&["cancel", "ci1"], 0);
    session.console.line(&["│", "ci1", "cancelled"]);
    assert_eq!(system_state(&session.host("ci1")), system_state(&before));
    assert_eq!(session.history("ci1")[0]["error"], "cancelled");
}
