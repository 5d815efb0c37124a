//! What is done about silence: a lost link, missed heartbeats, hosts that never took the request.

use super::target::Target;
use super::{Follow, Update};
use crate::bus::LinkError;
use crate::deployer::DeployError;
use crate::fleet::HostJob;
use crate::protocol::{Ask, DISCOVER, Id, Name, Purpose, Status, Want};
use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeMap;

/// How long a job that was accepted takes at most to begin: its listener may have died before the job was on disk.
const BEGINS: SignedDuration = SignedDuration::from_secs(2);
/// How many hosts one question names.
const ASKED_AT_ONCE: usize = 400;

/// Whether a job was accepted and has not begun.
fn hangs(job: &HostJob, now: Timestamp) -> bool {
    job.report.status == Status::Accepted && now.duration_since(job.heard) > BEGINS
}

impl Follow {
    pub(super) async fn on_link(&mut self) -> Result<(), DeployError> {
        let link = self.link.borrow_and_update().clone();
        if link.up && link.connects != self.connects {
            (self.connects, self.lost) = (link.connects, false);
            self.pending
                .push_back(Update::Note("connected again; asking what happened meanwhile".to_owned()));
            let unsettled =
                |(host, target): (&Name, &Target)| (!self.is_settled(host, target)).then(|| host.clone());
            let hosts = self.targets.iter().filter_map(unsettled).collect();
            self.ask(hosts).await?;
        } else if !link.up && !self.lost {
            self.lost = true;
            let note = "the connection was lost; what runs on the hosts goes on";
            self.pending.push_back(Update::Note(note.to_owned()));
        }
        Ok(())
    }

    /// Asks those that have been silent for too long, and gives up those that never took the request.
    pub(super) async fn on_tick(&mut self) -> Result<(), DeployError> {
        let now = Timestamp::now();
        let mut to_ask = Vec::new();
        for (host, target) in &mut self.targets {
            let deployment = self.fleet.deployments.get(&target.id);
            let job = deployment.and_then(|deployment| deployment.job(host));
            let is_overdue = job.map(|job| job.is_overdue(now));
            let first = !target.was_asked();
            if target.should_ask(is_overdue.map(|overdue| overdue || job.is_some_and(|job| hangs(job, now))))
            {
                if first && is_overdue == Some(true) {
                    let note = format!("{host} has missed three heartbeats; asking it how it stands");
                    self.pending.push_back(Update::Note(note));
                }
                to_ask.push(host.clone());
            }
        }
        self.ask(to_ask).await
    }

    /// Asks hosts for the report of their job in this deployment.
    pub(super) async fn ask(&mut self, hosts: Vec<Name>) -> Result<(), DeployError> {
        let mut by_id: BTreeMap<Id, Vec<Name>> = BTreeMap::new();
        for host in hosts {
            if let Some(target) = self.targets.get(&host) {
                by_id.entry(target.id.clone()).or_default().push(host);
            }
        }
        for (id, hosts) in by_id {
            for hosts in hosts.chunks(ASKED_AT_ONCE) {
                let mut ask = Ask::new(self.answers_to.clone());
                (ask.want, ask.id, ask.hosts) = (Some(Want::Job), Some(id.clone()), hosts.to_vec());
                ask.reply_per_host = Some(true);
                let sent = self.bus.publish_signed(Purpose::Query, DISCOVER, None, ask.encode()).await;
                if let Err(LinkError::Down { .. }) = sent {
                    // Coming back asks again.
                    return Ok(());
                }
                sent?;
            }
        }
        Ok(())
    }
}
