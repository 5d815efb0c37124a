//! What a form is opened for: which actions it offers, and its words.

use crate::protocol::Action;

static DEPLOY: [Action; 5] = [Action::Switch, Action::Boot, Action::Test, Action::DryActivate, Action::Build];
static ROLLBACK: [Action; 1] = [Action::Rollback];
static REBOOT: [Action; 1] = [Action::Reboot];
static DIFF: [Action; 1] = [Action::DryActivate];

/// What a form is opened for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// To deploy a revision.
    Deploy,
    /// To go back to this generation, or to the system before the last change.
    Rollback(Option<u64>),
    /// To reboot.
    Reboot,
    /// To see what a revision would change.
    Diff,
}

impl Purpose {
    /// The actions to choose from.
    pub fn actions(self) -> &'static [Action] {
        match self {
            Self::Deploy => &DEPLOY,
            Self::Rollback(_) => &ROLLBACK,
            Self::Reboot => &REBOOT,
            Self::Diff => &DIFF,
        }
    }

    /// Whether it is about a revision.
    pub fn asks_revision(self) -> bool {
        matches!(self, Self::Deploy | Self::Diff)
    }

    /// Whether tiers that matter must be named.
    pub fn confirms(self) -> bool {
        self != Self::Diff
    }

    /// Whether its hosts can go in waves.
    pub fn goes_in_waves(self) -> bool {
        matches!(self, Self::Deploy | Self::Reboot)
    }

    /// The waves that are offered first.
    pub fn waves(self) -> &'static str {
        match self {
            // Whoever reboots all at once wants to say so.
            Self::Reboot => "batch=1",
            _ => "",
        }
    }

    /// The generation to go back to.
    pub fn generation(self) -> Option<u64> {
        match self {
            Self::Rollback(generation) => generation,
            _ => None,
        }
    }

    /// What the form is called.
    pub fn title(self) -> &'static str {
        match self {
            Self::Diff => "what would change",
            other => other.verb(),
        }
    }

    /// What is done, as in `type prod to deploy there`.
    pub fn verb(self) -> &'static str {
        match self {
            Self::Deploy => "deploy",
            Self::Rollback(_) => "roll back",
            Self::Reboot => "reboot",
            Self::Diff => "look",
        }
    }

    /// Where each host gets to.
    pub fn goal(self, revision: &str) -> String {
        match self {
            Self::Deploy | Self::Diff => revision.to_owned(),
            Self::Rollback(Some(generation)) => format!("generation {generation}"),
            Self::Rollback(None) => "the previous system".to_owned(),
            Self::Reboot => "reboot".to_owned(),
        }
    }

    /// What the button says that sends.
    pub fn button(self, hosts: usize) -> String {
        let hosts = if hosts == 1 { "1 host".to_owned() } else { format!("{hosts} hosts") };
        match self {
            Self::Deploy => format!("Deploy to {hosts}"),
            Self::Rollback(_) => format!("Roll back {hosts}"),
            Self::Reboot => format!("Reboot {hosts}"),
            Self::Diff => format!("Show what would change on {hosts}"),
        }
    }
}
