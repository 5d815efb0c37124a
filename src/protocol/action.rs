//! The actions of a deploy request.

use super::open_enum::open_enum;

open_enum! {
    /// The action that a deploy request asks for.
    Action {
        /// Build, activate, and make it the boot default.
        Switch = "switch",
        /// Build and make it the boot default; the running system does not change.
        Boot = "boot",
        /// Build and activate; the next boot uses the previous system.
        Test = "test",
        /// Build and show what a switch would change.
        DryActivate = "dry-activate",
        /// Build, without any change to the host.
        Build = "build",
        /// Activate an earlier generation.
        Rollback = "rollback",
        /// Stop a job that has not started to activate.
        Cancel = "cancel",
        /// Reboot into the system that is the boot default.
        Reboot = "reboot",
        /// Continue an earlier job that did not complete.
        Resume = "resume",
        /// Collect the diagnostics of the host, without any change.
        Diagnose = "diagnose",
        /// Reject all changes until released.
        Hold = "hold",
        /// End a hold.
        Release = "release",
    }
}

impl Action {
    /// The four actions that every listener supports, including base listeners.
    pub const BASE: [Self; 4] = [Self::Switch, Self::Boot, Self::Test, Self::DryActivate];

    /// Whether the action creates a job. The others take effect immediately.
    pub fn creates_job(&self) -> bool {
        !matches!(self, Self::Cancel | Self::Hold | Self::Release)
    }

    /// Whether a job of the action changes the running system or the one of the next boot.
    pub fn changes_system(&self) -> bool {
        self.creates_job() && !matches!(self, Self::Build | Self::DryActivate | Self::Diagnose)
    }

    /// Whether the request must have a `revision`.
    pub fn needs_revision(&self) -> bool {
        matches!(self, Self::Switch | Self::Boot | Self::Test | Self::DryActivate | Self::Build)
    }

    /// Whether a request may name services: the job is then only about these.
    pub fn takes_services(&self) -> bool {
        matches!(self, Self::Switch | Self::DryActivate | Self::Build | Self::Diagnose)
    }

    /// Whether a request may ask for the removal of services that are not assigned to the host any more.
    pub fn takes_prune(&self) -> bool {
        matches!(self, Self::Switch | Self::DryActivate)
    }
}
