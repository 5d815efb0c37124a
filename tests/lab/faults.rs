//! The effects of a closure's faults on a host that the tables of `switch-to-configuration.md` do not describe. A test
//! of a rollback is meaningful only if its fault has changed something.

use crate::common::{CommandOutput, eventually};
use crate::harness::{Closure, Fault, Host, LISTENER, Lab, Point, STATE_FILLER};

/// A host and its first system, which each test restores.
struct Trial {
    host: Host,
    base: String,
    lab: Lab,
}

impl Trial {
    fn new() -> Self {
        Self::with(Closure::new("base"))
    }

    /// Boots a host whose first system has `web.service`.
    fn with(base: Closure) -> Self {
        let lab = Lab::with(&base.service("web", "sleep 1001"));
        let host = lab.boot("web1");
        let base = host.current_system();
        Self { host, base, lab }
    }

    /// Builds a closure with another `web.service`, and returns the path of its program.
    fn build(&self, closure: Closure) -> String {
        self.lab.flake.commit(&closure.service("web", "sleep 1002"));
        let system = self.host.build(&self.lab.flake).unwrap();
        format!("{system}/bin/switch-to-configuration")
    }

    /// Calls the program of a new system with this fault; it must exit with this code.
    fn ends(&self, fault: Fault, action: &str, code: i32) -> CommandOutput {
        let program = self.build(Closure::new("next").fault(fault));
        let ended = self.host.run(&format!("{program} {action}"));
        assert_eq!(ended.code, code, "{fault:?} {action}: {ended}");
        ended
    }

    /// Calls the program of the first system.
    fn old(&self, action: &str) -> CommandOutput {
        self.host.run(&format!("{}/bin/switch-to-configuration {action}", self.base))
    }

    /// Returns to the first system, as a rollback does.
    fn back(&self) {
        let ended = self.old("test");
        assert_eq!(ended.code, 0, "{ended}");
        assert_eq!(self.host.current_system(), self.base);
        assert_eq!(self.host.failed_units(), [""; 0]);
        assert_eq!(self.host.unit("web.service").active, "active");
        self.lab.online("web1");
    }
}

#[test]
fn closure_with_another_listener_restarts_it() {
    let trial = Trial::new();
    let listener = trial.host.unit(LISTENER);
    let program = trial.build(Closure::new("next").restarts_listener());
    let ended = trial.host.run(&format!("{program} test"));
    assert_eq!(ended.code, 0, "{ended}");
    ended.assert_stderr(&["restarting the following units: homelab-deploy-listener.service\n"]);
    assert_ne!(trial.host.unit(LISTENER).pid, listener.pid);
    trial.back();
}

#[test]
fn failed_build_or_killed_check_changes_nothing() {
    let trial = Trial::new();
    trial.ends(Fault::DiesAt(Point::Check), "check", 137);
    assert_eq!(trial.host.current_system(), trial.base);
    trial.lab.flake.commit(&Closure::new("next").fault(Fault::BuildFails));
    let error = trial.host.build(&trial.lab.flake).unwrap_err();
    assert!(error.contains("the source does not compile"), "{error}");
}

#[test]
fn old_system_repairs_an_interrupted_activation() {
    let trial = Trial::new();
    for (fault, code) in [
        (Fault::DiesAt(Point::Activate), 2),
        (Fault::UnitFails, 4),
        (Fault::ListenerBroken, 4),
        (Fault::DiesAt(Point::Units), 137),
        (Fault::ReloadTimesOut, 1),
        (Fault::DbusDies, 1),
    ] {
        trial.ends(fault, "test", code);
        if fault == Fault::UnitFails {
            assert_eq!(trial.host.failed_units(), ["broken.service"]);
            assert!(trial.host.journal("broken.service").contains("cannot work"));
        }
        trial.back();
    }
}

#[test]
fn check_of_the_old_system_refuses_a_rollback_unless_it_is_skipped() {
    let trial = Trial::with(Closure::new("base").fault(Fault::CheckRefusesRollback));
    assert_eq!(trial.old("check").code, 0);
    let program = trial.build(Closure::new("next"));
    trial.host.sh(&format!("{program} test"));
    let refused = trial.old("test");
    assert_eq!(refused.code, 1);
    refused.assert_stderr(&[
        "the network is away\nPre-switch check 'network' failed\nPre-switch checks failed\n",
    ]);
    assert_eq!(trial.host.label(), "next");
    trial.host.sh(&format!("NIXOS_NO_CHECK=1 {}/bin/switch-to-configuration test", trial.base));
    assert_eq!(trial.old("check").code, 0);
    trial.back();
}

#[test]
fn without_d_bus_no_system_is_activated_until_the_next_boot() {
    let mut trial = Trial::new();
    trial.ends(Fault::DbusGone, "test", 1);
    let refused = trial.old("test");
    assert_eq!(refused.code, 1);
    refused.assert_stderr(&["Error: Failed to open dbus connection\n"]);
    assert_eq!(trial.host.unit("web.service").active, "inactive");
    trial.host.power_off();
    trial.host.boot_again();
    trial.lab.online("web1");
    trial.back();
}

#[test]
fn without_logind_stopped_units_stay_stopped_until_the_next_boot() {
    let mut trial = Trial::new();
    trial.ends(Fault::LogindAway, "test", 11);
    assert_eq!(trial.old("test").code, 11);
    assert_eq!(trial.host.current_system(), trial.base);
    assert_eq!(trial.host.unit("web.service").active, "inactive");
    trial.host.power_off();
    trial.host.boot_again();
    trial.lab.online("web1");
    trial.back();
}

#[test]
fn hanging_user_manager_keeps_units_stopped() {
    let trial = Trial::new();
    let program = trial.build(Closure::new("next").fault(Fault::UserUnitsHang));
    trial.host.sh(&format!("systemd-run --quiet --unit=stuck {program} test"));
    let stuck = || trial.host.journal("stuck").contains("reloading user units for alice...").then_some(());
    eventually("the program reaching the user", stuck);
    assert_eq!(trial.host.unit("web.service").active, "inactive");
    trial.host.sh("systemctl kill --signal=KILL stuck.service; systemctl reset-failed stuck.service || :");
    trial.back();
}

#[test]
fn crash_loop_continues_in_a_system_that_had_it_before() {
    let trial = Trial::with(Closure::new("base").fault(Fault::CrashLoop(10)).fault(Fault::UnitFailsAlways));
    let looping = || trial.host.unit_becomes("looping.service", |unit| unit.sub == "auto-restart");
    looping();
    assert_eq!(trial.host.failed_units(), ["chronic.service"]);
    let next = Closure::new("next").fault(Fault::CrashLoop(10)).fault(Fault::UnitFailsAlways);
    let program = trial.build(next);
    let ended = trial.host.run(&format!("{program} test"));
    assert_eq!(ended.code, 4, "{ended}");
    ended.assert_stderr(&["warning: the following units failed: chronic.service"]);
    looping();
}

#[test]
fn activation_can_fill_the_disk_of_the_state_directory() {
    let lab = Lab::with(&Closure::new("base").service("web", "sleep 1001"));
    let host = lab.host("web1").disk(64).boot();
    lab.online("web1");
    lab.flake.commit(&Closure::new("next").fault(Fault::FillsState));
    let system = host.build(&lab.flake).unwrap();
    host.sh(&format!("{system}/bin/switch-to-configuration test"));
    let full = host.run("cp /bin/true /var/lib/homelab-deploy/more");
    assert!(full.stderr.contains("No space left on device"), "{full}");
    host.sh(&format!("rm {STATE_FILLER} && cp /bin/true /var/lib/homelab-deploy/more"));
}

#[test]
fn faults_that_only_a_confirmation_finds() {
    let trial = Trial::new();
    trial.ends(Fault::CutsNetwork, "test", 0);
    assert_ne!(trial.host.run(&trial.lab.connect_command()).code, 0);
    trial.back();

    trial.ends(Fault::LateCut(3), "test", 0);
    trial.host.sh(&trial.lab.connect_command());
    eventually("the link going down", || {
        (trial.host.run(&trial.lab.connect_command()).code != 0).then_some(())
    });
    trial.back();
    // If the old system is restored in time, the link stays up.
    trial.ends(Fault::LateCut(600), "test", 0);
    trial.back();
    assert_eq!(trial.host.unit("lab-late-cut.timer").active, "inactive");

    trial.ends(Fault::KeyRefused, "test", 0);
    trial.host.sh(&format!("systemctl restart {LISTENER}"));
    let refused = || trial.host.journal(LISTENER).contains("the server refused the key").then_some(());
    eventually("the NATS server refusing the key", refused);
    trial.host.sh(&format!("{}/bin/switch-to-configuration test", trial.base));
    trial.host.sh(&format!("systemctl restart {LISTENER}"));
    trial.back();

    trial.ends(Fault::ListenerGone, "test", 0);
    trial.lab.online("web1");
    trial.back();
}

#[test]
fn hold_stops_the_host_at_its_point() {
    let trial = Trial::new();
    let hold = trial.host.hold(Point::Units);
    let program = trial.build(Closure::new("next").fault(Fault::HoldsAt(Point::Units)));
    trial.host.sh(&format!("systemd-run --unit=held --quiet {program} test"));
    hold.reached();
    assert_eq!(trial.host.unit("held.service").active, "active");
    let busy = trial.old("test");
    assert_eq!(busy.code, 11);
    busy.assert_stderr(&["Could not acquire lock"]);
    hold.pass();
    trial.host.unit_becomes("held.service", |unit| unit.active == "inactive");

    let program = trial.build(Closure::new("stuck").fault(Fault::HangsAt(Point::Activate)));
    trial.host.sh(&format!("systemd-run --unit=stuck --quiet {program} test"));
    trial.host.unit_becomes("stuck.service", |unit| unit.active == "active");
    trial.host.sh("systemctl kill --signal=KILL stuck.service");
    trial.back();
}
