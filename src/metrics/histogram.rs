//! A histogram of durations in buckets of our own.

use super::Page;
use serde::{Deserialize, Serialize};

/// The upper bounds of the buckets, in milliseconds: from what is done at once to a kernel that is built.
const BOUNDS: [u64; 12] =
    [100, 500, 1_000, 5_000, 10_000, 30_000, 60_000, 120_000, 300_000, 600_000, 1_800_000, 3_600_000];

/// How many durations fell into each bucket.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Histogram {
    /// For each bound those above the one before, and last those above all.
    counts: [u64; BOUNDS.len() + 1],
    sum_ms: u64,
}

impl Histogram {
    pub(super) fn observe(&mut self, millis: u64) {
        let bucket = BOUNDS.partition_point(|bound| *bound < millis);
        self.counts[bucket] += 1;
        self.sum_ms = self.sum_ms.saturating_add(millis);
    }

    /// Writes its samples, each with these labels.
    pub(super) fn write(&self, page: &mut Page, name: &str, labels: &[(&str, &str)]) {
        let mut so_far = 0;
        for (at, count) in self.counts.iter().enumerate() {
            so_far += count;
            let bound = BOUNDS.get(at).map_or("+Inf".to_owned(), |bound| seconds(*bound).to_string());
            let with_bound: Vec<_> = labels.iter().copied().chain([("le", bound.as_str())]).collect();
            page.sample(&format!("{name}_bucket"), &with_bound, so_far);
        }
        page.sample(&format!("{name}_sum"), labels, seconds(self.sum_ms));
        page.sample(&format!("{name}_count"), labels, so_far);
    }
}

#[expect(clippy::cast_precision_loss, reason = "exact for thousands of years")]
fn seconds(millis: u64) -> f64 {
    millis as f64 / 1000.0
}
