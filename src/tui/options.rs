//! Options of the console.

use super::{ErrorDialog, HostColumns, Keymap, Sort, TerminalFeatures, Theme};
use crate::client::DetachedRunner;
use crate::protocol::{Name, Revision};
use jiff::tz::TimeZone;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Options of the console, fixed at startup.
#[derive(Debug, Clone)]
pub struct Options {
    /// Server URLs for display, without credentials.
    pub server: String,
    /// Name of the operator, for the history of the hosts.
    pub issuer: String,
    /// Revision that a form offers first.
    pub branch: Option<String>,
    /// Tiers whose names must be typed before a deployment to them is sent.
    pub confirm_tiers: Vec<Name>,
    /// Hosts that run the NATS server; they are in the last batch.
    pub nats_hosts: Vec<Name>,
    /// Time zone of all displayed times.
    pub zone: TimeZone,
    /// Colours and symbols.
    pub theme: Theme,
    /// Branch whose head the hosts should run; without one, no host is outdated.
    pub tracked_branch: Option<Revision>,
    /// Initial sort column.
    pub sort: Sort,
    /// Name of the context, if any.
    pub context: Option<String>,
    /// Error that is shown at startup.
    pub first_error: Option<ErrorDialog>,
    /// Names of all contexts that the operator can switch to.
    pub contexts: Vec<String>,
    /// Whether the console may capture the mouse.
    pub mouse: bool,
    /// File for the view state; `None` to not save it.
    pub view_state_file: Option<PathBuf>,
    /// File for the event feed; `None` if it is not saved.
    pub feed_file: Option<PathBuf>,
    /// Directory that the prompt for a file of a log suggests first.
    pub log_directory: PathBuf,
    /// Directory with the states of the rollouts of this machine; `None` if they are not saved.
    pub rollout_directory: Option<PathBuf>,
    /// Whether everything that can change a host is disabled.
    pub read_only: bool,
    /// Shell command that opens a shell on `{host}`; ssh by default.
    pub shell: Option<String>,
    /// Columns of the host table.
    pub columns: HostColumns,
    /// Keys.
    pub keys: Keymap,
    /// Names for the start of a command line.
    pub aliases: BTreeMap<String, String>,
    /// What the console tells the terminal beside its frames.
    pub terminal: TerminalFeatures,
    /// How to start a process that continues rollouts when the console ends; `None` if that is not possible.
    pub background: Option<DetachedRunner>,
}

impl Options {
    /// Default options: everything is allowed, nothing is saved.
    pub fn new(server: impl Into<String>, issuer: impl Into<String>, theme: Theme) -> Self {
        Self {
            server: server.into(),
            issuer: issuer.into(),
            branch: None,
            confirm_tiers: Vec::new(),
            nats_hosts: Vec::new(),
            zone: TimeZone::UTC,
            theme,
            tracked_branch: None,
            sort: Sort::default(),
            context: None,
            first_error: None,
            contexts: Vec::new(),
            mouse: true,
            view_state_file: None,
            feed_file: None,
            log_directory: PathBuf::from("~"),
            rollout_directory: None,
            read_only: false,
            shell: None,
            columns: HostColumns::default(),
            keys: Keymap::default(),
            aliases: BTreeMap::new(),
            terminal: TerminalFeatures::NONE,
            background: None,
        }
    }
}
