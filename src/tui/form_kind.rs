//! The kinds of forms, with the actions and texts of each.

use crate::protocol::Action;
use crate::text::format;

static DEPLOY: [Action; 5] = [Action::Switch, Action::Boot, Action::Test, Action::DryActivate, Action::Build];
static ROLLBACK: [Action; 1] = [Action::Rollback];
static REBOOT: [Action; 1] = [Action::Reboot];
static RESUME: [Action; 1] = [Action::Resume];
static DIAGNOSE: [Action; 1] = [Action::Diagnose];
static DIFF: [Action; 1] = [Action::DryActivate];

/// What a form sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FormKind {
    /// A deployment of a revision.
    Deploy,
    /// A rollback to this generation, or else to the system before the last change.
    Rollback(Option<u64>),
    /// A reboot.
    Reboot,
    /// Continue the job that failed.
    Resume,
    /// Containers, logs and health of services.
    Diagnose,
    /// A dry run that shows what a revision would change.
    Diff,
}

impl FormKind {
    /// The actions to choose from; at least one.
    pub fn actions(self) -> &'static [Action] {
        match self {
            Self::Deploy => &DEPLOY,
            Self::Rollback(_) => &ROLLBACK,
            Self::Reboot => &REBOOT,
            Self::Resume => &RESUME,
            Self::Diagnose => &DIAGNOSE,
            Self::Diff => &DIFF,
        }
    }

    /// Whether the form has a revision.
    pub fn needs_revision(self) -> bool {
        matches!(self, Self::Deploy | Self::Diff)
    }

    /// Whether the tiers in `confirm_tiers` must be confirmed.
    pub fn needs_confirmation(self) -> bool {
        !matches!(self, Self::Diff | Self::Diagnose)
    }

    /// Whether the hosts can be deployed in batches.
    pub fn can_batch(self) -> bool {
        matches!(self, Self::Deploy | Self::Reboot | Self::Rollback(None))
    }

    /// The initial batch options.
    pub fn default_batches(self) -> &'static str {
        match self {
            // A reboot of all hosts at once needs an explicit change by the operator.
            Self::Reboot => "batch=1",
            _ => "",
        }
    }

    /// Generation for a rollback.
    pub fn generation(self) -> Option<u64> {
        match self {
            Self::Rollback(generation) => generation,
            _ => None,
        }
    }

    /// Title of the form.
    pub fn title(self) -> &'static str {
        match self {
            Self::Diff => "dry run",
            other => other.verb(),
        }
    }

    /// The verb for messages, as in `type prod to deploy there`.
    pub fn verb(self) -> &'static str {
        match self {
            Self::Deploy => "deploy",
            Self::Rollback(_) => "roll back",
            Self::Reboot => "reboot",
            Self::Resume => "resume",
            Self::Diagnose => "diagnose",
            Self::Diff => "look",
        }
    }

    /// What each host runs afterwards.
    pub fn target_label(self, revision: &str) -> String {
        match self {
            Self::Deploy | Self::Diff => revision.to_owned(),
            Self::Rollback(Some(generation)) => format!("generation {generation}"),
            Self::Rollback(None) => "the previous system".to_owned(),
            Self::Reboot => "reboot".to_owned(),
            Self::Resume => "the job that failed".to_owned(),
            Self::Diagnose => "diagnostics".to_owned(),
        }
    }

    /// Label of the button that sends the plan.
    pub fn button(self, hosts: usize) -> String {
        let hosts = format::count(hosts, "host");
        match self {
            Self::Deploy => format!("Deploy to {hosts}"),
            Self::Rollback(_) => format!("Roll back {hosts}"),
            Self::Reboot => format!("Reboot {hosts}"),
            Self::Resume => format!("Resume on {hosts}"),
            Self::Diagnose => format!("Diagnose {hosts}"),
            Self::Diff => format!("Show changes on {hosts}"),
        }
    }
}
