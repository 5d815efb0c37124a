//! The closures of the lab behave as those of NixOS: the words and exit codes of `switch-to-configuration`, and each
//! fault. Whoever proves a rollback must know that there was something to roll back.

use crate::common::{Ended, eventually};
use crate::harness::{Closure, Fault, Host, LISTENER, Lab, Point};

/// A host and its first system, which each trial goes back to.
struct Trial {
    host: Host,
    base: String,
    lab: Lab,
}

impl Trial {
    fn new() -> Self {
        let lab = Lab::with(&Closure::new("base").service("web", "sleep infinity"));
        let host = lab.boot("web1");
        let base = host.current_system();
        Self { host, base, lab }
    }

    /// Builds a closure and calls its `switch-to-configuration`.
    fn call(&self, closure: Closure, action: &str) -> Ended {
        self.lab.flake.commit(&closure.service("web", "sleep infinity"));
        let system = self.host.build(&self.lab.flake).unwrap();
        self.host.run(&format!("{system}/bin/switch-to-configuration {action}"))
    }

    /// The same with a fault; it must end with this code.
    fn ends(&self, fault: Fault, action: &str, code: i32) {
        let ended = self.call(Closure::new("next").fault(fault), action);
        assert_eq!(ended.code, code, "{fault:?} {action}: {ended}");
    }

    /// Goes back to the first system, as a rollback does.
    fn back(&self) {
        self.host.sh(&format!("{}/bin/switch-to-configuration test", self.base));
        assert_eq!(self.host.current_system(), self.base);
        assert_eq!(self.host.failed_units(), [""; 0]);
        assert_eq!(self.host.unit("web.service").active, "active");
        self.lab.online("web1");
    }
}

#[test]
fn a_sound_closure_does_what_is_asked() {
    let trial = Trial::new();
    let next = || Closure::new("next").service("new", "sleep infinity").restarts_listener();
    let listener = trial.host.unit(LISTENER);

    let ended = trial.call(next(), "dry-activate");
    assert_eq!(ended.code, 0, "{ended}");
    ended.complains(&[
        "would activate the configuration...",
        "would restart the following units: homelab-deploy-listener.service\n",
    ]);
    assert_eq!(trial.call(next(), "check").code, 0);
    assert_eq!(trial.call(next(), "boot").code, 0);
    assert_eq!((trial.host.label(), trial.host.boot_default()), ("base".into(), trial.base.clone()));

    let ended = trial.call(next(), "test");
    assert_eq!(ended.code, 0, "{ended}");
    ended.complains(&[
        "activating the configuration...",
        "restarting the following units: homelab-deploy-listener.service\n",
        "the following new units were started: new.service\n",
    ]);
    assert_eq!((trial.host.label(), trial.host.boot_default()), ("next".into(), trial.base.clone()));
    assert_ne!(trial.host.unit(LISTENER).pid, listener.pid);
    assert_eq!(trial.host.unit("new.service").active, "active");
    trial.back();
    assert_eq!(trial.host.unit("new.service").active, "inactive");

    let ended = trial.call(next(), "nonsense");
    assert_eq!(ended.code, 1);
    ended.complains(&["Usage: switch-to-configuration ["]);
}

#[test]
fn what_is_refused_changes_nothing() {
    let trial = Trial::new();
    for (fault, action, code) in [
        (Fault::CheckRefuses, "check", 1),
        (Fault::CheckRefuses, "test", 1),
        (Fault::CheckUnknown, "check", 1),
        (Fault::Locked, "test", 1),
        (Fault::NeedsReboot, "check", 0),
        (Fault::NeedsReboot, "test", 100),
        (Fault::DiesAt(Point::Check), "check", 137),
    ] {
        trial.ends(fault, action, code);
        assert_eq!(trial.host.current_system(), trial.base, "{fault:?} {action}");
    }
    trial.ends(Fault::CheckUnknown, "test", 0);
    trial.back();

    trial.lab.flake.commit(&Closure::new("next").fault(Fault::BuildFails));
    let error = trial.host.build(&trial.lab.flake).unwrap_err();
    assert!(error.contains("the source does not compile"), "{error}");
}

#[test]
fn what_fails_half_way_is_mended_by_the_old_system() {
    let trial = Trial::new();
    for (fault, code) in [
        (Fault::ActivationFails, 2),
        (Fault::DiesAt(Point::Activate), 2),
        (Fault::ReloadFails, 3),
        (Fault::UnitFails, 4),
        (Fault::ListenerBroken, 4),
        (Fault::DiesAt(Point::Reload), 137),
        (Fault::DiesAt(Point::Units), 137),
    ] {
        trial.ends(fault, "test", code);
        if fault == Fault::UnitFails {
            assert_eq!(trial.host.failed_units(), ["broken.service"]);
            assert!(trial.host.journal("broken.service").contains("cannot work"));
        }
        trial.back();
    }
    trial.ends(Fault::UnitFlaps, "test", 0);
    trial.host.unit_becomes("flapping.service", |unit| unit.restarts >= 2);
    trial.back();
}

#[test]
fn faults_that_only_a_proof_of_life_finds() {
    let trial = Trial::new();
    trial.ends(Fault::CutsNetwork, "test", 0);
    assert_ne!(trial.host.run(&trial.lab.knock()).code, 0);
    trial.back();

    trial.ends(Fault::KeyRefused, "test", 0);
    trial.host.sh(&format!("systemctl restart {LISTENER}"));
    let refused = || trial.host.journal(LISTENER).contains("authorization violation").then_some(());
    eventually("the broker refusing the key", refused);
    trial.host.sh(&format!("{}/bin/switch-to-configuration test", trial.base));
    trial.host.sh(&format!("systemctl restart {LISTENER}"));
    trial.back();

    trial.ends(Fault::ListenerGone, "test", 0);
    trial.lab.online("web1");
    trial.back();
}

#[test]
fn a_hold_stops_the_host_at_its_point() {
    let trial = Trial::new();
    let hold = trial.host.hold(Point::Units);
    trial.lab.flake.commit(&Closure::new("next").fault(Fault::HoldsAt(Point::Units)));
    let system = trial.host.build(&trial.lab.flake).unwrap();
    let call = format!("systemd-run --unit=held --quiet {system}/bin/switch-to-configuration test");
    trial.host.sh(&call);
    hold.reached();
    assert_eq!(trial.host.unit("held.service").active, "active");
    let ended = trial.host.run(&format!("{}/bin/switch-to-configuration test", trial.base));
    assert_eq!(ended.code, 1);
    ended.complains(&["Could not acquire lock"]);
    hold.pass();
    trial.host.unit_becomes("held.service", |unit| unit.active == "inactive");

    trial.lab.flake.commit(&Closure::new("stuck").fault(Fault::HangsAt(Point::Activate)));
    let system = trial.host.build(&trial.lab.flake).unwrap();
    trial.host.sh(&format!("systemd-run --unit=stuck --quiet {system}/bin/switch-to-configuration test"));
    trial.host.unit_becomes("stuck.service", |unit| unit.active == "active");
    trial.host.sh("systemctl kill --signal=KILL stuck.service");
    trial.back();
}
