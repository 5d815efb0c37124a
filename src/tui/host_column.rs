//! The columns of the host table, as data; `[console]` selects and orders them.

use clap::ValueEnum;

/// A column of the host table. The names are values of `console.columns` and `console.system_columns`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
pub enum HostColumn {
    /// Name of the host.
    Host,
    /// Tier.
    Tier,
    /// Role.
    Role,
    /// Status, or the phase of a job.
    State,
    /// Phases of the running job, or of the change that failed.
    Phases,
    /// Cause of a failure, activity of a job, or notes.
    WhatToKnow,
    /// Running revision and commit.
    Revision,
    /// Generation of the system profile.
    Generation,
    /// Time since the last deployment.
    Deployed,
    /// Time since the last message.
    Seen,
    /// Version of the operating system.
    System,
    /// Whether the booted system is the running one.
    Booted,
    /// Time since boot.
    Up,
    /// Free space of the nix store.
    StoreFree,
    /// Free space of /boot.
    BootFree,
    /// Version of the listener.
    Listener,
}

/// The columns of the host table, in display order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostColumns {
    /// The columns about the deployment.
    pub deployment: Vec<HostColumn>,
    /// The columns about the system.
    pub system: Vec<HostColumn>,
}

impl Default for HostColumns {
    fn default() -> Self {
        use HostColumn::{
            BootFree, Booted, Deployed, Generation, Host, Listener, Phases, Revision, Role, Seen, State,
            StoreFree, System, Tier, Up, WhatToKnow,
        };
        Self {
            deployment: vec![
                Host, Tier, Role, State, Phases, WhatToKnow, Revision, Generation, Deployed, System,
                StoreFree, BootFree, Seen,
            ],
            system: vec![
                Host, Tier, Role, State, Revision, Generation, System, Booted, Up, StoreFree, BootFree,
                Listener,
            ],
        }
    }
}
