//! Replies to queries.

use super::codec::{self, WireError};
use super::report::{truncate_list, truncate_string};
use super::{Action, DeployReport, ErrorCode, Id, MAX_ENCODED, Name, Phases, Presence, QueryKind, Status};
use crate::text::fitting_prefix;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::sync::Arc;

/// The reply to a `job` query.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobReply {
    /// Always `job`.
    pub query: QueryKind,
    /// The queried job; absent if the newest job was queried.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<Id>,
    /// The host that replies.
    pub hostname: Name,
    /// The report of the job; `null` if the host does not know the job.
    #[serde(default)]
    pub report: Option<Arc<DeployReport>>,
}

/// A finished job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HistoryEntry {
    /// The id of the job.
    pub id: Id,
    /// When the job was accepted, by the host's clock.
    pub at: Timestamp,
    /// The requested action.
    pub action: Action,
    /// The result of the job.
    pub status: Status,
    /// Why the job failed; absent if it succeeded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<ErrorCode>,
    /// The name that the issuer gave in the request; not verified.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issuer: Option<String>,
    /// The key that signed the request; absent if the host does not check signatures.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// The requested revision.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,
    /// The deployed commit; absent if it was not resolved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    /// The generation that the job created, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generation: Option<u64>,
    /// The reason of a `hold`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The duration of the job, in milliseconds.
    #[serde(default, deserialize_with = "codec::null_as_default")]
    pub elapsed_ms: u64,
    /// The phases of the job; empty for jobs of older listeners, and for holds.
    #[serde(default, deserialize_with = "codec::null_as_default", skip_serializing_if = "Phases::is_empty")]
    pub phases: Phases,
    /// The names of the components that the job has changed; empty for hosts without components.
    #[serde(default, deserialize_with = "codec::null_as_default", skip_serializing_if = "Vec::is_empty")]
    pub components: Vec<String>,
}

/// The reply to a `history` query: one page of past jobs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HistoryReply {
    /// Always `history`.
    pub query: QueryKind,
    /// The host that replies.
    pub hostname: Name,
    /// The jobs, newest first.
    #[serde(default, deserialize_with = "codec::null_as_default")]
    pub entries: Vec<HistoryEntry>,
    /// The value of `before` for the next page; `null` on the last page.
    #[serde(default)]
    pub next: Option<Id>,
}

/// The reply to a `log` query: a chunk of a job's log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogReply {
    /// Always `log`.
    pub query: QueryKind,
    /// The id of the job; absent if the host has no logs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<Id>,
    /// The host that replies.
    pub hostname: Name,
    /// The position of `text` in the log, in bytes; `null` if the host does not have the log.
    #[serde(default)]
    pub offset: Option<u64>,
    /// The chunk of the log; absent if the host does not have the log.
    #[serde(default)]
    pub text: Option<String>,
    /// Whether `text` reaches the current end of the log. While the job runs, that is the end of the last complete
    /// line.
    #[serde(default, deserialize_with = "codec::null_as_default")]
    pub eof: bool,
    /// Whether the job is running, so that the log may grow.
    #[serde(default, deserialize_with = "codec::null_as_default")]
    pub running: bool,
}

/// A reply of any kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum QueryReply {
    /// The state of the host.
    Host(Box<Presence>),
    /// The report of a job.
    Job(JobReply),
    /// A page of past jobs.
    History(HistoryReply),
    /// A chunk of a log.
    Log(LogReply),
}

/// The field that distinguishes the kinds. It accepts any type, so that the parser of each kind reports the errors.
#[derive(Deserialize)]
struct ReplyKind {
    #[serde(default)]
    query: Value,
}

impl QueryReply {
    /// Parses a reply. Without `query`, or with an unknown one, it is the presence of a base host.
    pub fn parse(payload: &[u8]) -> Result<Self, WireError> {
        let kind: ReplyKind = codec::from_bytes(payload)?;
        Ok(match kind.query.as_str().map(QueryKind::from) {
            Some(QueryKind::Job) => Self::Job(codec::from_bytes(payload)?),
            Some(QueryKind::History) => Self::History(codec::from_bytes(payload)?),
            Some(QueryKind::Log) => Self::Log(codec::from_bytes(payload)?),
            _ => Self::Host(codec::from_bytes(payload)?),
        })
    }

    /// Encodes the reply as JSON, in less than [`MAX_ENCODED`] bytes: long parts are truncated.
    pub fn encode(&self) -> Vec<u8> {
        match self {
            Self::Host(answer) => answer.encode(),
            Self::Job(answer) => {
                let bytes = codec::to_bytes(answer);
                if bytes.len() < MAX_ENCODED {
                    return bytes;
                }
                let report = answer.report.as_ref().map(|report| Arc::new(report.truncated()));
                codec::to_bytes(&JobReply { report, ..answer.clone() })
            }
            Self::History(answer) => {
                let bytes = codec::to_bytes(answer);
                if bytes.len() < MAX_ENCODED {
                    return bytes;
                }
                let mut answer = answer.clone();
                for entry in &mut answer.entries {
                    let texts = [
                        &mut entry.issuer,
                        &mut entry.key,
                        &mut entry.revision,
                        &mut entry.commit,
                        &mut entry.reason,
                    ];
                    for text in texts {
                        truncate_string(text, 512);
                    }
                    (entry.phases, entry.components) = (Phases::default(), Vec::new());
                }
                let all = answer.entries.len();
                truncate_list(&mut answer.entries, MAX_ENCODED - 1024);
                if answer.entries.len() < all {
                    answer.next = answer.entries.last().map(|entry| entry.id.clone());
                }
                codec::to_bytes(&answer)
            }
            Self::Log(answer) => {
                let mut answer = answer.clone();
                if let Some(text) = &mut answer.text {
                    let fits = fitting_prefix(text, MAX_ENCODED - 1024).len();
                    answer.eof &= fits == text.len();
                    text.truncate(fits);
                }
                codec::to_bytes(&answer)
            }
        }
    }

    /// The host that replies.
    pub fn hostname(&self) -> &Name {
        match self {
            Self::Host(answer) => &answer.hostname,
            Self::Job(answer) => &answer.hostname,
            Self::History(answer) => &answer.hostname,
            Self::Log(answer) => &answer.hostname,
        }
    }
}
