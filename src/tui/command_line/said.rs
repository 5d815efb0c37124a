//! What was said on the command line, and how it is read.

use super::targets::Targets;
use super::verbs::{Takes, Verb, verbs};
use crate::deployer::Waves;
use crate::protocol::{Action, Name, near, reason};
use crate::tui::{App, Purpose, Sort};

/// What was said.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is the verb of this name")]
pub enum Said {
    Deploy { targets: Targets, branch: Option<String>, action: Option<Action>, waves: Option<String> },
    Diff { targets: Targets, branch: Option<String> },
    Cancel(Targets),
    Rollback { targets: Targets, generation: Option<u64> },
    Reboot { targets: Targets, waves: Option<String> },
    Abort,
    Hold { host: Name, reason: String },
    Release(Targets),
    Mark(Targets),
    Unmark,
    Hosts,
    Host(Name),
    Log(Name),
    Deployments,
    Builds,
    Filter(String),
    Sort(Sort),
    Group,
    Faults,
    Wide,
    Context(String),
    Help,
    Quit,
}

impl Said {
    /// Reads a line; without a word there is nothing said.
    pub fn parse(line: &str, app: &App) -> Result<Option<Self>, String> {
        let mut words = line.split_whitespace();
        let Some(name) = words.next() else { return Ok(None) };
        let offered = || verbs(app.options.read_only);
        let exact = verbs(false).find(|verb| verb.name == name);
        if exact.is_some_and(|verb| app.options.read_only && verb.changes) {
            return Err(format!("this console may only look; {name} would do something on a host"));
        }
        let begun: Vec<_> = offered().filter(|verb| verb.name.starts_with(name)).collect();
        let verb = match (exact, &begun[..]) {
            (Some(verb), _) | (None, &[verb]) => verb,
            (None, []) => return Err(unknown_word("command", name, offered().map(|verb| verb.name))),
            (None, several) => {
                let names: Vec<_> = several.iter().map(|verb| verb.name).collect();
                return Err(format!("{name} may be {}", names.join(" or ")));
            }
        };
        let words: Vec<_> = words.collect();
        verb.read(&words, app).map(Some)
    }
}

impl Verb {
    fn read(&self, words: &[&str], app: &App) -> Result<Said, String> {
        let one = |what: &str| match words {
            [word] => Ok(*word),
            [] => Err(format!("{} takes {what}", self.name)),
            [_, more, ..] => Err(format!("{} takes {what} and nothing more: {more:?}", self.name)),
        };
        if self.takes == Takes::Nothing
            && let Some(more) = words.first()
        {
            return Err(format!("{} takes nothing more: {more:?}", self.name));
        }
        let host = || match (words, app.host()) {
            ([], Some(host)) => Ok(host.name.clone()),
            _ => known_host(one("a host")?, app),
        };
        Ok(match self.name {
            "host" | "history" => Said::Host(host()?),
            "log" => Said::Log(host()?),
            "hold" => {
                let [host, why @ ..] = words else { return Err("hold takes a host and then why".to_owned()) };
                let host = known_host(host, app)?;
                let why = why.join(" ");
                let reason = reason(&why).map_err(|error| error.to_string())?.to_owned();
                Said::Hold { host, reason }
            }
            "filter" => Said::Filter(words.join(" ")),
            "sort" => {
                let word = one("a column")?;
                let columns = Sort::ALL.map(Sort::word);
                let sort = Sort::ALL.into_iter().find(|sort| sort.word() == word);
                Said::Sort(sort.ok_or_else(|| unknown_word("column", word, columns.into_iter()))?)
            }
            "context" => Said::Context(one("a context")?.to_owned()),
            "abort" => Said::Abort,
            "unmark" => Said::Unmark,
            "hosts" => Said::Hosts,
            "deployments" => Said::Deployments,
            "builds" => Said::Builds,
            "group" => Said::Group,
            "faults" => Said::Faults,
            "wide" => Said::Wide,
            "help" => Said::Help,
            "quit" => Said::Quit,
            _ => self.about_hosts(words, app)?,
        })
    }

    /// A command about hosts, with its keys.
    fn about_hosts(&self, words: &[&str], app: &App) -> Result<Said, String> {
        let mut targets = Targets::default();
        let (mut branch, mut action, mut generation, mut waves) = (None, None, None, Vec::new());
        let name = |word: &str| Name::new(word).map_err(|error| format!("{word:?}: {error}"));
        for word in words {
            let Some((key, value)) = word.split_once('=') else {
                targets.hosts.insert(name(word)?);
                continue;
            };
            match key {
                "role" => targets.role = Some(name(value)?),
                "tier" => targets.tier = Some(name(value)?),
                "branch" if self.has("branch=") => branch = Some(value.to_owned()),
                "action" if self.has("action=") => action = Some(an_action(value)?),
                "generation" if self.has("generation=") => {
                    let number =
                        value.parse().map_err(|_| format!("{value:?} is no number of a generation"))?;
                    generation = Some(number);
                }
                "batch" | "canary" | "max-failures" | "pause" | "order" if self.has("batch=") => {
                    waves.push(*word);
                }
                _ => return Err(unknown_word("key", &format!("{key}="), self.keys())),
            }
        }
        let waves = (!waves.is_empty()).then(|| waves.join(" "));
        if let Some(waves) = &waves {
            Waves::parse(waves.split(' ')).map_err(|error| error.to_string())?;
        }
        // What is wrong with the hosts is told before anything opens.
        targets.find(&app.fleet)?;
        Ok(match self.name {
            "deploy" => Said::Deploy { targets, branch, action, waves },
            "diff" => Said::Diff { targets, branch },
            "cancel" => Said::Cancel(targets),
            "rollback" => Said::Rollback { targets, generation },
            "reboot" => Said::Reboot { targets, waves },
            "release" => Said::Release(targets),
            _ => Said::Mark(targets),
        })
    }
}

fn known_host(word: &str, app: &App) -> Result<Name, String> {
    let name = Name::new(word).ok().filter(|name| app.fleet.hosts.contains_key(name));
    name.ok_or_else(|| unknown_word("host", word, app.fleet.hosts.keys().map(Name::as_str)))
}

fn an_action(word: &str) -> Result<Action, String> {
    let action = Action::from(word);
    if action.needs_revision() {
        return Ok(action);
    }
    Err(unknown_word("action", word, Purpose::Deploy.actions().iter().map(Action::as_str)))
}

/// An unknown word, and what may have been meant.
pub(super) fn unknown_word<'a>(kind: &str, word: &str, known: impl Iterator<Item = &'a str>) -> String {
    let near = near(word, known);
    let meant = if near.is_empty() { String::new() } else { format!("; did you mean {}?", near.join(", ")) };
    format!("no {kind} {word:?}{meant}")
}
