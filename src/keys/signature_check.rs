//! Whether a request may be acted on where keys are trusted: who has signed it, for which subject, and until when.

use super::TrustedKey;
use crate::protocol::{
    ErrorCode, KEY_HEADER, MAX_LIFE, Name, PublicKey, Purpose, SIGNATURE_HEADER, decode_signature, printable,
    signed_bytes,
};
use jiff::{SignedDuration, Timestamp};
use std::fmt::Write;

/// Who takes requests, in words.
#[derive(Debug, Clone, Copy)]
pub struct Taker<'a> {
    /// The host, or `the builder`.
    pub name: &'a str,
    /// The service that is told which keys to trust: `the listener on web1`.
    pub service: &'a str,
}

/// Why a request may not be acted on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refused {
    /// It has no signature.
    Unsigned,
    /// Its headers are no signature.
    Garbled(String),
    /// Whoever signed it is not trusted.
    Untrusted(String),
    /// Its key was trusted until then.
    KeyExpired(String, Timestamp),
    /// The signature is one of something else.
    Wrong(String),
    /// It lacks a time.
    Timeless(&'static str),
    /// It would be of use for so long.
    LongLived(SignedDuration),
    /// By this clock it would be of use for so long, so the clocks differ.
    Ahead(SignedDuration, Timestamp),
    /// It came before.
    Replayed,
}

impl Refused {
    /// The error of the report. Clocks that differ are told as ever, so that an operator sends once more by this host's.
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::Ahead(..) => ErrorCode::Expired,
            _ => ErrorCode::NotPermitted,
        }
    }

    /// What is wrong, and what to do about it.
    pub fn message(&self, taker: Taker<'_>, subject: &str) -> String {
        let Taker { name, service } = taker;
        let mut text = String::new();
        // Writing into a text does not fail.
        let _ = match self {
            Self::Unsigned => write!(
                text,
                "the request is not signed, and {name} takes only what a trusted key has signed; use a key of your own \
                 (--nkey-file), and add its public key U… to --trusted-key of {service}"
            ),
            Self::Garbled(why) => write!(
                text,
                "the request is not signed as it must be: {why}; send it with this version of homelab-deploy, or sign it as \
                 docs/keys.md says"
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
            Self::Wrong(key) => write!(
                text,
                "{key} has not signed this request for {subject}: it was changed on its way, meant for another subject or fleet, or \
                 signed by an older version; compare --fleet-name and the versions on both sides, send it again, and look at who \
                 else may publish there if that does not help"
            ),
            Self::Timeless(field) => {
                write!(
                    text,
                    "a signed request must say `{field}`, or it could be used again for ever; send it with that"
                )
            }
            Self::LongLived(life) => write!(
                text,
                "the request could be used for {} s after it was issued, and a signed one for {} s at most; shorten that, or, if \
                 it was sent again by this host's clock, set the clock of {name} right",
                life.as_secs(),
                MAX_LIFE.as_secs()
            ),
            Self::Ahead(life, now) => write!(
                text,
                "the request expires in {} s by this host's clock, which says {now:.0}, and a signed one does in {} s at most; \
                 set the clock of {name} right",
                life.as_secs(),
                MAX_LIFE.as_secs()
            ),
            Self::Replayed => write!(
                text,
                "this request was seen before on {subject}, and none is taken twice; send a new one, and look at who else may \
                 publish there if you did not send it again"
            ),
        };
        text
    }
}

/// Which of the keys that are `trusted` now has signed what arrived on `subject` for this purpose.
pub fn signer(
    purpose: Purpose,
    trusted: &[TrustedKey],
    fleet: Option<&Name>,
    now: Timestamp,
    subject: &str,
    payload: &[u8],
    headers: &[(String, String)],
) -> Result<PublicKey, Refused> {
    let (key, signature) = match (only(headers, KEY_HEADER)?, only(headers, SIGNATURE_HEADER)?) {
        (None, None) => return Err(Refused::Unsigned),
        (None, Some(_)) => return Err(Refused::Garbled(format!("it has no {KEY_HEADER}"))),
        (Some(_), None) => return Err(Refused::Garbled(format!("it has no {SIGNATURE_HEADER}"))),
        (Some(key), Some(signature)) => (key, signature),
    };
    let key = PublicKey::parse(key).map_err(|why| Refused::Garbled(format!("{KEY_HEADER}: {why}")))?;
    let Some(trusted) = trusted.iter().find(|trusted| trusted.key == key) else {
        return Err(Refused::Untrusted(printable(key.as_str())));
    };
    let Some(signature) = decode_signature(signature) else {
        return Err(Refused::Garbled(format!("{SIGNATURE_HEADER} is not base64url without padding")));
    };
    if !trusted.key.has_signed(&signed_bytes(purpose, fleet, subject, payload), &signature) {
        return Err(Refused::Wrong(key.as_str().to_owned()));
    }
    match trusted.expired_at(now) {
        Some(expired_at) => Err(Refused::KeyExpired(key.as_str().to_owned(), expired_at)),
        None => Ok(key),
    }
}

/// The value of a header that may be there once.
fn only<'a>(headers: &'a [(String, String)], name: &str) -> Result<Option<&'a str>, Refused> {
    let mut values = headers.iter().filter(|(header, _)| header == name).map(|(_, value)| value.as_str());
    match (values.next(), values.count()) {
        (value, 0) => Ok(value),
        (_, more) => Err(Refused::Garbled(format!("it has {} times {name}", more + 1))),
    }
}

/// When a signed request expires, if its times bound how long it is of use.
pub fn bounded(issued_at: Option<Timestamp>, expires_at: Option<Timestamp>) -> Result<Timestamp, Refused> {
    let issued_at = issued_at.ok_or(Refused::Timeless("issued_at"))?;
    let expires_at = expires_at.ok_or(Refused::Timeless("expires_at"))?;
    match expires_at.duration_since(issued_at) {
        life if life > MAX_LIFE => Err(Refused::LongLived(life)),
        _ => Ok(expires_at),
    }
}

/// Refuses what by this clock would be of use for too long. It may be so where the clock is behind, and must not be kept until the
/// clock says so.
pub fn near(expires_at: Timestamp, now: Timestamp) -> Result<(), Refused> {
    match expires_at.duration_since(now) {
        life if life > MAX_LIFE => Err(Refused::Ahead(life, now)),
        _ => Ok(()),
    }
}
