//! Limits log floods: the first lines of a kind are logged, and the others are counted.
//!
//! Anyone who may send a query can cause log lines in a service. Without a limit, a flood fills the journal, which then
//! drops other lines as well.

use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::{Instant, sleep_until};

/// The time over which lines of one kind are counted.
const WINDOW: Duration = Duration::from_secs(10);

/// Counts the lines of each kind.
#[derive(Debug, Default)]
pub struct LogThrottle {
    kinds: BTreeMap<&'static str, LineCounts>,
}

#[derive(Debug)]
struct LineCounts {
    /// When the count is logged.
    due: Instant,
    logged: u32,
    suppressed: u64,
}

impl LogThrottle {
    /// Whether one more line of this kind may be logged. After `most` lines within ten seconds, it is counted instead.
    pub fn allows(&mut self, kind: &'static str, most: u32) -> bool {
        let entry = self.kinds.entry(kind).or_insert_with(|| LineCounts {
            due: Instant::now() + WINDOW,
            logged: 0,
            suppressed: 0,
        });
        let allowed = entry.logged < most;
        if allowed {
            entry.logged += 1;
        } else {
            entry.suppressed += 1;
        }
        allowed
    }

    /// Waits until a count is due; never returns if there is none.
    pub async fn due(&self) {
        match self.kinds.values().map(|kind| kind.due).min() {
            Some(due) => sleep_until(due).await,
            None => std::future::pending().await,
        }
    }

    /// Logs the counts that are due. A kind without suppressed lines starts over.
    pub fn log_due(&mut self) {
        let now = Instant::now();
        self.kinds.retain(|name, kind| {
            if kind.due > now {
                return true;
            }
            let flooded = kind.suppressed > 0;
            kind.log(name);
            kind.due = now + WINDOW;
            flooded
        });
    }

    /// Logs all counts, before the service stops.
    pub fn log_all(&mut self) {
        for (name, kind) in std::mem::take(&mut self.kinds) {
            { kind }.log(name);
        }
    }
}

impl LineCounts {
    fn log(&mut self, name: &str) {
        let count = std::mem::take(&mut self.suppressed);
        if count > 0 {
            tracing::warn!(count, "{count} more like this in {} s: {name}", WINDOW.as_secs());
        }
    }
}
