//! What an operator receives: which kind of message arrived on a `deploy.responses` subject.

use super::subject::PRESENCE;
use super::subject::host_of;
use super::wire::{self, WireError};
use super::{Answer, DeployReport, HostAnswer, Id, Identity, LogLine, Name, Purpose, ReplyTo};
use serde_json::Value;

/// A message from a listener.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Inbound {
    /// A report; its `id` is always set.
    Report(Box<DeployReport>),
    /// A listener's own announcement.
    Presence(Box<HostAnswer>),
    /// An answer to the ask with this id.
    Answer(Id, Answer),
    /// A live log line.
    Log(LogLine),
    /// What is now known of who sends in a host's name; it comes from the check of signatures, not from a message.
    Identity(Name, Identity),
}

impl Inbound {
    /// Reads what arrived on `subject`. Base hosts answer a base operator on the subject of reports, so the content
    /// decides there: a report has a status, a host answer has none.
    pub fn parse(subject: &str, payload: &[u8]) -> Result<Self, WireError> {
        let Some(host) = host_of(subject) else { return Self::parse_base(subject, payload) };
        let base = subject.strip_suffix(host).and_then(|base| base.strip_suffix('.')).unwrap_or(subject);
        // The subject of live logs has the host as its last part in any case.
        let base = if Purpose::of_response(subject) == Purpose::Log { subject } else { base };
        let message = Self::parse_base(base, payload)?;
        if message.hostname().as_str() != host {
            let why = format!("it is not the last part of the subject {subject}");
            return Err(WireError::BadField { path: "hostname".to_owned(), why });
        }
        Ok(message)
    }

    fn parse_base(subject: &str, payload: &[u8]) -> Result<Self, WireError> {
        if subject == PRESENCE {
            return HostAnswer::parse(payload).map(|answer| Self::Presence(Box::new(answer)));
        }
        if let ["deploy", "responses", _, "log", _] = subject.split('.').collect::<Vec<_>>()[..] {
            return LogLine::parse(payload).map(Self::Log);
        }
        let reply_to = ReplyTo::parse(subject)
            .map_err(|error| WireError::BadField { path: "subject".to_owned(), why: error.to_string() })?;
        let id = reply_to.id().clone();
        if reply_to.is_for_answers() {
            return Answer::parse(payload).map(|answer| Self::Answer(id, answer));
        }
        match DeployReport::parse(payload) {
            Ok(mut report) => {
                report.id.get_or_insert(id);
                Ok(Self::Report(Box::new(report)))
            }
            Err(error) => match wire::object(payload)?.get("status") {
                None | Some(Value::Null) => Answer::parse(payload).map(|answer| Self::Answer(id, answer)),
                Some(_) => Err(error),
            },
        }
    }

    /// Who sent it.
    pub fn hostname(&self) -> &Name {
        match self {
            Self::Report(report) => &report.hostname,
            Self::Presence(answer) => &answer.hostname,
            Self::Answer(_, answer) => answer.hostname(),
            Self::Log(line) => &line.hostname,
            Self::Identity(host, _) => host,
        }
    }
}
