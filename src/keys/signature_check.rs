//! Verifies the signature of a request: who signed it, for which subject, and until when it is valid.

use super::TrustedKey;
use crate::protocol::{
    ErrorCode, KEY_HEADER, MAX_LIFETIME, Name, PublicKey, Purpose, SIGNATURE_HEADER, decode_signature,
    signed_bytes,
};
use crate::text::printable;
use jiff::{SignedDuration, Timestamp};
use std::fmt::Write;

/// The service that receives a request, as named in messages.
#[derive(Debug, Clone, Copy)]
pub struct Recipient<'a> {
    /// The host name, or `the builder`.
    pub name: &'a str,
    /// The service whose trusted keys apply, such as `the listener on web1`.
    pub service: &'a str,
}

/// Why a signed request is rejected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SignatureRejection {
    /// The request has no signature.
    Unsigned,
    /// The signature headers are malformed.
    Malformed(String),
    /// The signing key is not trusted.
    Untrusted(String),
    /// The signing key expired at this time.
    KeyExpired(String, Timestamp),
    /// The signature does not match the request.
    Invalid(String),
    /// This time field is missing.
    MissingTime(&'static str),
    /// The request is valid for too long.
    LifetimeTooLong(SignedDuration),
    /// The request is valid for too long by this clock, so the clocks differ.
    ClockSkew(SignedDuration, Timestamp),
    /// The request was already received.
    Replayed,
}

impl SignatureRejection {
    /// The error code of the report. A clock skew is `expired`, as in the base, so that an operator sends the request
    /// again with this host's time.
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::ClockSkew(..) => ErrorCode::Expired,
            _ => ErrorCode::NotPermitted,
        }
    }

    /// What is wrong, and what to do next.
    pub fn message(&self, recipient: Recipient<'_>, subject: &str) -> String {
        let Recipient { name, service } = recipient;
        let mut text = String::new();
        // Writing to a `String` cannot fail.
        let _ = match self {
            Self::Unsigned => write!(
                text,
                "the request is not signed, and {name} only accepts requests signed with a trusted key; use your own key \
                 (--nkey-file), and add its public key U… to --trusted-key of {service}"
            ),
            Self::Malformed(reason) => write!(
                text,
                "the request has an invalid signature header: {reason}; send it with this version of homelab-deploy, or sign it as \
                 described in docs/keys.md"
            ),
            Self::Untrusted(key) => write!(
                text,
                "the request is signed by {key}, which {name} does not trust; add it to --trusted-key of {service}"
            ),
            Self::KeyExpired(key, expired_at) => write!(
                text,
                "the request is signed by {key}, which expired on {name} at {expired_at}; use a newer key (--nkey-file), or give this \
                 one a later date in --trusted-key of {service}"
            ),
            Self::Invalid(key) => write!(
                text,
                "the signature of {key} does not match this request on {subject}: it was changed in transit, meant for another \
                 subject or fleet, or signed by an older version; compare --fleet-name and the versions on both sides, and send it \
                 again; if that does not help, check who else may publish there"
            ),
            Self::MissingTime(field) => {
                write!(
                    text,
                    "the request has no `{field}`, so it could be replayed forever; send it with `{field}`"
                )
            }
            Self::LifetimeTooLong(life) => write!(
                text,
                "the request is valid for {} s after it was issued, but a signed request may be valid for at most {} s; shorten \
                 that, or, if it was sent again with this host's time, correct the clock of {name}",
                life.as_secs(),
                MAX_LIFETIME.as_secs()
            ),
            Self::ClockSkew(life, now) => write!(
                text,
                "the request expires in {} s by this host's clock, which says {now:.0}, but a signed request may be valid for at \
                 most {} s; correct the clock of {name}",
                life.as_secs(),
                MAX_LIFETIME.as_secs()
            ),
            Self::Replayed => write!(
                text,
                "this request was already received on {subject}, and no request is accepted twice; send a new one, and check who \
                 else may publish there if you did not send it again"
            ),
        };
        text
    }
}

/// Finds the key in `trusted` that signed a message on `subject` for this purpose; `None` if no keys are trusted. The
/// key must not have expired at `now`.
pub fn verify_signer(
    purpose: Purpose,
    trusted: &[TrustedKey],
    fleet: Option<&Name>,
    now: Timestamp,
    subject: &str,
    payload: &[u8],
    headers: &[(String, String)],
) -> Result<Option<PublicKey>, SignatureRejection> {
    if trusted.is_empty() {
        return Ok(None);
    }
    let (key, signature) =
        match (single_header(headers, KEY_HEADER)?, single_header(headers, SIGNATURE_HEADER)?) {
            (None, None) => return Err(SignatureRejection::Unsigned),
            (None, Some(_)) => return Err(SignatureRejection::Malformed(format!("{KEY_HEADER} is missing"))),
            (Some(_), None) => {
                return Err(SignatureRejection::Malformed(format!("{SIGNATURE_HEADER} is missing")));
            }
            (Some(key), Some(signature)) => (key, signature),
        };
    let key = PublicKey::parse(key)
        .map_err(|reason| SignatureRejection::Malformed(format!("{KEY_HEADER}: {reason}")))?;
    let Some(trusted) = trusted.iter().find(|trusted| trusted.key == key) else {
        return Err(SignatureRejection::Untrusted(printable(key.as_str())));
    };
    let Some(signature) = decode_signature(signature) else {
        return Err(SignatureRejection::Malformed(format!(
            "{SIGNATURE_HEADER} is not base64url without padding"
        )));
    };
    if !trusted.key.has_signed(&signed_bytes(purpose, fleet, subject, payload), &signature) {
        return Err(SignatureRejection::Invalid(key.as_str().to_owned()));
    }
    match trusted.expired_at(now) {
        Some(expired_at) => Err(SignatureRejection::KeyExpired(key.as_str().to_owned(), expired_at)),
        None => Ok(Some(key)),
    }
}

/// Returns the value of a header that may occur at most once.
fn single_header<'a>(
    headers: &'a [(String, String)],
    name: &str,
) -> Result<Option<&'a str>, SignatureRejection> {
    let mut values = headers.iter().filter(|(header, _)| header == name).map(|(_, value)| value.as_str());
    match (values.next(), values.count()) {
        (value, 0) => Ok(value),
        (_, more) => Err(SignatureRejection::Malformed(format!("{name} occurs {} times", more + 1))),
    }
}

/// Returns when a signed request expires, if its validity period is allowed.
pub fn check_lifetime(
    issued_at: Option<Timestamp>,
    expires_at: Option<Timestamp>,
) -> Result<Timestamp, SignatureRejection> {
    let issued_at = issued_at.ok_or(SignatureRejection::MissingTime("issued_at"))?;
    let expires_at = expires_at.ok_or(SignatureRejection::MissingTime("expires_at"))?;
    match expires_at.duration_since(issued_at) {
        life if life > MAX_LIFETIME => Err(SignatureRejection::LifetimeTooLong(life)),
        _ => Ok(expires_at),
    }
}

/// Rejects a request that is valid for too long by this clock. This happens if the clock is behind; the request must
/// not be remembered for that long.
pub fn check_clock(expires_at: Timestamp, now: Timestamp) -> Result<(), SignatureRejection> {
    match expires_at.duration_since(now) {
        life if life > MAX_LIFETIME => Err(SignatureRejection::ClockSkew(life, now)),
        _ => Ok(()),
    }
}
