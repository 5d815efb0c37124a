//! The names, types, help and labels of both pages. Alerts, dashboards and recorded data of users depend on them, so a
//! change of the snapshots is a breaking change.

use crate::builder::Stage as Builder;
use crate::page::{address, get, measured, with_metrics};
use crate::prometheus::TWO;
use std::collections::BTreeMap;

/// The help and the type of each metric, then its series, without values and without the buckets of histograms.
fn outline(page: &str) -> String {
    let mut metrics: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    let mut name = "";
    for line in page.lines() {
        if let Some(text) = line.strip_prefix("# ") {
            let mut parts = text.splitn(3, ' ');
            (name, _) = (parts.nth(1).unwrap(), parts.next());
            metrics.entry(name).or_default().push(line.to_owned());
        } else if !line.starts_with(&format!("{name}_bucket")) && !line.starts_with(&format!("{name}_sum")) {
            metrics.get_mut(name).unwrap().push(with_sorted_labels(line.rsplit_once(' ').unwrap().0));
        }
    }
    for lines in metrics.values_mut() {
        lines[2..].sort_unstable();
    }
    let lines = metrics.into_values().flatten();
    lines.map(|line| line.replace(env!("CARGO_PKG_VERSION"), "VERSION") + "\n").collect()
}

/// The order of labels has no meaning.
fn with_sorted_labels(series: &str) -> String {
    let Some((name, labels)) = series.split_once('{') else { return series.to_owned() };
    let mut labels: Vec<_> = labels.trim_end_matches('}').split(',').collect();
    labels.sort_unstable();
    format!("{name}{{{}}}", labels.join(","))
}

#[test]
fn the_page_of_a_listener_keeps_its_names_help_and_labels() {
    let mut stage = measured("");
    insta::assert_snapshot!("listener", outline(&get(&address(&mut stage.host), "/metrics").body));
}

#[test]
fn the_page_of_a_builder_keeps_its_names_help_and_labels() {
    let mut building = Builder::with(TWO, "", with_metrics);
    building.build("n-1", "all").final_report();
    insta::assert_snapshot!("builder", outline(&get(&address(&mut building.builder), "/metrics").body));
}
