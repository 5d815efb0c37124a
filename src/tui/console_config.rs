//! The settings of `[console]` that change the columns, keys, styles and commands of the console.

use super::chord::Chord;
use super::command_line::verbs;
use super::theme::parse_style;
use super::{HostColumn, HostColumns, KEYS, KeyCommand, Keymap, Tone};
use crate::config::{ConfigProblem, ConsoleEntry, ConsoleSection, ProblemKind, Setting, expected_names};
use crate::ordered::CollectOrdered;
use clap::ValueEnum;
use ratatui::style::Style;
use std::collections::BTreeMap;

/// The settings of `[console]` that change the columns, keys, styles and commands of the console.
#[derive(Debug, Clone, Default)]
pub struct ConsoleConfig {
    /// Columns of the host table.
    pub columns: HostColumns,
    /// Keys.
    pub keys: Keymap,
    /// Styles that replace those of the theme.
    pub styles: Vec<(Tone, Style)>,
    /// Names for the start of a command line.
    pub aliases: BTreeMap<String, String>,
}

impl ConsoleConfig {
    /// Reads the section, or returns all of its problems in the order of the file.
    pub fn read(section: &ConsoleSection) -> Result<Self, Vec<ConfigProblem>> {
        let (mut config, mut reader) = (Self::default(), SectionReader::default());
        if let Some(names) = &section.columns {
            config.columns.deployment = reader.columns("console.columns", names);
        }
        if let Some(names) = &section.system_columns {
            config.columns.system = reader.columns("console.system_columns", names);
        }
        config.keys = reader.keys(&section.keys);
        config.styles = section.theme.iter().filter_map(|entry| reader.style(entry)).collect();
        config.aliases = section.aliases.iter().filter_map(|entry| reader.alias(entry)).collect_map();
        reader.problems.sort_by_key(|problem| (problem.line, problem.column));
        if reader.problems.is_empty() { Ok(config) } else { Err(reader.problems) }
    }
}

/// Reads the settings one by one and records problems.
#[derive(Default)]
struct SectionReader {
    problems: Vec<ConfigProblem>,
}

impl SectionReader {
    fn push<T>(&mut self, setting: &Setting<T>, kind: ProblemKind) {
        let location = setting.source.location();
        let (line, column) = location.map_or((1, 1), |location| (location.line, location.column));
        self.problems.push(ConfigProblem { line, column, kind });
    }

    fn invalid<T>(&mut self, setting: &Setting<T>, key: &str, reason: &str) {
        let kind = ProblemKind::BadValue { key: key.to_owned(), reason: reason.to_owned() };
        self.push(setting, kind);
    }

    /// Finds the value of this name, or records an unknown key.
    fn known<T: ValueEnum>(&mut self, section: &str, key: &Setting<String>, all: &[T]) -> Option<T> {
        let found = all.iter().find(|value| name(*value) == key.value);
        if found.is_none() {
            let advice = advice(&key.value, all);
            let kind =
                ProblemKind::UnknownKey { key: key.value.clone(), section: section.to_owned(), advice };
            self.push(key, kind);
        }
        found.cloned()
    }

    fn columns(&mut self, key: &str, names: &Setting<Vec<Setting<String>>>) -> Vec<HostColumn> {
        let mut columns = Vec::new();
        for item in &names.value {
            match HostColumn::value_variants().iter().find(|column| name(*column) == item.value) {
                Some(column) if columns.contains(column) => {
                    self.invalid(item, key, &format!("{} is listed twice", item.value));
                }
                Some(column) => columns.push(*column),
                None => {
                    let advice = advice(&item.value, HostColumn::value_variants());
                    self.invalid(item, key, &format!("unknown column {:?}; {advice}", item.value));
                }
            }
        }
        let has_host = names.value.iter().any(|item| item.value == name(&HostColumn::Host));
        if !has_host {
            self.invalid(names, key, "expected host among the columns, because a row must name its host");
        }
        columns
    }

    fn keys(&mut self, entries: &[ConsoleEntry]) -> Keymap {
        let mut keymap = Keymap::default();
        let configurable = configurable_commands();
        let mut configured = Vec::new();
        for entry in entries {
            let Some(command) = self.known("[console.keys]", &entry.name, &configurable) else { continue };
            let key = format!("console.keys.{}", entry.name.value);
            let mut chords = Vec::new();
            for item in &entry.values {
                match item.value.parse::<Chord>() {
                    Ok(chord) => chords.push(chord),
                    Err(error) => self.invalid(item, &key, &error.to_string()),
                }
            }
            keymap.set(command, &chords);
            configured.extend(entry.values.iter().map(|item| (command, key.clone(), item)));
        }
        // Only now are all keys known that may be in conflict.
        for (command, key, item) in configured {
            let other = item.value.parse().ok().and_then(|chord| keymap.conflict(command, chord));
            if let Some(other) = other {
                let reason = format!(
                    "{} is also a key of {}; give that command another key, as in {} = \"f5\"",
                    item.value,
                    name(&other),
                    name(&other)
                );
                self.invalid(item, &key, &reason);
            }
        }
        keymap
    }

    fn style(&mut self, entry: &ConsoleEntry) -> Option<(Tone, Style)> {
        let tone = self.known("[console.theme]", &entry.name, Tone::value_variants())?;
        let value = entry.values.first()?;
        match parse_style(&value.value) {
            Ok(style) => Some((tone, style)),
            Err(reason) => {
                self.invalid(value, &format!("console.theme.{}", entry.name.value), &reason);
                None
            }
        }
    }

    fn alias(&mut self, entry: &ConsoleEntry) -> Option<(String, String)> {
        let (name, line) = (&entry.name.value, entry.values.first()?);
        let key = format!("console.aliases.{name}");
        if name.is_empty() || name.contains(char::is_whitespace) {
            self.invalid(&entry.name, &key, "expected a name without spaces");
            return None;
        }
        if verbs(false).any(|verb| verb.name == name) {
            self.invalid(&entry.name, &key, "this is the name of a command; expected another name");
            return None;
        }
        let word = line.value.split_whitespace().next().unwrap_or_default();
        if !verbs(false).any(|verb| verb.name == word) {
            let names: Vec<_> = verbs(false).map(|verb| verb.name).collect();
            self.invalid(line, &key, &format!("unknown command {word:?}; {}", expected_names(word, &names)));
            return None;
        }
        Some((name.clone(), line.value.clone()))
    }
}

/// The name of a value in the file.
fn name(value: &impl ValueEnum) -> String {
    value.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
}

/// The commands whose keys can be changed, in the order of the key table.
fn configurable_commands() -> Vec<KeyCommand> {
    let mut commands = Vec::new();
    for binding in KEYS.iter().filter(|binding| binding.is_configurable()) {
        if !commands.contains(&binding.command) {
            commands.push(binding.command);
        }
    }
    commands
}

/// Advice after an unknown name of a value.
fn advice<T: ValueEnum>(unknown: &str, known: &[T]) -> String {
    let names: Vec<_> = known.iter().map(name).collect();
    expected_names(unknown, &names.iter().map(String::as_str).collect::<Vec<_>>())
}
