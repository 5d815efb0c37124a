//! Requests builds of a commit from the builder and from all capable hosts, without waiting for them.

use super::build::request_of;
use super::operator::{ANSWER_TIMEOUT, fresh_id};
use super::{DeployError, DeploymentFollower, Discovery, Intent, Operator, Plan, Selection, Target};
use crate::fleet::Reachability;
use crate::protocol::{Action, Name, Purpose, Revision, build_subject};
use crate::text::format;
use std::future::ready;
use std::time::Duration;

/// Requests a build of the branch for every host from the builder, and a build of its commit from each online host
/// that can build. Returns messages: who was asked, who was left out, and which subjects the server denied.
pub async fn prebuild(
    operator: &mut Operator,
    branch: &Revision,
    commit: &Revision,
    repo: Option<&Name>,
) -> Result<Vec<String>, DeployError> {
    let discovery = operator.discover(None, None).await?;
    let mut violations = operator.nats.permission_violations();
    operator.subscribed(ready(Ok(()))).await?;
    let subject = build_subject(repo, "all");
    let request = request_of(fresh_id(), "all", repo, Some(branch), &operator.issuer);
    operator.nats.publish_signed(Purpose::Build, &subject, None, request.encode()).await?;
    let mut notes = vec![format!("asked the builder on {subject} to build {branch}")];
    let (hosts, mut left_out) = buildable_hosts(operator, branch, &discovery);
    notes.append(&mut left_out);
    if hosts.is_empty() {
        notes.push("no online host can build".to_owned());
    } else {
        let names: Vec<_> = hosts.iter().map(Name::as_str).collect();
        notes.push(format!("asked {} to build {}", names.join(", "), format::short_commit(commit.as_str())));
        let targets = Selection::Targets(hosts.into_iter().map(Target::Host).collect());
        let mut plan =
            Plan::new(build_intent(operator, branch), &targets, &discovery.fleet, discovery.at, true)?;
        for request in &mut plan.requests {
            request.pin = Some(commit.clone());
        }
        // The builds are not followed.
        drop(DeploymentFollower::send(operator, plan, discovery.fleet, None, Duration::ZERO).await?);
    }
    operator.nats.ping_across_reconnects(ANSWER_TIMEOUT).await?;
    while let Ok(violation) = violations.try_recv() {
        notes.push(violation.to_string());
    }
    Ok(notes)
}

fn build_intent(operator: &Operator, branch: &Revision) -> Intent {
    Intent { revision: Some(branch.clone()), ..Intent::new(Action::Build, operator.issuer.clone()) }
}

/// The online hosts that can build, and why others are left out.
fn buildable_hosts(
    operator: &Operator,
    branch: &Revision,
    discovery: &Discovery,
) -> (Vec<Name>, Vec<String>) {
    let (mut hosts, mut left_out) = (Vec::new(), Vec::new());
    for host in discovery.fleet.hosts_by_name() {
        let can = host.answer.as_ref().is_some_and(|answer| answer.can(&Action::Build));
        if host.reachability(discovery.at) != Reachability::Online || !can {
            continue;
        }
        let alone = Selection::Targets(vec![Target::Host(host.name.clone())]);
        match Plan::new(build_intent(operator, branch), &alone, &discovery.fleet, discovery.at, true) {
            Ok(_) => hosts.push(host.name.clone()),
            Err(error) => left_out.push(error.to_string()),
        }
    }
    (hosts, left_out)
}
