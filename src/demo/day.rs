//! A day that goes on without the operator: somebody else deploys to hosts of the tier `test`, and a host loses its power.

use super::engine::SimulatedEngine;
use super::part::Part;
use super::{DemoError, DemoHost};
use crate::bus::{Bus, Settings};
use crate::deployer::{BuildWish, DeployError, Intent, Operator, Plan, Roster, Selection, Target};
use crate::fleet::{Presence, Standing};
use crate::protocol::{Action, Name, Revision};
use std::time::Duration;
use tokio::time::sleep;

/// Who else is at work.
const ISSUER: &str = "alice@laptop";
/// How long until she begins, and between two of her deployments: an operator must get to do something.
const FIRST_TURN: Duration = Duration::from_secs(12);
const BETWEEN_TURNS: Duration = Duration::from_secs(70);
/// How long she watches a deployment.
const PATIENCE: Duration = Duration::from_mins(5);

/// What she has the builder build, and how long until then and between two builds.
const BRANCHES: [&str; 3] = ["testing", "broken", "main"];
const FIRST_BUILD: Duration = Duration::from_secs(20);
const BETWEEN_BUILDS: Duration = Duration::from_mins(2);

/// How long until the power fails, and between two failures.
const FIRST_CUT: Duration = Duration::from_secs(30);
const BETWEEN_CUTS: Duration = Duration::from_mins(8);
/// How long it is away: long enough to be seen as offline.
const CUT: Duration = Duration::from_secs(130);
/// How long to wait where a job is at work.
const BUSY: Duration = Duration::from_secs(5);

/// What she does next: how, what, and where.
type Turn = (Action, Option<&'static str>, &'static [Part]);

/// Her day. The hosts that a small demo has are left to its operator.
const TURNS: [Turn; 5] = [
    (Action::Switch, Some("main"), &[Part::Builder]),
    (Action::Test, Some("testing"), &[Part::Canary]),
    (Action::Switch, Some("testing"), &[Part::Builder, Part::Canary]),
    (Action::Rollback, None, &[Part::Canary]),
    (Action::Switch, Some("main"), &[Part::Builder, Part::Canary]),
];

/// Takes the power of a machine away now and then, but never from under a job.
pub(super) async fn cut_power(engine: SimulatedEngine) {
    sleep(FIRST_CUT).await;
    loop {
        while engine.machine().busy {
            sleep(BUSY).await;
        }
        engine.power.cut(CUT).await;
        sleep(CUT + BETWEEN_CUTS).await;
    }
}

/// Deploys again and again, with the rights of whoever has these settings.
pub(super) async fn deploy(settings: Settings, hosts: Vec<DemoHost>) -> Result<(), DemoError> {
    let bus = Bus::lasting(&settings).await?;
    let mut operator = Operator::new(bus, Roster::default(), ISSUER.to_owned());
    sleep(FIRST_TURN).await;
    for turn in TURNS.iter().cycle() {
        if let Err(error) = take(turn, &mut operator, &hosts).await {
            tracing::warn!(%error, "a turn of the demo's other operator failed");
        }
        sleep(BETWEEN_TURNS).await;
    }
    Ok(())
}

/// Has the builder build one branch after the other.
pub(super) async fn build(settings: Settings) -> Result<(), DemoError> {
    let bus = Bus::lasting(&settings).await?;
    let operator = Operator::new(bus, Roster::default(), ISSUER.to_owned());
    sleep(FIRST_BUILD).await;
    for branch in BRANCHES.iter().cycle() {
        if let Err(error) = ask(branch, &operator).await {
            tracing::warn!(%error, "a build of the demo's other operator failed");
        }
        sleep(BETWEEN_BUILDS).await;
    }
    Ok(())
}

async fn ask(branch: &str, operator: &Operator) -> Result<(), DeployError> {
    let wish = BuildWish { repo: None, hosts: Vec::new(), branch: Revision::new(branch).ok() };
    let mut follow = operator.build(wish, PATIENCE).await?;
    while let Some(update) = follow.next().await {
        update?;
    }
    Ok(())
}

async fn take(
    (action, revision, parts): &Turn,
    operator: &mut Operator,
    hosts: &[DemoHost],
) -> Result<(), DeployError> {
    let discovery = operator.discover(None, None).await?;
    let (fleet, now) = (discovery.fleet, discovery.at);
    // She sees what others do and does not get in their way.
    let is_free = |name: &Name| {
        let host = fleet.hosts.get(name);
        let is_idle = |host: &crate::fleet::Host| !matches!(host.standing(now), Standing::Working(_));
        host.is_some_and(|host| host.presence(now) == Presence::Online && is_idle(host))
    };
    let hers = hosts.iter().filter(|host| parts.contains(&host.part) && is_free(&host.name));
    let targets: Vec<_> = hers.take(parts.len()).map(|host| Target::Host(host.name.clone())).collect();
    if targets.is_empty() {
        return Ok(());
    }
    let revision = revision.and_then(|revision| Revision::new(revision).ok());
    let intent = Intent { revision, ..Intent::new(action.clone(), operator.issuer.clone()) };
    let plan = Plan::new(intent, &Selection::Targets(targets), &fleet, now, true)?;
    let mut follow = operator.send(plan, fleet, None, PATIENCE).await?;
    while let Some(update) = follow.next().await {
        update?;
    }
    Ok(())
}
