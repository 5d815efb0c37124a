//! Shared code of commands that query hosts: host selection, notes about missing replies, and the JSON form of a reply.

use super::connection::ConnectionArgs;
use super::exit::{CommandError, Exit};
use super::output::{Format, Output};
use crate::client::{Discovery, Operator, Replies, Reply, Selection, hosts_of};
use crate::protocol::{Name, WireError};
use crate::text::printable;
use jiff::Timestamp;
use serde::Serialize;
use std::collections::BTreeSet;

/// Message if no host answers.
pub(super) const NO_HOSTS: &str =
    "no host answered: check that a listener is running and that this key may publish deploy.discover";

/// Connects, discovers, and returns the named hosts, or all hosts if none is named.
pub(super) async fn find(
    names: &[String],
    connection: &ConnectionArgs,
) -> Result<(Operator, Discovery, BTreeSet<Name>), CommandError> {
    let resolved = connection.resolve()?;
    let selection = match names {
        [] => Selection::All { tier: None, role: None },
        names => Selection::Targets(resolved.targets(names)?),
    };
    let mut operator = resolved.operator().await?;
    let discovery = operator.discover(None, None).await?;
    let hosts = hosts_of(&selection, &discovery.fleet)?;
    Ok((operator, discovery, hosts))
}

/// Warns about new hosts that were not added to the inventory.
pub(super) fn warn_unrecorded(discovery: &Discovery, format: Format, out: &mut Output) {
    if discovery.unrecorded > 0 && format == Format::Human {
        out.line(&format!(
            "warning: {} more new hosts answered than one query adds to the inventory; if they are yours, add them with \
             `homelab-deploy hosts --accept-new`, otherwise find the host that answers under their names",
            discovery.unrecorded
        ));
    }
}

/// Prints notes about unreadable replies.
pub(super) fn note_unreadable(errors: &[WireError], format: Format, out: &mut Output) {
    for error in errors.iter().filter(|_| format == Format::Human) {
        out.line(&format!("note: could not read a reply: {}", printable(&error.to_string())));
    }
}

/// The exit for these replies: success if every host replied.
pub(super) fn exit<T>(replies: &Replies<T>) -> Exit {
    let all = replies.hosts.iter().all(|(_, reply)| reply.is_ok());
    if all && !replies.hosts.is_empty() { Exit::Success } else { Exit::NoAnswer }
}

/// JSON form of a host's reply.
#[derive(Serialize)]
pub(super) struct ReplyJson<'a, T> {
    host: &'a Name,
    /// `ok`, `unsupported` or `no_answer`.
    reply: &'static str,
    /// When the host was last seen, by the local clock.
    last_seen: Option<Timestamp>,
    /// Reason of the hold; absent if the host is not held.
    #[serde(skip_serializing_if = "Option::is_none")]
    held: Option<&'a str>,
    answer: Option<T>,
}

impl<'a, T> ReplyJson<'a, T> {
    /// Combines a reply with this part of its answer and what discovery found.
    pub(super) fn new<U>(
        host: &'a Name,
        reply: &Reply<U>,
        answer: Option<T>,
        discovery: &'a Discovery,
    ) -> Self {
        let reply = match reply {
            Reply::Ok(_) => "ok",
            Reply::Unsupported => "unsupported",
            Reply::NoAnswer => "no_answer",
        };
        let known = discovery.fleet.hosts.get(host);
        let last_seen = known.and_then(|host| host.last_seen);
        let held = known.and_then(|host| host.answer.as_ref()?.held.as_deref());
        Self { host, reply, last_seen, held, answer }
    }
}
