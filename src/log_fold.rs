//! Folds lines of a log that come in floods: the first of a kind are logged, the others are counted.
//!
//! Anyone who may send a query can cause a line of a service. Without a limit a flood of them fills the journal, which then drops
//! other lines, too.

use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::{Instant, sleep_until};

/// The time for which lines of one kind are counted together.
const WINDOW: Duration = Duration::from_secs(10);

/// How many lines of each kind are logged.
#[derive(Debug, Default)]
pub struct LogFold {
    kinds: BTreeMap<&'static str, Kind>,
}

#[derive(Debug)]
struct Kind {
    /// When its count is logged.
    due: Instant,
    logged: u32,
    folded: u64,
}

impl LogFold {
    /// Whether one more line of this kind may be logged; if `most` were logged in ten seconds, it is counted instead.
    pub fn allows(&mut self, kind: &'static str, most: u32) -> bool {
        let entry = self.kinds.entry(kind).or_insert_with(|| Kind {
            due: Instant::now() + WINDOW,
            logged: 0,
            folded: 0,
        });
        let allowed = entry.logged < most;
        if allowed {
            entry.logged += 1;
        } else {
            entry.folded += 1;
        }
        allowed
    }

    /// Waits until a count is due; forever if there is none.
    pub async fn due(&self) {
        match self.kinds.values().map(|kind| kind.due).min() {
            Some(due) => sleep_until(due).await,
            None => std::future::pending().await,
        }
    }

    /// Logs the counts that are due. A kind of which no line was folded starts again.
    pub fn log_due(&mut self) {
        let now = Instant::now();
        self.kinds.retain(|name, kind| {
            if kind.due > now {
                return true;
            }
            let flooded = kind.folded > 0;
            kind.log(name);
            kind.due = now + WINDOW;
            flooded
        });
    }

    /// Logs every count, before the service stops.
    pub fn log_all(&mut self) {
        for (name, kind) in std::mem::take(&mut self.kinds) {
            { kind }.log(name);
        }
    }
}

impl Kind {
    fn log(&mut self, name: &str) {
        let count = std::mem::take(&mut self.folded);
        if count > 0 {
            tracing::warn!(count, "{count} more like this in {} s: {name}", WINDOW.as_secs());
        }
    }
}
