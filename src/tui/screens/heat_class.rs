//! The classes of hosts that a heat map shows, for each property.

use crate::fleet::{Host, HostStatus, LOW_BOOT_BYTES, LOW_STORE_BYTES};
use crate::protocol::Name;
use crate::text::{format, printable};
use crate::tui::{App, Tone};
use std::cmp::Reverse;
use std::collections::HashMap;
use strum::{IntoStaticStr, VariantArray};

/// Number of commits with a class of their own.
const MAX_COMMITS: usize = 6;
/// Free space in bytes below which a host is almost full, or low: of the nix store, and of /boot.
const STORE_SPACE: [u64; 2] = [LOW_STORE_BYTES, 5 << 30];
const BOOT_SPACE: [u64; 2] = [LOW_BOOT_BYTES, 100 << 20];
/// Ages in seconds up to which a deployment is of today, of this week or of this month.
const AGES: [i64; 3] = [86_400, 7 * 86_400, 31 * 86_400];

/// The property that selects the colours of a heat map.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "lowercase")]
pub enum HeatKey {
    /// The status.
    #[default]
    State,
    /// The commit that runs.
    Commit,
    /// Time since the running system was deployed.
    Age,
    /// Free space on the nix store and on /boot.
    Space,
}

/// A class of hosts, with its look.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeatClass {
    /// Name in the legend.
    pub label: String,
    /// Colour.
    pub tone: Tone,
    /// Letter without colours.
    pub letter: char,
    /// Number of hosts.
    pub count: usize,
}

impl HeatKey {
    /// The next property; after the last one, the first.
    #[must_use]
    pub fn next(self) -> Self {
        let at = Self::VARIANTS.iter().position(|key| *key == self).unwrap_or(0);
        Self::VARIANTS[(at + 1) % Self::VARIANTS.len()]
    }

    /// Name of the property.
    pub fn word(self) -> &'static str {
        self.into()
    }
}

impl HeatClass {
    fn new(label: impl Into<String>, tone: Tone, letter: char) -> Self {
        Self { label: label.into(), tone, letter, count: 0 }
    }

    /// Whether hosts of this class need attention.
    pub fn is_problem(&self) -> bool {
        matches!(self.tone, Tone::Bad | Tone::Warn)
    }
}

/// The classes of a property, and the class of each host. `indices` are those of the hosts in the table.
pub(super) fn classify(
    app: &App,
    key: HeatKey,
    names: &[Name],
    indices: &[usize],
) -> (Vec<HeatClass>, Vec<usize>) {
    let hosts = names.iter().map(|name| app.fleet.hosts.get(name));
    let (mut legend, classes): (Vec<_>, Vec<_>) = match key {
        HeatKey::State => {
            let idle = HostStatus::Idle.rank();
            let rank = |index: &usize| usize::from(app.table.rank_at(*index).unwrap_or(idle));
            (states(), indices.iter().map(rank).collect())
        }
        HeatKey::Commit => commits(app, &hosts.collect::<Vec<_>>()),
        HeatKey::Age => (ages(), hosts.map(|host| host.map_or(4, |host| age(app, host))).collect()),
        HeatKey::Space => (spaces(), hosts.map(|host| host.map_or(3, space)).collect()),
    };
    for class in &classes {
        legend[*class].count += 1;
    }
    (legend, classes)
}

/// The classes in the order of the [ranks](HostStatus::rank), so that a rank is the index of its class.
fn states() -> Vec<HeatClass> {
    let class = HeatClass::new;
    vec![
        class("failed", Tone::Bad, 'f'),
        class("key changed", Tone::Bad, 'k'),
        class("not proven", Tone::Bad, 'p'),
        class("duplicate", Tone::Bad, 'n'),
        class("unit failed", Tone::Bad, 'u'),
        class("disk low", Tone::Warn, 'l'),
        class("offline", Tone::Warn, 'o'),
        class("stale", Tone::Warn, 's'),
        class("restarting", Tone::Warn, 'R'),
        class("needs reboot", Tone::Warn, 'r'),
        class("held", Tone::Warn, 'h'),
        class("deploying", Tone::Busy, 'd'),
        class("idle", Tone::Good, '.'),
    ]
}

/// The commits: known heads first, then those that most hosts run; the others share a class.
fn commits(app: &App, hosts: &[Option<&Host>]) -> (Vec<HeatClass>, Vec<usize>) {
    let commit = |host: Option<&Host>| Some(host?.answer.as_deref()?.commit.clone()?.to_string());
    let running: Vec<Option<String>> = hosts.iter().copied().map(commit).collect();
    let mut counts: HashMap<&str, usize> = HashMap::new();
    for commit in running.iter().flatten() {
        *counts.entry(commit).or_default() += 1;
    }
    let is_head = |commit: &str| {
        app.heads.as_ref().is_some_and(|heads| heads.by_flake.values().flatten().any(|head| head == commit))
    };
    let mut known: Vec<_> = counts.into_iter().collect();
    known.sort_unstable_by_key(|(commit, count)| (!is_head(commit), Reverse(*count), commit.to_owned()));
    let tones = [Tone::Busy, Tone::Warn, Tone::Plain, Tone::Bad, Tone::Dim];
    let mut legend =
        vec![HeatClass::new("unknown", Tone::Dim, '?'), HeatClass::new("other", Tone::Plain, 'z')];
    let mut indices: HashMap<&str, usize> = HashMap::new();
    let (mut tone, mut letters) = (tones.iter().cycle(), 'a'..='y');
    for (commit, _) in known.into_iter().take(MAX_COMMITS) {
        let short = printable(format::short_commit(commit));
        indices.insert(commit, legend.len());
        legend.push(if is_head(commit) {
            HeatClass::new(format!("{short} (head)"), Tone::Good, '.')
        } else {
            let tone = tone.next().copied().unwrap_or(Tone::Plain);
            HeatClass::new(short, tone, letters.next().unwrap_or('z'))
        });
    }
    let class = |commit: &Option<String>| match commit {
        Some(commit) => indices.get(commit.as_str()).copied().unwrap_or(1),
        None => 0,
    };
    let classes = running.iter().map(class).collect();
    (legend, classes)
}

fn ages() -> Vec<HeatClass> {
    let class = HeatClass::new;
    vec![
        class("less than a day", Tone::Good, '.'),
        class("less than a week", Tone::Busy, 'w'),
        class("less than a month", Tone::Warn, 'm'),
        class("older", Tone::Bad, 'o'),
        class("unknown", Tone::Dim, '?'),
    ]
}

fn age(app: &App, host: &Host) -> usize {
    let at = host.deployed_at();
    let age = at.map(|at| app.now.duration_since(at).as_secs());
    age.map_or(AGES.len() + 1, |age| AGES.iter().position(|limit| age < *limit).unwrap_or(AGES.len()))
}

fn spaces() -> Vec<HeatClass> {
    let class = HeatClass::new;
    vec![
        class("enough", Tone::Good, '.'),
        class("almost full", Tone::Bad, 'f'),
        class("low", Tone::Warn, 'l'),
        class("unknown", Tone::Dim, '?'),
    ]
}

fn space(host: &Host) -> usize {
    let Some(answer) = host.answer.as_deref() else { return 3 };
    let below = |level: usize| {
        answer.nix_free_bytes.is_some_and(|free| free < STORE_SPACE[level])
            || answer.boot_free_bytes.is_some_and(|free| free < BOOT_SPACE[level])
    };
    match (below(0), below(1)) {
        (true, _) => 1,
        (_, true) => 2,
        _ if answer.nix_free_bytes.is_none() && answer.boot_free_bytes.is_none() => 3,
        _ => 0,
    }
}
