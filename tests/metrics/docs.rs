//! The page about metrics tells the truth: its tables are what is measured and what is alerted on.

use crate::common::page::{metrics_of, metrics_told, told, words};
use crate::page::{address, get, measured};

const ALERTS: &str = include_str!("../../nixos/alerts.yml");

#[test]
fn the_page_lists_each_metric_with_its_type_and_labels() {
    let mut stage = measured("");
    let page = get(&address(&mut stage.host), "/metrics").body;
    assert_eq!(metrics_told("| metric | type | labels | |"), metrics_of(&page));
}

#[test]
fn the_page_lists_each_alert() {
    let told: Vec<_> = told("| alert | when |").into_iter().flat_map(|cells| words(cells[1])).collect();
    let alerts = ALERTS.lines().filter_map(|line| line.trim().strip_prefix("- alert: "));
    assert_eq!(told, alerts.collect::<Vec<_>>());
}
