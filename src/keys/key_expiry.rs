//! Warnings about trusted keys that expire, updated as time passes.

use super::TrustedKey;
use crate::ordered::CollectOrdered;
use jiff::Timestamp;
use std::collections::BTreeSet;
use std::time::Duration;
use tokio::time::sleep;

/// Maximum interval between two looks at the clock, which may be set at any time.
const CHECK_INTERVAL: Duration = Duration::from_mins(1);

/// The current warnings about keys.
#[derive(Debug)]
pub struct KeyExpiry {
    keys: Vec<TrustedKey>,
    warnings: BTreeSet<String>,
}

impl KeyExpiry {
    /// No warnings yet about these keys.
    pub fn new(keys: &[TrustedKey]) -> Self {
        let dated = keys.iter().filter(|key| key.expires_at.is_some());
        Self { keys: dated.cloned().collect(), warnings: BTreeSet::new() }
    }

    /// Replaces the warnings about keys in `all`, and logs new ones.
    pub fn update(&mut self, all: &mut BTreeSet<String>, now: Timestamp) {
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

    /// Waits until time has changed a warning; forever if no key expires.
    pub async fn changed(&self) {
        if self.keys.is_empty() {
            return std::future::pending().await;
        }
        loop {
            let now = Timestamp::now();
            let warnings: BTreeSet<_> = self.keys.iter().filter_map(|key| key.warning(now)).collect_set();
            if warnings != self.warnings {
                return;
            }
            let next = self.keys.iter().filter_map(|key| key.next_warning_change(now)).min();
            let next = next.and_then(|next| Duration::try_from(next).ok()).unwrap_or(CHECK_INTERVAL);
            sleep(next.min(CHECK_INTERVAL)).await;
        }
    }
}
