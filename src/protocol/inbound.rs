//! Messages that an operator receives, classified by their `deploy.responses` subject.

use super::codec::{self, WireError};
use super::subject::PRESENCE;
use super::subject::subject_host;
use super::{DeployReport, HostIdentity, Id, LogLine, Name, Presence, Purpose, QueryReply, ReplyTo};
use serde_json::Value;

/// A message from a listener.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Inbound {
    /// A report of a job; its `id` is always set.
    Report(Box<DeployReport>),
    /// A presence announcement.
    Presence(Box<Presence>),
    /// A reply to the query with this id.
    Reply(Id, QueryReply),
    /// A line of a running job's log.
    Log(LogLine),
    /// A change of a host's identity. It is the result of the signature check, not a message.
    Identity(Name, HostIdentity),
}

impl Inbound {
    /// Parses a message that arrived on `subject`. Base hosts send replies on the subject of reports, so the content
    /// decides there: a report has a `status`, a reply has none.
    pub fn parse(subject: &str, payload: &[u8]) -> Result<Self, WireError> {
        let Some(host) = subject_host(subject) else { return Self::parse_base(subject, payload) };
        let base = subject.strip_suffix(host).and_then(|base| base.strip_suffix('.')).unwrap_or(subject);
        // On the subject of live logs, the host is always the last token.
        let base = if Purpose::of_response(subject) == Purpose::Log { subject } else { base };
        let message = Self::parse_base(base, payload)?;
        if message.hostname().as_str() != host {
            let reason = format!("expected the last token of the subject {subject}");
            return Err(WireError::BadField { path: "hostname".to_owned(), reason });
        }
        Ok(message)
    }

    fn parse_base(subject: &str, payload: &[u8]) -> Result<Self, WireError> {
        if subject == PRESENCE {
            return Presence::parse(payload).map(|answer| Self::Presence(Box::new(answer)));
        }
        if let ["deploy", "responses", _, "log", _] = subject.split('.').collect::<Vec<_>>()[..] {
            return LogLine::parse(payload).map(Self::Log);
        }
        let reply_to = ReplyTo::parse(subject)
            .map_err(|error| WireError::BadField { path: "subject".to_owned(), reason: error.to_string() })?;
        let id = reply_to.id().clone();
        if reply_to.is_for_replies() {
            return QueryReply::parse(payload).map(|answer| Self::Reply(id, answer));
        }
        match DeployReport::parse(payload) {
            Ok(mut report) => {
                report.id.get_or_insert(id);
                Ok(Self::Report(Box::new(report)))
            }
            Err(error) => match codec::object(payload)?.get("status") {
                None | Some(Value::Null) => QueryReply::parse(payload).map(|answer| Self::Reply(id, answer)),
                Some(_) => Err(error),
            },
        }
    }

    /// The host that the message claims to come from.
    pub fn hostname(&self) -> &Name {
        match self {
            Self::Report(report) => &report.hostname,
            Self::Presence(answer) => &answer.hostname,
            Self::Reply(_, answer) => answer.hostname(),
            Self::Log(line) => &line.hostname,
            Self::Identity(host, _) => host,
        }
    }
}
