//! The command line: all actions by name, with completion and a history.

mod targets;
mod verbs;

pub use targets::Targets;
pub use verbs::ParsedCommand;
pub(super) use verbs::verbs;

use super::{App, FormKind, Screen, Sort, form};
use crate::ordered::CollectOrdered;
use crate::protocol::Name;
use std::borrow::Cow;
use std::collections::BTreeSet;
use strum::VariantArray as _;
use tui_input::{Input, InputRequest};
use verbs::{Verb, VerbArguments};

/// Number of lines in the history.
const HISTORY_LIMIT: usize = 100;

/// The command line while it is open.
#[derive(Debug, Default)]
pub struct CommandLine {
    /// The line so far.
    pub input: Input,
    /// Why the line could not be executed.
    pub error: Option<String>,
    /// Index of the recalled line, counted from the newest one, and the text that was typed before.
    recalled: Option<(usize, String)>,
}

impl CommandLine {
    /// A command line with this text.
    pub(super) fn with_text(text: String) -> Self {
        Self { input: Input::new(text), ..Self::default() }
    }

    /// Completions of the word before the cursor.
    pub fn candidates(&self, app: &App) -> Vec<String> {
        candidates(self.before_cursor(), app)
    }

    /// Completes the word before the cursor to the longest common prefix of all candidates.
    pub(super) fn complete(&mut self, app: &App) {
        let candidates = self.candidates(app);
        let Some(first) = candidates.first() else { return };
        let word = last_word(self.before_cursor());
        let mut common = first.as_str();
        for other in &candidates {
            let same = common.bytes().zip(other.bytes()).take_while(|(a, b)| a == b).count();
            common = &common[..common.floor_char_boundary(same)];
        }
        let more = common.get(word.len()..).unwrap_or_default().to_owned();
        // A key such as `role=` is followed by its value, any other word by a space.
        let ends = candidates.len() == 1 && !common.ends_with('=');
        for c in more.chars().chain(ends.then_some(' ')) {
            self.input.handle(InputRequest::InsertChar(c));
        }
        self.error = None;
    }

    /// Recalls the previous line of the history, or the next one.
    pub(super) fn recall(&mut self, back: bool, history: &[String]) {
        let (at, typed) = match self.recalled.take() {
            Some((at, typed)) if back => ((at + 1).min(history.len().saturating_sub(1)), typed),
            Some((0, typed)) => {
                self.input = Input::new(typed);
                return;
            }
            Some((at, typed)) => (at - 1, typed),
            None if back => (0, self.input.value().to_owned()),
            None => return,
        };
        if let Some(line) = history.iter().rev().nth(at) {
            self.input = Input::new(line.clone());
            self.recalled = Some((at, typed));
        }
    }

    fn before_cursor(&self) -> &str {
        let value = self.input.value();
        let end = value.char_indices().nth(self.input.cursor()).map_or(value.len(), |(at, _)| at);
        &value[..end]
    }
}

/// The line with an alias at its start replaced.
fn expand<'a>(line: &'a str, app: &App) -> Cow<'a, str> {
    let start = line.trim_start();
    let (word, rest) = start.split_at(start.find(char::is_whitespace).unwrap_or(start.len()));
    app.options.aliases.get(word).map_or(line.into(), |meaning| format!("{meaning}{rest}").into())
}

/// Adds an executed line to the history.
pub(super) fn add_to_history(history: &mut Vec<String>, line: &str) {
    history.retain(|other| other != line);
    history.push(line.to_owned());
    let excess = history.len().saturating_sub(HISTORY_LIMIT);
    history.drain(..excess);
}

/// The last word of a text; empty after a space.
fn last_word(text: &str) -> &str {
    text.rsplit(char::is_whitespace).next().unwrap_or_default()
}

/// All valid words with the last word as a prefix.
fn candidates(text: &str, app: &App) -> Vec<String> {
    let word = last_word(text);
    let before = &text[..text.len() - word.len()];
    let available = || verbs(app.options.read_only);
    if before.trim().is_empty() {
        let names = available().map(|verb| verb.name).chain(app.options.aliases.keys().map(String::as_str));
        return names.filter(|name| name.starts_with(word)).map(str::to_owned).collect();
    }
    let before = expand(before, app);
    let Some(name) = before.split_whitespace().next() else { return Vec::new() };
    let mut prefix_matches = available().filter(|verb| verb.name.starts_with(name));
    let exact = available().find(|verb| verb.name == name);
    let Some(verb) = exact.or_else(|| prefix_matches.next()) else { return Vec::new() };
    let first = before.split_whitespace().count() == 1;
    let mut all = arguments(verb, word, first, app);
    all.retain(|candidate| candidate.starts_with(word) && candidate != word);
    all
}

fn arguments(verb: &Verb, word: &str, first: bool, app: &App) -> Vec<String> {
    let hosts = || app.fleet.hosts_by_name().into_iter().map(|host| host.name.to_string());
    match verb.arguments {
        VerbArguments::Nothing | VerbArguments::Text => Vec::new(),
        VerbArguments::HostAndReason if !first => Vec::new(),
        VerbArguments::Host | VerbArguments::HostAndReason => hosts().collect(),
        VerbArguments::Sort => sort_columns(app).into_iter().map(str::to_owned).collect(),
        VerbArguments::Context => app.options.contexts.clone(),
        VerbArguments::Hosts(_) => match word.split_once('=') {
            Some((key, _)) => values(key, app).into_iter().map(|value| format!("{key}={value}")).collect(),
            None => verb.keys().map(str::to_owned).chain(hosts()).collect(),
        },
    }
}

/// The columns by which the list on screen can be sorted, or else the hosts.
fn sort_columns(app: &App) -> Vec<&'static str> {
    match app.screens.last().map(Screen::sort_columns).unwrap_or_default() {
        [] => Sort::VARIANTS.iter().map(|sort| sort.word()).collect(),
        columns => columns.to_vec(),
    }
}

fn values(key: &str, app: &App) -> Vec<String> {
    let names = |of: fn(&crate::fleet::Host) -> Option<&Name>| {
        let names: BTreeSet<_> = app.fleet.hosts.values().filter_map(of).collect_set();
        names.into_iter().map(ToString::to_string).collect()
    };
    match key {
        "role" => names(|host| host.role.as_ref()),
        "tier" => names(|host| host.tier.as_ref()),
        "branch" => form::recent(app, &[]),
        "action" => FormKind::Deploy.actions().iter().map(ToString::to_string).collect(),
        "canary" => app.fleet.hosts_by_name().into_iter().map(|host| host.name.to_string()).collect(),
        "order" => ["role,host", "tier,role,host", "host"].map(str::to_owned).to_vec(),
        _ => Vec::new(),
    }
}
