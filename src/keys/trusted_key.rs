//! A key whose requests a host takes, and until when.

use super::expiry::{ExpiryError, parse_expiry};
use crate::protocol::{PublicKey, PublicKeyError, WRITE_KEY};
use jiff::{SignedDuration, Timestamp};

/// How long before it expires a key is warned about.
const NOTICE: SignedDuration = SignedDuration::from_hours(14 * 24);

/// A public key that a host trusts: `U…`, or `U…@2027-01-01`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustedKey {
    /// The key.
    pub key: PublicKey,
    /// The first moment at which it is not trusted any more; `None` if it does not expire.
    pub expires_at: Option<Timestamp>,
}

/// Why a text is not a trusted key. The key is never repeated: it could be half a seed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TrustedKeyError {
    /// The key.
    #[error("{0}; {WRITE_KEY}")]
    Key(#[from] PublicKeyError),
    /// What follows the `@`.
    #[error("{0}; write it behind the key as U…@2027-01-01, or leave it out")]
    Expiry(#[from] ExpiryError),
}

impl TrustedKey {
    /// Reads a key with or without a date.
    pub fn parse(text: &str) -> Result<Self, TrustedKeyError> {
        let (key, expiry) = match text.split_once('@') {
            Some((key, expiry)) => (key, Some(expiry)),
            None => (text, None),
        };
        let key = PublicKey::parse(key.trim())?;
        let expires_at = expiry.map(|expiry| parse_expiry(expiry.trim())).transpose()?;
        Ok(Self { key, expires_at })
    }

    /// Since when it is expired, if it is.
    pub fn expired_at(&self, now: Timestamp) -> Option<Timestamp> {
        self.expires_at.filter(|expires_at| *expires_at <= now)
    }

    /// What operators should know: from 14 days before it expires, and ever after.
    pub fn warning(&self, now: Timestamp) -> Option<String> {
        let (key, expires_at) = (self.key.as_str(), self.expires_at?);
        if expires_at <= now {
            return Some(format!(
                "the trusted key {key} expired at {expires_at}: what it has signed is refused; remove it from --trusted-key, or give \
                 it a later date there"
            ));
        }
        (expires_at.duration_since(now) <= NOTICE).then(|| {
            format!(
                "the trusted key {key} expires at {expires_at}: what it has signed is refused from then on; replace it with \
                 `homelab-deploy keys rotate`, or give it a later date in --trusted-key"
            )
        })
    }

    /// How long until its warning changes, if time changes it.
    pub fn changes_in(&self, now: Timestamp) -> Option<SignedDuration> {
        let left = self.expires_at?.duration_since(now);
        [left - NOTICE, left].into_iter().find(SignedDuration::is_positive)
    }
}
