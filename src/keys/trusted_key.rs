//! A key whose requests a host accepts, with an optional expiry date.

use crate::protocol::{PUBLIC_KEY_HINT, PublicKey, PublicKeyError};
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan};

/// How long before its expiry a key causes a warning.
const EXPIRY_NOTICE: SignedDuration = SignedDuration::from_hours(14 * 24);
/// The length of `2027-01-01`.
const DATE_LEN: usize = 10;

/// A public key that a host trusts: `U…`, or `U…@2027-01-01`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustedKey {
    /// The public key, `U…`.
    pub key: PublicKey,
    /// When the key is no longer trusted; `None` if it never expires.
    pub expires_at: Option<Timestamp>,
}

/// An invalid trusted key. The message never repeats it, because it could be part of a seed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TrustedKeyError {
    /// The key is invalid.
    #[error("{0}; {PUBLIC_KEY_HINT}")]
    Key(#[from] PublicKeyError),
    /// The date after the `@` is invalid.
    #[error("{0}; write it after the key as in U…@2027-01-01, or leave it out")]
    Expiry(#[from] ExpiryError),
}

impl TrustedKey {
    /// Parses a key with or without a date.
    pub fn parse(text: &str) -> Result<Self, TrustedKeyError> {
        let (key, expiry) = match text.split_once('@') {
            Some((key, expiry)) => (key, Some(expiry)),
            None => (text, None),
        };
        let key = PublicKey::parse(key.trim())?;
        let expires_at = expiry.map(|expiry| parse_expiry(expiry.trim())).transpose()?;
        Ok(Self { key, expires_at })
    }

    /// The time of expiry, if it is in the past.
    pub fn expired_at(&self, now: Timestamp) -> Option<Timestamp> {
        self.expires_at.filter(|expires_at| *expires_at <= now)
    }

    /// The warning for operators, from 14 days before the key expires.
    pub fn warning(&self, now: Timestamp) -> Option<String> {
        let (key, expires_at) = (self.key.as_str(), self.expires_at?);
        if expires_at <= now {
            return Some(format!(
                "the trusted key {key} expired at {expires_at}: requests signed with it are rejected; remove it from \
                 --trusted-key, or give it a later date there"
            ));
        }
        (expires_at.duration_since(now) <= EXPIRY_NOTICE).then(|| {
            format!(
                "the trusted key {key} expires at {expires_at}: requests signed with it will be rejected; replace it with \
                 `homelab-deploy keys rotate`, or give it a later date in --trusted-key"
            )
        })
    }

    /// How long until the warning changes, if it will.
    pub fn next_warning_change(&self, now: Timestamp) -> Option<SignedDuration> {
        let left = self.expires_at?.duration_since(now);
        [left - EXPIRY_NOTICE, left].into_iter().find(SignedDuration::is_positive)
    }
}

/// An invalid expiry date.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "invalid expiry date{}: expected a day such as 2027-01-01, which still counts as valid (UTC), or a time such as \
     2027-01-01T12:00:00Z",
    shown.as_ref().map(|text| format!(" {text:?}")).unwrap_or_default()
)]
pub struct ExpiryError {
    /// The invalid input, unless it could be part of a secret.
    shown: Option<String>,
}

/// Parses a day, which is valid until its end in UTC, or an RFC 3339 time. Returns the first moment at which the key
/// has expired.
pub fn parse_expiry(text: &str) -> Result<Timestamp, ExpiryError> {
    let moment = if text.len() == DATE_LEN { end_of_day(text) } else { text.parse().ok() };
    moment.ok_or_else(|| {
        let harmless = |c: char| c.is_ascii_digit() || "-:.+TZ".contains(c);
        let shown = !text.is_empty() && text.len() < 40 && text.chars().all(harmless);
        ExpiryError { shown: shown.then(|| text.to_owned()) }
    })
}

fn end_of_day(text: &str) -> Option<Timestamp> {
    let next = text.parse::<Date>().ok()?.checked_add(1.day()).ok()?;
    Some(next.to_zoned(TimeZone::UTC).ok()?.timestamp())
}
