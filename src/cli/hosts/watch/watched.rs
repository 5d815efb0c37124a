//! What is watched: the fleet, the hosts of it that are meant, and how the link stands.

use crate::bus::Link;
use crate::fleet::{Fleet, Host};
use crate::protocol::{Inbound, Name, printable};
use jiff::Timestamp;
use std::time::Duration;
use tokio::time::Instant;

/// How long every host has to answer after the link has come back, before its silence counts.
const GRACE: Duration = Duration::from_secs(2);

/// The fleet, and which hosts of it are shown.
pub(super) struct Watched {
    fleet: Fleet,
    tier: Option<Name>,
    role: Option<Name>,
    /// Since when nothing can be heard, and why.
    lost: Option<(Timestamp, String)>,
    /// Until when it counts as if nothing could be heard.
    grace: Option<(Timestamp, Instant)>,
}

impl Watched {
    pub(super) fn new(fleet: Fleet, tier: Option<Name>, role: Option<Name>) -> Self {
        Self { fleet, tier, role, lost: None, grace: None }
    }

    /// The hosts that are shown, by name.
    pub(super) fn hosts(&self) -> Vec<&Host> {
        let mut hosts = self.fleet.hosts_by_name();
        hosts.retain(|host| {
            (self.tier.is_none() || host.tier == self.tier) && (self.role.is_none() || host.role == self.role)
        });
        hosts
    }

    /// By which time silence is judged: while nothing can be heard, it is not the hosts that are silent.
    pub(super) fn now(&self) -> Timestamp {
        match (&self.lost, self.grace) {
            (Some((since, _)), _) => *since,
            (None, Some((since, until))) if Instant::now() < until => since,
            _ => Timestamp::now(),
        }
    }

    /// Takes a message; gives which host may have moved by it.
    pub(super) fn take(&mut self, message: Inbound, now: Timestamp) -> Option<Name> {
        let host = message.hostname().clone();
        self.fleet.apply(message, now).then_some(host)
    }

    /// Takes the state of the link; gives what is to be said of it.
    pub(super) fn on_link(&mut self, link: &Link) -> Option<String> {
        match (link.up, self.lost.take()) {
            (true, Some((since, _))) => {
                self.grace = Some((since, Instant::now() + GRACE));
                Some("connected again; every host was asked".to_owned())
            }
            (true, None) => None,
            (false, lost) => {
                let reason = printable(link.reason.as_deref().unwrap_or("connecting"));
                let is_new = lost.is_none();
                self.lost = Some((lost.map_or_else(|| self.now(), |(since, _)| since), reason));
                is_new.then(|| self.trouble()).flatten()
            }
        }
    }

    /// What is wrong with the link.
    pub(super) fn trouble(&self) -> Option<String> {
        let (_, reason) = self.lost.as_ref()?;
        Some(format!("not connected: {reason}; trying again, and until then nothing is heard of any host"))
    }
}
