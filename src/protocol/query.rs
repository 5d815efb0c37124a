//! Queries: read-only questions to listeners.

use super::codec::{self, WireError};
use super::open_enum::open_enum;
use super::report::truncate_string;
use super::{Destination, Id, Name, ReplyTo};
use serde::{Deserialize, Serialize};

/// A query on `deploy.discover`. `reply_to` and `tier` are the base format.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Query {
    /// The subject of the replies.
    pub reply_to: ReplyTo,
    /// Whether each host appends its name to `reply_to`, so that the NATS server can restrict it to its own name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply_per_host: Option<bool>,
    /// Restricts the query to listeners of this tier; absent means all tiers.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "codec::empty_as_none")]
    pub tier: Option<Name>,
    /// Restricts the query to listeners with this role; absent means all roles.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "codec::empty_as_none")]
    pub role: Option<Name>,
    /// Restricts the query to these hosts; empty means all hosts.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "codec::null_as_default")]
    pub hosts: Vec<Name>,
    /// What is queried; if absent, `host`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub query: Option<QueryKind>,
    /// The id of the job, for `job` and `log`; if absent, the newest job.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<Id>,
    /// The maximum number of entries, for `history`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u64>,
    /// Restricts `history` to entries older than this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Id>,
    /// The first byte of the log to return, for `log`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offset: Option<u64>,
    /// A nonce that replies repeat: of a host that requests announcements, or of the report that is confirmed over a
    /// new connection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confirm: Option<String>,
}

impl Query {
    /// Creates a query for the state of every host.
    pub fn new(reply_to: ReplyTo) -> Self {
        Self {
            reply_to,
            reply_per_host: None,
            tier: None,
            role: None,
            hosts: Vec::new(),
            query: None,
            id: None,
            limit: None,
            before: None,
            offset: None,
            confirm: None,
        }
    }

    /// Parses a query.
    pub fn parse(payload: &[u8]) -> Result<Self, WireError> {
        codec::from_bytes(payload)
    }

    /// Encodes the query as JSON, in less than [`MAX_ENCODED`](super::MAX_ENCODED) bytes: if the list of hosts is too long,
    /// all hosts are queried.
    pub fn encode(&self) -> Vec<u8> {
        codec::to_bounded_bytes(self, || {
            let mut query = Self { hosts: Vec::new(), ..self.clone() };
            truncate_string(&mut query.confirm, 512);
            query
        })
    }

    /// The destination of the replies.
    pub fn destination(&self) -> Destination {
        Destination { reply_to: self.reply_to.clone(), per_host: self.reply_per_host == Some(true) }
    }

    /// What is queried; the default is `host`.
    pub fn kind(&self) -> QueryKind {
        self.query.clone().unwrap_or(QueryKind::Host)
    }

    /// Whether the query is addressed to this listener.
    pub fn matches(&self, host: &Name, tier: &Name, role: Option<&Name>) -> bool {
        self.tier.as_ref().is_none_or(|wanted| wanted == tier)
            && self.role.as_ref().is_none_or(|wanted| Some(wanted) == role)
            && (self.hosts.is_empty() || self.hosts.contains(host))
    }
}

open_enum! {
    /// What a query asks for.
    QueryKind {
        /// The state of the host; the default.
        Host = "host",
        /// The report of a job.
        Job = "job",
        /// The past jobs.
        History = "history",
        /// A chunk of a job's log.
        Log = "log",
        /// An announcement over a new connection, with the nonce of the query.
        Presence = "presence",
    }
}
