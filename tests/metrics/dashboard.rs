//! The dashboard and the alerts ask only for what is measured.

use crate::common::page::metrics_told;
use crate::page::{Page, measured};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

const DASHBOARD: &str = include_str!("../../nixos/dashboard.json");
const ALERTS: &str = include_str!("../../nixos/alerts.yml");

/// What `node_exporter`'s collector `systemd` measures, which sees the update of the flake.
const OF_NODE_EXPORTER: [(&str, &[&str]); 2] = [
    ("node_systemd_unit_state", &["name", "state", "type"]),
    ("node_systemd_timer_last_trigger_seconds", &["name"]),
];

/// What Prometheus adds to each sample, and the name of what it makes itself.
const OF_PROMETHEUS: [&str; 3] = ["job", "instance", "up"];

fn dashboard() -> Value {
    serde_json::from_str(DASHBOARD).unwrap()
}

/// Every panel, those in rows too.
fn panels() -> Vec<Value> {
    let of = |value: &Value| value["panels"].as_array().cloned().unwrap_or_default();
    of(&dashboard()).into_iter().flat_map(|panel| [of(&panel), vec![panel]].concat()).collect()
}

/// Every query of the dashboard, as it stands there.
pub(crate) fn queries() -> Vec<String> {
    let targets =
        panels().into_iter().flat_map(|panel| panel["targets"].as_array().cloned().unwrap_or_default());
    let queries: Vec<_> =
        targets.map(|target| target["expr"].as_str().expect("a query").to_owned()).collect();
    assert!(queries.len() >= 12, "{queries:#?}");
    queries
}

/// Every condition of the alerts.
pub(crate) fn alerts() -> Vec<String> {
    let conditions = ALERTS.lines().filter_map(|line| line.trim_start().strip_prefix("expr: "));
    let conditions: Vec<_> = conditions.map(str::to_owned).collect();
    assert_eq!(conditions.len(), ALERTS.matches("- alert: ").count());
    conditions
}

/// Whether a query asks for what the node exporter measures.
pub(crate) fn asks_node_exporter(query: &str) -> bool {
    OF_NODE_EXPORTER.iter().any(|(name, _)| query.contains(name))
}

/// A query with Grafana's variables filled in.
pub(crate) fn filled_in(query: &str) -> String {
    [
        ("$__rate_interval", "1m"),
        ("$__interval", "1m"),
        ("$__range", "1h"),
        ("$tier", ".*"),
        ("$host", ".*"),
        ("$job", ".*"),
    ]
    .into_iter()
    .fold(query.to_owned(), |query, (variable, value)| query.replace(variable, value))
}

/// The names in a query that are metrics or labels: all words but functions, numbers and what stands in quotes.
fn words(query: &str) -> BTreeSet<String> {
    let unquoted: String = query.split('"').step_by(2).collect::<Vec<_>>().join("\"\"");
    let words = unquoted.split(|c: char| !(c.is_alphanumeric() || "_:$".contains(c)));
    let name = |word: &&str| word.starts_with(|c: char| c.is_alphabetic() || c == '_');
    let rest = |word: &str| unquoted.contains(&format!("{word}(")) || unquoted.contains(&format!("{word} ("));
    let keyword = |word: &str| ["and", "or", "unless", "bool", "sum", "count"].contains(&word);
    words.filter(name).filter(|word| !rest(word) && !keyword(word)).map(str::to_owned).collect()
}

/// The same of a builder, whose tests hold this table to its page.
fn of_builders() -> BTreeMap<String, BTreeSet<String>> {
    let told = metrics_told("| metric of a builder | type | labels | |");
    let series = told.into_iter().map(|(name, (kind, mut labels))| {
        if kind != "histogram" {
            return (name, labels);
        }
        labels.insert("le".to_owned());
        (format!("{name}_bucket"), labels)
    });
    series.collect()
}

/// The labels of each metric on a real page, and on that of a builder.
fn measured_labels() -> BTreeMap<String, BTreeSet<String>> {
    let mut stage = measured("");
    let mut labels = of_builders();
    for series in Page::of(&mut stage.host).0.into_keys() {
        let (name, inner) = series.split_once('{').unwrap_or((&series, ""));
        let of = labels.entry(name.to_owned()).or_default();
        of.extend(inner.split("=\"").filter_map(|part| {
            let label = part.rsplit([',', '{', '"']).next()?;
            Some(label.to_owned()).filter(|label| !label.is_empty() && label != "}")
        }));
    }
    labels
}

#[test]
fn every_query_asks_for_metrics_and_labels_that_exist() {
    let measured = measured_labels();
    for query in queries().iter().chain(&alerts()) {
        let words = words(&filled_in(query));
        let of_others = |word: &str| OF_NODE_EXPORTER.iter().find(|(name, _)| *name == word);
        let is_metric = |word: &&String| {
            word.starts_with("homelab_deploy_") || *word == "up" || of_others(word).is_some()
        };
        let metrics: BTreeSet<_> = words.iter().filter(is_metric).collect();
        assert!(!metrics.is_empty(), "{query}");
        let mut labels = BTreeSet::from(OF_PROMETHEUS.map(str::to_owned));
        for metric in metrics.iter().filter(|metric| **metric != "up") {
            if let Some((_, others)) = of_others(metric) {
                labels.extend(others.iter().map(|label| (*label).to_owned()));
                continue;
            }
            let of = measured.get(*metric);
            labels.extend(of.unwrap_or_else(|| panic!("nobody measures {metric}: {query}")).clone());
        }
        let unknown: Vec<_> =
            words.iter().filter(|word| !metrics.contains(word) && !labels.contains(*word)).collect();
        assert!(unknown.is_empty(), "{unknown:?} in {query}; known are {labels:?}");
    }
}

#[test]
fn every_metric_is_on_the_dashboard_and_every_panel_says_what_it_shows() {
    let all = queries().join("\n");
    for name in measured_labels().into_keys() {
        // A histogram is asked by its buckets.
        let shown = name.strip_suffix("_sum").or(name.strip_suffix("_count")).unwrap_or(&name);
        assert!(all.contains(shown), "{name} is on no panel");
    }
    let mut ids = BTreeSet::new();
    for panel in panels() {
        assert!(ids.insert(panel["id"].as_u64()), "two panels with the id of {panel}");
        let at = &panel["gridPos"];
        let (x, width) = (at["x"].as_u64().unwrap(), at["w"].as_u64().unwrap());
        assert!(x + width <= 24, "{panel} is wider than the page");
        if panel["type"] != "row" {
            for field in ["title", "description"] {
                assert!(panel[field].as_str().is_some_and(|text| !text.is_empty()), "{field}: {panel}");
            }
            assert_eq!(panel["datasource"]["uid"], "${datasource}", "{panel}");
        }
    }
}
