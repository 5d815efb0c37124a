//! Hosts of a group that are left out, so that one unsuitable host does not stop the others.

use super::missing_services::missing_services;
use super::plan::own_subject;
use super::selection::is_of;
use super::{Intent, MissingServices};
use crate::fleet::{FlakeError, Fleet, Host, Reachability};
use crate::nats::PermissionViolation;
use crate::protocol::{Action, Name, PresenceMismatch, UnprovenReason, host_subject};
use crate::text::printable;
use jiff::Timestamp;
use std::fmt;

/// Why a host is left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LeftOutReason {
    /// Its messages are not proven to be its own.
    Unproven(UnprovenReason),
    /// Its presence differs from what is known.
    Differs(PresenceMismatch),
    /// Several listeners use its name, with these instances.
    NameConflict(Vec<String>),
    /// It does not listen on its usual subject.
    NoSubject {
        /// The usual subject, `deploy.<tier>.<hostname>`.
        usual: String,
        /// The subjects that it listens on.
        subjects: Vec<String>,
    },
    /// Its flake or instance differs from what was known.
    Flake(FlakeError),
    /// Its listener does not support the action.
    Unsupported(Action),
    /// It runs services with Docker Compose, which has no system for the next boot.
    NoNextBoot(Action),
    /// It does not have the services of the request.
    MissingServices(MissingServices),
    /// Its last change did not fail.
    NothingToResume,
    /// The server refused the request to it.
    Denied(PermissionViolation),
}

impl LeftOutReason {
    /// Why a request for `intent` leaves this host out; `None` if it does not.
    pub(super) fn of(host: &Host, intent: &Intent, fleet: &Fleet, now: Timestamp) -> Option<Self> {
        let identity = &host.identity;
        if let Some(difference) = &identity.differs {
            return Some(Self::Differs((**difference).clone()));
        }
        if let Some(doubt) = identity.blocking_doubt() {
            return Some(Self::Unproven(doubt.clone()));
        }
        let answer = host.answer.as_deref()?;
        if own_subject(host).is_none() {
            return Some(Self::NoSubject {
                usual: host_subject(&answer.tier, &host.name),
                subjects: answer.deploy_subjects.iter().map(|subject| printable(subject)).collect(),
            });
        }
        let instances: Vec<_> = host.active_instances(now).collect();
        if instances.len() > 1 {
            return Some(Self::NameConflict(instances.into_iter().map(printable).collect()));
        }
        if let Err(error) = fleet.known_flakes.check_instance(answer) {
            return Some(Self::Flake(error));
        }
        if let Some(missing) = missing_services(host, intent) {
            return Some(Self::MissingServices(missing));
        }
        let action = &intent.action;
        if host.reachability(now) == Reachability::Online && !answer.can(action) {
            let has_no_boot = answer.is_compose() && matches!(action, Action::Boot | Action::Test);
            return Some(if has_no_boot {
                Self::NoNextBoot(action.clone())
            } else {
                Self::Unsupported(action.clone())
            });
        }
        let resumes_nothing = *action == Action::Resume && host.resumable_job().is_none();
        resumes_nothing.then_some(Self::NothingToResume)
    }

    /// A message for the operator, with the next step.
    pub fn advice(&self, host: &Name) -> String {
        let trust = format!("run `homelab-deploy hosts --trust {host}`");
        let next = match self {
            Self::Differs(_) => format!("; if that is expected, {trust}"),
            Self::Unproven(_) => format!("; check the host, then {trust}"),
            Self::NameConflict(_) => "; give each listener a different --hostname".to_owned(),
            Self::NoSubject { .. } => {
                "; set `subject = \"…\"` for it in [contexts.NAME.hosts] of the configuration".to_owned()
            }
            Self::Unsupported(_) => {
                "; update its listener, or use an action that its rebuild program supports".to_owned()
            }
            Self::NoNextBoot(_) => "; deploy it with `switch`".to_owned(),
            // The error says what to do.
            Self::Flake(_) | Self::Denied(_) | Self::MissingServices(_) | Self::NothingToResume => {
                String::new()
            }
        };
        format!("{host} is left out: {self}{next}")
    }
}

impl fmt::Display for LeftOutReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unproven(doubt) => write!(f, "not proven: {doubt}"),
            Self::Differs(difference) => write!(f, "changed: {difference}"),
            Self::NameConflict(instances) => {
                write!(f, "{} listeners claim its name (instances {})", instances.len(), instances.join(", "))
            }
            Self::NoSubject { usual, subjects } => {
                write!(f, "it does not listen on {usual} but on {}", subjects.join(", "))
            }
            Self::Flake(error) => write!(f, "{error}"),
            Self::Unsupported(action) => write!(f, "its listener does not support `{action}`"),
            Self::NoNextBoot(action) => {
                write!(
                    f,
                    "it runs services with Docker Compose, which has no next boot, so `{action}` means nothing there"
                )
            }
            Self::MissingServices(missing) => write!(f, "{missing}"),
            Self::NothingToResume => f.write_str("none of its jobs failed"),
            Self::Denied(violation) => write!(f, "{violation}"),
        }
    }
}

/// Whether a host belongs to a tier and role, by its presence or by the known tier, so that a host cannot leave its
/// tier unnoticed.
pub(super) fn is_selected(host: &Host, tier: Option<&Name>, role: Option<&Name>) -> bool {
    let left = match host.identity.differs.as_deref() {
        Some(PresenceMismatch::Tier { known, .. }) => Some(known) == tier && is_of(host, None, role),
        _ => false,
    };
    left || is_of(host, tier, role)
}
