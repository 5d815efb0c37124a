//! Tells the service manager how the listener stands, where one runs it. It is ready before the link is up: a broker that is
//! away must not make the service look failed.

use crate::bus::Link;
use crate::jobs::Hold;
use crate::protocol::DeployReport;
use sd_notify::{NotifyState, notify};
use std::collections::BTreeSet;

/// The longest sentence, in characters: `systemctl status` shows one line.
const LONGEST: usize = 500;

/// The service manager, and what it was told last.
pub(super) struct Manager {
    said: String,
}

/// How a listener stands.
pub(super) struct Standing<'a> {
    /// The server, as people may read it.
    pub(super) server: &'a str,
    /// The public half of our key.
    pub(super) key: Option<&'a str>,
    pub(super) link: &'a Link,
    /// The running job.
    pub(super) job: Option<&'a DeployReport>,
    /// Why the host is held.
    pub(super) held: Option<&'a Hold>,
    /// What its operators should know.
    pub(super) warnings: &'a BTreeSet<String>,
}

impl Manager {
    /// The state is loaded and the listener serves.
    pub(super) fn ready() -> Self {
        say(&[NotifyState::Ready]);
        Self { said: String::new() }
    }

    /// How it stands, where that has changed.
    pub(super) fn stands(&mut self, standing: &Standing<'_>) {
        let sentence = standing.sentence();
        if sentence != self.said {
            say(&[NotifyState::Status(&sentence)]);
            self.said = sentence;
        }
    }
}

impl Standing<'_> {
    /// The link, the job, and what is wrong, as `systemctl status` shows it.
    fn sentence(&self) -> String {
        let mut parts = vec![self.link()];
        parts.push(self.job.map_or_else(|| "idle".to_owned(), running));
        parts.extend(self.held.map(|hold| format!("held: {hold}")));
        parts.extend(self.warnings.iter().cloned());
        line(&parts.join("; "))
    }

    fn link(&self) -> String {
        let server = self.server;
        if self.link.up {
            return format!("connected to {server}");
        }
        match (&self.link.reason, self.key) {
            (None, _) => format!("connecting to {server}"),
            (Some(reason), Some(key)) if self.link.key_is_refused() => {
                format!("not connected to {server}: {reason} {key}; add it to the server's authorization")
            }
            (Some(reason), _) => format!("not connected to {server}: {reason}"),
        }
    }
}

fn running(job: &DeployReport) -> String {
    let action = job.action.as_ref().map_or_else(|| "a job".to_owned(), ToString::to_string);
    let revision = job.revision.as_ref().map(|revision| format!(" {revision}")).unwrap_or_default();
    let issuer = job.issuer.as_ref().map(|issuer| format!(" by {issuer}")).unwrap_or_default();
    let phase = job.phases.running().map(|phase| format!(", {}", phase.name)).unwrap_or_default();
    format!("{action}{revision}{issuer}{phase}")
}

/// Tells why the listener could not start; `systemctl status` shows it until the next attempt.
pub fn could_not_start(why: &str) {
    say(&[NotifyState::Status(&line(why))]);
}

/// The listener goes away by itself.
pub(super) fn stopping() {
    say(&[NotifyState::Stopping]);
}

/// One line: a second one would be another message to the manager.
fn line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(LONGEST).collect()
}

fn say(states: &[NotifyState<'_>]) {
    // Without a service manager there is nobody to tell.
    let _ = notify(states);
}
