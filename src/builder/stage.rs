//! How a build stands: each host, and in the end what became of the whole. Pure data.

use super::order::is_all;
use crate::protocol::{BuildHost, ErrorCode, Name, PhaseState};
use std::collections::BTreeMap;

/// So many hosts are named in a sentence.
const NAMED: usize = 5;

/// How a build ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct End {
    /// Why it failed; none where every host was built.
    pub(super) error: Option<ErrorCode>,
    pub(super) message: String,
}

/// How a build stands.
#[derive(Debug, Clone, Default)]
pub(super) struct Stage {
    pub(super) hosts: Vec<BuildHost>,
    /// Why hosts failed.
    pub(super) errors: BTreeMap<Name, ErrorCode>,
    /// What an operator should know besides: hosts that cannot be built.
    pub(super) note: Option<String>,
    /// How all of it ended.
    pub(super) end: Option<End>,
}

impl Stage {
    /// These hosts are to be built.
    pub(super) fn expect(&mut self, hosts: impl IntoIterator<Item = Name>) {
        self.hosts = hosts.into_iter().map(BuildHost::pending).collect();
    }

    pub(super) fn host(&mut self, name: &Name) -> Option<&mut BuildHost> {
        self.hosts.iter_mut().find(|host| host.hostname == *name)
    }

    /// What is done at the moment, in a sentence.
    pub(super) fn sentence(&self) -> String {
        if self.hosts.is_empty() {
            return "looks for the hosts of the flake".to_owned();
        }
        let running = self.names(&PhaseState::Running);
        let done = self.count(&PhaseState::Done);
        let at_work = match running.as_str() {
            "" => "waits for its turn".to_owned(),
            names => format!("builds {names}"),
        };
        let failed = match self.names(&PhaseState::Failed).as_str() {
            "" => String::new(),
            names => format!("; failed: {names}"),
        };
        self.noted(format!("{at_work}; {done} of {} built{failed}", self.hosts.len()))
    }

    /// How it ended for those who wanted `target`: maybe before all of it has.
    pub(super) fn end_of(&self, target: &str) -> Option<End> {
        let alone = self.hosts.iter().all(|host| host.hostname == *target);
        if is_all(target) || alone {
            return self.end.clone();
        }
        let Some(host) = self.hosts.iter().find(|host| host.hostname == *target) else {
            let message = format!("the flake has no host {target:?} at this commit");
            return Some(End { error: Some(ErrorCode::EvaluationFailed), message });
        };
        match host.state {
            PhaseState::Done => Some(End { error: None, message: format!("{target} built") }),
            PhaseState::Failed | PhaseState::Skipped => {
                let message = host.error.clone().unwrap_or_else(|| format!("{target} was not built"));
                let error = self.errors.get(target).cloned().unwrap_or(ErrorCode::BuildFailed);
                Some(End { error: Some(error), message })
            }
            _ => None,
        }
    }

    /// Concludes what became of the whole, once every host has ended.
    pub(super) fn conclude(&mut self, timed_out: Option<String>, all_wanted: bool) {
        let (done, all) = (self.count(&PhaseState::Done), self.hosts.len());
        let failed = self.names(&PhaseState::Failed);
        let (error, message) = match (timed_out, &self.hosts[..]) {
            (Some(why), _) => (Some(ErrorCode::Timeout), format!("{why}; {done} of {all} built")),
            (None, [one]) if !all_wanted => {
                let error = self.errors.get(&one.hostname).cloned();
                let built = || format!("{} built", one.hostname);
                (error, one.error.clone().unwrap_or_else(built))
            }
            _ if done == all => (None, format!("{done} of {all} built")),
            _ => (Some(self.common_error()), format!("{done} of {all} built; failed: {failed}")),
        };
        let message = self.noted(message);
        self.end = Some(End { error, message });
    }

    /// The error of all that failed where they agree.
    fn common_error(&self) -> ErrorCode {
        let mut errors = self.errors.values();
        let first = errors.next().cloned().unwrap_or(ErrorCode::BuildFailed);
        if errors.all(|error| *error == first) { first } else { ErrorCode::BuildFailed }
    }

    fn noted(&self, message: String) -> String {
        self.note.iter().fold(message, |message, note| format!("{message}; {note}"))
    }

    fn count(&self, state: &PhaseState) -> usize {
        self.hosts.iter().filter(|host| host.state == *state).count()
    }

    fn names(&self, state: &PhaseState) -> String {
        let all: Vec<_> =
            self.hosts.iter().filter(|host| host.state == *state).map(|h| h.hostname.as_str()).collect();
        named(&all)
    }
}

/// The first of these names, and how many more there are.
pub(super) fn named(all: &[impl AsRef<str>]) -> String {
    let first: Vec<_> = all.iter().take(NAMED).map(AsRef::as_ref).collect();
    let more = if all.len() > NAMED { format!(" and {} more", all.len() - NAMED) } else { String::new() };
    format!("{}{more}", first.join(", "))
}
