//! Until when a key is valid, as people write it.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};

/// The length of `2027-01-01`.
const DAY: usize = 10;

/// Why a text does not say when a key expires.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "invalid expiry date{}: expected a day such as 2027-01-01, which still counts as valid (UTC), or a time such as \
     2027-01-01T12:00:00Z",
    shown.as_ref().map(|text| format!(" {text:?}")).unwrap_or_default()
)]
pub struct ExpiryError {
    /// What was written, if it cannot be a part of a secret.
    shown: Option<String>,
}

/// Reads a day, which is valid until its end in UTC, or an RFC 3339 time. Gives the first moment at which the key has expired.
pub fn parse_expiry(text: &str) -> Result<Timestamp, ExpiryError> {
    let moment = if text.len() == DAY { end_of_day(text) } else { text.parse().ok() };
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
