//! The `switch-to-configuration` of the lab's closures behaves as `switch-to-configuration.md` describes the one of
//! NixOS: a test for each row of its tables.

use crate::harness::{Closure, Fault, Host, Lab, Point, UNLOCK};
use crate::switch_table::{Row, rows};
use std::collections::BTreeSet;

/// How a host is brought into a situation.
struct Situation {
    /// The new system.
    next: Closure,
    /// Another system, whose program is called with this action before the new system is built.
    first: Option<(Closure, &'static str)>,
    /// Shell that runs before the call, and the environment of the call.
    before: &'static str,
    environment: &'static str,
    /// Shell that must succeed afterwards, and that undoes the situation.
    after: &'static str,
}

const DBUS_GONE: &str =
    "systemctl mask --runtime --quiet dbus.socket dbus.service; systemctl stop dbus.socket dbus.service";
const DBUS_BACK: &str =
    "systemctl unmask --runtime --quiet dbus.socket dbus.service; systemctl start dbus.socket";
/// Waits until the lock is held.
const LOCKED: &str =
    "while flock --nonblock /run/nixos/switch-to-configuration.lock true; do sleep 0.05; done";

/// Formats a unit with these settings in each section.
fn text(unit: &str, service: &str) -> String {
    format!("[Unit]\n{unit}\n\n[Service]\nType=exec\nExecReload=true\n{service}\n")
}

/// A system with the units that the situations change.
fn system(label: &str) -> Closure {
    let service = |settings: &str| text("", &format!("ExecStart=sleep infinity\n{settings}"));
    Closure::new(label)
        .unit("web.service", &service(""))
        .unit("refused.service", &service(""))
        .unit("in-place.service", &service("X-StopIfChanged=false"))
        .unit("reloaded.service", &service("X-ReloadIfChanged=true"))
        .unit("left.service", &service("X-RestartIfChanged=false"))
        .unit("triggered.service", &triggered("one"))
        .unit("misplaced.service", &misplaced("infinity"))
        .unit("on-demand.service", &service(""))
        .unit("on-demand.socket", "[Socket]\nListenStream=/run/on-demand.socket\n")
        .fault(Fault::ReloadRefused)
}

fn triggered(trigger: &str) -> String {
    text(&format!("X-Reload-Triggers={trigger}"), "ExecStart=sleep infinity")
}

fn misplaced(time: &str) -> String {
    text("X-RestartIfChanged=false", &format!("ExecStart=sleep {time}"))
}

/// The new system without changes.
fn next() -> Closure {
    system("base").named("next")
}

/// The new system with another command of one service.
fn changed(name: &str, settings: &str) -> Closure {
    next().unit(&format!("{name}.service"), &text("", &format!("ExecStart=sleep 1002\n{settings}")))
}

fn with(next: Closure) -> Situation {
    Situation { next, first: None, before: "", environment: "", after: "" }
}

fn faulty(fault: Fault) -> Situation {
    with(next().fault(fault))
}

type Make = fn() -> Situation;

const SITUATIONS: &[(&str, Make)] = &[
    ("the action is unknown", || with(next())),
    ("no fault", || with(next())),
    ("nothing changed", || with(next())),
    ("a check refuses", || faulty(Fault::CheckRefuses)),
    ("a check refuses on standard output", || with(next().fault(Fault::CheckRefuses).checks_on_stdout())),
    ("a check refuses, with `NIXOS_NO_CHECK=1`", || Situation {
        environment: "NIXOS_NO_CHECK=1",
        ..faulty(Fault::CheckRefuses)
    }),
    ("only a boot can activate it", || faulty(Fault::Inhibited)),
    ("the lock is held", || Situation {
        first: Some((next().fault(Fault::Locked), "check")),
        before: LOCKED,
        after: UNLOCK,
        ..with(next())
    }),
    ("the boot loader fails", || faulty(Fault::BootLoaderFails)),
    ("another init", || faulty(Fault::NeedsReboot)),
    ("D-Bus is missing", || Situation { before: DBUS_GONE, after: DBUS_BACK, ..with(changed("web", "")) }),
    ("a service changed", || with(changed("web", ""))),
    ("a drop-in changed", || {
        Situation {
        before: "mkdir /etc/systemd/system/web.service.d
            printf '[Service]\\nEnvironment=A=b\\n' >/etc/systemd/system/web.service.d/a.conf; systemctl daemon-reload",
        after: "rm -r /etc/systemd/system/web.service.d; systemctl daemon-reload; systemctl is-active web.service",
        ..with(next())
    }
    }),
    ("a service is new", || with(next().service("new", "sleep infinity"))),
    ("a service is gone", || Situation {
        after: "! systemctl is-active web.service",
        ..with(next().without("etc/systemd/system/web.service"))
    }),
    ("a service is restarted in place", || with(changed("in-place", "X-StopIfChanged=false"))),
    ("a service is reloaded", || with(changed("reloaded", "X-ReloadIfChanged=true"))),
    ("a reload trigger changed", || with(next().unit("triggered.service", &triggered("two")))),
    ("a service is left alone", || with(changed("left", "X-RestartIfChanged=false"))),
    ("an `X-` key is in the wrong section", || with(next().unit("misplaced.service", &misplaced("1002")))),
    ("only a description changed", || {
        with(next().unit("web.service", &text("Description=The web", "ExecStart=sleep infinity")))
    }),
    ("the socket of a service is active", || with(changed("on-demand", ""))),
    ("a snippet of the activation script fails", || faulty(Fault::ActivationFails)),
    ("the activation script ends early", || faulty(Fault::ActivationExits)),
    ("a snippet of the activation script fails, and a unit as always", || {
        with(next().fault(Fault::ActivationFails).fault(Fault::UnitFailsAlways))
    }),
    ("the activation script ends early, and a unit fails as always", || {
        with(next().fault(Fault::ActivationExits).fault(Fault::UnitFailsAlways))
    }),
    ("a unit fails as always", || faulty(Fault::UnitFailsAlways)),
    ("a new unit fails", || faulty(Fault::UnitFails)),
    ("a changed unit fails", || {
        with(next().unit("web.service", "[Service]\nType=oneshot\nExecStart=/bin/false\n"))
    }),
    ("a changed unit cannot be read", || {
        let continued = "ExecStart=sleep \\\n  infinity";
        Situation {
            after: "systemctl is-active web.service",
            ..with(next().unit("web.service", &text("", continued)))
        }
    }),
    ("systemd refuses a changed unit", || Situation {
        after: "! systemctl is-active refused.service",
        ..faulty(Fault::BadUnitSetting)
    }),
    ("a reload fails", || Situation {
        after: "systemctl is-active reloads.service",
        ..faulty(Fault::ReloadRefused)
    }),
    ("a unit fails repeatedly", || Situation {
        after: "systemctl is-failed looping.service || [ \"$(systemctl show -P SubState looping)\" = auto-restart ]",
        ..faulty(Fault::CrashLoop(30))
    }),
    ("a unit fails after the program has ended", || Situation {
        after: "until [ \"$(systemctl show -P NRestarts flapping)\" -ge 2 ]; do sleep 0.1; done",
        ..faulty(Fault::UnitFlaps)
    }),
    ("a unit is slow to start", || Situation {
        after: "systemctl is-active slow.service",
        ..faulty(Fault::SlowUnit(3))
    }),
    ("a user's units fail", || faulty(Fault::UserUnitsFail)),
    ("systemd does not finish its reload", || with(changed("web", "").fault(Fault::ReloadTimesOut))),
    ("D-Bus dies after units were stopped", || Situation {
        after: "grep -qx web.service /run/nixos/start-list && ! systemctl is-active web.service",
        ..with(changed("web", "").fault(Fault::DbusDies))
    }),
    ("D-Bus dies after units were stopped, and the next run", || Situation {
        first: Some((changed("web", "").fault(Fault::DbusDies), "test")),
        after: "[ ! -e /run/nixos/start-list ] && systemctl is-active web.service",
        ..with(next())
    }),
    ("logind is missing", || Situation {
        after: "rm /run/lab-logind-away; grep -qx web.service /run/nixos/start-list && ! systemctl is-active web.service",
        ..with(changed("web", "").fault(Fault::LogindAway))
    }),
    ("the program is killed", || faulty(Fault::DiesAt(Point::Reload))),
    ("Perl: the action check is unknown", || faulty(Fault::CheckUnknown)),
    ("Perl: nothing changed", || faulty(Fault::CheckUnknown)),
    ("Perl: the boot loader fails", || with(next().perl().fault(Fault::BootLoaderFails))),
    ("Perl: a snippet of the activation script fails", || with(next().perl().fault(Fault::ActivationFails))),
    ("Perl: systemd cannot reload", || faulty(Fault::ReloadFails)),
    ("Perl: systemd cannot reload, and a unit fails as always", || {
        Situation {
        // A unit that systemd knows already, because it does not learn of the units of the new system.
        before: "systemd-run --quiet --collect --unit=chronic --property=Restart=always --property=RestartSec=60 false
            until [ \"$(systemctl show -P SubState chronic)\" = auto-restart ]; do sleep 0.05; done",
        after: "systemctl stop chronic.service",
        ..faulty(Fault::ReloadFails)
    }
    }),
    ("Perl: the lock is held for a while", || {
        Situation {
        before: "systemd-run --quiet --collect --unit=lab-locked flock /run/nixos/switch-to-configuration.lock sleep 2
            while flock --nonblock /run/nixos/switch-to-configuration.lock true; do sleep 0.05; done",
        after: "! systemctl is-active lab-locked.service",
        ..faulty(Fault::CheckUnknown)
    }
    }),
];

#[test]
fn every_row_has_one_situation() {
    let rows = rows();
    let rows: BTreeSet<_> = rows.iter().map(|row| row.situation).collect();
    let trials: BTreeSet<_> = SITUATIONS.iter().map(|(name, _)| *name).collect();
    assert_eq!(rows, trials);
    assert_eq!(trials.len(), SITUATIONS.len(), "duplicate situation");
}

#[test]
fn actions_match_the_table() {
    check_table("Every action");
}

#[test]
fn unit_changes_match_the_table() {
    check_table("Units");
}

#[test]
fn failures_match_the_table() {
    check_table("What fails");
}

#[test]
fn perl_program_matches_the_table() {
    check_table("The Perl program");
}

/// Tests each row of a table on one host.
fn check_table(table: &str) {
    let lab = Lab::with(&system("base"));
    let host = lab.boot("web1");
    let base = host.current_system();
    let bench = Bench { host, base, lab };
    // The first run after a boot lists targets and mounts as new that systemd had not loaded before.
    bench.back();
    let rows: Vec<_> = rows().into_iter().filter(|row| row.table == table).collect();
    assert!(!rows.is_empty(), "no table {table:?}");
    for row in rows {
        for action in row.actions.clone() {
            bench.check_row(&row, action);
        }
    }
}

/// A host and its first system, which is restored between two rows.
struct Bench {
    host: Host,
    base: String,
    lab: Lab,
}

impl Bench {
    fn check_row(&self, row: &Row, action: &str) {
        let (_, make) = SITUATIONS.iter().find(|(name, _)| *name == row.situation).unwrap();
        let situation = make();
        if let Some((closure, action)) = &situation.first {
            let system = self.build(closure);
            self.host.run(&format!("{system}/bin/switch-to-configuration {action}"));
        }
        let system = self.build(&situation.next);
        self.host.sh(&format!("{}\n:", situation.before));
        let environment = situation.environment;
        let ended = self.host.run(&format!("{environment} {system}/bin/switch-to-configuration {action}"));
        row.holds(action, &ended);
        let pick = |new| if new { &system } else { &self.base };
        let case = format!("{}, {action}: {ended}", row.situation);
        assert_eq!(&self.host.current_system(), pick(row.runs_new), "runs after {case}");
        assert_eq!(&self.host.boot_default(), pick(row.boots_new), "boots after {case}");
        let after = self.host.run(situation.after);
        assert_eq!(after.code, 0, "{after}\nafter {case}");
        self.back();
    }

    fn build(&self, closure: &Closure) -> String {
        self.lab.flake.commit(closure);
        self.host.build(&self.lab.flake).unwrap()
    }

    /// Returns to the first system, as a rollback does.
    fn back(&self) {
        let back = format!("NIXOS_NO_CHECK=1 {}/bin/switch-to-configuration", self.base);
        // A unit that fails to reload makes the first attempt fail, and is as before after the second one.
        self.host.sh(&format!("{back} test || {back} test && {back} boot"));
        assert_eq!(
            (self.host.current_system(), self.host.boot_default()),
            (self.base.clone(), self.base.clone())
        );
        assert_eq!(self.host.failed_units(), [""; 0]);
        assert_eq!(self.host.unit("web.service").active, "active");
    }
}
