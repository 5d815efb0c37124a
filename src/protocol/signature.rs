//! The signed content of a message, and the encoding of the signature.

use super::Name;
use data_encoding::BASE64URL_NOPAD;
use jiff::SignedDuration;
use strum::{IntoStaticStr, VariantArray};

/// The header with the public key of the signer, `U…`.
pub const KEY_HEADER: &str = "Homelab-Deploy-Key";
/// The header with the signature, as returned by [`encode_signature`].
pub const SIGNATURE_HEADER: &str = "Homelab-Deploy-Signature";
/// The maximum time from `issued_at` to `expires_at` of a signed request. It limits how long an attacker can delay the
/// request.
pub const MAX_LIFETIME: SignedDuration = SignedDuration::from_mins(5);

/// The first line of all signed content. During authentication, a NATS server chooses a JSON string that the client
/// signs with the same key. JSON is UTF-8, so it cannot contain the byte `ff`.
const FORMAT: &[u8] = b"homelab-deploy-v2\xff\n";

/// The purpose of a signed message. A signature for one purpose is not valid for another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "lowercase")]
pub enum Purpose {
    /// A request from an operator to hosts.
    Request,
    /// A query from an operator to hosts.
    Query,
    /// A report of a job from a host.
    Report,
    /// A reply to a query from a host.
    Reply,
    /// An announcement from a host.
    Presence,
    /// A live log line from a host.
    Log,
    /// A request from an operator to the builder.
    Build,
    /// The status of a rollout from the process that sends its batches.
    Rollout,
    /// A command from an operator to a rollout.
    Control,
}

impl Purpose {
    /// The purpose of a host's message on a subject under `deploy.responses.`.
    pub fn of_response(subject: &str) -> Self {
        match subject.split('.').skip(2).collect::<Vec<_>>()[..] {
            ["presence"] => Self::Presence,
            ["ask", ..] => Self::Reply,
            [_, "log", _] => Self::Log,
            _ => Self::Report,
        }
    }

    /// The name of the purpose in the signed bytes.
    pub fn as_str(self) -> &'static str {
        self.into()
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
/// No purpose, name or subject contains a line feed, so no two messages have the same bytes.
pub fn signed_bytes(purpose: Purpose, fleet: Option<&Name>, subject: &str, payload: &[u8]) -> Vec<u8> {
    let fleet = fleet.map_or("", Name::as_str);
    let (purpose, fleet, subject) = (purpose.as_str().as_bytes(), fleet.as_bytes(), subject.as_bytes());
    [FORMAT, purpose, b"\n", fleet, b"\n", subject, b"\n", payload].concat()
}

/// Encodes a signature as base64url without padding, like the nkey signatures of NATS.
pub fn encode_signature(signature: &[u8]) -> String {
    BASE64URL_NOPAD.encode(signature)
}

/// Decodes the result of [`encode_signature`]; `None` for anything else. The encoding of a signature is unique.
pub fn decode_signature(text: &str) -> Option<Vec<u8>> {
    BASE64URL_NOPAD.decode(text.as_bytes()).ok()
}
