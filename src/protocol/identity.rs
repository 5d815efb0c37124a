//! Whether messages under a host's name are proven to come from that host.

use super::{InternedStr, Name};
use crate::text::printable;
use serde::{Serialize, Serializer};
use std::fmt;

/// Why a message under a host's name does not prove that it comes from that host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UnprovenReason {
    /// The message is not signed.
    Unsigned,
    /// The signature does not match the message.
    BadSignature,
    /// The key, `U…`, is unknown, and no key is known for this host.
    UnknownKey(String),
    /// The key, `U…`, is not the known key of this host.
    OtherKey(String),
    /// The key belongs to the other host of this name.
    KeyOf(String),
}

impl fmt::Display for UnprovenReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unsigned => f.write_str("its messages are not signed"),
            Self::BadSignature => f.write_str("its messages have an invalid signature"),
            Self::UnknownKey(key) => write!(f, "its messages are signed by {key}, which is not known"),
            Self::OtherKey(key) => {
                write!(f, "its messages are signed by {key}, not by its known key")
            }
            Self::KeyOf(host) => write!(f, "its messages are signed by the key of {host}"),
        }
    }
}

impl Serialize for UnprovenReason {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// How the presence of a host differs from what is known about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PresenceMismatch {
    /// The host reports another tier.
    Tier {
        /// The known tier.
        known: Name,
        /// The reported tier.
        now: Name,
    },
    /// The host accepts requests on other subjects.
    Subjects {
        /// The known subjects.
        known: Vec<InternedStr>,
        /// The reported subjects.
        now: Vec<InternedStr>,
    },
}

impl fmt::Display for PresenceMismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |subjects: &[InternedStr]| {
            let subjects: Vec<_> = subjects.iter().map(|subject| printable(subject)).collect();
            if subjects.is_empty() { "none".to_owned() } else { subjects.join(", ") }
        };
        match self {
            Self::Tier { known, now } => write!(f, "it is known in tier {known} but now reports {now}"),
            Self::Subjects { known, now } => {
                write!(f, "it is known to accept requests on {} but now reports {}", list(known), list(now))
            }
        }
    }
}

impl Serialize for PresenceMismatch {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// What the messages under a host's name have shown so far. What is rare is boxed, because there are many hosts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct HostIdentity {
    /// Whether a message was signed with a known key of this host.
    pub proven: bool,
    /// Why other messages are not proven; `None` if all of them are.
    pub doubt: Option<Box<UnprovenReason>>,
    /// Whether the doubt is about messages that any host could have published in the name of this one, whose key is
    /// known.
    #[serde(skip)]
    pub is_forgeable: bool,
    /// How the latest presence differs from what is known; `None` if it does not.
    pub differs: Option<Box<PresenceMismatch>>,
    /// The subject for requests to the host, if the operator's configuration sets one.
    pub subject: Option<InternedStr>,
}

impl HostIdentity {
    /// Why no request may be sent to the host. What another host may have forged does not count.
    pub fn blocking_doubt(&self) -> Option<&UnprovenReason> {
        self.doubt.as_deref().filter(|_| !self.proven && !self.is_forgeable)
    }

    /// The state in JSON and on screens: `proven`, `changed` or `unproven`.
    pub fn as_str(&self) -> &'static str {
        match (self.proven, self.doubt.as_deref()) {
            (true, _) => "proven",
            (false, Some(UnprovenReason::OtherKey(_))) => "changed",
            (false, _) => "unproven",
        }
    }
}
