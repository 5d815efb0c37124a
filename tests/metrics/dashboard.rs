//! The dashboard and the alerts query only existing metrics.

use crate::common::metrics_page::documented_metrics;
use crate::page::{MetricsPage, measured};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

const DASHBOARD: &str = include_str!("../../nixos/dashboard.json");
const ALERTS: &str = include_str!("../../nixos/alerts.yml");

/// Metrics of the `systemd` collector of `node_exporter`, which cover the flake update.
const OF_NODE_EXPORTER: [(&str, &[&str]); 2] = [
    ("node_systemd_unit_state", &["name", "state", "type"]),
    ("node_systemd_timer_last_trigger_seconds", &["name"]),
];

/// Labels that Prometheus adds to each sample, and a metric that it creates.
const OF_PROMETHEUS: [&str; 3] = ["job", "instance", "up"];

fn dashboard() -> Value {
    serde_json::from_str(DASHBOARD).unwrap()
}

/// All panels, including those in rows.
fn panels() -> Vec<Value> {
    let of = |value: &Value| value["panels"].as_array().cloned().unwrap_or_default();
    of(&dashboard()).into_iter().flat_map(|panel| [of(&panel), vec![panel]].concat()).collect()
}

/// All queries of the dashboard, unchanged.
pub(crate) fn queries() -> Vec<String> {
    let targets =
        panels().into_iter().flat_map(|panel| panel["targets"].as_array().cloned().unwrap_or_default());
    let queries: Vec<_> =
        targets.map(|target| target["expr"].as_str().expect("a query").to_owned()).collect();
    assert!(queries.len() >= 12, "{queries:#?}");
    queries
}

/// The conditions of all alerts.
pub(crate) fn alerts() -> Vec<String> {
    let conditions = ALERTS.lines().filter_map(|line| line.trim_start().strip_prefix("expr: "));
    let conditions: Vec<_> = conditions.map(str::to_owned).collect();
    assert_eq!(conditions.len(), ALERTS.matches("- alert: ").count());
    conditions
}

/// Whether a query uses metrics of the node exporter.
pub(crate) fn asks_node_exporter(query: &str) -> bool {
    OF_NODE_EXPORTER.iter().any(|(name, _)| query.contains(name))
}

/// Replaces Grafana's variables in a query.
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

/// The metrics and labels in a query: all words except functions, numbers and quoted strings.
fn words(query: &str) -> BTreeSet<String> {
    let unquoted: String = query.split('"').step_by(2).collect::<Vec<_>>().join("\"\"");
    let words = unquoted.split(|c: char| !(c.is_alphanumeric() || "_:$".contains(c)));
    let name = |word: &&str| word.starts_with(|c: char| c.is_alphabetic() || c == '_');
    let rest = |word: &str| unquoted.contains(&format!("{word}(")) || unquoted.contains(&format!("{word} ("));
    let keyword = |word: &str| ["and", "or", "unless", "bool", "sum", "count"].contains(&word);
    words.filter(name).filter(|word| !rest(word) && !keyword(word)).map(str::to_owned).collect()
}

/// The metrics of a builder and their labels, from the documentation. The tests of the builder check that table.
fn of_builders() -> BTreeMap<String, BTreeSet<String>> {
    let documented = documented_metrics("| metric of a builder | type | labels | |");
    let series = documented.into_iter().map(|(name, (kind, mut labels))| {
        if kind != "histogram" {
            return (name, labels);
        }
        labels.insert("le".to_owned());
        (format!("{name}_bucket"), labels)
    });
    series.collect()
}

/// The labels of each metric of a listener and of a builder.
fn measured_labels() -> BTreeMap<String, BTreeSet<String>> {
    let mut stage = measured("");
    let mut labels = of_builders();
    for series in MetricsPage::of(&mut stage.host).0.into_keys() {
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
fn every_dashboard_query_uses_existing_metrics_and_labels() {
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
            labels.extend(of.unwrap_or_else(|| panic!("unknown metric {metric} in {query}")).clone());
        }
        let unknown: Vec<_> =
            words.iter().filter(|word| !metrics.contains(word) && !labels.contains(*word)).collect();
        assert!(unknown.is_empty(), "{unknown:?} in {query}; known are {labels:?}");
    }
}

#[test]
fn every_metric_is_on_the_dashboard_and_every_panel_has_a_description() {
    let all = queries().join("\n");
    for name in measured_labels().into_keys() {
        // Queries use the buckets of a histogram.
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
