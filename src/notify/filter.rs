//! Which events, deployments and hosts a target is about.

use super::notification::NotifyResult;
use crate::protocol::{Action, DeployReport, Name};
use std::collections::BTreeSet;
use strum::{EnumString, IntoStaticStr, VariantNames};

/// A kind of event that a target can ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, IntoStaticStr, EnumString, VariantNames)]
#[strum(serialize_all = "lowercase")]
pub enum EventChoice {
    /// The first failure of a deployment, as soon as it is known.
    Failure,
    /// The end of a deployment.
    End,
    /// A host that is offline, and its return.
    Offline,
    /// Failed units of a host, and their recovery.
    Units,
}

/// What a target is about. An empty set permits everything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetFilter {
    /// The events.
    pub events: BTreeSet<EventChoice>,
    /// The tiers of the hosts.
    pub tiers: BTreeSet<Name>,
    /// The roles of the hosts.
    pub roles: BTreeSet<Name>,
    /// The names of the hosts.
    pub hosts: BTreeSet<Name>,
    /// The results: a deployment matches if one of its jobs has one of them.
    pub results: BTreeSet<NotifyResult>,
    /// The actions of a deployment; if empty, those that change a host.
    pub actions: BTreeSet<Action>,
}

impl Default for TargetFilter {
    fn default() -> Self {
        Self {
            events: BTreeSet::from([EventChoice::Failure, EventChoice::End]),
            tiers: BTreeSet::new(),
            roles: BTreeSet::new(),
            hosts: BTreeSet::new(),
            results: BTreeSet::new(),
            actions: BTreeSet::new(),
        }
    }
}

impl TargetFilter {
    /// Whether the target is about this kind of event.
    pub fn wants(&self, event: EventChoice) -> bool {
        self.events.contains(&event)
    }

    /// Whether the target is about this host. A host whose tier or role is unknown is not in any.
    pub fn has_host(&self, name: &Name, tier: Option<&Name>, role: Option<&Name>) -> bool {
        let permits = |set: &BTreeSet<Name>, value: Option<&Name>| {
            set.is_empty() || value.is_some_and(|value| set.contains(value))
        };
        permits(&self.hosts, Some(name)) && permits(&self.tiers, tier) && permits(&self.roles, role)
    }

    /// Whether the target is about this job. `tier` and `role` are those that the host has announced.
    pub fn has_job(&self, report: &DeployReport, tier: Option<&Name>, role: Option<&Name>) -> bool {
        let (tier, role) = (report.tier.as_ref().or(tier), report.role.as_ref().or(role));
        self.has_action(report.action.as_ref()) && self.has_host(&report.hostname, tier, role)
    }

    /// Whether the target is about jobs with this result.
    pub fn has_result(&self, result: NotifyResult) -> bool {
        self.results.is_empty() || self.results.contains(&result)
    }

    /// An action is unknown if the host speaks the base format, which has only actions that change a host.
    fn has_action(&self, action: Option<&Action>) -> bool {
        match action {
            None => self.actions.is_empty(),
            Some(action) if self.actions.is_empty() => action.changes_system(),
            Some(action) => self.actions.contains(action),
        }
    }
}
