//! Activity in the background: another operator deploys to hosts of the tier `test`, and a host loses its power.

use super::engine::SimulatedEngine;
use super::scenario::Scenario;
use super::{DemoError, DemoHost};
use crate::client::{
    BuildFollower, BuildSpec, DeployError, DeploymentFollower, Intent, Inventory, Operator, Plan, Selection,
    Target,
};
use crate::fleet::Reachability;
use crate::nats::{Client, ConnectionSettings};
use crate::protocol::{Action, Name, Revision};
use std::time::Duration;
use tokio::time::sleep;

/// Name of the other operator.
const ISSUER: &str = "alice@laptop";
/// Time before her first deployment, and between two deployments; leaves the operator of the demo time to act.
const FIRST_TURN: Duration = Duration::from_secs(12);
const BETWEEN_TURNS: Duration = Duration::from_secs(70);
/// How long she follows a deployment or a build.
const FOLLOW_TIMEOUT: Duration = Duration::from_mins(5);

/// The branches that she requests builds of, and the times before the first and between two builds.
const BRANCHES: [&str; 3] = ["testing", "broken", "main"];
const FIRST_BUILD: Duration = Duration::from_secs(20);
const BETWEEN_BUILDS: Duration = Duration::from_mins(2);

/// Time before the first power loss, and between two of them.
const FIRST_POWER_LOSS: Duration = Duration::from_secs(30);
const BETWEEN_POWER_LOSSES: Duration = Duration::from_mins(8);
/// Duration of a power loss; long enough for the host to be shown as offline.
const POWER_LOSS: Duration = Duration::from_secs(130);
/// Time between two checks whether a job is still running.
const BUSY: Duration = Duration::from_secs(5);

/// One deployment of hers: action, revision and hosts.
type Turn = (Action, Option<&'static str>, &'static [Scenario]);

/// Her deployments. She leaves the hosts of a small demo to its operator.
const TURNS: [Turn; 5] = [
    (Action::Switch, Some("main"), &[Scenario::Builder]),
    (Action::Test, Some("testing"), &[Scenario::Canary]),
    (Action::Switch, Some("testing"), &[Scenario::Builder, Scenario::Canary]),
    (Action::Rollback, None, &[Scenario::Canary]),
    (Action::Switch, Some("main"), &[Scenario::Builder, Scenario::Canary]),
];

/// Cuts the power of a machine at intervals, but never during a job.
pub(super) async fn simulate_power_losses(engine: SimulatedEngine) {
    sleep(FIRST_POWER_LOSS).await;
    loop {
        while engine.machine().busy {
            sleep(BUSY).await;
        }
        engine.outages.lose_power(POWER_LOSS).await;
        sleep(POWER_LOSS + BETWEEN_POWER_LOSSES).await;
    }
}

/// Deploys in a loop, with the permissions of these settings.
pub(super) async fn run_deployments(
    settings: ConnectionSettings,
    hosts: Vec<DemoHost>,
) -> Result<(), DemoError> {
    let nats = Client::connect_persistent(&settings).await?;
    let mut operator = Operator::new(nats, Inventory::default(), ISSUER.to_owned());
    sleep(FIRST_TURN).await;
    for turn in TURNS.iter().cycle() {
        if let Err(error) = run_turn(turn, &mut operator, &hosts).await {
            tracing::warn!(%error, "a deployment of the demo's other operator failed");
        }
        sleep(BETWEEN_TURNS).await;
    }
    Ok(())
}

/// Requests builds of the branches in a loop.
pub(super) async fn run_builds(settings: ConnectionSettings) -> Result<(), DemoError> {
    let nats = Client::connect_persistent(&settings).await?;
    let operator = Operator::new(nats, Inventory::default(), ISSUER.to_owned());
    sleep(FIRST_BUILD).await;
    for branch in BRANCHES.iter().cycle() {
        if let Err(error) = request_build(branch, &operator).await {
            tracing::warn!(%error, "a build of the demo's other operator failed");
        }
        sleep(BETWEEN_BUILDS).await;
    }
    Ok(())
}

async fn request_build(branch: &str, operator: &Operator) -> Result<(), DeployError> {
    let spec = BuildSpec { repo: None, hosts: Vec::new(), branch: Revision::new(branch).ok() };
    let mut follow = BuildFollower::send(operator, spec, FOLLOW_TIMEOUT).await?;
    while let Some(update) = follow.next().await {
        update?;
    }
    Ok(())
}

async fn run_turn(
    (action, revision, scenarios): &Turn,
    operator: &mut Operator,
    hosts: &[DemoHost],
) -> Result<(), DeployError> {
    let discovery = operator.discover(None, None).await?;
    let (fleet, now) = (discovery.fleet, discovery.at);
    // She skips hosts that are busy with a job of another operator.
    let is_free = |name: &Name| {
        let host = fleet.hosts.get(name);
        let is_idle = |host: &crate::fleet::Host| host.running_job().is_none();
        host.is_some_and(|host| host.reachability(now) == Reachability::Online && is_idle(host))
    };
    let targets_of_turn =
        hosts.iter().filter(|host| scenarios.contains(&host.scenario) && is_free(&host.name));
    let targets: Vec<_> =
        targets_of_turn.take(scenarios.len()).map(|host| Target::Host(host.name.clone())).collect();
    if targets.is_empty() {
        return Ok(());
    }
    let revision = revision.and_then(|revision| Revision::new(revision).ok());
    let intent = Intent { revision, ..Intent::new(action.clone(), operator.issuer.clone()) };
    let plan = Plan::new(intent, &Selection::Targets(targets), &fleet, now, true)?;
    let mut follow = DeploymentFollower::send(operator, plan, fleet, None, FOLLOW_TIMEOUT).await?;
    while let Some(update) = follow.next().await {
        update?;
    }
    Ok(())
}
