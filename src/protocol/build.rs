//! The build request and report, between operators and the builder.

use super::report::{cut_list, cut_text};
use super::wire::{self, WireError};
use super::{BuildStatus, ErrorCode, Id, MAX_ENCODED, Name, Revision, fit_end, fit_start};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// A request to build one host or all of them. `target` and `reply_to` are the base format.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BuildRequest {
    /// A host, or `all`.
    pub target: String,
    /// The repository; absent means the builder's default one.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "wire::empty_as_none")]
    pub repo: Option<Name>,
    /// The branch; absent means the repository's default one.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "wire::empty_as_none")]
    pub branch: Option<Revision>,
    /// Where reports go: exactly `build.responses.<id>`.
    pub reply_to: String,
    /// The build; absent means the last token of `reply_to`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<Id>,
    /// When it was sent, by the operator's clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issued_at: Option<Timestamp>,
    /// The latest moment to *begin*, by the operator's clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// Who asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issuer: Option<String>,
}

impl BuildRequest {
    /// Reads a request and checks what ties its fields together.
    pub fn parse(payload: &[u8]) -> Result<Self, WireError> {
        let mut request: Self = wire::from_bytes(payload)?;
        let bad = |path: &str, why: String| WireError::BadField { path: path.to_owned(), why };
        let reply = request.reply_to.strip_prefix("build.responses.").unwrap_or_default();
        let reply =
            Id::new(reply).map_err(|_| bad("reply_to", "it is not `build.responses.<id>`".to_owned()))?;
        request.id.get_or_insert(reply);
        if request.target != "all" {
            Name::new(request.target.as_str()).map_err(|error| bad("target", error.to_string()))?;
        }
        Ok(request)
    }

    /// The JSON of the request, under [`MAX_ENCODED`]: a long issuer is cut.
    pub fn encode(&self) -> Vec<u8> {
        let bytes = wire::to_bytes(self);
        if bytes.len() < MAX_ENCODED {
            return bytes;
        }
        let mut request = self.clone();
        cut_text(&mut request.issuer, 512);
        wire::to_bytes(&request)
    }
}

/// How one host's build stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BuildHost {
    /// The host.
    pub hostname: Name,
    /// `pending`, `running`, `done`, `failed` or `skipped`.
    pub state: super::PhaseState,
    /// How long it has run, in milliseconds.
    #[serde(default, deserialize_with = "wire::null_as_default")]
    pub elapsed_ms: u64,
    /// The store path that was built.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub system: Option<String>,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// The last lines of the log, on failure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log_tail: Option<String>,
}

/// How a build stands, in whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BuildReport {
    /// A host, or `all`.
    pub target: String,
    /// The repository.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "wire::empty_as_none")]
    pub repo: Option<Name>,
    /// How far the build is.
    pub status: BuildStatus,
    /// Why it failed or was rejected.
    #[serde(default, deserialize_with = "wire::empty_as_none")]
    pub error: Option<ErrorCode>,
    /// One sentence for a person.
    #[serde(default, deserialize_with = "wire::null_as_default")]
    pub message: String,
    /// The build; taken from the subject where a base builder sent none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<Id>,
    /// Orders the reports; higher wins, and a final report beats any other.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seq: Option<u64>,
    /// When it was made, by the builder's clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Timestamp>,
    /// The commit that is built.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    /// Each host.
    #[serde(default, deserialize_with = "wire::null_as_default", skip_serializing_if = "Vec::is_empty")]
    pub hosts: Vec<BuildHost>,
    /// Hosts that are done.
    #[serde(default, deserialize_with = "wire::null_as_default")]
    pub done: u64,
    /// Hosts in all.
    #[serde(default, deserialize_with = "wire::null_as_default")]
    pub expected: u64,
}

impl BuildHost {
    /// A host that is to be built.
    pub fn pending(hostname: Name) -> Self {
        let state = super::PhaseState::Pending;
        Self { hostname, state, elapsed_ms: 0, system: None, error: None, log_tail: None }
    }
}

impl BuildReport {
    /// A report that says no more than this.
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

    /// The build it is about: its own id or, where a base builder told none, the last token of the subject.
    pub fn id_on(&self, subject: &str) -> Option<Id> {
        self.id.clone().or_else(|| Id::new(subject.rsplit('.').next()?).ok())
    }

    /// Reads a report.
    pub fn parse(payload: &[u8]) -> Result<Self, WireError> {
        wire::from_bytes(payload)
    }

    /// The JSON of the report, under [`MAX_ENCODED`]: the more hosts failed, the shorter their log tails.
    pub fn encode(&self) -> Vec<u8> {
        let bytes = wire::to_bytes(self);
        if bytes.len() < MAX_ENCODED {
            return bytes;
        }
        let mut report = self.clone();
        report.message.truncate(fit_start(&self.message, 4 * 1024).len());
        report.target.truncate(fit_start(&self.target, 512).len());
        cut_text(&mut report.commit, 512);
        let told = report.hosts.iter().filter(|h| h.log_tail.is_some() || h.error.is_some()).count().max(1);
        let share = 24 * 1024 / told;
        for host in &mut report.hosts {
            host.log_tail = host.log_tail.take().map(|tail| fit_end(&tail, share).to_owned());
            cut_text(&mut host.error, share / 4);
            cut_text(&mut host.system, 1024);
        }
        cut_list(&mut report.hosts, MAX_ENCODED - 8 * 1024);
        wire::to_bytes(&report)
    }
}
