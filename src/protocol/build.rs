//! Build requests and reports, exchanged between operators and the builder.

use super::codec::{self, WireError};
use super::open_enum::open_enum;
use super::report::{truncate_list, truncate_string};
use super::{ErrorCode, Id, MAX_ENCODED, Name, Revision};
use crate::text::{fitting_prefix, fitting_suffix};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

open_enum! {
    /// The state of a build.
    BuildStatus {
        /// The build has started.
        Started = "started",
        /// The state of a host has changed.
        Progress = "progress",
        /// All hosts were built.
        Completed = "completed",
        /// At least one host failed.
        Failed = "failed",
        /// The request was rejected.
        Rejected = "rejected",
    }
}

impl BuildStatus {
    /// Whether this state is final: no other report of this build follows.
    pub fn is_final(&self) -> bool {
        matches!(self, Self::Completed | Self::Failed | Self::Rejected)
    }
}

/// A request to build one host or all hosts. `target` and `reply_to` are the base format.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BuildRequest {
    /// The host to build, or `all`.
    pub target: String,
    /// The repository; if absent, the builder's default repository.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "codec::empty_as_none")]
    pub repo: Option<Name>,
    /// The branch; if absent, the repository's default branch.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "codec::empty_as_none")]
    pub branch: Option<Revision>,
    /// The subject of the reports: exactly `build.responses.<id>`.
    pub reply_to: String,
    /// The id of the build; if absent, the last token of `reply_to`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<Id>,
    /// When the request was sent, by the operator's clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issued_at: Option<Timestamp>,
    /// When the build must have started, by the operator's clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// The name of the sender, for display; it is not verified.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issuer: Option<String>,
}

impl BuildRequest {
    /// Parses a request, and checks the rules between its fields.
    pub fn parse(payload: &[u8]) -> Result<Self, WireError> {
        let mut request: Self = codec::from_bytes(payload)?;
        let bad = |path: &str, reason: String| WireError::BadField { path: path.to_owned(), reason };
        let reply = request.reply_to.strip_prefix("build.responses.").unwrap_or_default();
        let reply =
            Id::new(reply).map_err(|_| bad("reply_to", "it is not `build.responses.<id>`".to_owned()))?;
        request.id.get_or_insert(reply);
        if request.target != "all" {
            Name::new(request.target.as_str()).map_err(|error| bad("target", error.to_string()))?;
        }
        Ok(request)
    }

    /// Encodes the request as JSON, in less than [`MAX_ENCODED`] bytes: a long issuer is truncated.
    pub fn encode(&self) -> Vec<u8> {
        let bytes = codec::to_bytes(self);
        if bytes.len() < MAX_ENCODED {
            return bytes;
        }
        let mut request = self.clone();
        truncate_string(&mut request.issuer, 512);
        codec::to_bytes(&request)
    }
}

/// The build of one host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BuildHost {
    /// The name of the host in the flake.
    pub hostname: Name,
    /// `pending`, `running`, `done`, `failed` or `skipped`.
    pub state: super::PhaseState,
    /// How long the build has run, in milliseconds; 0 if it has not started.
    #[serde(default, deserialize_with = "codec::null_as_default")]
    pub elapsed_ms: u64,
    /// The store path that was built; absent until then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub system: Option<String>,
    /// Why the build failed; absent otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// The last lines of the build log; only present after a failure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log_tail: Option<String>,
}

/// The complete state of a build.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BuildReport {
    /// The target of the request: a host, or `all`.
    pub target: String,
    /// The repository that is built; absent in reports of a base builder.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "codec::empty_as_none")]
    pub repo: Option<Name>,
    /// The state of the whole build.
    pub status: BuildStatus,
    /// Why the build failed or was rejected; absent otherwise.
    #[serde(default, deserialize_with = "codec::empty_as_none")]
    pub error: Option<ErrorCode>,
    /// A sentence for people.
    #[serde(default, deserialize_with = "codec::null_as_default")]
    pub message: String,
    /// The id of the build. A base builder sends none; it is then the last token of the subject.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<Id>,
    /// The sequence number of the report. The highest one is current, except that a final report is never replaced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seq: Option<u64>,
    /// When the report was created, by the builder's clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Timestamp>,
    /// The commit that is built; absent until it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    /// The state of each host; empty until the hosts are known.
    #[serde(default, deserialize_with = "codec::null_as_default", skip_serializing_if = "Vec::is_empty")]
    pub hosts: Vec<BuildHost>,
    /// The number of hosts that are finished.
    #[serde(default, deserialize_with = "codec::null_as_default")]
    pub done: u64,
    /// The total number of hosts.
    #[serde(default, deserialize_with = "codec::null_as_default")]
    pub expected: u64,
}

impl BuildHost {
    /// Creates the entry of a host whose build has not started.
    pub fn pending(hostname: Name) -> Self {
        let state = super::PhaseState::Pending;
        Self { hostname, state, elapsed_ms: 0, system: None, error: None, log_tail: None }
    }
}

impl BuildReport {
    /// Creates a report with only these fields.
    pub fn new(target: impl Into<String>, status: BuildStatus, message: impl Into<String>) -> Self {
        Self {
            target: target.into(),
            repo: None,
            status,
            error: None,
            message: message.into(),
            id: None,
            seq: None,
            at: None,
            commit: None,
            hosts: Vec::new(),
            done: 0,
            expected: 0,
        }
    }

    /// The id of the build: the report's own, or the last token of the subject if a base builder sent none.
    pub fn id_on(&self, subject: &str) -> Option<Id> {
        self.id.clone().or_else(|| Id::new(subject.rsplit('.').next()?).ok())
    }

    /// Parses a report.
    pub fn parse(payload: &[u8]) -> Result<Self, WireError> {
        codec::from_bytes(payload)
    }

    /// Encodes the report as JSON, in less than [`MAX_ENCODED`] bytes: the more hosts failed, the shorter their log
    /// tails.
    pub fn encode(&self) -> Vec<u8> {
        self.encode_within(MAX_ENCODED)
    }

    /// Encodes the report like [`BuildReport::encode`], in about `limit` bytes, for a server that accepts no more.
    pub fn encode_within(&self, limit: usize) -> Vec<u8> {
        let bytes = codec::to_bytes(self);
        if bytes.len() < limit {
            return bytes;
        }
        let mut report = self.clone();
        report.message.truncate(fitting_prefix(&self.message, limit / 16).len());
        report.target.truncate(fitting_prefix(&self.target, 512).len());
        truncate_string(&mut report.commit, 512);
        let failed_hosts =
            report.hosts.iter().filter(|h| h.log_tail.is_some() || h.error.is_some()).count().max(1);
        let share = limit * 3 / 8 / failed_hosts;
        for host in &mut report.hosts {
            host.log_tail = host.log_tail.take().map(|tail| fitting_suffix(&tail, share).to_owned());
            truncate_string(&mut host.error, share / 4);
            truncate_string(&mut host.system, 1024);
        }
        truncate_list(&mut report.hosts, limit - limit / 7);
        codec::to_bytes(&report)
    }
}
