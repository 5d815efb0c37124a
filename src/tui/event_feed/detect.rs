//! Detects events: compares a host before and after a message, and hosts that become silent.

use super::{EventFeed, FeedKind};
use crate::fleet::{Fleet, Host, Reachability, describe, failure_cause, natural_cmp};
use crate::protocol::{DeployReport, Name, Presence, Status};
use crate::text::format;
use jiff::Timestamp;
use std::sync::Arc;

/// A host before a message.
#[derive(Debug, Clone)]
pub(in crate::tui) struct HostBefore {
    answer: Option<Arc<Presence>>,
    job: Option<Arc<DeployReport>>,
    refusal: Option<Arc<DeployReport>>,
    last_seen: Option<Timestamp>,
}

impl HostBefore {
    pub(in crate::tui) fn of(host: &Host) -> Self {
        let (answer, job) = (host.answer.clone(), host.job.clone());
        Self { answer, job, refusal: host.refusal.clone(), last_seen: host.last_seen }
    }
}

impl EventFeed {
    /// Compares a host with its state before a message that arrived at `now`; `None` if it was unknown.
    pub(in crate::tui) fn note_host(&mut self, before: Option<HostBefore>, host: &Host, now: Timestamp) {
        let name = &host.name;
        if self.silent.remove(name) {
            let seen = before.as_ref().and_then(|before| before.last_seen);
            let silence = seen.map(|seen| format!(" after {} of silence", format::age(seen, now)));
            self.add(now, name, FeedKind::Back, &format!("back{}", silence.unwrap_or_default()), None);
        }
        let is_first = !self.present.contains(name);
        if is_first {
            self.present.insert(name.clone());
            if before.is_none() && self.expects_hosts {
                self.add(now, name, FeedKind::New, "seen for the first time", None);
            }
        }
        let before = before.unwrap_or(HostBefore { answer: None, job: None, refusal: None, last_seen: None });
        self.note_job(&before, host, now);
        if let Some(answer) = &host.answer
            && before.answer.as_ref().is_none_or(|known| !Arc::ptr_eq(known, answer))
        {
            // What is known from an earlier run of the console is not complete.
            let known = before.answer.as_deref().filter(|_| !is_first);
            self.note_presence(known, answer, host, now);
        }
    }

    fn note_job(&mut self, before: &HostBefore, host: &Host, now: Timestamp) {
        let known = |id| before.job.as_ref().filter(|job| job.id == id);
        if let Some(job) = host.job.as_deref().filter(|job| job.status.is_final())
            && let Some(id) = &job.id
            && known(job.id.clone()).is_none_or(|known| !known.status.is_final())
            && !self.knows_job(&host.name, id)
        {
            // A result that the console did not see arrive is as old as the host says.
            let at = if known(job.id.clone()).is_some() { now } else { job.at.unwrap_or(now).min(now) };
            let kind = FeedKind::of_job(&job.status, job.error.as_ref());
            self.add(at, &host.name, kind, &describe_result(job), Some(id.clone()));
        }
        let was_known = |refusal: &DeployReport| {
            before.refusal.as_ref().is_some_and(|known| known.id == refusal.id)
                || refusal.id.as_ref().is_some_and(|id| self.knows_job(&host.name, id))
        };
        if let Some(refusal) = host.refusal.as_deref().filter(|refusal| !was_known(refusal)) {
            self.add(now, &host.name, FeedKind::Rejected, &describe_result(refusal), refusal.id.clone());
        }
    }

    fn note_presence(&mut self, known: Option<&Presence>, answer: &Presence, host: &Host, now: Timestamp) {
        let name = &host.name;
        let held = |answer: &Presence| answer.held.clone();
        let was_held = known.map_or_else(|| self.last_hold(name), held);
        match (was_held, held(answer)) {
            (before, Some(reason))
                if before.as_ref() != Some(&reason) && !self.has_recent_hold(name, &reason) =>
            {
                self.add(now, name, FeedKind::Held, &format!("held: {reason}"), None);
            }
            (Some(_), None) => self.add(now, name, FeedKind::Released, "released", None),
            _ => {}
        }
        let none = Vec::new();
        let units_before = known.map_or(&none, |known| &known.failed_units);
        for unit in answer.failed_units.iter().filter(|unit| !units_before.contains(unit)) {
            let text = format!("{unit} has failed");
            // After a restart of the console, the failure is usually known.
            if known.is_some() || self.last_text(name, unit) != Some(crate::text::printable(&text)) {
                self.add(now, name, FeedKind::UnitFailed, &text, None);
            }
        }
        for unit in units_before.iter().filter(|unit| !answer.failed_units.contains(unit)) {
            self.add(now, name, FeedKind::UnitRecovered, &format!("{unit} no longer fails"), None);
        }
        let commit = |answer: &Presence| answer.commit.as_deref().map(str::to_owned);
        if let (Some(before), Some(after)) = (known.and_then(commit), commit(answer))
            && before != after
            && host.job.as_ref().is_none_or(|job| job.commit.as_deref() != Some(&*after))
        {
            let runs = describe::running_revision(host);
            let text = format!("runs {runs}, before {}", format::short_commit(&before));
            self.add(now, name, FeedKind::Commit, &text, None);
        }
    }

    /// The reason of the last hold of a host, if it was not released since.
    fn last_hold(&self, host: &Name) -> Option<String> {
        let mut events = self.events.iter().rev().filter(|event| event.host == *host);
        let last = events.find(|event| matches!(event.kind, FeedKind::Held | FeedKind::Released))?;
        let reason = last.text.split_once(": ").map(|(_, reason)| reason.to_owned());
        reason.filter(|_| last.kind == FeedKind::Held)
    }

    /// Whether the hold is known, from the history or from another message.
    fn has_recent_hold(&self, host: &Name, reason: &str) -> bool {
        self.last_hold(host).is_some_and(|known| known == crate::text::printable(reason))
    }

    /// The text of the last event of a host that names this unit.
    fn last_text(&self, host: &Name, unit: &str) -> Option<String> {
        let unit = crate::text::printable(unit);
        let mut events = self.events.iter().rev().filter(|event| event.host == *host);
        events.find(|event| event.text.starts_with(&unit)).map(|event| event.text.clone())
    }

    /// Records hosts that have become silent.
    pub(in crate::tui) fn note_silence(&mut self, fleet: &Fleet, now: Timestamp) {
        let is_silent = |host: &&Host| {
            !matches!(host.reachability(now), Reachability::Online | Reachability::Restarting)
                && self.present.contains(&host.name)
                && !self.silent.contains(&host.name)
        };
        let mut silent: Vec<_> = fleet.hosts.values().filter(is_silent).collect();
        silent.sort_unstable_by(|a, b| natural_cmp(&a.name, &b.name));
        for host in silent {
            self.silent.insert(host.name.clone());
            let seen = host.last_seen.map(|seen| format!(" for {}", format::age(seen, now)));
            let text = if host.offline_announced {
                "goes offline".to_owned()
            } else {
                format!("silent{}", seen.unwrap_or_default())
            };
            self.add(now, &host.name, FeedKind::Silent, &text, None);
        }
    }
}

/// `switch main 3f2a91c by alice: completed in 48.2 s`
fn describe_result(job: &DeployReport) -> String {
    let action = job.action.as_ref().map_or("job", |action| action.as_str());
    let what = format!("{action} {}", describe::job_revision(job));
    let by = job.issuer.as_deref().map(|issuer| format!(" by {issuer}")).unwrap_or_default();
    let result = match (&job.status, job.elapsed_ms) {
        (Status::Completed, Some(elapsed)) => format!("completed in {}", format::duration(elapsed)),
        (Status::Completed, None) => "completed".to_owned(),
        (status, _) => format!("{status}: {}", failure_cause(job)),
    };
    format!("{}{by}: {result}", what.trim_end())
}
