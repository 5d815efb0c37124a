//! The clock of this host.

use jiff::{Timestamp, Unit};

/// The time by this host's clock, rounded to milliseconds.
pub fn now() -> Timestamp {
    let now = Timestamp::now();
    now.round(Unit::Millisecond).unwrap_or(now)
}
