//! What is signed of a message, and how the signature travels.

use super::Name;
use data_encoding::BASE64URL_NOPAD;
use jiff::SignedDuration;

/// The header with the public key that signed, `U…`.
pub const KEY_HEADER: &str = "Homelab-Deploy-Key";
/// The header with the signature, see [`encode_signature`].
pub const SIGNATURE_HEADER: &str = "Homelab-Deploy-Signature";
/// The longest time from `issued_at` to `expires_at` of a signed request, which bounds how long it can be held back.
pub const MAX_LIFE: SignedDuration = SignedDuration::from_mins(5);

/// The first line of everything that is signed. A server that a client signs in to chooses a text (JSON, so UTF-8) that the
/// client signs with the same key; the byte `ff` is in no such text.
const FORMAT: &[u8] = b"homelab-deploy-v2\xff\n";

/// What a signed message is for: a signature of one purpose is never one of another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Purpose {
    /// A request of an operator to hosts.
    Request,
    /// A query of an operator to hosts.
    Query,
    /// A host's report of a job.
    Report,
    /// A host's reply to a query.
    Reply,
    /// A host's announcement.
    Presence,
    /// A part of a job's log.
    Log,
    /// A request of an operator to the builder.
    Build,
}

impl Purpose {
    /// Every purpose.
    pub const ALL: [Self; 7] =
        [Self::Request, Self::Query, Self::Report, Self::Reply, Self::Presence, Self::Log, Self::Build];

    /// What a host's message on a subject under `deploy.responses.` is for.
    pub fn of_response(subject: &str) -> Self {
        match subject.split('.').skip(2).collect::<Vec<_>>()[..] {
            ["presence"] => Self::Presence,
            ["ask", ..] => Self::Reply,
            [_, "log", _] => Self::Log,
            _ => Self::Report,
        }
    }

    /// Its name in the signed bytes.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Request => "request",
            Self::Query => "query",
            Self::Report => "report",
            Self::Reply => "reply",
            Self::Presence => "presence",
            Self::Log => "log",
            Self::Build => "build",
        }
    }
}

/// The bytes that are signed: five parts, of which the first four end with a line feed.
///
/// | part | |
/// |---|---|
/// | format | `homelab-deploy-v2` and the byte `ff` |
/// | purpose | [`Purpose::as_str`] |
/// | fleet | the fleet's name; empty if it has none |
/// | subject | the subject that the message is published to |
/// | payload | the exact payload |
///
/// No purpose, name or subject has a line feed, so no two messages have the same bytes.
pub fn signed_bytes(purpose: Purpose, fleet: Option<&Name>, subject: &str, payload: &[u8]) -> Vec<u8> {
    let fleet = fleet.map_or("", Name::as_str);
    let (purpose, fleet, subject) = (purpose.as_str().as_bytes(), fleet.as_bytes(), subject.as_bytes());
    [FORMAT, purpose, b"\n", fleet, b"\n", subject, b"\n", payload].concat()
}

/// A signature as a string: base64 in the alphabet for URLs, without padding, as NATS itself writes those of nkeys.
pub fn encode_signature(signature: &[u8]) -> String {
    BASE64URL_NOPAD.encode(signature)
}

/// Reads what [`encode_signature`] wrote; `None` for anything else. Each signature has one string only.
pub fn decode_signature(text: &str) -> Option<Vec<u8>> {
    BASE64URL_NOPAD.decode(text.as_bytes()).ok()
}
