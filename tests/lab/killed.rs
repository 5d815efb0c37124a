//! The listener, or the activation program, killed with SIGKILL in each phase: the same verdict as without, or rolled
//! back where the proof of life was lost.

use crate::harness::{Closure, Fault, Host, Lab, Point, WAITING_CHECK};
use serde_json::{Value, json};

/// Every phase that can be held, and what becomes of a switch where its activation program dies there.
const POINTS: [(Point, bool); 6] = [
    (Point::Build, true),
    (Point::Check, true),
    (Point::Activate, false),
    (Point::Units, false),
    (Point::Verify, true),
    (Point::Boot, true),
];

fn kill_listener(host: &Host) {
    host.sh("systemctl kill --signal=KILL --kill-whom=main homelab-deploy-listener.service");
}

/// Kills the program alone; its unit then recovers.
fn kill_program(host: &Host) {
    host.sh("systemctl kill --signal=KILL --kill-whom=main 'homelab-deploy-activation-*'");
}

/// Switches to `next`, does something to the host while it is held, and gives the verdict.
fn killed_at(point: Point, kill: fn(&Host)) -> (Lab, Host, Value) {
    let lab = Lab::deploying(&[&format!("--health-check '{WAITING_CHECK}'")]);
    let host = lab.boot("web1");
    // What was wrong before counts for nothing, whoever takes the job up.
    host.run("systemd-run --unit=trouble.service --remain-after-exit false");
    host.unit_becomes("trouble.service", |unit| unit.active == "failed");
    let hold = host.hold(point);
    let next = Closure::new("next").service("web", "sleep 1002");
    lab.flake.commit(&if point == Point::Verify { next } else { next.fault(Fault::HoldsAt(point)) });
    let reports = lab.request("web1", "j-1", &json!({}));
    hold.reached();
    kill(&host);
    // For whoever was left alone, and for whoever comes to do it again: the hold is over.
    hold.pass();
    drop(hold);
    let report = reports.verdict();
    (lab, host, report)
}

#[test]
fn a_killed_listener_changes_no_verdict() {
    for (point, _) in POINTS {
        let (_lab, host, report) = killed_at(point, kill_listener);
        assert_eq!(report["status"], "completed", "{point:?}: {report}");
        host.ended("j-1", &report, "next");
    }
}

#[test]
fn a_killed_activation_goes_on_or_goes_back() {
    for (point, completes) in POINTS.into_iter().skip(2) {
        let (lab, host, report) = killed_at(point, kill_program);
        if completes {
            assert_eq!(report["status"], "completed", "{point:?}: {report}");
            host.ended("j-1", &report, "next");
        } else {
            let ended = (&report["error"], &report["rolled_back"]);
            assert_eq!(ended, (&json!("activation_failed"), &json!(true)), "{point:?}: {report}");
            host.ended("j-1", &report, "base");
            assert_eq!(host.generations().len(), 1, "{point:?}");
        }
        lab.flake.commit(&Closure::new("after"));
        let next = lab.request("web1", "j-2", &json!({})).verdict();
        assert_eq!(next["status"], "completed", "{point:?}: {next}");
        host.ended("j-2", &next, "after");
    }
}

#[test]
fn a_way_back_is_gone_to_its_end_whoever_is_killed_on_it() {
    for kill in [kill_listener, kill_program] {
        let base = Closure::new("base").fault(Fault::HoldsAt(Point::Reload));
        let lab = Lab::listening(&["--min-free 16MiB"], &base);
        let host = lab.boot("web1");
        lab.flake.commit(&Closure::new("bad").fault(Fault::ReloadFails));
        let hold = host.hold(Point::Reload);
        let reports = lab.request("web1", "j-1", &json!({}));
        hold.reached();
        assert_eq!(host.record("j-1")["report"]["phases"][6]["name"], "rollback");
        kill(&host);
        hold.pass();
        drop(hold);
        let report = reports.verdict();
        let ended = (&report["error"], &report["rolled_back"]);
        assert_eq!(ended, (&json!("activation_failed"), &json!(true)), "{report}");
        assert!(report["message"].as_str().unwrap().contains("systemd could not be reloaded"), "{report}");
        host.ended("j-1", &report, "base");
    }
}

#[test]
fn a_listener_that_died_meanwhile_and_came_back_as_it_was_proves_nothing() {
    let lab = Lab::deploying(&["--confirm-timeout 8"]);
    let host = lab.boot("web1");
    let hold = host.hold(Point::Activate);
    // Its unit stays as it is: only a new start takes up the key.
    let bad = Closure::new("bad").fault(Fault::HoldsAt(Point::Activate)).fault(Fault::KeyRefused);
    lab.flake.commit(&bad);
    let reports = lab.request("web1", "j-1", &json!({}));
    hold.reached();
    kill_listener(&host);
    // With the key of before.
    lab.online("web1");
    hold.pass();
    let report = reports.verdict();
    let ended = (&report["error"], &report["rolled_back"]);
    assert_eq!(ended, (&json!("verification_failed"), &json!(true)), "{report}");
    host.ended("j-1", &report, "base");
}

#[test]
fn an_activation_has_a_unit_of_its_own_that_is_not_hurried() {
    let lab = Lab::deploying(&[]);
    let host = lab.boot("web1");
    let hold = host.hold(Point::Activate);
    lab.flake.commit(&Closure::new("next").fault(Fault::HoldsAt(Point::Activate)));
    let reports = lab.request("web1", "j-1", &json!({}));
    hold.reached();
    let unit = "homelab-deploy-activation-j-1.service";
    assert_eq!(host.record("j-1")["unit"], unit);
    let properties = "RuntimeMaxUSec,TimeoutStopUSec,StandardOutput,ExecStopPost";
    let shown = host.sh(&format!("systemctl show --property {properties} {unit}"));
    for expected in [
        "RuntimeMaxUSec=infinity",
        // The recovery is started in a unit of its own, so stopping takes no longer than for any other.
        "TimeoutStopUSec=1min 30s",
        // What cannot be opened would keep the recovery from starting.
        "StandardOutput=journal",
        "activation recover --state-dir /var/lib/homelab-deploy j-1",
    ] {
        assert!(shown.contains(expected), "{expected}\n{shown}");
    }
    let pid = host.unit(unit).pid;
    assert_eq!(host.sh(&format!("readlink /proc/{pid}/cwd")), "/");
    // What was set aside for its output.
    assert!(
        host.sh("stat --format '%b' /var/lib/homelab-deploy/jobs/j-1/log").parse::<u64>().unwrap() >= 2048
    );
    hold.pass();
    let report = reports.verdict();
    assert_eq!(report["status"], "completed", "{report}");
    host.ended("j-1", &report, "next");
}
