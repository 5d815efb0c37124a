//! The listener, or the activation program, killed with SIGKILL in each phase: the same verdict as without, or rolled
//! back where the proof of life was lost.

use crate::harness::{Closure, Fault, Host, Lab, Point};
use serde_json::{Value, json};

/// Every phase that can be held, and what becomes of a switch where its activation program dies there.
const POINTS: [(Point, bool); 5] = [
    (Point::Build, true),
    (Point::Check, true),
    (Point::Activate, false),
    (Point::Units, false),
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
    let lab = Lab::deploying(&[]);
    let host = lab.boot("web1");
    let hold = host.hold(point);
    let next = Closure::new("next").service("web", "sleep 1002").fault(Fault::HoldsAt(point));
    lab.flake.commit(&next);
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
        assert_eq!(host.label(), "next", "{point:?}");
        assert_eq!(
            (host.system_profile(), host.boot_default()),
            (host.current_system(), host.current_system()),
            "{point:?}"
        );
        assert_eq!(host.record("j-1")["report"]["status"], "completed", "{point:?}");
    }
}

#[test]
fn a_killed_activation_goes_on_or_goes_back() {
    for (point, completes) in POINTS.into_iter().skip(2) {
        let (lab, host, report) = killed_at(point, kill_program);
        if completes {
            assert_eq!(report["status"], "completed", "{point:?}: {report}");
            assert_eq!(
                (host.label().as_str(), host.system_profile()),
                ("next", host.current_system()),
                "{point:?}"
            );
        } else {
            let ended = (&report["error"], &report["rolled_back"]);
            assert_eq!(ended, (&json!("activation_failed"), &json!(true)), "{point:?}: {report}");
            assert_eq!(
                (host.label().as_str(), host.system_profile()),
                ("base", host.current_system()),
                "{point:?}"
            );
            assert_eq!(host.generations().len(), 1, "{point:?}");
        }
        lab.flake.commit(&Closure::new("after"));
        let next = lab.request("web1", "j-2", &json!({})).verdict();
        assert_eq!(next["status"], "completed", "{point:?}: {next}");
        assert_eq!(host.label(), "after");
    }
}
