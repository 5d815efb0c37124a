//! The clock of this host.

use jiff::{Timestamp, Unit};

/// Why a request that expires at `expires_at` is refused at `now`; `None` if it is still valid.
pub fn expired(expires_at: Option<Timestamp>, now: Timestamp) -> Option<String> {
    let late = now.duration_since(expires_at.filter(|expires_at| *expires_at < now)?).as_secs();
    Some(format!("the request expired {late} s ago by this host's clock, which says {now:.0}"))
}

/// The time by this host's clock, rounded to milliseconds.
pub fn now() -> Timestamp {
    let now = Timestamp::now();
    now.round(Unit::Millisecond).unwrap_or(now)
}
