//! Progress for a client that wants it: each host through its phases.

use crate::deployer::{Follow, Update};
use crate::fleet::words;
use crate::protocol::{DeployReport, Name, PhaseName};
use rmcp::model::{ProgressNotificationParam, ProgressToken};
use rmcp::service::RequestContext;
use rmcp::{Peer, RoleServer};
use std::collections::BTreeMap;

/// The steps of a host: its phases and the verdict.
const STEPS: usize = PhaseName::PIPELINE.len() + 1;

/// Tells how far a deployment is, where the client gave a token.
pub(super) struct Progress {
    to: Option<(Peer<RoleServer>, ProgressToken)>,
    /// How many steps each host has done.
    steps: BTreeMap<Name, usize>,
    /// How many notifications there were since the last whole step. What is told must grow each time.
    within: u32,
}

impl Progress {
    pub(super) fn new(follow: &Follow, context: &RequestContext<RoleServer>) -> Self {
        Self::of(context, follow.outcome().hosts.into_iter().map(|result| result.host))
    }

    /// Of these hosts; with none, only sentences are told.
    pub(super) fn of(context: &RequestContext<RoleServer>, hosts: impl IntoIterator<Item = Name>) -> Self {
        let token = context.meta.get_progress_token();
        let steps = hosts.into_iter().map(|host| (host, 0)).collect();
        Self { to: token.map(|token| (context.peer.clone(), token)), steps, within: 0 }
    }

    /// Tells news of the deployment.
    pub(super) async fn tell(&mut self, update: &Update) {
        match update {
            Update::Report(report) => {
                let text = format!("{}: {}", report.hostname, words::progress_of(report));
                let steps = self.steps.entry(report.hostname.clone()).or_default();
                let reached = reached(report).max(*steps);
                if reached > std::mem::replace(steps, reached) {
                    self.within = 0;
                }
                self.say(text).await;
            }
            Update::Wave(wave) => self.say(wave.to_string()).await,
            Update::Note(note) | Update::Again { note, .. } => self.say(note.clone()).await,
        }
    }

    /// Tells a sentence.
    pub(super) async fn say(&mut self, text: String) {
        let Some((peer, token)) = &self.to else { return };
        self.within += 1;
        let progress = number(self.steps.values().sum()) + 1.0 - 1.0 / f64::from(self.within);
        let mut told = ProgressNotificationParam::new(token.clone(), progress).with_message(text);
        if !self.steps.is_empty() {
            told = told.with_total(number(self.steps.len() * STEPS));
        }
        // A client that has gone hears nothing more; the call ends by itself.
        let _ = peer.notify_progress(told).await;
    }
}

fn reached(report: &DeployReport) -> usize {
    if report.status.is_final() {
        return STEPS;
    }
    report.phases.running().and_then(|phase| phase.name.rank()).unwrap_or(0)
}

fn number(count: usize) -> f64 {
    u32::try_from(count).map_or(f64::MAX, f64::from)
}
