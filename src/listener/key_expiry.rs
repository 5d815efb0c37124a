//! The warnings about trusted keys that expire, kept up to date as time passes.

use crate::jobs::now;
use crate::keys::TrustedKey;
use jiff::Timestamp;
use std::collections::BTreeSet;
use std::time::Duration;
use tokio::time::sleep;

/// How often the clock is looked at, which may be set meanwhile.
const LOOK: Duration = Duration::from_mins(1);

/// What is said about keys now.
pub(super) struct KeyExpiry {
    keys: Vec<TrustedKey>,
    warnings: BTreeSet<String>,
}

impl KeyExpiry {
    pub(super) fn new(keys: &[TrustedKey]) -> Self {
        let dated = keys.iter().filter(|key| key.expires_at.is_some());
        Self { keys: dated.cloned().collect(), warnings: BTreeSet::new() }
    }

    /// Replaces among `all` warnings those about keys, and logs what is new.
    pub(super) fn update(&mut self, all: &mut BTreeSet<String>, now: Timestamp) {
        all.retain(|warning| !self.warnings.contains(warning));
        let before = std::mem::take(&mut self.warnings);
        for trusted in &self.keys {
            let Some(warning) = trusted.warning(now) else { continue };
            if !before.contains(&warning) {
                let (key, expires_at) = (trusted.key.as_str(), trusted.expires_at.map(|at| at.to_string()));
                match trusted.expired_at(now) {
                    Some(_) => tracing::warn!(key, expires_at, "a trusted key has expired"),
                    None => tracing::warn!(key, expires_at, "a trusted key expires soon"),
                }
            }
            self.warnings.insert(warning);
        }
        all.extend(self.warnings.iter().cloned());
    }

    /// Waits until time has changed a warning; for ever if no key expires.
    pub(super) async fn changed(&self) {
        if self.keys.is_empty() {
            return std::future::pending().await;
        }
        loop {
            let now = now();
            let warnings: BTreeSet<_> = self.keys.iter().filter_map(|key| key.warning(now)).collect();
            if warnings != self.warnings {
                return;
            }
            let next = self.keys.iter().filter_map(|key| key.changes_in(now)).min();
            let next = next.and_then(|next| Duration::try_from(next).ok()).unwrap_or(LOOK);
            sleep(next.min(LOOK)).await;
        }
    }
}
