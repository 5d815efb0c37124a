//! Makes metrics of the crate `prometheus` from persisted counts.
//!
//! The crate's own counters and histograms start at zero in each process, so counts that survive restarts are handed to
//! it at each scrape.

use prometheus::core::{Collector, Desc};
use prometheus::proto::{Bucket, Counter, Gauge, Histogram, LabelPair, Metric, MetricFamily, MetricType};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;

/// The labels of a metric with a single series.
pub(super) const NO_LABELS: [&str; 0] = [];

/// Upper bounds of the buckets, in milliseconds: from immediate steps up to a kernel build.
const BOUNDS: [u64; 12] =
    [100, 500, 1_000, 5_000, 10_000, 30_000, 60_000, 120_000, 300_000, 600_000, 1_800_000, 3_600_000];

/// A collector that calls a function at each scrape.
pub(super) struct FnCollector<F> {
    descriptions: Vec<Desc>,
    collect: F,
}

impl<F: Fn() -> Vec<MetricFamily> + Send + Sync> FnCollector<F> {
    /// The function must always return the same metrics, even if they have no series yet.
    pub(super) fn new(collect: F) -> prometheus::Result<Self> {
        let describe = |family: &MetricFamily| {
            Desc::new(family.name().to_owned(), family.help().to_owned(), Vec::new(), HashMap::new())
        };
        let descriptions = collect().iter().map(describe).collect::<Result<_, _>>()?;
        Ok(Self { descriptions, collect })
    }
}

impl<F: Fn() -> Vec<MetricFamily> + Send + Sync> Collector for FnCollector<F> {
    fn desc(&self) -> Vec<&Desc> {
        self.descriptions.iter().collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        (self.collect)()
    }
}

/// Increases a count up to the maximum. The file that counts are read from can have any number.
pub(super) fn increase(count: &mut u64, by: u64) {
    *count = count.saturating_add(by);
}

/// The number of durations in each bucket.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct DurationCounts {
    /// One count for each bound, excluding lower buckets, then the count above all bounds.
    counts: [u64; BOUNDS.len() + 1],
    sum_ms: u64,
}

impl DurationCounts {
    pub(super) fn observe(&mut self, millis: u64) {
        let bucket = BOUNDS.partition_point(|bound| *bound < millis);
        increase(&mut self.counts[bucket], 1);
        self.sum_ms = self.sum_ms.saturating_add(millis);
    }

    fn histogram(&self) -> Histogram {
        let mut cumulative: u64 = 0;
        let buckets = BOUNDS.iter().zip(self.counts).map(|(bound, count)| {
            increase(&mut cumulative, count);
            let mut bucket = Bucket::default();
            bucket.set_upper_bound(seconds(*bound));
            bucket.set_cumulative_count(cumulative);
            bucket
        });
        let mut histogram = Histogram::default();
        histogram.set_bucket(buckets.collect());
        histogram.set_sample_count(self.counts.iter().fold(0, |sum, count| sum.saturating_add(*count)));
        histogram.set_sample_sum(seconds(self.sum_ms));
        histogram
    }
}

/// A gauge with a single series.
pub(super) fn gauge(name: &str, help: &str, value: u64) -> MetricFamily {
    let mut gauge = Gauge::default();
    gauge.set_value(float(value));
    family(name, help, MetricType::GAUGE, vec![Metric::from_gauge(gauge)])
}

/// A counter with these label names, and the label values and count of each series.
pub(super) fn counter<const N: usize, V: AsRef<str>>(
    name: &str,
    help: &str,
    labels: [&str; N],
    series: impl IntoIterator<Item = ([V; N], u64)>,
) -> MetricFamily {
    let series = series.into_iter().map(|(values, count)| {
        let mut counter = Counter::default();
        counter.set_value(float(count));
        let mut metric = Metric::from_label(label_pairs(labels, values));
        metric.set_counter(counter);
        metric
    });
    family(name, help, MetricType::COUNTER, series.collect())
}

/// A histogram of durations in seconds, with these label names, and the label values of each series.
pub(super) fn histogram<'a, const N: usize, V: AsRef<str>>(
    name: &str,
    help: &str,
    labels: [&str; N],
    series: impl IntoIterator<Item = ([V; N], &'a DurationCounts)>,
) -> MetricFamily {
    let series = series.into_iter().map(|(values, durations)| {
        let mut metric = Metric::from_label(label_pairs(labels, values));
        metric.set_histogram(durations.histogram());
        metric
    });
    family(name, help, MetricType::HISTOGRAM, series.collect())
}

fn family(name: &str, help: &str, kind: MetricType, series: Vec<Metric>) -> MetricFamily {
    let mut family = MetricFamily::default();
    family.set_name(name.to_owned());
    family.set_help(help.to_owned());
    family.set_field_type(kind);
    family.set_metric(series);
    family
}

fn label_pairs<const N: usize, V: AsRef<str>>(labels: [&str; N], values: [V; N]) -> Vec<LabelPair> {
    let pair = |(label, value): (&str, V)| {
        let mut pair = LabelPair::default();
        pair.set_name(label.to_owned());
        pair.set_value(value.as_ref().to_owned());
        pair
    };
    labels.into_iter().zip(values).map(pair).collect()
}

fn seconds(millis: u64) -> f64 {
    float(millis) / 1000.0
}

#[expect(clippy::cast_precision_loss, reason = "exact for thousands of years, and for every possible count")]
fn float(value: u64) -> f64 {
    value as f64
}
