//! What is known of who sends in a host's name.

use super::{Name, printable};
use serde::{Serialize, Serializer};
use std::fmt;

/// Why a message in a host's name does not prove that it is from that host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Doubt {
    /// It is not signed.
    Unsigned,
    /// Its signature is not one of this message.
    BadSignature,
    /// It is signed by a key that is not known for this host: `U…`.
    UnknownKey(String),
    /// It is signed by another key than the one that is known for this host: `U…`.
    OtherKey(String),
    /// It is signed by the key of another host.
    KeyOf(String),
}

impl fmt::Display for Doubt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unsigned => f.write_str("its messages are not signed"),
            Self::BadSignature => f.write_str("its messages have a wrong signature"),
            Self::UnknownKey(key) => write!(f, "its messages are signed by {key}, which is not known"),
            Self::OtherKey(key) => {
                write!(f, "its messages are signed by {key}, not by the key that is known")
            }
            Self::KeyOf(host) => write!(f, "its messages are signed by the key of {host}"),
        }
    }
}

impl Serialize for Doubt {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// How what a host says of itself differs from what is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Difference {
    /// It is of another tier.
    Tier {
        /// The tier that is known.
        known: Name,
        /// The tier that it names.
        now: Name,
    },
    /// It takes requests elsewhere.
    Subjects {
        /// The subjects that are known.
        known: Vec<String>,
        /// The subjects that it names.
        now: Vec<String>,
    },
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |subjects: &[String]| {
            let subjects: Vec<_> = subjects.iter().map(|subject| printable(subject)).collect();
            if subjects.is_empty() { "none".to_owned() } else { subjects.join(", ") }
        };
        match self {
            Self::Tier { known, now } => write!(f, "it is known in tier {known} and now says {now}"),
            Self::Subjects { known, now } => {
                write!(f, "it is known to take requests on {} and now says {}", list(known), list(now))
            }
        }
    }
}

impl Serialize for Difference {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// What the messages in a host's name have shown so far.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Identity {
    /// Some were signed by the key that is known for this host.
    pub proven: bool,
    /// Why others were not proven.
    pub doubt: Option<Doubt>,
    /// How its last word about itself differs from what is known.
    pub differs: Option<Difference>,
    /// Where requests to it go, if the operator's configuration says so.
    pub subject: Option<String>,
}

impl Identity {
    /// Its name: `proven`, `changed` or `unproven`.
    pub fn as_str(&self) -> &'static str {
        match (self.proven, &self.doubt) {
            (true, _) => "proven",
            (false, Some(Doubt::OtherKey(_))) => "changed",
            (false, _) => "unproven",
        }
    }
}
