//! A request to hosts, from what was typed to the exit code.

use super::super::effective::Effective;
use super::super::exit::{Exit, Failed};
use super::super::out::{Format, Out};
use super::again::Again;
use super::build_first::BuildFirst;
use super::{Pinning, confirm, follow_or_interrupt, pinned};
use crate::deployer::{Discovery, Intent, Outcome, Plan, Selection, Waves};
use std::time::Duration;

/// In seconds; a deadline much further away has no place in the clock.
pub(in crate::cli) const YEAR: u64 = 365 * 86400;

/// How long a host may take to decide what it decides at once, in seconds.
const PATIENCE: u64 = 20;

/// What an operator wants of which hosts.
pub(in crate::cli) struct Wish {
    pub(in crate::cli) selection: Selection,
    pub(in crate::cli) intent: Intent,
    /// One wave after the other; without, all at once.
    pub(in crate::cli) waves: Option<Waves>,
    pub(in crate::cli) pinning: Pinning,
    /// Have the builder build first.
    pub(in crate::cli) build_first: Option<BuildFirst>,
    /// Only hosts that say that they need a reboot.
    pub(in crate::cli) needed: bool,
    /// Leave out hosts that do not answer.
    pub(in crate::cli) skip_offline: bool,
    /// Skip the confirmation prompt.
    pub(in crate::cli) yes: bool,
    /// How long to follow it, or each wave, in seconds.
    pub(in crate::cli) timeout: u64,
    pub(in crate::cli) output: Format,
    /// The command that does the same on other hosts.
    pub(in crate::cli) again: Again,
}

impl Wish {
    /// To do this on these hosts, all at once, and to follow them for so many seconds.
    pub(in crate::cli) fn new(
        intent: Intent,
        selection: Selection,
        timeout: u64,
        output: Format,
        again: Again,
    ) -> Self {
        let (waves, pinning) = (None, Pinning::Never);
        let (needed, skip_offline, yes) = (false, false, false);
        let build_first = None;
        Self {
            selection,
            intent,
            waves,
            pinning,
            build_first,
            needed,
            skip_offline,
            yes,
            timeout,
            output,
            again,
        }
    }

    /// What hosts decide at once, and what needs no question: nothing that runs there is changed.
    pub(in crate::cli) fn at_once(
        intent: Intent,
        selection: Selection,
        output: Format,
        again: Again,
    ) -> Self {
        Self { yes: true, ..Self::new(intent, selection, PATIENCE, output, again) }
    }

    /// Finds the hosts, asks where that matters, sends, and follows each host to its verdict.
    pub(in crate::cli) async fn carry_out(mut self, effective: &Effective) -> Result<Exit, Failed> {
        let mut operator = effective.operator().await?;
        let discovery = operator.discover(None, None).await?;
        let mut plan = self.plan(effective, &discovery)?;
        for (host, reason) in &plan.left_out {
            pinned::note(&reason.advice(host), self.output);
        }
        if plan.parcels.is_empty() {
            return self.nobody(&plan);
        }
        let tiers = effective.confirm_tiers();
        let asks = confirm::asks(&plan, tiers, self.yes);
        let credentials = &operator.credentials;
        pinned::pin(&mut plan, &discovery.fleet, self.pinning, asks, self.output, credentials).await?;
        if !confirm::confirmed(&plan, &discovery, tiers, self.yes)? {
            return Err(Failed::usage(anyhow::anyhow!("not confirmed; nothing was sent")));
        }
        if let Some(revision) = &plan.intent.revision {
            // The rest must become what the first have become.
            let commits = plan.commits();
            let only = commits.first().copied().filter(|_| commits.len() == 1);
            let branch = only.unwrap_or(revision.as_str()).to_owned();
            self.again.flag("--branch", Some(branch));
        }
        if let Some(first) = self.build_first.take() {
            first.carry_out(&mut plan, &self.selection, &operator, self.output).await?;
        }
        let follow = operator.send(plan, discovery.fleet, None, Duration::from_secs(self.timeout)).await?;
        follow_or_interrupt(follow, self.output, Some(&self.again)).await
    }

    fn plan(&self, effective: &Effective, discovery: &Discovery) -> Result<Plan, Failed> {
        let (intent, skip, fleet) = (self.intent.clone(), self.skip_offline, &discovery.fleet);
        let mut plan = Plan::new(intent, &self.selection, fleet, discovery.at, skip)?;
        if self.needed {
            plan.retain(|host| {
                fleet.hosts[host].answer.as_ref().is_some_and(|a| a.reboot_needed == Some(true))
            });
        }
        match &self.waves {
            Some(waves) if !plan.parcels.is_empty() => {
                Ok(plan.in_waves(waves, fleet, &effective.brokers()?)?)
            }
            _ => Ok(plan),
        }
    }

    /// There is no host to send to.
    fn nobody(&self, plan: &Plan) -> Result<Exit, Failed> {
        let silent = |error| Err(Failed { exit: Exit::Silent, error });
        if !plan.left_out.is_empty() {
            let hosts: Vec<_> = plan.left_out.keys().map(ToString::to_string).collect();
            let (command, hosts) = (self.again.command, hosts.join(", "));
            return Err(Failed::usage(anyhow::anyhow!(
                "no host is left to {command} to without {hosts}; nothing was sent"
            )));
        }
        if !self.needed {
            return silent(anyhow::anyhow!(
                "no host to {} to: {}",
                self.again.command,
                nobody(&self.selection)
            ));
        }
        let away: Vec<_> = plan.silent.keys().map(ToString::to_string).collect();
        if !away.is_empty() {
            let away = away.join(", ");
            return silent(anyhow::anyhow!(
                "no host says that it needs a reboot; not known of {away}, silent"
            ));
        }
        let (mut out, text) = (Out::new(), "no host needs a reboot");
        match self.output {
            Format::Human => out.line(text),
            Format::Json => {
                out.event("note", text);
                out.result(Exit::Done, Outcome::new(plan.id.clone(), Vec::new()));
            }
        }
        Ok(Exit::Done)
    }
}

fn nobody(selection: &Selection) -> String {
    let of = match selection {
        Selection::All { tier, role } => {
            let role = role.as_ref().map(|role| format!(" with role {role}")).unwrap_or_default();
            let tier = tier.as_ref().map(|tier| format!(" in tier {tier}")).unwrap_or_default();
            format!("{role}{tier}")
        }
        Selection::Group(_) | Selection::Targets(_) => String::new(),
    };
    format!("none{of} answered or is known; `homelab-deploy hosts` lists all known hosts")
}
