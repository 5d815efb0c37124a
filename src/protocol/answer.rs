//! Answers to an ask.

use super::report::{cut_list, cut_text};
use super::wire::{self, WireError};
use super::{Action, DeployReport, ErrorCode, HostAnswer, Id, MAX_ENCODED, Name, Status, Want, fit_start};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::sync::Arc;

/// The report of one job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobAnswer {
    /// `job`.
    pub want: Want,
    /// The job that was asked for; absent where the newest was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<Id>,
    /// The host.
    pub hostname: Name,
    /// Its report, or `null` where the host knows no such job.
    #[serde(default)]
    pub report: Option<Arc<DeployReport>>,
}

/// One job that ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HistoryEntry {
    /// The job.
    pub id: Id,
    /// When it was accepted, by the host's clock.
    pub at: Timestamp,
    /// What was asked for.
    pub action: Action,
    /// How it ended.
    pub status: Status,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<ErrorCode>,
    /// Who asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issuer: Option<String>,
    /// The key that signed the request, where the host looks at that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// The revision that was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,
    /// The commit that was deployed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    /// The generation it made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generation: Option<u64>,
    /// Why, for a `hold`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// How long it took, in milliseconds.
    #[serde(default, deserialize_with = "wire::null_as_default")]
    pub elapsed_ms: u64,
}

/// A page of past jobs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HistoryAnswer {
    /// `history`.
    pub want: Want,
    /// The host.
    pub hostname: Name,
    /// Newest first.
    #[serde(default, deserialize_with = "wire::null_as_default")]
    pub entries: Vec<HistoryEntry>,
    /// What to ask for as `before` to read on; `null` at the end.
    #[serde(default)]
    pub next: Option<Id>,
}

/// A piece of a job's log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogAnswer {
    /// `log`.
    pub want: Want,
    /// The job; absent where the host keeps no log at all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<Id>,
    /// The host.
    pub hostname: Name,
    /// Where `text` begins, in bytes; `null` where no such log is kept.
    #[serde(default)]
    pub offset: Option<u64>,
    /// The text.
    #[serde(default)]
    pub text: Option<String>,
    /// Whether `text` reaches the present end of the log; while the job runs, that of its last whole line.
    #[serde(default, deserialize_with = "wire::null_as_default")]
    pub eof: bool,
    /// Whether the job still runs and the log may grow.
    #[serde(default, deserialize_with = "wire::null_as_default")]
    pub running: bool,
}

/// Any answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// About the host.
    Host(Box<HostAnswer>),
    /// About one job.
    Job(JobAnswer),
    /// About past jobs.
    History(HistoryAnswer),
    /// A piece of a log.
    Log(LogAnswer),
}

/// What tells the kinds apart; of any type, for that of the kind itself is what an error must name.
#[derive(Deserialize)]
struct Kind {
    #[serde(default)]
    want: Value,
}

impl Answer {
    /// Reads an answer. One without `want`, or with an unknown one, is a base host answer.
    pub fn parse(payload: &[u8]) -> Result<Self, WireError> {
        let kind: Kind = wire::from_bytes(payload)?;
        Ok(match kind.want.as_str().map(Want::from) {
            Some(Want::Job) => Self::Job(wire::from_bytes(payload)?),
            Some(Want::History) => Self::History(wire::from_bytes(payload)?),
            Some(Want::Log) => Self::Log(wire::from_bytes(payload)?),
            _ => Self::Host(wire::from_bytes(payload)?),
        })
    }

    /// The JSON of the answer.
    pub fn encode(&self) -> Vec<u8> {
        match self {
            Self::Host(answer) => answer.encode(),
            Self::Job(answer) => {
                let bytes = wire::to_bytes(answer);
                if bytes.len() < MAX_ENCODED {
                    return bytes;
                }
                let report = answer.report.as_ref().map(|report| Arc::new(report.cut()));
                wire::to_bytes(&JobAnswer { report, ..answer.clone() })
            }
            Self::History(answer) => {
                let bytes = wire::to_bytes(answer);
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
                        cut_text(text, 512);
                    }
                }
                let all = answer.entries.len();
                cut_list(&mut answer.entries, MAX_ENCODED - 1024);
                if answer.entries.len() < all {
                    answer.next = answer.entries.last().map(|entry| entry.id.clone());
                }
                wire::to_bytes(&answer)
            }
            Self::Log(answer) => {
                let mut answer = answer.clone();
                if let Some(text) = &mut answer.text {
                    let fits = fit_start(text, MAX_ENCODED - 1024).len();
                    answer.eof &= fits == text.len();
                    text.truncate(fits);
                }
                wire::to_bytes(&answer)
            }
        }
    }

    /// Who answers.
    pub fn hostname(&self) -> &Name {
        match self {
            Self::Host(answer) => &answer.hostname,
            Self::Job(answer) => &answer.hostname,
            Self::History(answer) => &answer.hostname,
            Self::Log(answer) => &answer.hostname,
        }
    }
}
