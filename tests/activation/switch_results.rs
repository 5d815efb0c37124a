//! The result of an activation depends on the running system and on the whole output, not on the exit code alone.

use crate::common::eventually;
use crate::stage::Stage;
use serde_json::{Value, json};
use std::fs;

/// Prints the lines of a failed snippet of the activation script.
fn failed_snippet(name: &str) -> String {
    format!(
        "echo 'activating the configuration...' >&2; echo \"Activation script snippet '{name}' failed (1)\"; \
         echo 'Failed to run activate script' >&2"
    )
}

fn ended(report: &Value) -> (&Value, &Value) {
    (&report["error"], &report["rolled_back"])
}

fn message(report: &Value) -> &str {
    report["message"].as_str().unwrap()
}

#[test]
fn failed_activation_script_is_not_hidden_by_failed_units() {
    let stage = Stage::new();
    // `systemctl status` of the failed units prints more than a reader of the last lines would see.
    let status = "i=0; while [ $i -lt 3000 ]; do echo 'a line of systemctl status'; i=$((i + 1)); done";
    stage.fault("v1", "test", &format!("activate; {}; {status}; exit 4", failed_snippet("secrets")));
    let report = stage.deploy("j-1", "switch", "v1").final_report();
    assert_eq!(ended(&report), (&json!("activation_failed"), &json!(true)), "{report}");
    assert!(
        message(&report).starts_with("the activation script failed in secrets (ended with exit code 4)"),
        "{report}"
    );
    assert_eq!((stage.runs().as_str(), stage.profile().as_str()), ("v0", "v0 as 1"));
}

#[test]
fn success_while_the_old_system_is_the_running_one_is_not_done() {
    for code in [0, 4] {
        let stage = Stage::new();
        stage.fault("v1", "test", &format!("exit {code}"));
        let report = stage.deploy("j-1", "switch", "v1").final_report();
        assert_eq!(ended(&report), (&json!("activation_failed"), &json!(true)), "{report}");
        assert!(message(&report).contains("the new system is not the running one"), "{report}");
        assert_eq!((stage.runs().as_str(), stage.profile().as_str()), ("v0", "v0 as 1"));
    }
}

#[test]
fn refusal_after_units_were_stopped_is_rolled_back() {
    let stage = Stage::new();
    let script = "echo 'stopping the following units: web.service' >&2; \
                  echo 'Error: Failed to process dbus messages while waiting for jobs' >&2; exit 1";
    stage.fault("v1", "test", script);
    let report = stage.deploy("j-1", "switch", "v1").final_report();
    assert_eq!(ended(&report), (&json!("activation_failed"), &json!(true)), "{report}");
    assert!(message(&report).contains("Failed to process dbus messages"), "{report}");
    assert_eq!(stage.calls(), "v1 check, v1 test, v0 test");
}

#[test]
fn lock_error_of_an_activation_script_does_not_mean_busy() {
    let stage = Stage::new();
    let script =
        "echo 'activating the configuration...' >&2; activate; echo 'Could not acquire lock' >&2; exit 11";
    stage.fault("v1", "test", script);
    let report = stage.deploy("j-1", "switch", "v1").final_report();
    assert_eq!(ended(&report), (&json!("activation_failed"), &json!(true)), "{report}");
    assert_eq!(stage.runs(), "v0");
}

#[test]
fn snippet_that_also_fails_in_the_old_system_does_not_count() {
    let stage = Stage::new();
    for version in ["v0", "v1", "v2", "v3"] {
        let more = if version == "v3" { failed_snippet("other") } else { "true".to_owned() };
        stage.fault(version, "test", &format!("activate; {}; {more}; exit 2", failed_snippet("secrets")));
    }
    // The first time, it is not known yet that the snippet always fails.
    let report = stage.deploy("j-1", "switch", "v1").final_report();
    assert_eq!(ended(&report), (&json!("activation_failed"), &json!(true)), "{report}");
    let expected = "the activation of the previous system ended with exit code 2 (secrets)";
    assert!(message(&report).contains(expected), "{report}");
    let report = stage.deploy("j-2", "switch", "v2").final_report();
    assert_eq!(report["status"], "completed", "{report}");
    assert!(
        message(&report).contains("secrets failed in the activation script, as in the previous system"),
        "{report}"
    );
    assert_eq!((stage.runs().as_str(), stage.profile().as_str()), ("v2", "v2 as 2"));
    // Another snippet counts.
    let report = stage.deploy("j-3", "switch", "v3").final_report();
    assert_eq!(ended(&report), (&json!("activation_failed"), &json!(true)), "{report}");
    assert_eq!(stage.runs(), "v2");
}

#[test]
fn activation_that_takes_too_long_is_ended() {
    let stage = Stage::with(|host| host.args(&["--activate-timeout", "1"]));
    let _gate = stage.gate("gate");
    stage.fault("v1", "test", "activate; read _ < $STAGE/gate");
    let report = stage.deploy("j-1", "switch", "v1").final_report();
    assert_eq!(ended(&report), (&json!("activation_failed"), &json!(true)), "{report}");
    assert!(message(&report).contains("took longer than 1 s and was ended"), "{report}");
    assert_eq!(stage.runs(), "v0");
}

#[test]
fn request_may_lower_the_limit_of_an_activation() {
    let stage = Stage::new();
    let _gate = stage.gate("gate");
    stage.version("v1");
    stage.fault("v1", "test", "activate; read _ < $STAGE/gate");
    let fields = json!({"action": "switch", "revision": "master", "activate_timeout_s": 1});
    let report = stage.request("j-1", fields).final_report();
    assert!(message(&report).contains("took longer than 1 s and was ended"), "{report}");
}

#[test]
fn activation_that_touched_the_connection_is_confirmed_again_later() {
    let stage = Stage::with(|host| host.args(&["--confirm-hold", "2"]));
    let hosts = "mkdir -p $out/bin $out/etc\n        printf %s \"$version\" > $out/etc/hosts";
    stage.change_flake("mkdir -p $out/bin", hosts);
    let report = stage.deploy("j-1", "switch", "v1").final_report();
    assert_eq!(report["status"], "completed", "{report}");
    let log = fs::read_to_string(stage.job_file("j-1", "log")).unwrap();
    assert!(log.contains("the activation touched /etc/hosts"), "{log}");
    assert_eq!(log.matches("connection confirmed").count(), 2, "{log}");
    let elapsed = |report: &Value, phase: usize| report["phases"][phase]["elapsed_ms"].as_u64().unwrap();
    assert!(elapsed(&report, 4) >= 1900, "{report}");
    // With the same files, there is no wait.
    stage.change_flake("printf %s \"$version\" > $out/etc/hosts", "printf v1 > $out/etc/hosts");
    let report = stage.deploy("j-2", "switch", "v2").final_report();
    assert_eq!(report["status"], "completed", "{report}");
    let log = fs::read_to_string(stage.job_file("j-2", "log")).unwrap();
    assert!(!log.contains("touched"), "{log}");
    assert_eq!(log.matches("connection confirmed").count(), 2, "{log}");
}

#[test]
fn rollback_skips_the_checks_of_the_old_system() {
    let stage = Stage::new();
    stage.fault("v1", "test", "activate; exit 2");
    for action in ["test", "boot"] {
        stage.fault("v0", action, "[ \"${NIXOS_NO_CHECK-}\" = 1 ] || exit 1");
    }
    let report = stage.deploy("j-1", "switch", "v1").final_report();
    assert_eq!(ended(&report), (&json!("activation_failed"), &json!(true)), "{report}");
    assert_eq!(stage.runs(), "v0");
    // Outside a rollback, the checks count.
    let report = stage.deploy("j-2", "test", "v2").final_report();
    assert_eq!(report["status"], "completed", "{report}");
    let report = stage.deploy("j-3", "switch", "v0").final_report();
    assert_eq!(report["error"], "activation_failed", "{report}");
}

#[test]
fn rollback_is_retried_until_the_old_system_runs() {
    let stage = Stage::with(|host| host.args(&["--confirm-timeout", "2"]));
    stage.fault("v1", "test", "activate; exit 2");
    // The activation of the old system is incomplete twice.
    stage.fault("v0", "test", "echo x >> $STAGE/tries; [ $(wc -l < $STAGE/tries) -ge 3 ] || exit 4");
    let report = stage.deploy("j-1", "switch", "v1").final_report();
    assert_eq!(ended(&report), (&json!("activation_failed"), &json!(true)), "{report}");
    assert_eq!(stage.calls(), "v1 check, v1 test, v0 test, v0 test, v0 test");
    assert_eq!((stage.runs().as_str(), stage.profile().as_str()), ("v0", "v0 as 1"));
}

#[test]
fn failed_persist_restores_the_profile_and_not_the_running_system_as_default() {
    let stage = Stage::new();
    assert_eq!(stage.deploy("j-1", "test", "v1").final_report()["status"], "completed");
    stage.fault("v2", "boot", "exit 1");
    let report = stage.deploy("j-2", "switch", "v2").final_report();
    assert_eq!(ended(&report), (&json!("persist_failed"), &json!(true)), "{report}");
    assert!(stage.calls().ends_with("v2 check, v2 test, v2 boot, v1 test, v0 boot"), "{}", stage.calls());
    assert_eq!((stage.runs().as_str(), stage.profile().as_str()), ("v1", "v0 as 1"));
    // The new generation was deleted.
    assert_eq!(report["generation"], 1, "{report}");
}

#[test]
fn failed_boot_does_not_touch_the_running_system() {
    let stage = Stage::new();
    stage.fault("v1", "boot", "exit 1");
    let report = stage.deploy("j-1", "boot", "v1").final_report();
    assert_eq!(ended(&report), (&json!("persist_failed"), &json!(true)), "{report}");
    assert_eq!(stage.calls(), "v1 check, v1 boot, v0 boot");
    assert_eq!((stage.runs().as_str(), stage.profile().as_str()), ("v0", "v0 as 1"));
}

#[test]
fn generation_is_deleted_even_if_the_worker_died_right_after_creating_it() {
    let stage = Stage::new();
    let real = std::process::Command::new("sh").args(["-c", "command -v nix-env"]).output().unwrap();
    let real = String::from_utf8(real.stdout).unwrap();
    let script = format!(
        "{} \"$@\" || exit; case \"$*\" in *--set*) [ -e $STAGE/died ] || {{ : > $STAGE/died; kill -9 $PPID; }};; esac",
        real.trim()
    );
    stage.program_named("nix-env", &script);
    stage.fault("v1", "boot", "exit 1");
    let report = stage.deploy("j-1", "switch", "v1").final_report();
    assert_eq!(ended(&report), (&json!("persist_failed"), &json!(true)), "{report}");
    assert!(stage.at("died").exists());
    assert_eq!(stage.profile(), "v0 as 1");
    assert!(!stage.at("profiles/system-2-link").exists());
}

#[test]
fn worker_that_dies_repeatedly_is_given_up() {
    let stage = Stage::new();
    stage.fault("v1", "test", "activate; exit 2");
    stage.fault("v0", "test", "kill -9 $PPID; exit 4");
    let reports = stage.deploy("j-1", "switch", "v1");
    let report = reports.final_report();
    assert_eq!(report["error"], "interrupted", "{report}");
    assert!(message(&report).contains("died 5 times"), "{report}");
    assert_eq!(stage.record("j-1")["recoveries"], 6);
    // The first worker and five recoveries.
    assert_eq!(stage.calls().matches("v0 test").count(), 6, "{}", stage.calls());
}

#[test]
fn result_that_cannot_be_saved_in_the_state_directory_is_reported_once_and_saved_elsewhere() {
    let mut stage = Stage::new();
    // The worker writes to this path before it renames a file.
    let beside = format!("{}/state.$PPID.new", stage.job_file("j-1", "").display());
    stage.fault("v1", "test", &format!("activate; mkdir {beside}; exit 2"));
    let report = stage.deploy("j-1", "switch", "v1").final_report();
    assert_eq!(ended(&report), (&json!("activation_failed"), &json!(true)), "{report}");
    assert_eq!(stage.calls(), "v1 check, v1 test, v0 test");
    assert!(message(&report).contains("the activation script failed"), "{report}");
    eventually("the result in the state directory", || {
        // The listener saves it as soon as it can.
        (stage.record("j-1")["report"]["status"] == "failed").then_some(())
    });
    stage.host.restart();
    assert_eq!(stage.deploy("j-2", "switch", "v2").final_report()["status"], "completed");
    assert_eq!(stage.calls(), "v1 check, v1 test, v0 test, v2 check, v2 test, v2 boot");
}
