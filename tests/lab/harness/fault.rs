//! What a closure does wrong on purpose, and where.

use super::Closure;
use crate::common::Gate;
use std::path::Path;

/// A moment at which the shell of a closure can be made to do something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Point {
    /// Its builder.
    Build,
    /// `switch-to-configuration check`, and the same check of every other action.
    Check,
    /// `switch-to-configuration boot`, before the boot loader changes.
    Boot,
    /// The activation script, before it changes anything. It is a program of its own, and goes on where a part of it
    /// fails.
    Activate,
    /// Between the activation script and the reload of systemd.
    Reload,
    /// After units were restarted and started.
    Units,
    /// Not a closure but a health check that was told to wait, see [`WAITING_CHECK`].
    Verify,
}

impl Point {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Build => "build",
            Self::Check => "check",
            Self::Boot => "boot",
            Self::Activate => "activate",
            Self::Reload => "reload",
            Self::Units => "units",
            Self::Verify => "verify",
        }
    }
}

/// A health check that succeeds, and waits at [`Point::Verify`] on hosts that have the hold.
pub(crate) const WAITING_CHECK: &str = "[ ! -p /lab/gates/verify.go ] || { echo >/lab/gates/verify.at; read -r go </lab/gates/verify.go; true; }";

/// A way to go wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It does not build.
    BuildFails,
    /// Its check refuses (exit 1), as does then every other action.
    CheckRefuses,
    /// Its `switch-to-configuration` is of the time before `check` (exit 1 and `Usage:`).
    CheckUnknown,
    /// Another activation holds the lock (exit 1).
    Locked,
    /// A part of the activation script fails; the rest is done (exit 2).
    ActivationFails,
    /// systemd cannot reload (exit 3).
    ReloadFails,
    /// `broken.service` fails at its start (exit 4).
    UnitFails,
    /// `flapping.service` starts, and fails again and again once the activation has ended (exit 0).
    UnitFlaps,
    /// Only a reboot can activate it (exit 100).
    NeedsReboot,
    /// Its network unit takes the link down.
    CutsNetwork,
    /// Its listener's program is not there.
    ListenerBroken,
    /// It has no listener.
    ListenerGone,
    /// Its listener gets a key that the broker does not know.
    KeyRefused,
    /// It waits there for ever.
    HangsAt(Point),
    /// It waits there until [`Hold::pass`], on hosts that have the hold.
    HoldsAt(Point),
    /// The shell there kills itself: `switch-to-configuration`, or the activation script or builder alone.
    DiesAt(Point),
}

/// It begins to fail only when the activation has ended, or a slow machine would see exit 4.
const FLAPPING: &str = r"[Unit]
StartLimitIntervalSec=0

[Service]
Restart=always
RestartSec=200ms
ExecStart=/bin/sh -c 'begun=/run/flapping-$$(basename $$(readlink /run/current-system)); \
    [ -e $$begun ] || flock /run/nixos/switch-to-configuration.lock touch $$begun; sleep 0.3; exit 1'
";

impl Fault {
    pub(super) fn put_into(self, closure: Closure) -> Closure {
        match self {
            Self::BuildFails => closure.at(Point::Build, "echo 'the source does not compile' >&2; exit 1"),
            Self::CheckRefuses => closure.at(Point::Check, "echo 'Pre-switch checks failed' >&2; exit 1"),
            Self::CheckUnknown => closure.at(
                Point::Check,
                "if [ \"$action\" = check ]; then\n\
                 echo 'Usage: switch-to-configuration [switch|boot|test|dry-activate]' >&2; exit 1\nfi",
            ),
            Self::Locked => closure.at(Point::Check, "echo 'Could not acquire lock' >&2; exit 1"),
            Self::ActivationFails => closure
                .at(Point::Activate, "echo 'Activation script snippet secrets failed (1)' >&2; status=1"),
            Self::ReloadFails => closure.at(Point::Reload, "exit 3"),
            Self::UnitFails => closure.unit(
                "broken.service",
                "[Service]\nType=oneshot\nExecStart=/bin/sh -c 'echo cannot work; exit 1'\n",
            ),
            Self::UnitFlaps => closure.unit("flapping.service", FLAPPING),
            Self::NeedsReboot => closure.interface("3"),
            Self::CutsNetwork => closure.cuts_network(),
            Self::ListenerBroken => closure.listener_program("/run/current-system/no-such-program"),
            Self::ListenerGone => closure.without_listener(),
            Self::KeyRefused => closure.key("stranger"),
            // No child: it would keep what the shell has open when the shell is killed.
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

    /// Waits until the host is there.
    pub(crate) fn reached(&self) {
        self.at.told();
    }

    /// Lets it go on.
    pub(crate) fn pass(&self) {
        self.go.pass();
    }
}
