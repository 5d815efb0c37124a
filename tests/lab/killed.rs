//! The listener or the worker killed with SIGKILL in each phase: the result is the same as without the kill, or a
//! rollback if the confirmation was lost.

use crate::harness::{Closure, Fault, Host, Lab, Point, WAITING_CHECK};
use serde_json::{Value, json};

/// Every phase that can be held, and the result of a switch whose worker dies in it.
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

/// Kills the worker alone; its unit then starts a recovery.
fn kill_worker(host: &Host) {
    host.sh("systemctl kill --signal=KILL --kill-whom=main 'homelab-deploy-activation-*'");
}

/// Switches to `next`, does something to the host while it is held, and returns the final report.
fn killed_at(point: Point, kill: fn(&Host)) -> (Lab, Host, Value) {
    let lab = Lab::deploying(&[&format!("--health-check '{WAITING_CHECK}'")]);
    let host = lab.boot("web1");
    // A unit that had failed before must not affect the result of a resumed job.
    host.run("systemd-run --unit=trouble.service --remain-after-exit false");
    host.unit_becomes("trouble.service", |unit| unit.active == "failed");
    let hold = host.hold(point);
    let next = Closure::new("next").service("web", "sleep 1002");
    lab.flake.commit(&if point == Point::Verify { next } else { next.fault(Fault::HoldsAt(point)) });
    let reports = lab.request("web1", "j-1", &json!({}));
    hold.reached();
    kill(&host);
    // Releases the orphaned process and the one of the recovery, because the hold ends here.
    hold.pass();
    drop(hold);
    let report = reports.final_report();
    (lab, host, report)
}

#[test]
fn killed_listener_does_not_change_the_result() {
    for (point, _) in POINTS {
        let (_lab, host, report) = killed_at(point, kill_listener);
        assert_eq!(report["status"], "completed", "{point:?}: {report}");
        host.assert_result("j-1", &report, "next");
    }
}

#[test]
fn job_of_a_killed_worker_is_resumed_or_rolled_back() {
    for (point, completes) in POINTS.into_iter().skip(2) {
        let (lab, host, report) = killed_at(point, kill_worker);
        if completes {
            assert_eq!(report["status"], "completed", "{point:?}: {report}");
            host.assert_result("j-1", &report, "next");
        } else {
            let ended = (&report["error"], &report["rolled_back"]);
            assert_eq!(ended, (&json!("activation_failed"), &json!(true)), "{point:?}: {report}");
            host.assert_result("j-1", &report, "base");
            assert_eq!(host.generations().len(), 1, "{point:?}");
        }
        lab.flake.commit(&Closure::new("after"));
        let next = lab.request("web1", "j-2", &json!({})).final_report();
        assert_eq!(next["status"], "completed", "{point:?}: {next}");
        host.assert_result("j-2", &next, "after");
    }
}

#[test]
fn rollback_finishes_if_the_listener_or_the_worker_is_killed() {
    for kill in [kill_listener, kill_worker] {
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
        let report = reports.final_report();
        let ended = (&report["error"], &report["rolled_back"]);
        assert_eq!(ended, (&json!("activation_failed"), &json!(true)), "{report}");
        assert!(report["message"].as_str().unwrap().contains("systemd could not be reloaded"), "{report}");
        host.assert_result("j-1", &report, "base");
    }
}

#[test]
fn listener_that_restarted_unchanged_does_not_confirm() {
    let lab = Lab::deploying(&["--confirm-timeout 8"]);
    let host = lab.boot("web1");
    let hold = host.hold(Point::Activate);
    // The unit itself is unchanged, so only a new start reads the new key.
    let bad = Closure::new("bad").fault(Fault::HoldsAt(Point::Activate)).fault(Fault::KeyRefused);
    lab.flake.commit(&bad);
    let reports = lab.request("web1", "j-1", &json!({}));
    hold.reached();
    kill_listener(&host);
    // This start still uses the old key.
    lab.online("web1");
    hold.pass();
    let report = reports.final_report();
    let ended = (&report["error"], &report["rolled_back"]);
    assert_eq!(ended, (&json!("verification_failed"), &json!(true)), "{report}");
    host.assert_result("j-1", &report, "base");
}

#[test]
fn activation_has_a_separate_unit_without_a_time_limit() {
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
        // The recovery runs in a separate unit, so stopping this one needs no longer timeout.
        "TimeoutStopUSec=1min 30s",
        // A log file that cannot be opened would prevent the start of the recovery.
        "StandardOutput=journal",
        "activation recover --state-dir /var/lib/homelab-deploy j-1",
    ] {
        assert!(shown.contains(expected), "{expected}\n{shown}");
    }
    let pid = host.unit(unit).pid;
    assert_eq!(host.sh(&format!("readlink /proc/{pid}/cwd")), "/");
    // The space that was preallocated for the log.
    assert!(
        host.sh("stat --format '%b' /var/lib/homelab-deploy/jobs/j-1/log").parse::<u64>().unwrap() >= 2048
    );
    hold.pass();
    let report = reports.final_report();
    assert_eq!(report["status"], "completed", "{report}");
    host.assert_result("j-1", &report, "next");
}
