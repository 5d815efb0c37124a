//! A request to hosts, from what was typed to the exit code.

use super::super::effective::{Effective, issuer};
use super::super::exit::{Exit, Failed};
use super::super::out::Format;
use super::{confirm, follow_or_interrupt};
use crate::deployer::{Intent, Plan, Selection, Target};
use crate::protocol::Action;
use std::time::Duration;

/// In seconds; a deadline much further away has no place in the clock.
pub(in crate::cli) const YEAR: u64 = 365 * 86400;

/// How long a host may take to decide what it decides at once, in seconds.
const PATIENCE: u64 = 20;

/// What an operator wants of which hosts.
pub(in crate::cli) struct Wish {
    pub(in crate::cli) selection: Selection,
    pub(in crate::cli) intent: Intent,
    /// Leave out hosts that do not answer.
    pub(in crate::cli) skip_offline: bool,
    /// Ask no question.
    pub(in crate::cli) yes: bool,
    /// How long to follow it, in seconds.
    pub(in crate::cli) timeout: u64,
    pub(in crate::cli) output: Format,
}

impl Wish {
    /// What hosts decide at once, and what needs no question: nothing that runs there is changed.
    pub(in crate::cli) fn at_once(
        action: Action,
        reason: Option<String>,
        targets: Vec<Target>,
        output: Format,
    ) -> Self {
        Self {
            selection: Selection::Targets(targets),
            intent: Intent {
                action,
                revision: None,
                keep: false,
                issuer: issuer(),
                generation: None,
                reason,
            },
            skip_offline: false,
            yes: true,
            timeout: PATIENCE,
            output,
        }
    }

    /// Finds the hosts, asks where that matters, sends, and follows each host to its verdict.
    pub(in crate::cli) async fn carry_out(self, effective: &Effective) -> Result<Exit, Failed> {
        let mut operator = effective.operator().await?;
        let discovery = operator.discover(None, None).await?;
        let plan =
            Plan::new(self.intent, &self.selection, &discovery.fleet, discovery.at, self.skip_offline)?;
        if plan.parcels.is_empty() {
            let error = anyhow::anyhow!("no host to deploy to: {}", nobody(&self.selection));
            return Err(Failed { exit: Exit::Silent, error });
        }
        if !confirm::confirmed(&plan, &discovery, effective.confirm_tiers(), self.yes)? {
            return Err(Failed::usage(anyhow::anyhow!("not confirmed; nothing was sent")));
        }
        let follow = operator.send(plan, discovery.fleet, None, Duration::from_secs(self.timeout)).await?;
        follow_or_interrupt(follow, self.output).await
    }
}

fn nobody(selection: &Selection) -> String {
    let of_tier = match selection {
        Selection::Tier { tier, role } => {
            let role = role.as_ref().map(|role| format!(" with role {role}")).unwrap_or_default();
            format!("{role} in tier {tier}")
        }
        Selection::Targets(_) => String::new(),
    };
    format!("none{of_tier} answered or is known; `homelab-deploy hosts` lists what there is")
}
