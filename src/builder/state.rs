//! State of a build: each host, and in the end the result. Pure data.

use super::queue::is_all;
use crate::protocol::{BuildHost, ErrorCode, Name, PhaseState};
use std::collections::BTreeMap;

/// Maximum number of hosts named in a message.
const MAX_NAMED: usize = 5;

/// How a build ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RepoBuildResult {
    /// Why it failed; `None` if every host was built.
    pub(super) error: Option<ErrorCode>,
    pub(super) message: String,
}

/// State of a build.
#[derive(Debug, Clone, Default)]
pub(super) struct BuildState {
    pub(super) hosts: Vec<BuildHost>,
    /// Error codes of the hosts that failed.
    pub(super) errors: BTreeMap<Name, ErrorCode>,
    /// A hint for operators, such as hosts that cannot be built.
    pub(super) note: Option<String>,
    /// The result, once the complete build has ended.
    pub(super) result: Option<RepoBuildResult>,
}

impl BuildState {
    /// Sets the hosts to build.
    pub(super) fn set_pending(&mut self, hosts: impl IntoIterator<Item = Name>) {
        self.hosts = hosts.into_iter().map(BuildHost::pending).collect();
    }

    pub(super) fn host(&mut self, name: &Name) -> Option<&mut BuildHost> {
        self.hosts.iter_mut().find(|host| host.hostname == *name)
    }

    /// The current activity, as a short message.
    pub(super) fn describe(&self) -> String {
        if self.hosts.is_empty() {
            return "listing the hosts of the flake".to_owned();
        }
        let running = self.names(&PhaseState::Running);
        let done = self.count(&PhaseState::Done);
        let activity = match running.as_str() {
            "" => "waiting for a free slot".to_owned(),
            names => format!("building {names}"),
        };
        let failed = match self.names(&PhaseState::Failed).as_str() {
            "" => String::new(),
            names => format!("; failed: {names}"),
        };
        self.with_note(format!("{activity}; {done} of {} built{failed}", self.hosts.len()))
    }

    /// The result for a job with this target, which can be known before the complete build has ended.
    pub(super) fn result_for(&self, target: &str) -> Option<RepoBuildResult> {
        let is_single = self.hosts.iter().all(|host| host.hostname == *target);
        if is_all(target) || is_single {
            return self.result.clone();
        }
        let Some(host) = self.hosts.iter().find(|host| host.hostname == *target) else {
            let message = format!("the flake has no host {target:?} at this commit");
            return Some(RepoBuildResult { error: Some(ErrorCode::EvaluationFailed), message });
        };
        match host.state {
            PhaseState::Done => Some(RepoBuildResult { error: None, message: format!("{target} built") }),
            PhaseState::Failed | PhaseState::Skipped => {
                let message = host.error.clone().unwrap_or_else(|| format!("{target} was not built"));
                let error = self.errors.get(target).cloned().unwrap_or(ErrorCode::BuildFailed);
                Some(RepoBuildResult { error: Some(error), message })
            }
            _ => None,
        }
    }

    /// Sets the result, once every host has ended.
    pub(super) fn finish(&mut self, timed_out: Option<String>, is_all_target: bool) {
        let (done, all) = (self.count(&PhaseState::Done), self.hosts.len());
        let failed = self.names(&PhaseState::Failed);
        let (error, message) = match (timed_out, &self.hosts[..]) {
            (Some(why), _) => (Some(ErrorCode::Timeout), format!("{why}; {done} of {all} built")),
            (None, [one]) if !is_all_target => {
                let error = self.errors.get(&one.hostname).cloned();
                let built = || format!("{} built", one.hostname);
                (error, one.error.clone().unwrap_or_else(built))
            }
            _ if done == all => (None, format!("{done} of {all} built")),
            _ => (Some(self.common_error()), format!("{done} of {all} built; failed: {failed}")),
        };
        let message = self.with_note(message);
        self.result = Some(RepoBuildResult { error, message });
    }

    /// The error code of the failed hosts if they have the same one, else `build_failed`.
    fn common_error(&self) -> ErrorCode {
        let mut errors = self.errors.values();
        let first = errors.next().cloned().unwrap_or(ErrorCode::BuildFailed);
        if errors.all(|error| *error == first) { first } else { ErrorCode::BuildFailed }
    }

    fn with_note(&self, message: String) -> String {
        self.note.iter().fold(message, |message, note| format!("{message}; {note}"))
    }

    fn count(&self, state: &PhaseState) -> usize {
        self.hosts.iter().filter(|host| host.state == *state).count()
    }

    fn names(&self, state: &PhaseState) -> String {
        let all: Vec<_> =
            self.hosts.iter().filter(|host| host.state == *state).map(|h| h.hostname.as_str()).collect();
        join_names(&all)
    }
}

/// The first names, and how many more there are.
pub(super) fn join_names(all: &[impl AsRef<str>]) -> String {
    let first: Vec<_> = all.iter().take(MAX_NAMED).map(AsRef::as_ref).collect();
    let more =
        if all.len() > MAX_NAMED { format!(" and {} more", all.len() - MAX_NAMED) } else { String::new() };
    format!("{}{more}", first.join(", "))
}
