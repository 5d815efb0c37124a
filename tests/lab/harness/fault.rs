//! Deliberate faults of a closure, and the points at which they occur.

use super::{Closure, unit};
use crate::common::Gate;
use std::path::Path;

/// A point at which shell of the closure can run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Point {
    /// In its builder.
    Build,
    /// In `switch-to-configuration check` and in the same check of every other action, before its scripts. Skipped with
    /// `NIXOS_NO_CHECK=1`.
    Check,
    /// In the boot loader of `switch` and `boot`, before it changes anything.
    Boot,
    /// After units were stopped, before the activation script.
    Stopped,
    /// In the activation script, before it changes anything. The script is a separate program and continues if a
    /// snippet of it fails.
    Activate,
    /// In the activation script, when everything except the link to the running system is installed.
    Activated,
    /// Between the activation script and the reload of systemd.
    Reload,
    /// After that reload, when the units of users are changed.
    Users,
    /// After units were restarted and started.
    Units,
    /// In a health check that waits, see [`WAITING_CHECK`]; not in the closure.
    Verify,
}

impl Point {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Build => "build",
            Self::Check => "check",
            Self::Boot => "boot",
            Self::Stopped => "stopped",
            Self::Activate => "activate",
            Self::Activated => "activated",
            Self::Reload => "reload",
            Self::Users => "users",
            Self::Units => "units",
            Self::Verify => "verify",
        }
    }
}

/// A health check that succeeds. On hosts with a hold at [`Point::Verify`], it waits for the hold.
pub(crate) const WAITING_CHECK: &str = "[ ! -p /lab/gates/verify.go ] || { echo >/lab/gates/verify.at; read -r go </lab/gates/verify.go; true; }";

/// A fault of a closure, with the exit code of `switch-to-configuration`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It does not build.
    BuildFails,
    /// Its check refuses every action (exit 1).
    CheckRefuses,
    /// Its check refuses while another system runs, because something that a rollback needs is missing then (exit 1).
    CheckRefusesRollback,
    /// Its check refuses everything that needs a boot (exit 1), as the inhibitors of NixOS.
    Inhibited,
    /// Its `switch-to-configuration` is the Perl program, which has no `check` (exit 1 and `Usage:`).
    CheckUnknown,
    /// Another activation holds the lock until [`UNLOCK`] (exit 11). The first `check` still succeeds.
    Locked,
    /// Its boot loader cannot be installed (exit 1).
    BootLoaderFails,
    /// A snippet of the activation script fails; the rest is done (exit 2).
    ActivationFails,
    /// The activation script ends early: everything is installed, but the old system is still the running one (exit 2).
    ActivationExits,
    /// It uses the Perl program, and systemd cannot reload (exit 3).
    ReloadFails,
    /// systemd does not finish its reload, and the program gives up (exit 1, after the change).
    ReloadTimesOut,
    /// D-Bus dies after units were stopped, but can be connected to again (exit 1, with units left to start).
    DbusDies,
    /// D-Bus dies after units were stopped, and cannot be connected to before the next boot, not even by the old
    /// system's program (exit 1 before it stops anything).
    DbusGone,
    /// logind is missing from then on until the next boot (exit 11 after the activation, before any start).
    LogindAway,
    /// The units of a user fail (exit 4).
    UserUnitsFail,
    /// A user's service manager does not answer: the program waits forever while units of the system are stopped.
    UserUnitsHang,
    /// `broken.service` fails at its start (exit 4).
    UnitFails,
    /// `chronic.service` fails at each start, in this system and in every other that has it (exit 4 each time).
    UnitFailsAlways,
    /// `flapping.service` starts, and fails repeatedly after the activation has ended (exit 0).
    UnitFlaps,
    /// `looping.service` fails immediately and is restarted after this many seconds, forever (exit 4).
    CrashLoop(u32),
    /// `slow.service` is ready this many seconds after its start, without a time limit, like a container whose image has to be
    /// downloaded (exit 0, then).
    SlowUnit(u32),
    /// `reloads.service` is reloaded if it differs, and the reload fails (exit 4). The previous system needs the same fault.
    ReloadRefused,
    /// systemd refuses to start `refused.service` (exit 4). The previous system should have a working one, which is
    /// stopped.
    BadUnitSetting,
    /// Only a reboot can activate it (exit 100).
    NeedsReboot,
    /// Its network unit takes the link down.
    CutsNetwork,
    /// Its network unit takes the link down this many seconds after its start.
    LateCut(u32),
    /// Its activation fills the file system of the state directory, on a host with a small disk; see [`STATE_FILLER`].
    FillsState,
    /// The program of its listener is missing.
    ListenerBroken,
    /// It has no listener.
    ListenerGone,
    /// Its listener gets a key that the NATS server does not know.
    KeyRefused,
    /// It waits at this point forever.
    HangsAt(Point),
    /// It waits at this point until [`Hold::pass`], on hosts with the hold.
    HoldsAt(Point),
    /// The shell at this point kills itself: `switch-to-configuration`, or the activation script or builder alone.
    DiesAt(Point),
}

/// Shell that releases the lock of [`Fault::Locked`].
pub(crate) const UNLOCK: &str = "systemctl stop lab-locked.service";

/// The file that fills the disk with [`Fault::FillsState`], until it is removed.
pub(crate) const STATE_FILLER: &str = "/var/lib/homelab-deploy/filler";

/// It fails only after the activation has ended, because a slow machine would see exit 4 otherwise.
const FLAPPING: &str = r"[Unit]
StartLimitIntervalSec=0

[Service]
Restart=always
RestartSec=200ms
ExecStart=/bin/sh -c 'started=/run/flapping-$$(basename $$(readlink /run/current-system)); [ -e $$started ] || flock /run/nixos/switch-to-configuration.lock touch $$started; sleep 0.3; exit 1'
";

/// Lets the first check pass, which is that of the listener, and holds the lock from then on, so that a later action
/// fails.
const LOCKED: &str = "systemctl is-active --quiet lab-locked.service || systemd-run --quiet --collect --unit=lab-locked \\
    flock /run/nixos/switch-to-configuration.lock sleep infinity";

/// The output of the program if its part that runs as a user has failed.
const USER_UNITS_FAIL: &str = "\
echo 'reloading user units for alice...' >&2
echo 'restarting the following user units: sync.service' >&2
echo 'Failed to restart user unit sync.service' >&2
echo 'warning: the following user units failed: sync.service' >&2
echo 'warning: user activation for alice failed' >&2
code=4
";

impl Fault {
    pub(super) fn put_into(self, closure: Closure) -> Closure {
        match self {
            Self::BuildFails => closure.at(Point::Build, "echo 'the source does not compile' >&2; exit 1"),
            Self::CheckRefuses => {
                closure.check("layout", "echo 'the disk layout has changed'; exit 1")
            }
            Self::CheckRefusesRollback => closure.check(
                "network",
                "[ \"$(readlink /run/current-system)\" = \"$1\" ] || { echo 'the network is away'; exit 1; }",
            ),
            Self::Inhibited => closure.check(
                "switchInhibitors",
                "case $2 in boot | dry-activate) exit 0 ;; esac; echo 'dbus: broker -> daemon'; exit 1",
            ),
            Self::CheckUnknown => closure.perl(),
            Self::Locked => closure.check("lock", LOCKED),
            Self::BootLoaderFails => closure.at(Point::Boot, "echo 'no space on /boot' >&2; exit 1"),
            Self::ActivationFails => closure
                .at(Point::Activate, "echo \"Activation script snippet 'secrets' failed (1)\"; status=1"),
            Self::ActivationExits => closure.at(Point::Activated, "exit 1"),
            Self::ReloadFails => closure.perl().at(Point::Reload, "daemon_reload() { return 1; }"),
            Self::ReloadTimesOut => {
                closure.at(Point::Reload, "error 'systemd daemon reload failed, timeout after 180s'")
            }
            Self::DbusDies => closure.at(Point::Stopped, "systemctl kill --signal=KILL dbus.service"),
            Self::DbusGone => closure.at(
                Point::Stopped,
                "systemctl mask --runtime --quiet dbus.socket dbus.service; systemctl stop dbus.socket dbus.service",
            ),
            Self::LogindAway => closure.at(Point::Activated, "touch /run/lab-logind-away"),
            Self::UserUnitsFail => closure.at(Point::Users, USER_UNITS_FAIL),
            Self::UserUnitsHang => closure
                .at(Point::Users, "echo 'reloading user units for alice...' >&2")
                .fault(Self::HangsAt(Point::Users)),
            Self::UnitFails => closure.unit(
                "broken.service",
                "[Service]\nType=oneshot\nExecStart=/bin/sh -c 'echo cannot work; exit 1'\n",
            ),
            Self::UnitFailsAlways => {
                closure.unit("chronic.service", "[Service]\nType=oneshot\nExecStart=/bin/false\n")
            }
            Self::CrashLoop(seconds) => closure.unit(
                "looping.service",
                &format!("[Service]\nRestart=always\nRestartSec={seconds}\nExecStart=/bin/sh -c 'exit 7'\n"),
            ),
            Self::SlowUnit(seconds) => closure.unit(
                "slow.service",
                &format!(
                    "[Service]\nType=notify\nNotifyAccess=all\nTimeoutStartSec=infinity\n\
                     ExecStart=/bin/sh -c 'sleep {seconds}; systemd-notify --ready; exec sleep infinity'\n"
                ),
            ),
            Self::ReloadRefused => {
                let text = format!(
                    "[Service]\nType=exec\nX-ReloadIfChanged=true\nEnvironment=SYSTEM={}\n\
                     ExecStart=sleep infinity\nExecReload=/bin/false\n",
                    closure.label()
                );
                closure.unit("reloads.service", &text)
            }
            Self::BadUnitSetting => {
                closure.unit("refused.service", "[Service]\nType=simple\nExecStart=true\nExecStart=true\n")
            }
            Self::UnitFlaps => closure.unit("flapping.service", FLAPPING),
            Self::NeedsReboot => closure.interface("3"),
            Self::CutsNetwork => closure.network(unit::network(false)),
            Self::LateCut(seconds) => closure.network(unit::late_cut(seconds)),
            Self::FillsState => closure.at(Point::Activate, &format!("head -c 256M /dev/zero >{STATE_FILLER} 2>/dev/null || :")),
            Self::ListenerBroken => closure.listener_program("/run/current-system/no-such-program"),
            Self::ListenerGone => closure.without_listener(),
            Self::KeyRefused => closure.key("stranger"),
            // It starts no child, because a child would keep files open when the shell is killed.
            Self::HangsAt(point) => closure.at(point, "mkfifo /tmp/never.$$; read -r never <>/tmp/never.$$"),
            Self::HoldsAt(point) => {
                let gate = format!("/lab/gates/{}", point.name());
                let wait = format!("echo >{gate}.at; read -r go <{gate}.go || :");
                closure.at(point, &format!("if [ -p {gate}.go ]; then {wait}; fi"))
            }
            Self::DiesAt(point) => closure.at(point, "kill -9 $$"),
        }
    }
}

/// A point at which one host stops and waits for the test.
pub(crate) struct Hold {
    at: Gate,
    go: Gate,
}

impl Hold {
    pub(super) fn new(gates: &Path, point: Point) -> Self {
        let gate = |end: &str| Gate::at(gates.join(format!("{}.{end}", point.name())));
        Self { at: gate("at"), go: gate("go") }
    }

    /// Waits until the host has reached the point.
    pub(crate) fn reached(&self) {
        self.at.wait_for_line();
    }

    /// Lets the host continue.
    pub(crate) fn pass(&self) {
        self.go.pass();
    }
}
