//! What a closure does wrong on purpose, and where.

use super::{Closure, unit};
use crate::common::Gate;
use std::path::Path;

/// A moment at which the shell of a closure can be made to do something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Point {
    /// Its builder.
    Build,
    /// `switch-to-configuration check`, and the same check of every other action, before its scripts. Passed over with
    /// `NIXOS_NO_CHECK=1`.
    Check,
    /// The boot loader of `switch` and `boot`, before it changes anything.
    Boot,
    /// After units were stopped, before the activation script.
    Stopped,
    /// The activation script, before it changes anything. It is a program of its own, and goes on where a part of it
    /// fails.
    Activate,
    /// The activation script, once all is installed but the link to the running system.
    Activated,
    /// Between the activation script and the reload of systemd.
    Reload,
    /// After that reload, where the units of users are changed.
    Users,
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

/// A health check that succeeds, and waits at [`Point::Verify`] on hosts that have the hold.
pub(crate) const WAITING_CHECK: &str = "[ ! -p /lab/gates/verify.go ] || { echo >/lab/gates/verify.at; read -r go </lab/gates/verify.go; true; }";

/// A way to go wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It does not build.
    BuildFails,
    /// Its check refuses every action (exit 1).
    CheckRefuses,
    /// Its check refuses while another system runs: what it needs on the way back is gone (exit 1).
    CheckRefusesBack,
    /// Its check lets nothing pass that needs a boot (exit 1), as the inhibitors of NixOS.
    Inhibited,
    /// Its `switch-to-configuration` is the Perl program, which has no `check` (exit 1 and `Usage:`).
    CheckUnknown,
    /// Another activation holds the lock until [`UNLOCK`] (exit 11). It lets its first `check` pass.
    Locked,
    /// Its boot loader cannot be installed (exit 1).
    BootLoaderFails,
    /// A part of the activation script fails; the rest is done (exit 2).
    ActivationFails,
    /// The activation script ends in the middle: all is installed, but the old system is still the running one (exit 2).
    ActivationExits,
    /// It is the Perl program, and systemd cannot reload (exit 3).
    ReloadFails,
    /// systemd does not end its reload, and the program gives up (exit 1, after the change).
    ReloadTimesOut,
    /// D-Bus dies once units were stopped, and can be connected to again (exit 1, with units to start left over).
    DbusDies,
    /// The same, but nobody connects to D-Bus again before the next boot: not the old system's program either (exit 1
    /// before it stops anything).
    DbusGone,
    /// logind is away from now on until the next boot (exit 11 after the activation, before any start).
    LogindAway,
    /// The units of a user fail (exit 4).
    UserUnitsFail,
    /// A user's service manager does not answer: it waits for ever, while units of the system are stopped.
    UserUnitsHang,
    /// `broken.service` fails at its start (exit 4).
    UnitFails,
    /// `chronic.service` fails at each start, in this system as in every other that has it (exit 4 each time).
    UnitFailsAlways,
    /// `flapping.service` starts, and fails again and again once the activation has ended (exit 0).
    UnitFlaps,
    /// `looping.service` fails at once and is started again after this many seconds, for ever (exit 4).
    CrashLoop(u32),
    /// `slow.service` is ready this many seconds after its start, which nobody limits, as a container whose image has to be
    /// fetched (exit 0, then).
    SlowUnit(u32),
    /// `reloads.service` is reloaded where it differs, and refuses (exit 4). The system before needs the same fault.
    ReloadRefused,
    /// systemd refuses to start `refused.service` (exit 4). The system before should have a sound one, which is stopped.
    BadUnitSetting,
    /// Only a reboot can activate it (exit 100).
    NeedsReboot,
    /// Its network unit takes the link down.
    CutsNetwork,
    /// Its network unit takes the link down this many seconds after its start.
    LateCut(u32),
    /// Its activation fills the file system that the state directory is on, on a host with a small disk; see
    /// [`STATE_FILLER`].
    FillsState,
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

/// Shell that ends what holds the lock with [`Fault::Locked`].
pub(crate) const UNLOCK: &str = "systemctl stop lab-locked.service";

/// What takes all room with [`Fault::FillsState`], until it is removed.
pub(crate) const STATE_FILLER: &str = "/var/lib/homelab-deploy/filler";

/// It begins to fail only when the activation has ended, or a slow machine would see exit 4.
const FLAPPING: &str = r"[Unit]
StartLimitIntervalSec=0

[Service]
Restart=always
RestartSec=200ms
ExecStart=/bin/sh -c 'begun=/run/flapping-$$(basename $$(readlink /run/current-system)); [ -e $$begun ] || flock /run/nixos/switch-to-configuration.lock touch $$begun; sleep 0.3; exit 1'
";

/// Lets the first check pass, as that of a listener, and holds the lock from then on; so that a later action finds it held.
const LOCKED: &str = "systemctl is-active --quiet lab-locked.service || systemd-run --quiet --collect --unit=lab-locked \\
    flock /run/nixos/switch-to-configuration.lock sleep infinity";

/// What the program says where the part of it that runs as a user has failed.
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
            Self::CheckRefusesBack => closure.check(
                "network",
                "[ \"$(readlink /run/current-system)\" = \"$1\" ] || { echo 'the network is away'; exit 1; }",
            ),
            Self::Inhibited => closure.check(
                "switchInhibitors",
                "case $2 in boot | dry-activate) exit 0 ;; esac; echo 'dbus: broker -> daemon'; exit 1",
            ),
            Self::CheckUnknown => closure.perl(),
            Self::Locked => closure.check("lock", LOCKED),
            Self::BootLoaderFails => closure.at(Point::Boot, "echo 'no room on /boot' >&2; exit 1"),
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
