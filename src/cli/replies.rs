//! What commands that ask hosts have in common: whom they ask, and what becomes of those that tell nothing.

use super::connection::ConnectionArgs;
use super::exit::{Exit, Failed};
use super::out::{Format, Out};
use crate::deployer::{Discovery, Operator, Replies, Selection, Told, hosts_of};
use crate::protocol::{Name, WireError, printable};
use jiff::Timestamp;
use serde::Serialize;
use std::collections::BTreeSet;

/// Where nobody is there at all.
pub(super) const NOBODY: &str =
    "no host answered; is a listener running, and may this key publish deploy.discover?";

/// What a host made of a question, as JSON.
#[derive(Serialize)]
pub(super) struct Shown<'a, T> {
    host: &'a Name,
    /// `answer`, `too_old` or `silent`.
    told: &'static str,
    /// When it was last heard of, by our clock.
    seen: Option<Timestamp>,
    /// Why it is held; absent where it is not.
    #[serde(skip_serializing_if = "Option::is_none")]
    held: Option<&'a str>,
    answer: Option<T>,
}

impl<'a, T> Shown<'a, T> {
    /// The host as it told, with this part of its answer.
    pub(super) fn new<U>(
        host: &'a Name,
        told: &Told<U>,
        answer: Option<T>,
        discovery: &'a Discovery,
    ) -> Self {
        let told = match told {
            Told::Answer(_) => "answer",
            Told::TooOld => "too_old",
            Told::Silent => "silent",
        };
        let known = discovery.fleet.hosts.get(host);
        let seen = known.and_then(|host| host.seen);
        let held = known.and_then(|host| host.answer.as_ref()?.held.as_deref());
        Self { host, told, seen, held, answer }
    }
}

/// Connects, asks who is there, and finds the hosts that are meant; all where none is named.
pub(super) async fn find(
    names: &[String],
    connection: &ConnectionArgs,
) -> Result<(Operator, Discovery, BTreeSet<Name>), Failed> {
    let effective = connection.effective()?;
    let selection = match names {
        [] => Selection::All { tier: None, role: None },
        names => Selection::Targets(effective.targets(names)?),
    };
    let mut operator = effective.operator().await?;
    let discovery = operator.discover(None, None).await?;
    let hosts = hosts_of(&selection, &discovery.fleet)?;
    Ok((operator, discovery, hosts))
}

/// Warns of new hosts that the roster does not list.
pub(super) fn warn_unlisted(discovery: &Discovery, format: Format, out: &mut Out) {
    if discovery.unlisted > 0 && format == Format::Human {
        out.line(&format!(
            "warning: {} more new hosts answered than one query adds to the roster; if they are yours, add them with \
             `homelab-deploy hosts --accept-new`, else look for a host that answers in their names",
            discovery.unlisted
        ));
    }
}

/// Tells of answers that could not be read.
pub(super) fn note_unreadable(errors: &[WireError], format: Format, out: &mut Out) {
    for error in errors.iter().filter(|_| format == Format::Human) {
        out.line(&format!("note: an answer could not be read: {}", printable(&error.to_string())));
    }
}

/// Whether every host has told.
pub(super) fn exit<T>(replies: &Replies<T>) -> Exit {
    let all = replies.hosts.iter().all(|(_, told)| told.is_answer());
    if all && !replies.hosts.is_empty() { Exit::Done } else { Exit::Silent }
}
