//! The verbs of the command line, their arguments, and the parser of a command.

use super::expand;
use super::targets::Targets;
use crate::client::RolloutStrategy;
use crate::protocol::{Action, Name, check_hold_reason};
use crate::text::closest_matches;
use crate::tui::{App, FormKind, Screen, Sort};
use strum::VariantArray as _;

/// All verbs, in the order in which help and completion list them.
const VERBS: &[Verb] = &[
    change(
        "deploy",
        VerbArguments::Hosts(&[
            "branch=",
            "action=",
            "batch=",
            "canary=",
            "max-failures=",
            "pause=",
            "order=",
        ]),
        "deploy to hosts, or to the marked ones",
    ),
    change("diff", VerbArguments::Hosts(&["branch="]), "show what a deployment would change"),
    change("cancel", VerbArguments::Hosts(&[]), "cancel the jobs of hosts"),
    change("rollback", VerbArguments::Hosts(&["generation="]), "roll back hosts"),
    change(
        "reboot",
        VerbArguments::Hosts(&["batch=", "canary=", "max-failures=", "pause=", "order="]),
        "reboot hosts",
    ),
    change(
        "resume",
        VerbArguments::Hosts(&[]),
        "continue the jobs of hosts that failed, at the first service that is not done",
    ),
    change(
        "diagnose",
        VerbArguments::Hosts(&[]),
        "show containers, logs and health of the services of hosts",
    ),
    change("abort", VerbArguments::Nothing, "abort the rollout: send no further batch"),
    change("pause", VerbArguments::Nothing, "pause the rollout: send no batch until it is continued"),
    change("continue", VerbArguments::Nothing, "continue the rollout"),
    change(
        "hold",
        VerbArguments::HostAndReason,
        "hold a host until it is released; takes a host and a reason",
    ),
    change("release", VerbArguments::Hosts(&[]), "release held hosts"),
    verb("mark", VerbArguments::Hosts(&[]), "mark hosts"),
    verb("unmark", VerbArguments::Nothing, "remove all marks"),
    verb("hosts", VerbArguments::Nothing, "go to the fleet screen"),
    verb("host", VerbArguments::Host, "open a host"),
    verb("history", VerbArguments::Host, "past jobs of a host"),
    verb("log", VerbArguments::Host, "log of a host's job"),
    verb(
        "grep",
        VerbArguments::Text,
        "lines of many logs that match; takes a regular expression and role=, tier= or host=",
    ),
    verb("save", VerbArguments::Text, "save the log on screen to a file"),
    verb("deployments", VerbArguments::Nothing, "deployments of all operators"),
    verb("timeline", VerbArguments::Nothing, "timeline of the running or last deployment"),
    verb("events", VerbArguments::Nothing, "what happened on the hosts"),
    verb("heatmap", VerbArguments::Nothing, "heat map of the listed hosts"),
    verb("builds", VerbArguments::Nothing, "builds of the builder"),
    verb("filter", VerbArguments::Text, "show only hosts that match"),
    verb("sort", VerbArguments::Sort, "sort by a column"),
    verb("group", VerbArguments::Nothing, "toggle grouping by tier and role"),
    verb("faults", VerbArguments::Nothing, "show only hosts that need attention, or all hosts"),
    verb("wide", VerbArguments::Nothing, "switch between deployment and system columns"),
    verb("messages", VerbArguments::Nothing, "past notices"),
    verb("context", VerbArguments::Context, "switch to another context"),
    verb("help", VerbArguments::Nothing, "keys and commands"),
    verb("quit", VerbArguments::Nothing, "quit"),
];

/// Arguments that a verb takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::tui) enum VerbArguments {
    Nothing,
    /// Hosts, `role=`, `tier=` and these keys.
    Hosts(&'static [&'static str]),
    /// One host, or none for the selected one.
    Host,
    /// One host, followed by a reason in any number of words.
    HostAndReason,
    Sort,
    Context,
    Text,
}

/// A verb of the command line.
#[derive(Debug)]
pub(in crate::tui) struct Verb {
    pub(in crate::tui) name: &'static str,
    pub(in crate::tui) arguments: VerbArguments,
    /// Whether the verb leads to a request that a read-only console must not send.
    pub(in crate::tui) changes: bool,
    pub(in crate::tui) help: &'static str,
}

const fn verb(name: &'static str, arguments: VerbArguments, help: &'static str) -> Verb {
    Verb { name, arguments, changes: false, help }
}

const fn change(name: &'static str, arguments: VerbArguments, help: &'static str) -> Verb {
    Verb { name, arguments, changes: true, help }
}

/// The available verbs.
pub(in crate::tui) fn verbs(read_only: bool) -> impl Iterator<Item = &'static Verb> {
    VERBS.iter().filter(move |verb| !(read_only && verb.changes))
}

impl Verb {
    /// Whether the verb takes this key.
    pub(super) fn has_key(&self, key: &str) -> bool {
        self.keys().any(|known| known == key)
    }

    /// The keys that the verb takes.
    pub(in crate::tui) fn keys(&self) -> impl Iterator<Item = &'static str> {
        let own: &[&str] = if let VerbArguments::Hosts(own) = self.arguments { own } else { &[] };
        let of_hosts: &[&str] =
            if let VerbArguments::Hosts(_) = self.arguments { &["role=", "tier="] } else { &[] };
        of_hosts.iter().chain(own).copied()
    }

    fn parse_arguments(&self, words: &[&str], app: &App) -> Result<ParsedCommand, String> {
        let one = |what: &str| match words {
            [word] => Ok(*word),
            [] => Err(format!("{} takes {what}", self.name)),
            [_, more, ..] => Err(format!("unexpected argument {more:?}: {} takes only {what}", self.name)),
        };
        if self.arguments == VerbArguments::Nothing
            && let Some(more) = words.first()
        {
            return Err(format!("unexpected argument {more:?}: {} takes no arguments", self.name));
        }
        let host = || match (words, app.host()) {
            ([], Some(host)) => Ok(host.name.clone()),
            _ => known_host(one("a host")?, app),
        };
        Ok(match self.name {
            "host" | "history" => ParsedCommand::Host(host()?),
            "log" => ParsedCommand::Log(host()?),
            "hold" => {
                let [host, reason @ ..] = words else {
                    return Err("hold takes a host and a reason".to_owned());
                };
                let host = known_host(host, app)?;
                let reason = reason.join(" ");
                let reason = check_hold_reason(&reason).map_err(|error| error.to_string())?.to_owned();
                ParsedCommand::Hold { host, reason }
            }
            "grep" => parse_grep(words, app)?,
            "save" if words.is_empty() => return Err("save takes a file".to_owned()),
            "save" => ParsedCommand::Save(words.join(" ")),
            "filter" => ParsedCommand::Filter(words.join(" ")),
            "sort" => {
                let (word, columns) = (one("a column")?, super::sort_columns(app));
                let column = columns.iter().copied().find(|column| *column == word);
                let column = column.ok_or_else(|| {
                    format!("unknown column {word:?}: expected one of {}", columns.join(", "))
                })?;
                match app.screens.last().map(Screen::sort_columns).unwrap_or_default() {
                    [] => {
                        let mut sorts = Sort::VARIANTS.iter().copied();
                        ParsedCommand::Sort(sorts.find(|sort| sort.word() == column).unwrap_or_default())
                    }
                    _ => ParsedCommand::SortList(column),
                }
            }
            "context" => ParsedCommand::Context(one("a context")?.to_owned()),
            "abort" => ParsedCommand::Abort,
            "pause" => ParsedCommand::Pause,
            "continue" => ParsedCommand::Continue,
            "unmark" => ParsedCommand::Unmark,
            "hosts" => ParsedCommand::Hosts,
            "deployments" => ParsedCommand::Deployments,
            "timeline" => ParsedCommand::Timeline,
            "events" => ParsedCommand::Events,
            "heatmap" => ParsedCommand::HeatMap,
            "builds" => ParsedCommand::Builds,
            "messages" => ParsedCommand::Messages,
            "group" => ParsedCommand::Group,
            "faults" => ParsedCommand::Faults,
            "wide" => ParsedCommand::Wide,
            "help" => ParsedCommand::Help,
            "quit" => ParsedCommand::Quit,
            _ => self.parse_host_command(words, app)?,
        })
    }

    /// Parses a command that takes hosts and keys.
    fn parse_host_command(&self, words: &[&str], app: &App) -> Result<ParsedCommand, String> {
        let mut targets = Targets::default();
        let (mut branch, mut action, mut generation, mut batches) = (None, None, None, Vec::new());
        let name = |word: &str| Name::new(word).map_err(|error| format!("{word:?}: {error}"));
        for word in words {
            let Some((key, value)) = word.split_once('=') else {
                targets.hosts.insert(name(word)?);
                continue;
            };
            match key {
                "role" => targets.role = Some(name(value)?),
                "tier" => targets.tier = Some(name(value)?),
                "branch" if self.has_key("branch=") => branch = Some(value.to_owned()),
                "action" if self.has_key("action=") => action = Some(parse_action(value)?),
                "generation" if self.has_key("generation=") => {
                    let number = value
                        .parse()
                        .map_err(|_| format!("invalid generation {value:?}: expected a number"))?;
                    generation = Some(number);
                }
                "batch" | "canary" | "max-failures" | "pause" | "order" if self.has_key("batch=") => {
                    batches.push(*word);
                }
                _ => return Err(unknown_word("key", &format!("{key}="), self.keys())),
            }
        }
        let batches = (!batches.is_empty()).then(|| batches.join(" "));
        if let Some(batches) = &batches {
            RolloutStrategy::parse(batches.split(' ')).map_err(|error| error.to_string())?;
        }
        // An error about the hosts is shown on the command line, before a form opens.
        targets.find(&app.fleet)?;
        Ok(match self.name {
            "deploy" => ParsedCommand::Deploy { targets, branch, action, batches },
            "diff" => ParsedCommand::Diff { targets, branch },
            "cancel" => ParsedCommand::Cancel(targets),
            "rollback" => ParsedCommand::Rollback { targets, generation },
            "reboot" => ParsedCommand::Reboot { targets, batches },
            "resume" => ParsedCommand::Resume(targets),
            "diagnose" => ParsedCommand::Diagnose(targets),
            "release" => ParsedCommand::Release(targets),
            _ => ParsedCommand::Mark(targets),
        })
    }
}

/// A parsed line of the command line.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is the verb of this name")]
pub enum ParsedCommand {
    Deploy {
        targets: Targets,
        branch: Option<String>,
        action: Option<Action>,
        batches: Option<String>,
    },
    Diff {
        targets: Targets,
        branch: Option<String>,
    },
    Cancel(Targets),
    Rollback {
        targets: Targets,
        generation: Option<u64>,
    },
    Reboot {
        targets: Targets,
        batches: Option<String>,
    },
    Resume(Targets),
    Diagnose(Targets),
    Abort,
    /// Pause the only rollout with batches left to send.
    Pause,
    /// Continue the only rollout that is held back.
    Continue,
    Hold {
        host: Name,
        reason: String,
    },
    Release(Targets),
    Mark(Targets),
    Unmark,
    Hosts,
    Host(Name),
    Log(Name),
    Grep {
        targets: Targets,
        pattern: String,
    },
    Deployments,
    Timeline,
    HeatMap,
    Events,
    Builds,
    Filter(String),
    Sort(Sort),
    /// Sort the list on screen by this column.
    SortList(&'static str),
    /// Save the log on screen to this file.
    Save(String),
    Messages,
    Group,
    Faults,
    Wide,
    Context(String),
    Help,
    Quit,
}

impl ParsedCommand {
    /// Parses a line; `None` if it is empty.
    pub fn parse(line: &str, app: &App) -> Result<Option<Self>, String> {
        let line = expand(line, app);
        let mut words = line.split_whitespace();
        let Some(name) = words.next() else { return Ok(None) };
        let available = || verbs(app.options.read_only);
        let exact = verbs(false).find(|verb| verb.name == name);
        if exact.is_some_and(|verb| app.options.read_only && verb.changes) {
            return Err(format!("the console is read-only: {name} is not available"));
        }
        let prefix_matches: Vec<_> = available().filter(|verb| verb.name.starts_with(name)).collect();
        let verb = match (exact, &prefix_matches[..]) {
            (Some(verb), _) | (None, &[verb]) => verb,
            (None, []) => return Err(unknown_word("command", name, available().map(|verb| verb.name))),
            (None, several) => {
                let names: Vec<_> = several.iter().map(|verb| verb.name).collect();
                return Err(format!("ambiguous command {name:?}: could be {}", names.join(" or ")));
            }
        };
        let words: Vec<_> = words.collect();
        verb.parse_arguments(&words, app).map(Some)
    }
}

/// Parses a pattern and hosts; the words of the pattern may be anywhere.
fn parse_grep(words: &[&str], app: &App) -> Result<ParsedCommand, String> {
    let name = |word: &str| Name::new(word).map_err(|error| format!("{word:?}: {error}"));
    let (mut targets, mut pattern) = (Targets::default(), Vec::new());
    for word in words {
        match word.split_once('=') {
            Some(("role", value)) => targets.role = Some(name(value)?),
            Some(("tier", value)) => targets.tier = Some(name(value)?),
            Some(("host", value)) => drop(targets.hosts.insert(name(value)?)),
            _ => pattern.push(*word),
        }
    }
    if pattern.is_empty() {
        return Err("grep takes a regular expression, and hosts as role=, tier= or host=".to_owned());
    }
    targets.find(&app.fleet)?;
    Ok(ParsedCommand::Grep { targets, pattern: pattern.join(" ") })
}

fn known_host(word: &str, app: &App) -> Result<Name, String> {
    let name = Name::new(word).ok().filter(|name| app.fleet.hosts.contains_key(name));
    name.ok_or_else(|| unknown_word("host", word, app.fleet.hosts.keys().map(Name::as_str)))
}

fn parse_action(word: &str) -> Result<Action, String> {
    let action = Action::from(word);
    if action.needs_revision() {
        return Ok(action);
    }
    Err(unknown_word("action", word, FormKind::Deploy.actions().iter().map(Action::as_str)))
}

/// The message for an unknown word, with similar known words.
pub(super) fn unknown_word<'a>(kind: &str, word: &str, known: impl Iterator<Item = &'a str>) -> String {
    let near = closest_matches(word, known);
    let suggestion =
        if near.is_empty() { String::new() } else { format!("; did you mean {}?", near.join(", ")) };
    format!("unknown {kind} {word:?}{suggestion}")
}
