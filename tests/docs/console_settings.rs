//! docs/config.md lists every column, key and style of the console: `REFERENCE=write cargo test --test docs console` writes
//! the tables.

use crate::page::root;
use clap::ValueEnum;
use homelab_deploy::tui::{Binding, HostColumn, HostColumns, KEYS, Tone};
use std::collections::HashSet;
use std::fmt::Write as _;
use std::fs;

const PAGE: &str = "docs/config.md";

#[test]
fn the_tables_of_the_console_match_the_program() {
    let file = root().join(PAGE);
    let mut page = fs::read_to_string(&file).unwrap();
    for (name, rows) in [("columns", columns()), ("keys", keys()), ("styles", styles())] {
        let mark = format!("<!-- console {name} -->\n\n");
        let start = page.find(&mark).unwrap_or_else(|| panic!("no {mark:?}")) + mark.len();
        let end = start + page[start..].find("\n\n").unwrap() + 1;
        if std::env::var("REFERENCE").is_ok_and(|value| value == "write") {
            page.replace_range(start..end, &rows);
            fs::write(&file, &page).unwrap();
        } else {
            assert_eq!(page[start..end], rows, "run REFERENCE=write cargo test --test docs console");
        }
    }
}

/// The name of a value in the file, and its description.
fn name<T: ValueEnum>(value: &T) -> (String, String) {
    let value = value.to_possible_value().unwrap();
    (value.get_name().to_owned(), value.get_help().map(ToString::to_string).unwrap_or_default())
}

fn columns() -> String {
    let defaults = HostColumns::default();
    let mut table = "| column | shows | in `columns` | in `system_columns` |\n|---|---|---|---|\n".to_owned();
    for column in HostColumn::value_variants() {
        let (name, help) = name(column);
        let place = |columns: &[HostColumn]| {
            columns.iter().position(|other| other == column).map_or(String::new(), |at| (at + 1).to_string())
        };
        let (deployment, system) = (place(&defaults.deployment), place(&defaults.system));
        writeln!(table, "| `{name}` | {help} | {deployment} | {system} |").unwrap();
    }
    table
}

fn keys() -> String {
    let mut table = "| command | keys | does |\n|---|---|---|\n".to_owned();
    let bindings: Vec<_> = KEYS.iter().filter(|binding| binding.is_configurable()).collect();
    for (at, binding) in bindings.iter().enumerate() {
        let same = |other: &&&Binding| other.command == binding.command;
        if bindings[..at].iter().any(|other| other.command == binding.command) {
            continue;
        }
        let (mut keys, mut does) = (Vec::new(), Vec::new());
        for other in bindings.iter().filter(same) {
            keys.extend(other.chords.iter().map(|chord| format!("`{}`", chord.name())));
            does.push(other.help);
        }
        let unique = |texts: Vec<String>| -> Vec<String> {
            let mut known = HashSet::new();
            texts.into_iter().filter(|text| known.insert(text.clone())).collect()
        };
        let does = unique(does.into_iter().map(str::to_owned).collect()).join("; ");
        writeln!(table, "| `{}` | {} | {does} |", name(&binding.command).0, unique(keys).join(" ")).unwrap();
    }
    table
}

fn styles() -> String {
    let mut table = "| style | of | default |\n|---|---|---|\n".to_owned();
    for tone in Tone::value_variants() {
        let (name, help) = name(tone);
        writeln!(table, "| `{name}` | {help} | `{}` |", tone.default_words()).unwrap();
    }
    table
}
