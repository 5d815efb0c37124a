//! The ask: *learn* something from listeners, changing nothing.

use super::report::cut_text;
use super::wire::{self, WireError};
use super::{Destination, Id, MAX_ENCODED, Name, ReplyTo, Want};
use serde::{Deserialize, Serialize};

/// A question on `deploy.discover`. `reply_to` and `tier` are the base format.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ask {
    /// Where answers go.
    pub reply_to: ReplyTo,
    /// Whether each host adds its name to `reply_to`, so that a NATS server can hold it to its own name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply_per_host: Option<bool>,
    /// Only listeners of this tier answer.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "wire::empty_as_none")]
    pub tier: Option<Name>,
    /// Only listeners with this role answer.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "wire::empty_as_none")]
    pub role: Option<Name>,
    /// Only these hosts answer; empty means every host.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "wire::null_as_default")]
    pub hosts: Vec<Name>,
    /// What to tell; absent means `host`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub want: Option<Want>,
    /// Which job, for `job` and `log`; absent means the newest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<Id>,
    /// How many entries at most, for `history`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u64>,
    /// Only entries older than this one, for `history`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Id>,
    /// From which byte, for `log`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offset: Option<u64>,
    /// A nonce: of a host that asks to hear others, or of the report that is answered over a fresh connection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confirm: Option<String>,
}

impl Ask {
    /// Asks every host about itself.
    pub fn new(reply_to: ReplyTo) -> Self {
        Self {
            reply_to,
            reply_per_host: None,
            tier: None,
            role: None,
            hosts: Vec::new(),
            want: None,
            id: None,
            limit: None,
            before: None,
            offset: None,
            confirm: None,
        }
    }

    /// Reads an ask.
    pub fn parse(payload: &[u8]) -> Result<Self, WireError> {
        wire::from_bytes(payload)
    }

    /// The JSON of the ask, under [`MAX_ENCODED`]: where the list of hosts is too long, every host is asked.
    pub fn encode(&self) -> Vec<u8> {
        let bytes = wire::to_bytes(self);
        if bytes.len() < MAX_ENCODED {
            return bytes;
        }
        let mut ask = Self { hosts: Vec::new(), ..self.clone() };
        cut_text(&mut ask.confirm, 512);
        wire::to_bytes(&ask)
    }

    /// Where its hosts' replies go.
    pub fn destination(&self) -> Destination {
        Destination { reply_to: self.reply_to.clone(), per_host: self.reply_per_host == Some(true) }
    }

    /// What is asked for.
    pub fn wanted(&self) -> Want {
        self.want.clone().unwrap_or(Want::Host)
    }

    /// Whether this listener is among those asked.
    pub fn concerns(&self, host: &Name, tier: &Name, role: Option<&Name>) -> bool {
        self.tier.as_ref().is_none_or(|wanted| wanted == tier)
            && self.role.as_ref().is_none_or(|wanted| Some(wanted) == role)
            && (self.hosts.is_empty() || self.hosts.contains(host))
    }
}
