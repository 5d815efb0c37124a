//! What the console is told at its start.

use super::{Fault, Sort, Theme};
use crate::protocol::{Name, Revision};
use jiff::tz::TimeZone;
use std::path::PathBuf;

/// What the console is told at its start.
#[derive(Debug, Clone)]
pub struct Options {
    /// The servers, as a person reads them.
    pub server: String,
    /// Who deploys, for the hosts' history.
    pub issuer: String,
    /// The revision that is offered first.
    pub branch: Option<String>,
    /// Tiers whose name must be typed before a deployment there is sent.
    pub confirm_tiers: Vec<Name>,
    /// The hosts that the broker runs on: in waves they come last.
    pub brokers: Vec<Name>,
    /// The time zone of the clock.
    pub zone: TimeZone,
    /// The look.
    pub theme: Theme,
    /// The branch whose head hosts should run; without one nobody is behind.
    pub follows: Option<Revision>,
    /// The column that hosts are sorted by at first.
    pub sort: Sort,
    /// The name of the context, where there is one.
    pub context: Option<String>,
    /// What is to be read before anything else.
    pub first: Option<Fault>,
    /// The names of all contexts that one can go to.
    pub contexts: Vec<String>,
    /// Whether the mouse may be used.
    pub mouse: bool,
    /// Where it is kept how the table is looked at.
    pub memory: Option<PathBuf>,
    /// Whether nothing may be sent that does something on a host.
    pub read_only: bool,
    /// The command that opens a shell on `{host}`; without, ssh.
    pub shell: Option<String>,
}

impl Options {
    /// What a console is told where nothing else is known: it may do everything, and remembers nothing.
    pub fn new(server: impl Into<String>, issuer: impl Into<String>, theme: Theme) -> Self {
        Self {
            server: server.into(),
            issuer: issuer.into(),
            branch: None,
            confirm_tiers: Vec::new(),
            brokers: Vec::new(),
            zone: TimeZone::UTC,
            theme,
            follows: None,
            sort: Sort::default(),
            context: None,
            first: None,
            contexts: Vec::new(),
            mouse: true,
            memory: None,
            read_only: false,
            shell: None,
        }
    }
}
