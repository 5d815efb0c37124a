//! The page about metrics tells the truth: its tables are what is measured and what is alerted on.

use crate::page::{address, get, measured};
use std::collections::{BTreeMap, BTreeSet};

const PAGE: &str = include_str!("../../docs/metrics.md");
const ALERTS: &str = include_str!("../../nixos/alerts.yml");

/// The rows of the table below this heading, as cells.
fn table(heading: &str) -> Vec<Vec<&'static str>> {
    let below = PAGE.split(heading).nth(1).unwrap_or_else(|| panic!("no table {heading}"));
    let rows = below.lines().skip(2).take_while(|line| line.starts_with('|'));
    rows.map(|row| row.split('|').map(str::trim).collect()).collect()
}

/// The words in code style of a cell.
fn words(text: &str) -> BTreeSet<String> {
    text.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

#[test]
fn the_page_lists_each_metric_with_its_type_and_labels() {
    let told: BTreeMap<_, _> = table("| metric | type | labels | |")
        .into_iter()
        .map(|cells| (words(cells[1]).pop_first().unwrap(), (cells[2].to_owned(), words(cells[3]))))
        .collect();
    let mut stage = measured("");
    let page = get(&address(&mut stage.host), "/metrics").body;
    let mut served = BTreeMap::new();
    for line in page.lines().filter_map(|line| line.strip_prefix("# TYPE ")) {
        let (name, kind) = line.split_once(' ').unwrap();
        let sample = page.lines().find(|line| line.starts_with(name)).unwrap();
        let inner = sample.split_once('{').map_or("", |(_, rest)| rest.split_once('}').unwrap().0);
        let labels = inner.split(',').filter_map(|pair| Some(pair.split_once('=')?.0.to_owned()));
        let labels = labels.filter(|label| label != "le").collect();
        served.insert(name.to_owned(), (kind.to_owned(), labels));
    }
    assert_eq!(told, served);
}

#[test]
fn the_page_lists_each_alert() {
    let told: Vec<_> = table("| alert | when |").into_iter().flat_map(|cells| words(cells[1])).collect();
    let alerts = ALERTS.lines().filter_map(|line| line.trim().strip_prefix("- alert: "));
    assert_eq!(told, alerts.collect::<Vec<_>>());
}
