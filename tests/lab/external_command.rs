//! A rebuild program survives a restart of the listener that started it, and its result is that of the job.

use crate::common::{RawSubscription, eventually};
use crate::harness::{Closure, Fault, Hold, Host, LISTENER, Lab, Point};
use serde_json::{Value, json};
use std::fs;

/// The unit of the program of a job.
const UNIT: &str = "homelab-deploy-rebuild-j-1.service";

/// A program that activates directly, in its own unit.
const DIRECTLY: &str = r#"#!/bin/sh
set -eu
echo '@homelab-deploy {"phase":"build"}'
system=$(nix build --no-link --print-out-paths \
    "${3%%#*}#nixosConfigurations.${3##*#}.config.system.build.toplevel")
nix-env --profile /nix/var/nix/profiles/system --set "$system"
echo "@homelab-deploy {\"phase\":\"activate\",\"system\":\"$system\"}"
"$system/bin/switch-to-configuration" "$1"
echo '@homelab-deploy {"message":"all of it was done"}'
"#;

/// Switches to a system that restarts the listener, and returns every report.
fn replaces_the_listener(program: Option<&str>, next: Closure) -> (Lab, Host, Vec<Value>) {
    let lab = Lab::new();
    let host = lab.boot("web1");
    if let Some(program) = program {
        host.lab_file("rebuild", program);
    }
    let listener = host.unit(LISTENER);
    lab.flake.commit(&next.restarts_listener());
    let story = lab.request("web1", "j-1", &json!({})).all_reports();
    assert_ne!(host.unit(LISTENER).pid, listener.pid);
    assert_eq!(host.record("j-1")["external_command"]["unit"], UNIT);
    (lab, host, story)
}

/// Returns the number of the listener's start that a report is from.
fn start_of(report: &Value) -> u64 {
    report["seq"].as_u64().unwrap() / 1_000_000
}

#[test]
fn switch_that_replaces_the_listener_is_reported_as_completed_by_the_next_one() {
    // The first program activates in a separate unit, as `nixos-rebuild` does.
    for (program, message) in [(None, "switch done"), (Some(DIRECTLY), "all of it was done")] {
        let (_lab, host, story) = replaces_the_listener(program, Closure::new("next"));
        let report = story.last().unwrap();
        assert_eq!(
            (&report["status"], &report["message"]),
            (&json!("completed"), &json!(message)),
            "{report}"
        );
        assert_eq!(report["system"], host.current_system());
        assert!(start_of(report) > start_of(&story[0]), "another start of the service reports it");
        host.assert_result("j-1", report, "next");
        assert_eq!(host.unit(UNIT).active, "inactive");
        assert_eq!(host.failed_units(), [""; 0]);
    }
}

#[test]
fn switch_that_replaces_the_listener_and_fails_is_reported_as_failed_in_its_phase() {
    let (_lab, host, story) =
        replaces_the_listener(Some(DIRECTLY), Closure::new("next").fault(Fault::UnitFails));
    let report = story.last().unwrap();
    assert_eq!(report["error"], "activation_failed", "{report}");
    let message = report["message"].as_str().unwrap();
    assert!(message.contains("/lab/rebuild ended with exit status: 4 in activate"), "{message}");
    assert_eq!(host.label(), "next");
}

/// Starts a job whose program waits in its build while the hold exists.
fn held_in_build(lab: &Lab, host: &Host) -> (Hold, RawSubscription) {
    let hold = host.hold(Point::Build);
    lab.flake.commit(&Closure::new("next").fault(Fault::HoldsAt(Point::Build)));
    let reports = lab.request("web1", "j-1", &json!({}));
    hold.reached();
    assert_eq!(host.unit(UNIT).active, "active");
    (hold, reports)
}

#[test]
fn building_program_is_cancelled_with_all_its_processes() {
    let lab = Lab::new();
    let host = lab.boot("web1");
    let (_hold, reports) = held_in_build(&lab, &host);
    let answer = lab.request("web1", "c-1", &json!({"action": "cancel", "job": "j-1"})).final_report();
    assert_eq!(answer["status"], "completed", "{answer}");
    let report = reports.final_report();
    assert_eq!(report["error"], "cancelled", "{report}");
    host.unit_becomes(UNIT, |unit| unit.active == "inactive");
    assert_eq!(host.label(), "base");
}

#[test]
fn program_whose_unit_is_killed_is_reported_as_interrupted_with_the_reason_of_systemd() {
    let lab = Lab::new();
    let host = lab.boot("web1");
    let (_hold, reports) = held_in_build(&lab, &host);
    host.sh(&format!("systemctl kill --signal=KILL {UNIT}"));
    let report = reports.final_report();
    assert_eq!(report["error"], "interrupted", "{report}");
    let expected = "was killed in build together with its supervisor (Failed with result 'signal'), so its exit status is unknown; ";
    assert!(report["message"].as_str().unwrap().contains(expected), "{report}");
}

#[test]
fn program_has_the_environment_of_the_listener_without_exposing_secrets() {
    let lab = Lab::new();
    let host = lab.boot("web1");
    let word = r#"a "b" $HOME %n \\ `c`"#;
    let drop_in = format!("/etc/systemd/system/{LISTENER}.d");
    host.sh(&format!(
        "mkdir {drop_in}; printf '[Service]\\nEnvironmentFile=/run/word\\n' >{drop_in}/word.conf
         cat >/run/word <<'END'\nLAB_WORD='{word}'\nEND
         systemctl daemon-reload; systemctl restart {LISTENER}"
    ));
    lab.online("web1");
    host.lab_file(
        "rebuild",
        "#!/bin/sh\nprintf 'word: %s.\n' \"$LAB_WORD\"\necho \"socket: ${NOTIFY_SOCKET-none}.\"\nsystemctl show $UNIT >/run/shown\nexit 0\n"
            .replace("$UNIT", UNIT)
            .as_str(),
    );
    let report = lab.request("web1", "j-1", &json!({})).final_report();
    assert_eq!(report["status"], "completed", "{report}");
    let log = fs::read_to_string(host.on_disk("state/jobs/j-1/log")).unwrap();
    assert!(log.contains(&format!("word: {word}.\nsocket: none.\n")), "{log}");
    let shown = host.sh("cat /run/shown");
    assert!(shown.contains("PATH=") && !shown.contains("`c`"), "{shown}");
    let left = host.on_disk("state/jobs/j-1/environment");
    eventually("the environment being removed", || (!left.exists()).then_some(()));
}
