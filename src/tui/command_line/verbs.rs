//! The verbs of the command line, and what can follow them.

/// What can follow a verb.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::tui) enum Takes {
    Nothing,
    /// Hosts, `role=`, `tier=`, and these keys.
    Hosts(&'static [&'static str]),
    /// One host.
    Host,
    /// One host and then any words.
    HostAndText,
    Sort,
    Context,
    Text,
}

/// One verb.
#[derive(Debug)]
pub(in crate::tui) struct Verb {
    pub(in crate::tui) name: &'static str,
    pub(in crate::tui) takes: Takes,
    /// Whether it leads to a request that does something on a host.
    pub(in crate::tui) changes: bool,
    pub(in crate::tui) does: &'static str,
}

const fn verb(name: &'static str, takes: Takes, does: &'static str) -> Verb {
    Verb { name, takes, changes: false, does }
}

const fn change(name: &'static str, takes: Takes, does: &'static str) -> Verb {
    Verb { name, takes, changes: true, does }
}

/// The verbs that there are for somebody who may do everything, or who may only look.
pub(in crate::tui) fn verbs(read_only: bool) -> impl Iterator<Item = &'static Verb> {
    VERBS.iter().filter(move |verb| !(read_only && verb.changes))
}

/// Every verb, in the order in which they are offered.
const VERBS: &[Verb] = &[
    change(
        "deploy",
        Takes::Hosts(&["branch=", "action=", "batch=", "canary=", "max-failures=", "pause=", "order="]),
        "deploy to hosts, or to the marked ones",
    ),
    change("diff", Takes::Hosts(&["branch="]), "show what a deployment would change"),
    change("cancel", Takes::Hosts(&[]), "cancel the jobs of hosts"),
    change("rollback", Takes::Hosts(&["generation="]), "take hosts back"),
    change(
        "reboot",
        Takes::Hosts(&["batch=", "canary=", "max-failures=", "pause=", "order="]),
        "reboot hosts",
    ),
    change("abort", Takes::Nothing, "let no further wave begin"),
    change("hold", Takes::HostAndText, "hold a host until it is released; after its name say why"),
    change("release", Takes::Hosts(&[]), "release held hosts"),
    verb("mark", Takes::Hosts(&[]), "mark hosts"),
    verb("unmark", Takes::Nothing, "take every mark away"),
    verb("hosts", Takes::Nothing, "the fleet"),
    verb("host", Takes::Host, "all of one host"),
    verb("history", Takes::Host, "the past of one host"),
    verb("log", Takes::Host, "the log of a host's job"),
    verb("deployments", Takes::Nothing, "the deployments of all operators"),
    verb("builds", Takes::Nothing, "the builds of the builder"),
    verb("filter", Takes::Text, "show only hosts that match"),
    verb("sort", Takes::Sort, "sort by a column"),
    verb("group", Takes::Nothing, "group by tier and role, or not"),
    verb("faults", Takes::Nothing, "only hosts that need attention, or all"),
    verb("wide", Takes::Nothing, "columns of the system, or of the deployment"),
    verb("context", Takes::Context, "go to another context"),
    verb("help", Takes::Nothing, "the keys"),
    verb("quit", Takes::Nothing, "leave"),
];

impl Verb {
    /// Whether it takes this key.
    pub(super) fn has(&self, key: &str) -> bool {
        self.keys().any(|known| known == key)
    }

    /// The keys that it takes.
    pub(in crate::tui) fn keys(&self) -> impl Iterator<Item = &'static str> {
        let own: &[&str] = if let Takes::Hosts(own) = self.takes { own } else { &[] };
        let of_hosts: &[&str] = if let Takes::Hosts(_) = self.takes { &["role=", "tier="] } else { &[] };
        of_hosts.iter().chain(own).copied()
    }
}
