//! Answers to an ask; the host answer is also what a listener announces by itself.

use super::report::{cut_list, cut_text};
use super::wire::{self, WireError};
use super::{Action, DeployReport, ErrorCode, Id, MAX_MESSAGE, Name, Status, Want, fit_start};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::sync::Arc;

/// What a listener tells of its host. The first four fields after `want` and `id` are the base format.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostAnswer {
    /// Which question this answers; absent from base hosts and in announcements.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub want: Option<Want>,
    /// The id that was asked for, echoed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<Id>,
    /// The host.
    pub hostname: Name,
    /// Its tier.
    pub tier: Name,
    /// Its role.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "wire::empty_as_none")]
    pub role: Option<Name>,
    /// Where it takes requests.
    #[serde(default, deserialize_with = "wire::null_as_default")]
    pub deploy_subjects: Vec<String>,
    /// Tells two hosts that claim one name apart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<String>,
    /// The listener's version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// The operating system's own name and version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub os_version: Option<String>,
    /// The revision that runs; only where the running system is that of a recorded job.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,
    /// The commit that runs; only where the running system is that of a recorded job.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    /// The store path of the running system.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub system: Option<String>,
    /// The generation of the system profile.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generation: Option<u64>,
    /// The store path of the system that was booted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub booted_system: Option<String>,
    /// Whether a reboot is needed for the whole of the running system.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reboot_needed: Option<bool>,
    /// Units that have failed.
    #[serde(default, deserialize_with = "wire::null_as_default", skip_serializing_if = "Vec::is_empty")]
    pub failed_units: Vec<String>,
    /// When the host booted, by its own clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub boot_at: Option<Timestamp>,
    /// The flake it deploys, without credentials.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flake_url: Option<String>,
    /// Free bytes where the nix store lies.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nix_free_bytes: Option<u64>,
    /// Free bytes on `/boot`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub boot_free_bytes: Option<u64>,
    /// What its operator should know, in sentences.
    #[serde(default, deserialize_with = "wire::null_as_default", skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// Why the host is held; absent where it is not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held: Option<String>,
    /// The listener goes away and comes back by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restarting: Option<bool>,
    /// The running or else the last job, without its diagnostics.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job: Option<Arc<DeployReport>>,
    /// Actions beyond the base four that this listener can do.
    #[serde(default, deserialize_with = "wire::null_as_default", skip_serializing_if = "Vec::is_empty")]
    pub capabilities: Vec<Action>,
    /// Seconds between two announcements; 0 or absent where there are none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval_s: Option<u64>,
    /// `false` in the last announcement before a stop.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub online: Option<bool>,
}

impl HostAnswer {
    /// An answer with only the base fields.
    pub fn new(hostname: Name, tier: Name, role: Option<Name>, deploy_subjects: Vec<String>) -> Self {
        Self {
            want: None,
            id: None,
            hostname,
            tier,
            role,
            deploy_subjects,
            instance: None,
            version: None,
            os_version: None,
            revision: None,
            commit: None,
            system: None,
            generation: None,
            booted_system: None,
            reboot_needed: None,
            failed_units: Vec::new(),
            boot_at: None,
            flake_url: None,
            nix_free_bytes: None,
            boot_free_bytes: None,
            warnings: Vec::new(),
            held: None,
            restarting: None,
            job: None,
            capabilities: Vec::new(),
            interval_s: None,
            online: None,
        }
    }

    /// Reads an announcement or a host answer.
    pub fn parse(payload: &[u8]) -> Result<Self, WireError> {
        wire::from_bytes(payload)
    }

    /// The JSON of the answer, under [`MAX_MESSAGE`]: long texts and lists are cut.
    pub fn encode(&self) -> Vec<u8> {
        let bytes = wire::to_bytes(self);
        if bytes.len() < MAX_MESSAGE {
            return bytes;
        }
        let mut answer = self.clone();
        for text in [
            &mut answer.instance,
            &mut answer.version,
            &mut answer.os_version,
            &mut answer.revision,
            &mut answer.commit,
            &mut answer.system,
            &mut answer.booted_system,
            &mut answer.flake_url,
        ] {
            cut_text(text, 512);
        }
        cut_text(&mut answer.held, 2 * 1024);
        cut_list(&mut answer.failed_units, 4 * 1024);
        cut_list(&mut answer.warnings, 8 * 1024);
        cut_list(&mut answer.deploy_subjects, 8 * 1024);
        cut_list(&mut answer.capabilities, 2 * 1024);
        let job = answer.job.take();
        answer.job = job.map(|job| Arc::new(DeployReport { changes: None, diagnostics: None, ..job.cut() }));
        wire::to_bytes(&answer)
    }

    /// Whether the listener can do `action`: the base four always, others where it says so.
    pub fn can(&self, action: &Action) -> bool {
        Action::BASE.contains(action) || self.capabilities.contains(action)
    }
}

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
    /// The revision that was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,
    /// The commit that was deployed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    /// The generation it made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generation: Option<u64>,
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
    /// Whether `text` reaches the present end of the log.
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

impl Answer {
    /// Reads an answer. One without `want`, or with an unknown one, is a base host answer.
    pub fn parse(payload: &[u8]) -> Result<Self, WireError> {
        let fields = wire::object(payload)?;
        let want = fields.get("want").and_then(Value::as_str).map(Want::from);
        let value = Value::Object(fields);
        Ok(match want {
            Some(Want::Job) => Self::Job(wire::from_value(value)?),
            Some(Want::History) => Self::History(wire::from_value(value)?),
            Some(Want::Log) => Self::Log(wire::from_value(value)?),
            _ => Self::Host(wire::from_value(value)?),
        })
    }

    /// The JSON of the answer.
    pub fn encode(&self) -> Vec<u8> {
        match self {
            Self::Host(answer) => answer.encode(),
            Self::Job(answer) => {
                let bytes = wire::to_bytes(answer);
                if bytes.len() < MAX_MESSAGE {
                    return bytes;
                }
                let report = answer.report.as_ref().map(|report| Arc::new(report.cut()));
                wire::to_bytes(&JobAnswer { report, ..answer.clone() })
            }
            Self::History(answer) => {
                let bytes = wire::to_bytes(answer);
                if bytes.len() < MAX_MESSAGE {
                    return bytes;
                }
                let mut answer = answer.clone();
                for entry in &mut answer.entries {
                    for text in [&mut entry.issuer, &mut entry.revision, &mut entry.commit] {
                        cut_text(text, 512);
                    }
                }
                let all = answer.entries.len();
                cut_list(&mut answer.entries, MAX_MESSAGE - 1024);
                if answer.entries.len() < all {
                    answer.next = answer.entries.last().map(|entry| entry.id.clone());
                }
                wire::to_bytes(&answer)
            }
            Self::Log(answer) => {
                let mut answer = answer.clone();
                if let Some(text) = &mut answer.text {
                    let fits = fit_start(text, MAX_MESSAGE - 1024).len();
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
