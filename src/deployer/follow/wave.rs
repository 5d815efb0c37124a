//! The waves of a plan: when the next one is sent, and when there is none.

use super::begin::PING;
use super::target::{SILENCE, Target};
use super::{Follow, SETTLE, Update, WaveNews};
use crate::bus::LinkError;
use crate::deployer::{DeployError, Part, Step, Verdict, WaveKind};
use crate::protocol::Name;
use jiff::SignedDuration;
use std::fmt;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// What became of going on.
pub(super) enum GoOn {
    /// There is something to wait for.
    Wait,
    /// There is news.
    Sent,
    /// Nothing is left to be done.
    Over,
}

impl fmt::Display for WaveNews {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "wave {} of {}", self.wave, self.of)?;
        match self.kind {
            WaveKind::Canary => f.write_str(", the canary")?,
            WaveKind::Broker => f.write_str(", where the broker runs")?,
            WaveKind::Batch => {}
        }
        let hosts: Vec<_> = self.hosts.iter().map(Name::as_str).collect();
        write!(f, ": {}", hosts.join(", "))
    }
}

impl Follow {
    /// Once this is cancelled, no further wave is sent; what was sent is followed to its end.
    pub fn abort_on(&mut self, abort: CancellationToken) {
        self.abort = abort;
    }

    pub(super) fn abort(&mut self) {
        self.plan.rollout.abort();
        self.pause_ends = None;
    }

    /// Sends the next wave, where the time has come for it.
    pub(super) async fn go_on(&mut self) -> Result<GoOn, DeployError> {
        if !self.is_wave_over() {
            return Ok(GoOn::Wait);
        }
        match self.plan.rollout.step(|parcel| self.part(parcel)) {
            Step::Wait => return Ok(GoOn::Wait),
            Step::Done => return Ok(GoOn::Over),
            Step::Stop(stopped) => {
                self.stopped = Some(stopped);
                return Ok(GoOn::Over);
            }
            Step::Send { after } => {
                let paused = self.pause_ends.is_some() || after.is_zero();
                let now = Instant::now();
                if !paused {
                    let seconds = after.as_secs();
                    self.pending.push_back(Update::Note(format!("the next wave begins in {seconds} s")));
                }
                if *self.pause_ends.get_or_insert(now + after) > now {
                    return Ok(if paused { GoOn::Wait } else { GoOn::Sent });
                }
            }
        }
        // Whoever is cut off waits: a wave that nobody hears would count as failed.
        if !self.link.borrow().up || self.bus.reach(PING).await.is_err() {
            return Ok(GoOn::Wait);
        }
        match self.send_wave().await {
            // Those that it was not posted to are asked once the link is back, and then count as silent.
            Ok(()) | Err(DeployError::Link(LinkError::Down { .. })) => Ok(GoOn::Sent),
            Err(error) => Err(error),
        }
    }

    /// Sends the next wave.
    pub(super) async fn send_wave(&mut self) -> Result<(), DeployError> {
        let id = self.plan.id.clone();
        let parcels = self.plan.rollout.send();
        let now = Instant::now();
        (self.sent_at, self.last_news, self.deadline) = (now, now, now + self.patience);
        (self.pause_ends, self.out_of_time, self.untaken) = (None, false, 0);
        let (wave, of) = (self.plan.rollout.sent(), self.plan.rollout.waves().len());
        if let Some(present) = self.plan.rollout.waves().get(wave - 1).filter(|_| of > 1) {
            let (kind, hosts) = (present.kind, self.plan.hosts_of(present));
            self.pending.push_back(Update::Wave(WaveNews { wave, of, kind, hosts }));
        }
        for at in parcels.clone() {
            for host in self.plan.parcels[at].hosts.keys() {
                self.targets.insert(host.clone(), Target::new(id.clone(), Some(at)));
            }
        }
        for at in parcels {
            let parcel = &self.plan.parcels[at];
            self.post(&parcel.subject, parcel, &id, SignedDuration::ZERO).await?;
        }
        Ok(())
    }

    /// Whether every host that the present wave may reach has its verdict, or is waited for no longer.
    fn is_wave_over(&self) -> bool {
        let present = self.plan.rollout.present();
        if self.out_of_time {
            return true;
        }
        let open = self.plan.parcels[present].iter().any(|parcel| self.is_open(parcel));
        if self.targets.is_empty() {
            return self.nobody_took_it() || !open || self.sent_at.elapsed() > SILENCE;
        }
        let settled = !open || self.last_news.elapsed() > SETTLE;
        settled && self.targets.iter().all(|(host, target)| self.is_settled(host, target))
    }

    /// Whether the server told of each message of the present wave that nobody listens, and no host answered just before.
    pub(super) fn nobody_took_it(&self) -> bool {
        self.untaken >= self.plan.rollout.present().len() && !self.is_one_there()
    }

    /// How a request stands that was sent.
    fn part(&self, parcel: usize) -> Part {
        let parts = self.plan.parcels[parcel].hosts.keys().map(|host| self.part_of(host, parcel));
        parts
            .max_by_key(|part| match part {
                Part::Passed => 0,
                Part::Failed => 1,
                Part::Open => 2,
            })
            .unwrap_or(Part::Passed)
    }

    fn part_of(&self, host: &Name, parcel: usize) -> Part {
        let Some(target) = self.targets.get(host) else { return Part::Passed };
        if parcel >= self.late && !self.is_settled(host, target) {
            return Part::Open;
        }
        let deployment = self.fleet.deployments.get(&target.id);
        let passed = match deployment.and_then(|deployment| deployment.hosts.get(host)) {
            Some(jobs) => jobs.iter().all(|job| Verdict::of(&job.report) == Verdict::Completed),
            // One that was known to be away is no sign of trouble; one that has just vanished is.
            None => self.plan.silent.contains_key(host),
        };
        if passed { Part::Passed } else { Part::Failed }
    }
}
