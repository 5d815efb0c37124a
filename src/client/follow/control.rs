//! The part of a follower that other processes see: the status of its rollout, commands to it, and the hand-over.

use super::DeploymentFollower;
use crate::client::rollout_runner::{RolloutRunner, RunnerEvent, StatusKey};
use crate::client::saved_rollouts::{RolloutFile, SavedRollout};
use crate::client::tracked_host::TrackedHost;
use crate::client::{DeployError, FollowEvent, LocalCommand, LocalCommands, RequestState, RolloutHandover};
use crate::ordered::CollectOrdered;
use crate::protocol::{Id, Name, RolloutCommand, RolloutStatus};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::task::spawn_blocking;

impl DeploymentFollower {
    /// Tracks the hosts of the batches that another process has sent. `resent` has the ids of those that received the
    /// request again.
    pub(in crate::client) fn track_sent(
        &mut self,
        mut resent: BTreeMap<Name, Id>,
        refused: &BTreeSet<Name>,
        expired_requests: usize,
    ) {
        self.expired_requests = expired_requests;
        for request in 0..self.plan.rollout.sent_requests() {
            for host in self.plan.requests[request].hosts.keys() {
                let mut tracked = match resent.remove(host) {
                    Some(id) => TrackedHost::resent_by_host_clock(id, request),
                    None => TrackedHost::new(self.plan.id.clone(), Some(request)),
                };
                tracked.is_refused = refused.contains(host);
                self.tracked_hosts.insert(host.clone(), tracked);
            }
        }
    }

    /// The state for another process that takes over.
    pub fn handover(&self) -> RolloutHandover {
        let tracked = &self.tracked_hosts;
        let resent = tracked.iter().filter(|(_, tracked)| tracked.id != self.plan.id);
        let refused = tracked.iter().filter(|(_, tracked)| tracked.is_refused);
        let jobs = tracked.iter().filter_map(|(host, tracked)| {
            self.fleet.deployments.get(&tracked.id)?.job(host).map(|job| Arc::new(job.report.brief()))
        });
        RolloutHandover {
            plan: self.plan.clone(),
            timeout: self.timeout,
            follow_timeout: self.follow_timeout,
            resent: resent.map(|(host, tracked)| (host.clone(), tracked.id.clone())).collect_map(),
            refused: refused.map(|(host, _)| host.clone()).collect_set(),
            expired_requests: self.expired_requests,
            reports: jobs.collect(),
        }
    }

    /// A sender of commands to this rollout; `None` without batches.
    pub fn commands(&self) -> Option<LocalCommands> {
        self.runner.as_ref().map(RolloutRunner::local_commands)
    }

    /// If a limit stops the rollout, it waits for an operator to continue or abort it, instead of ending.
    pub fn wait_at_limit(&mut self) {
        self.plan.rollout.wait_at_limit();
    }

    pub(super) async fn on_runner_event(&mut self, event: RunnerEvent) -> Result<(), DeployError> {
        match event {
            RunnerEvent::Heartbeat => self.publish_status().await,
            RunnerEvent::Local(LocalCommand::HandOver) => {
                self.is_handed_over = true;
            }
            RunnerEvent::Local(LocalCommand::End(_done)) => {
                let reason = format!("the console of {} was closed", self.plan.intent.issuer);
                self.end(&reason).await;
            }
            RunnerEvent::Local(LocalCommand::Control(command)) => {
                let issuer = self.plan.intent.issuer.clone();
                if let Err(reason) = self.on_command(&command, &issuer) {
                    self.pending.push_back(FollowEvent::Note(reason));
                }
            }
            RunnerEvent::Control(received) => {
                let Some(runner) = &mut self.runner else { return Ok(()) };
                match runner.accept(&received) {
                    Ok(control) => {
                        let issuer = control.issuer.as_deref().unwrap_or("an unknown operator");
                        let result = self.on_command(&control.command, issuer);
                        if let Some(runner) = &mut self.runner {
                            runner.reply(control.id, result);
                        }
                    }
                    Err(reason) => tracing::warn!(reason, "ignored a command to a rollout"),
                }
            }
        }
        Ok(())
    }

    /// Whether batches may still be sent.
    pub fn has_unsent_batches(&self) -> bool {
        self.plan.rollout.state().0.is_open()
    }

    fn on_command(&mut self, command: &RolloutCommand, issuer: &str) -> Result<(), String> {
        let failed = self.failed();
        self.plan.rollout.apply(command, issuer, failed)
    }

    /// Number of hosts that failed or were cancelled so far.
    fn failed(&self) -> usize {
        let sent = 0..self.plan.rollout.sent_requests();
        sent.filter(|request| self.request_state(*request) != RequestState::Passed)
            .filter(|request| self.request_state(*request) != RequestState::Pending)
            .count()
    }

    fn status_key(&self) -> StatusKey {
        let (state, reason) = self.plan.rollout.state();
        let sent_batches = self.plan.rollout.sent_batches();
        let next_at = self.pause_until.and(self.next_batch_at);
        let answer = self.runner.as_ref().and_then(RolloutRunner::answer);
        StatusKey { state, reason, sent_batches, next_at, answer }
    }

    /// Publishes the status of the rollout if it has changed.
    pub(super) async fn publish_news(&mut self) {
        let Some(runner) = &self.runner else { return };
        if runner.is_news(&self.status_key()) {
            let status = self.publish_status_now().await;
            self.pending.extend(status.map(|status| FollowEvent::Rollout(Box::new(status))));
        }
    }

    async fn publish_status(&mut self) {
        self.publish_status_now().await;
    }

    async fn publish_status_now(&mut self) -> Option<RolloutStatus> {
        let (key, failed) = (self.status_key(), self.failed());
        let runner = self.runner.as_mut()?;
        let is_news = runner.is_news(&key);
        let status = runner.status(key, &self.plan, failed);
        runner.publish(&status).await;
        if is_news {
            let status = runner.with_all_hosts(&status);
            self.save(status).await;
        }
        Some(status)
    }

    /// Saves the state of the rollout, so that it can be continued if this process dies.
    async fn save(&mut self, status: RolloutStatus) {
        let Some(file) = self.runner.as_ref().and_then(|runner| runner.file.clone()) else { return };
        let saved = SavedRollout { status, state: self.handover() };
        // A panic of the task was already reported.
        let Ok(result) = spawn_blocking(move || lock(&file).save(&saved)).await else { return };
        if let Err(error) = result {
            self.runner.iter_mut().for_each(|runner| runner.file = None);
            let note = format!("{error}; if this process dies, the rollout cannot be continued");
            self.pending.push_back(FollowEvent::Note(note));
        }
    }

    /// Uses this file, which is locked already.
    pub(in crate::client) fn take_file(&mut self, file: RolloutFile) {
        let file = Arc::new(Mutex::new(file));
        self.runner.iter_mut().for_each(|runner| runner.file = Some(file.clone()));
    }

    /// Ends the rollout because this process ends: no further batch is sent, and other consoles show why.
    pub async fn end(&mut self, reason: &str) {
        if self.runner.is_some() && self.has_unsent_batches() {
            self.plan.rollout.abort(reason.to_owned());
            self.publish_status().await;
            self.nats.flush().await;
        }
    }
}

fn lock(file: &Mutex<RolloutFile>) -> MutexGuard<'_, RolloutFile> {
    file.lock().unwrap_or_else(PoisonError::into_inner)
}
