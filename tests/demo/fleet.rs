//! What an operator can do on simulated hosts: all that real ones can, with the same ends.

use crate::stage::Stage;
use serde_json::{Value, json};

/// What a host tells that a job may change.
fn standing(host: &Value) -> [&Value; 4] {
    ["system", "generation", "commit", "revision"].map(|field| &host[field])
}

#[test]
fn a_diff_tells_what_would_change_and_changes_nothing() {
    let stage = Stage::open(1);
    let before = stage.host("cache1");
    let diff = stage.run(&["diff", "cache1", "--branch", "main"], 0).out;
    let squeezed: Vec<_> =
        diff.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    for line in ["openssl 3.3.2 3.3.3", "would restart: harmonia.service, nginx.service, nix-daemon.service"]
    {
        assert!(squeezed.iter().any(|told| told == line), "no {line:?} in\n{diff}");
    }
    assert_eq!(standing(&stage.host("cache1")), standing(&before));
}

#[test]
fn a_host_goes_back_to_what_it_ran_or_to_any_generation_it_kept() {
    let stage = Stage::open(1);
    let before = stage.host("cache1");
    let generation = before["generation"].as_u64().unwrap();
    stage.run(&["deploy", "cache1", "--branch", "main", "--yes"], 0);
    let after = stage.host("cache1");
    assert_eq!(after["generation"], generation + 1);
    assert_eq!(after["commit"], json!(stage.git(&["rev-parse", "main"])));

    stage.run(&["rollback", "cache1", "--yes"], 0);
    assert_eq!(standing(&stage.host("cache1")), standing(&before));
    let oldest = generation - 4;
    stage.run(&["rollback", "cache1", "--generation", &oldest.to_string(), "--yes"], 0);
    let back = stage.host("cache1");
    assert_eq!(
        (&back["generation"], &back["commit"]),
        (&json!(oldest), &json!(stage.git(&["rev-parse", "main~5"])))
    );
    let status = stage.run(&["status", "cache1", "--output", "json"], 0).json();
    let phases = status[0]["answer"]["phases"].as_array().unwrap();
    let done = phases.iter().filter(|phase| phase["state"] == "done");
    let done: Vec<_> = done.map(|phase| phase["name"].as_str().unwrap()).collect();
    assert_eq!(done, ["prepare", "check", "activate", "verify", "persist"]);

    let refused = stage.run(&["rollback", "cache1", "--generation", "7", "--yes"], 1).out;
    assert!(refused.contains("not_found: there is no generation 7; the host keeps "), "{refused}");
}

#[test]
fn a_host_is_held_until_it_is_released() {
    let mut stage = Stage::open(1);
    stage.run(&["hold", "cache1", "--reason", "kernel bisect"], 0);
    assert!(stage.host("cache1")["held"].as_str().unwrap().starts_with("kernel bisect (tester@"));
    stage.row("cache1", &["held"]);
    let deploy = &["deploy", "cache1", "--branch", "main", "--yes"];
    assert!(stage.run(deploy, 1).out.contains("held: held since 20"));
    let history = stage.history("cache1");
    assert_eq!((&history[0]["action"], &history[0]["reason"]), (&json!("hold"), &json!("kernel bisect")));
    stage.run(&["release", "cache1"], 0);
    stage.run(deploy, 0);
}

#[test]
fn a_system_for_the_next_boot_runs_after_the_reboot() {
    let mut stage = Stage::open(1);
    let before = stage.host("cache1");
    stage.run(&["deploy", "cache1", "--branch", "testing", "--action", "boot", "--yes"], 0);
    let prepared = stage.host("cache1");
    assert_eq!(prepared["system"], before["system"]);
    assert_eq!(prepared["generation"], before["generation"].as_u64().unwrap() + 1);

    let verdict = stage.ask("deploy.test.cache1", "reboot");
    assert_eq!(
        (&verdict["status"], &verdict["message"]),
        (&json!("completed"), &json!("reboot done")),
        "{verdict}"
    );
    stage.console.line(&["│", "cache1", "● idle", "testing"]);
    let after = stage.host("cache1");
    assert_eq!(after["commit"], json!(stage.git(&["rev-parse", "testing"])));
    assert_eq!((&after["booted_system"], &after["reboot_needed"]), (&after["system"], &json!(false)));
    assert_ne!(after["boot_at"], before["boot_at"]);
    assert_eq!(stage.history("cache1")[0]["action"], "reboot");
}

#[test]
fn a_host_that_needs_a_reboot_is_away_for_it_and_well_again() {
    let mut stage = Stage::open(7);
    stage.console.line(&["│", "dns2", "reboot"]);
    let before = stage.host("dns2");
    let verdict = stage.ask("deploy.prod.dns2", "reboot");
    assert_eq!(verdict["status"], "completed", "{verdict}");
    stage.console.line(&["│", "dns2", "● idle"]);
    let after = stage.host("dns2");
    assert_eq!((&after["booted_system"], &after["reboot_needed"]), (&after["system"], &json!(false)));
    assert_eq!(standing(&after), standing(&before));
}

#[test]
fn the_branch_broken_does_not_build_on_any_host() {
    let stage = Stage::open(4);
    let before = stage.host("web1");
    let told =
        stage.run(&["deploy", "web1", "dns1", "--branch", "broken", "--yes", "--output", "json"], 1).json();
    let hosts = told[told.len() - 1]["value"]["hosts"].as_array().unwrap();
    assert_eq!(hosts.len(), 2, "{hosts:#?}");
    for report in hosts.iter().map(|host| &host["report"]) {
        assert_eq!(report["error"], "build_failed", "{report}");
        assert!(report["message"].as_str().unwrap().contains("build of nginx-1.28.0 failed"), "{report}");
        assert!(report["diagnostics"].as_str().unwrap().contains("fatal error: brotli/encode.h"), "{report}");
    }
    assert_eq!(standing(&stage.host("web1")), standing(&before));
    let unknown = stage.run(&["deploy", "web1", "--branch", "nosuch", "--yes"], 1).out;
    assert!(unknown.contains("it has main, testing, broken"), "{unknown}");
}

#[test]
fn the_builder_builds_every_host_and_tells_why_one_does_not_build() {
    let stage = Stage::open(4);
    let built = stage.run(&["build", "--all", "--branch", "main"], 0).out;
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
    let broken = stage.run(&["build", "web1", "--branch", "broken"], 1).out;
    for said in [
        "\nweb1: \"web1\" did not build: build of nginx-1.28.0 failed",
        "\n  | nginx-1.28.0> ngx_http_brotli",
    ] {
        assert!(broken.contains(said), "no {said:?} in {broken}");
    }
    stage.run(&["build", "web2"], 1);
}

#[test]
fn what_does_not_prove_itself_is_rolled_back_unless_it_is_to_be_kept() {
    let stage = Stage::open(12);
    let before = stage.host("web3");
    let rolled_back = stage.run(&["deploy", "web3", "--branch", "main", "--yes"], 1).out;
    for text in ["verification_failed: a unit started failing: nginx.service", "-- journal of nginx.service"]
    {
        assert!(rolled_back.contains(text), "no {text:?} in\n{rolled_back}");
    }
    assert_eq!(standing(&stage.host("web3")), standing(&before));

    stage.run(&["deploy", "web3", "--branch", "main", "--keep", "--yes"], 0);
    let kept = stage.host("web3");
    assert_eq!(kept["commit"], json!(stage.git(&["rev-parse", "main"])));
    assert_eq!(kept["failed_units"], json!(["nginx.service"]));
}

#[test]
fn a_job_is_cancelled_until_it_activates() {
    let mut stage = Stage::open(2);
    let before = stage.host("ci1");
    stage.console.types("/ci1\rd\r\r\r\u{1b}[C\r");
    stage.console.line(&["│", "ci1", "▶ build"]);
    stage.run(&["cancel", "ci1"], 0);
    stage.console.line(&["│", "ci1", "cancelled"]);
    assert_eq!(standing(&stage.host("ci1")), standing(&before));
    assert_eq!(stage.history("ci1")[0]["error"], "cancelled");
}
