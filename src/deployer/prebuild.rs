//! Asks the builder and every host that can to build a commit, without waiting for it.

use super::build::request_of;
use super::operator::fresh_id;
use super::{DeployError, Discovery, Intent, Operator, Plan, Selection, Target};
use crate::fleet::{Presence, words};
use crate::protocol::{Action, Name, Purpose, Revision, of_build};
use std::time::Duration;

/// How long the server may take to answer a ping.
const PING: Duration = Duration::from_secs(3);

impl Operator {
    /// Asks the builder for every host of the branch, and each host that is there and can for this commit of it. Says in
    /// sentences who was asked, who was left out, and what the server refused.
    pub async fn prebuild(
        &mut self,
        branch: &Revision,
        commit: &Revision,
        repo: Option<&Name>,
    ) -> Result<Vec<String>, DeployError> {
        let discovery = self.discover(None, None).await?;
        let mut refusals = self.bus.refusals();
        self.bus.reach(PING).await?;
        let subject = of_build(repo, "all");
        let request = request_of(fresh_id(), "all", repo, Some(branch), &self.issuer);
        self.bus.publish_signed(Purpose::Build, &subject, None, request.encode()).await?;
        let mut notes = vec![format!("asked the builder on {subject} to build {branch}")];
        let (hosts, mut left_out) = self.able(branch, &discovery);
        notes.append(&mut left_out);
        if hosts.is_empty() {
            notes.push("no host is there that can build".to_owned());
        } else {
            let names: Vec<_> = hosts.iter().map(Name::as_str).collect();
            notes.push(format!("asked {} to build {}", names.join(", "), words::short(commit.as_str())));
            let targets = Selection::Targets(hosts.into_iter().map(Target::Host).collect());
            let mut plan =
                Plan::new(self.build_intent(branch), &targets, &discovery.fleet, discovery.at, true)?;
            for parcel in &mut plan.parcels {
                parcel.pin = Some(commit.clone());
            }
            // Nobody follows it.
            drop(self.send(plan, discovery.fleet, None, Duration::ZERO).await?);
        }
        self.bus.reach(PING).await?;
        while let Ok(refusal) = refusals.try_recv() {
            notes.push(refusal.to_string());
        }
        Ok(notes)
    }

    fn build_intent(&self, branch: &Revision) -> Intent {
        Intent { revision: Some(branch.clone()), ..Intent::new(Action::Build, self.issuer.clone()) }
    }

    /// The hosts that are there and can build, and why others cannot be asked.
    fn able(&self, branch: &Revision, discovery: &Discovery) -> (Vec<Name>, Vec<String>) {
        let (mut hosts, mut left_out) = (Vec::new(), Vec::new());
        for host in discovery.fleet.hosts_by_name() {
            let can = host.answer.as_ref().is_some_and(|answer| answer.can(&Action::Build));
            if host.presence(discovery.at) != Presence::Online || !can {
                continue;
            }
            let alone = Selection::Targets(vec![Target::Host(host.name.clone())]);
            match Plan::new(self.build_intent(branch), &alone, &discovery.fleet, discovery.at, true) {
                Ok(_) => hosts.push(host.name.clone()),
                Err(error) => left_out.push(error.to_string()),
            }
        }
        (hosts, left_out)
    }
}
