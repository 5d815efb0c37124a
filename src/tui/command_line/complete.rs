//! What the word before the cursor may become.

use super::verbs::{Takes, Verb, verbs};
use crate::protocol::Name;
use crate::tui::{App, Purpose, Sort, form};
use std::collections::BTreeSet;

/// The word that ends there; empty after a blank.
pub(super) fn last_word(text: &str) -> &str {
    text.rsplit(char::is_whitespace).next().unwrap_or_default()
}

/// All that begins with the last word and may stand there.
pub(super) fn candidates(text: &str, app: &App) -> Vec<String> {
    let word = last_word(text);
    let before = &text[..text.len() - word.len()];
    let offered = || verbs(app.options.read_only);
    let Some(name) = before.split_whitespace().next() else {
        return offered()
            .map(|verb| verb.name)
            .filter(|name| name.starts_with(word))
            .map(str::to_owned)
            .collect();
    };
    let mut begun = offered().filter(|verb| verb.name.starts_with(name));
    let exact = offered().find(|verb| verb.name == name);
    let Some(verb) = exact.or_else(|| begun.next()) else { return Vec::new() };
    let first = before.split_whitespace().count() == 1;
    let mut all = arguments(verb, word, first, app);
    all.retain(|candidate| candidate.starts_with(word) && candidate != word);
    all
}

fn arguments(verb: &Verb, word: &str, first: bool, app: &App) -> Vec<String> {
    let hosts = || app.fleet.hosts_by_name().into_iter().map(|host| host.name.to_string());
    match verb.takes {
        Takes::Nothing | Takes::Text => Vec::new(),
        Takes::HostAndText if !first => Vec::new(),
        Takes::Host | Takes::HostAndText => hosts().collect(),
        Takes::Sort => Sort::ALL.map(|sort| sort.word().to_owned()).to_vec(),
        Takes::Context => app.options.contexts.clone(),
        Takes::Hosts(_) => match word.split_once('=') {
            Some((key, _)) => values(key, app).into_iter().map(|value| format!("{key}={value}")).collect(),
            None => verb.keys().map(str::to_owned).chain(hosts()).collect(),
        },
    }
}

fn values(key: &str, app: &App) -> Vec<String> {
    let names = |of: fn(&crate::fleet::Host) -> Option<&Name>| {
        let names: BTreeSet<_> = app.fleet.hosts.values().filter_map(of).collect();
        names.into_iter().map(ToString::to_string).collect()
    };
    match key {
        "role" => names(|host| host.role.as_ref()),
        "tier" => names(|host| host.tier.as_ref()),
        "branch" => form::recent(app, &[]),
        "action" => Purpose::Deploy.actions().iter().map(ToString::to_string).collect(),
        "canary" => app.fleet.hosts_by_name().into_iter().map(|host| host.name.to_string()).collect(),
        "order" => ["role,host", "tier,role,host", "host"].map(str::to_owned).to_vec(),
        _ => Vec::new(),
    }
}
