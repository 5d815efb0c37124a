//! What was done to the fleet before the demo began.

use crate::demo::DemoHost;
use crate::demo::commit::{COMMITS, HEAD};
use crate::demo::part::Part;
use crate::protocol::Action::{self, DryActivate, Reboot, Rollback, Switch, Test};
use crate::protocol::{DeployRequest, Id, Revision};
use jiff::{SignedDuration, Timestamp};

const ALICE: &str = "alice@laptop";
const CI: &str = "ci@runner";
const OPERATOR: &str = "operator@demo";

/// A deployment of the past.
pub(super) struct Deployment {
    hours_ago: i64,
    issuer: &'static str,
    action: Action,
    /// What was asked for, and the number of the commit that it was then.
    revision: Option<(&'static str, usize)>,
    pub(super) whom: fn(&DemoHost) -> bool,
    /// Whether it was cancelled in its build.
    pub(super) cancelled: bool,
}

impl Deployment {
    /// When it was sent.
    pub(super) fn at(&self, now: Timestamp) -> Timestamp {
        // Nobody deploys on the hour.
        let ago = SignedDuration::from_mins(self.hours_ago * 61);
        now.checked_sub(ago).unwrap_or(now)
    }

    /// What was sent.
    pub(super) fn request(&self, id: Id) -> DeployRequest {
        let (revision, commit) = self.revision.unzip();
        let revision = revision.and_then(|revision| Revision::new(revision).ok());
        let commit = commit.and_then(|number| COMMITS.get(number));
        DeployRequest {
            issuer: Some(self.issuer.to_owned()),
            commit: commit.map(|commit| commit.hash.to_owned()),
            ..DeployRequest::new(self.action.clone(), revision, id)
        }
    }
}

const fn deployment(
    hours_ago: i64,
    issuer: &'static str,
    action: Action,
    revision: Option<(&'static str, usize)>,
    whom: fn(&DemoHost) -> bool,
) -> Deployment {
    Deployment { hours_ago, issuer, action, revision, whom, cancelled: false }
}

/// The branch `main` as it was, by the number of its newest commit.
const MAIN: [Option<(&str, usize)>; HEAD + 1] = [
    None,
    Some(("main", 1)),
    Some(("main", 2)),
    Some(("main", 3)),
    Some(("main", 4)),
    Some(("main", 5)),
    Some(("main", 6)),
    Some(("main", HEAD)),
];

fn test(host: &DemoHost) -> bool {
    host.tier.as_str() == "test"
}

fn prod(host: &DemoHost) -> bool {
    host.tier.as_str() == "prod"
}

fn dns(host: &DemoHost) -> bool {
    host.role.as_str() == "dns"
}

fn web(host: &DemoHost) -> bool {
    host.role.as_str() == "web"
}

/// All of them, the oldest first. They are older than a day: no host still has to tell of one.
pub(super) static DEPLOYMENTS: [Deployment; 25] = [
    deployment(31 * 24, CI, Switch, MAIN[1], test),
    deployment(30 * 24, OPERATOR, Switch, MAIN[1], prod),
    deployment(24 * 24, CI, Switch, MAIN[2], test),
    deployment(23 * 24 + 19, OPERATOR, Switch, MAIN[2], prod),
    deployment(17 * 24 + 2, OPERATOR, Test, MAIN[3], dns),
    deployment(17 * 24 + 1, OPERATOR, Switch, MAIN[3], dns),
    deployment(16 * 24 + 6, CI, Switch, MAIN[3], test),
    Deployment {
        hours_ago: 16 * 24 + 5,
        issuer: OPERATOR,
        action: Switch,
        revision: MAIN[3],
        whom: web,
        cancelled: true,
    },
    deployment(16 * 24 + 3, OPERATOR, Switch, MAIN[3], web),
    deployment(9 * 24 + 4, CI, Switch, MAIN[4], test),
    deployment(8 * 24 + 22, OPERATOR, Switch, MAIN[4], prod),
    deployment(8 * 24 + 20, OPERATOR, Reboot, None, |host| prod(host) && host.part != Part::NotRebooted),
    deployment(8 * 24 + 19, CI, Reboot, None, |host| test(host) && host.part != Part::Unhealthy),
    deployment(6 * 24 + 3, CI, Switch, MAIN[5], test),
    deployment(5 * 24 + 9, OPERATOR, Switch, MAIN[5], prod),
    deployment(5 * 24, ALICE, Rollback, None, |host| test(host) && host.part == Part::Steady),
    deployment(4 * 24 + 21, ALICE, Switch, MAIN[5], |host| test(host) && host.part == Part::Steady),
    deployment(53, CI, Switch, MAIN[6], |host| test(host) && host.part != Part::Unplugged),
    deployment(51, ALICE, DryActivate, MAIN[6], |host| host.part == Part::Unhealthy),
    deployment(49, OPERATOR, Switch, MAIN[6], prod),
    deployment(41, CI, Switch, MAIN[HEAD], |host| host.part == Part::Canary),
    deployment(33, ALICE, Test, Some(("broken", 9)), |host| host.part == Part::Canary),
    deployment(32, ALICE, Switch, MAIN[HEAD], |host| host.part == Part::Canary),
    deployment(26, ALICE, Test, Some(("testing", 8)), |host| host.part == Part::Builder),
    deployment(25, ALICE, Switch, Some(("testing", 8)), |host| host.part == Part::Builder),
];
