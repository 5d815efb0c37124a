//! The result, the running system, the profile and the record for each fault in each phase.

use crate::stage::Stage;
use serde_json::json;

/// The expected end of a switch to `v1` with a fault.
struct Case {
    /// The step of `switch-to-configuration` that fails, and the script that makes it fail.
    fault: (&'static str, &'static str),
    error: &'static str,
    rolled_back: Option<bool>,
    runs: &'static str,
    profile: &'static str,
    /// An expected part of the message.
    says: &'static str,
    calls: &'static str,
}

const BROKEN: &str = "v1 check, v1 test, v0 test";

#[test]
fn each_fault_of_switch_to_configuration_has_its_result() {
    let activation = |fault, says| Case {
        fault: ("test", fault),
        error: "activation_failed",
        rolled_back: Some(true),
        runs: "v0",
        profile: "v0 as 1",
        says,
        calls: BROKEN,
    };
    // These faults occur before the program changes anything.
    let unchanged = |fault, says| Case {
        fault: ("program", fault),
        error: "activation_failed",
        rolled_back: None,
        runs: "v0",
        profile: "v0 as 1",
        says,
        calls: "v1 check, v1 test",
    };
    let cases = [
        Case {
            fault: ("check", "echo 'the disk layout has changed' >&2; exit 1"),
            error: "check_refused",
            rolled_back: None,
            runs: "v0",
            profile: "v0 as 1",
            says: "the pre-switch check 'stage' failed: the disk layout has changed; nothing was changed",
            calls: "v1 check",
        },
        unchanged("[ $action != test ] || exit 1", "refused to be activated (ended with exit code 1)"),
        unchanged("[ $action != test ] || exit 100", "deploy with boot, then reboot"),
        unchanged(
            "[ $action != test ] || { echo 'Could not acquire lock' >&2; exit 11; }",
            "another activation is running on this host",
        ),
        activation(
            "activate; exit 2",
            "the activation script failed (ended with exit code 2); rolled back to the previous system",
        ),
        activation("activate; exit 3", "systemd could not be reloaded"),
        // A reload that times out ends with this code, after the change.
        activation(
            "activate; exit 1",
            "switch-to-configuration ended with exit code 1; rolled back to the previous system",
        ),
        activation("exit 5", "switch-to-configuration ended with exit code 5"),
        activation("activate; kill -9 $$", "switch-to-configuration was killed by signal 9"),
        Case {
            fault: ("boot", "exit 1"),
            error: "persist_failed",
            rolled_back: Some(true),
            runs: "v0",
            profile: "v0 as 1",
            says: "switch-to-configuration boot ended with exit code 1; rolled back to the previous system",
            calls: "v1 check, v1 test, v1 boot, v0 test, v0 boot",
        },
    ];
    for case in cases {
        let stage = Stage::new();
        let (step, script) = case.fault;
        stage.fault("v1", step, script);
        let report = stage.deploy("j-1", "switch", "v1").final_report();
        let context = format!("{script}: {report}");
        assert_eq!(
            (&report["status"], &report["error"]),
            (&json!("failed"), &json!(case.error)),
            "{context}"
        );
        assert_eq!(report["rolled_back"].as_bool(), case.rolled_back, "{context}");
        assert!(report["message"].as_str().unwrap().contains(case.says), "{context}");
        assert_eq!((stage.runs().as_str(), stage.profile().as_str()), (case.runs, case.profile), "{context}");
        assert_eq!(stage.calls(), case.calls, "{context}");
        let record = &stage.record("j-1")["report"];
        assert_eq!((&record["status"], &record["error"]), (&report["status"], &report["error"]), "{context}");
        // The next deployment works.
        std::fs::remove_file(stage.at(&format!("v1.{step}"))).unwrap();
        let next = stage.deploy("j-2", "switch", "v2").final_report();
        assert_eq!(next["status"], "completed", "{script}: {next}");
        assert_eq!(stage.runs(), "v2");
    }
}

#[test]
fn system_without_the_check_action_is_not_checked() {
    let stage = Stage::new();
    let older =
        "[ $action != check ] || { echo 'Usage: switch-to-configuration [switch|boot|test]' >&2; exit 1; }";
    stage.fault("v1", "program", older);
    assert_eq!(stage.deploy("j-1", "switch", "v1").final_report()["status"], "completed");
}

#[test]
fn units_that_had_failed_before_cause_no_rollback() {
    let stage = Stage::new();
    stage.fault("v1", "test", "activate; exit 4");
    let report = stage.deploy("j-1", "switch", "v1").final_report();
    assert_eq!(report["status"], "completed", "{report}");
    assert_eq!((stage.runs().as_str(), stage.profile().as_str()), ("v1", "v1 as 2"));
}

#[test]
fn output_of_failed_units_does_not_affect_the_result() {
    let stage = Stage::new();
    stage.fault("v1", "test", "activate; echo 'iptables[7]: Could not acquire lock'; exit 4");
    let report = stage.deploy("j-1", "switch", "v1").final_report();
    assert_eq!(report["status"], "completed", "{report}");
    assert_eq!((stage.runs().as_str(), stage.profile().as_str()), ("v1", "v1 as 2"));
}

#[test]
fn failed_rollback_is_reported_with_the_next_step() {
    let stage = Stage::with(|host| host.args(&["--confirm-timeout", "2"]));
    stage.fault("v1", "test", "activate; exit 2");
    stage.fault("v0", "test", "exit 2");
    let report = stage.deploy("j-1", "switch", "v1").final_report();
    assert_eq!(
        (&report["error"], &report["rolled_back"]),
        (&json!("rollback_failed"), &json!(false)),
        "{report}"
    );
    let message = report["message"].as_str().unwrap();
    assert!(
        message.contains("the activation script failed") && message.contains("check the host now"),
        "{message}"
    );
}

#[test]
fn health_check_is_retried_and_rolls_back_if_it_never_succeeds() {
    let checked =
        |check: &str| Stage::with(|host| host.args(&["--health-timeout", "2", "--health-check", check]));
    let stage = checked("echo not yet; false");
    let report = stage.deploy("j-1", "switch", "v1").final_report();
    assert_eq!(report["error"], "verification_failed", "{report}");
    assert_eq!((stage.runs().as_str(), stage.profile().as_str()), ("v0", "v0 as 1"));
    assert!(report["diagnostics"].as_str().unwrap().contains("not yet"));
    let report = stage
        .request("j-2", json!({"action": "test", "revision": "master", "on_failure": "keep"}))
        .final_report();
    assert_eq!(report["status"], "completed", "{report}");
    assert_eq!(stage.runs(), "v1");

    let stage = checked("echo x >> $STAGE/tries; test $(wc -l < $STAGE/tries) -ge 2");
    let report = stage.deploy("j-1", "switch", "v1").final_report();
    assert_eq!(report["status"], "completed", "{report}");
}

#[test]
fn closure_that_is_not_a_system_is_refused() {
    let stage = Stage::new();
    let flake = std::fs::read_to_string(stage.at("flake/flake.nix")).unwrap();
    std::fs::write(
        stage.at("flake/flake.nix"),
        flake.replace("printf %s \"$version\" > $out/nixos-version", ""),
    )
    .unwrap();
    let report = stage.deploy("j-1", "switch", "v1").final_report();
    assert_eq!(report["error"], "check_refused", "{report}");
    let message = report["message"].as_str().unwrap();
    assert!(
        message.contains("is not a NixOS system: it has no nixos-version; nothing was changed"),
        "{message}"
    );
}

#[test]
fn safety_script_of_the_closure_may_refuse() {
    let stage = Stage::new();
    let flake = std::fs::read_to_string(stage.at("flake/flake.nix")).unwrap();
    let script = "printf '#!/bin/sh\\necho unsafe; exit 3' > $out/pre-activate-safety-checks; chmod +x $out/pre-activate-safety-checks\n        printf %s";
    std::fs::write(stage.at("flake/flake.nix"), flake.replace("printf %s", script)).unwrap();
    let report = stage.deploy("j-1", "switch", "v1").final_report();
    assert_eq!(report["error"], "check_refused", "{report}");
    assert!(
        report["message"].as_str().unwrap().contains("the closure's own pre-activate-safety-checks refused"),
        "{report}"
    );
}

#[test]
fn too_little_free_space_is_refused_before_the_build() {
    let stage = Stage::with(|host| host.flag("--min-free", "100000TiB"));
    let report = stage.deploy("j-1", "switch", "v1").final_report();
    assert_eq!(report["error"], "unhealthy", "{report}");
    assert!(
        report["message"]
            .as_str()
            .unwrap()
            .contains("MiB are free on the nix store, but --min-free requires"),
        "{report}"
    );
    assert_eq!(stage.calls(), "");
}
