//! The tables of the documentation list exactly the existing metrics and alerts.

use crate::common::metrics_page::{code_spans, documented_metrics, documented_rows, metrics_of};
use crate::page::{address, get, measured};

const ALERTS: &str = include_str!("../../nixos/alerts.yml");

#[test]
fn the_page_lists_each_metric_with_its_type_and_labels() {
    let mut stage = measured("");
    let page = get(&address(&mut stage.host), "/metrics").body;
    assert_eq!(documented_metrics("| metric | type | labels | |"), metrics_of(&page));
}

#[test]
fn the_page_lists_each_alert() {
    let documented: Vec<_> =
        documented_rows("| alert | when |").into_iter().flat_map(|cells| code_spans(cells[1])).collect();
    let alerts = ALERTS.lines().filter_map(|line| line.trim().strip_prefix("- alert: "));
    assert_eq!(documented, alerts.collect::<Vec<_>>());
}
