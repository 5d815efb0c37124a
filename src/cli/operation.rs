//! The steps of a command that sends requests to hosts: discover, plan, confirm, send, follow.

use super::deploy::build_first::BuildFirst;
use super::deploy::{PinMode, confirm, follow_or_interrupt, pin};
use super::exit::{CommandError, Exit};
use super::output::{Format, Output};
use super::resolved_config::ResolvedConfig;
use super::resume_command::ResumeCommand;
use crate::client::{
    DeploymentFollower, DeploymentSummary, DetachedProcess, DetachedRunner, Discovery, Intent, Plan,
    RolloutHandover, RolloutStrategy, Selection,
};
use crate::protocol::Id;
use serde::Serialize;
use std::path::Path;
use std::time::Duration;

/// Upper limit of time arguments, in seconds. Much later deadlines would overflow the clock.
pub(super) const YEAR: u64 = 365 * 86400;

/// Time for a host to decide on a request that it can decide immediately, in seconds.
const DECISION_TIMEOUT: u64 = 20;

/// An intent for selected hosts, with the options of the command.
#[expect(clippy::struct_excessive_bools, reason = "each is a separate option")]
pub(super) struct Operation {
    pub(super) selection: Selection,
    pub(super) intent: Intent,
    /// Rollout in batches; `None` sends to all hosts at once.
    pub(super) rollout: Option<RolloutStrategy>,
    pub(super) pinning: PinMode,
    /// Build on the builder before deploying.
    pub(super) build_first: Option<BuildFirst>,
    /// Only include hosts that report that they need a reboot.
    pub(super) needs_reboot: bool,
    /// Skip hosts that do not answer.
    pub(super) skip_offline: bool,
    /// Skip the confirmation prompt.
    pub(super) yes: bool,
    /// Time to follow the deployment, or each batch, in seconds.
    pub(super) timeout: u64,
    pub(super) output: Format,
    /// How to continue in the background, if the command can do that.
    pub(super) background: Option<DetachedRunner>,
    /// Continue in the background from the start.
    pub(super) detach: bool,
    /// The command to continue with the remaining hosts.
    pub(super) resume_command: ResumeCommand,
}

impl Operation {
    /// An operation on all selected hosts at once, followed for `timeout` seconds.
    pub(super) fn new(
        intent: Intent,
        selection: Selection,
        timeout: u64,
        output: Format,
        resume_command: ResumeCommand,
    ) -> Self {
        let (rollout, pinning) = (None, PinMode::Never);
        let (needs_reboot, skip_offline, yes) = (false, false, false);
        let build_first = None;
        Self {
            selection,
            intent,
            rollout,
            pinning,
            build_first,
            needs_reboot,
            skip_offline,
            yes,
            timeout,
            output,
            background: None,
            detach: false,
            resume_command,
        }
    }

    /// An operation that hosts decide immediately. It needs no confirmation, because it does not change the running
    /// system.
    pub(super) fn immediate(
        intent: Intent,
        selection: Selection,
        output: Format,
        resume_command: ResumeCommand,
    ) -> Self {
        Self { yes: true, ..Self::new(intent, selection, DECISION_TIMEOUT, output, resume_command) }
    }

    /// Discovers and plans, asks for confirmation if required, sends, and follows each host until it has a result.
    pub(super) async fn run(mut self, resolved: &ResolvedConfig) -> Result<Exit, CommandError> {
        let mut operator = resolved.operator().await?;
        let discovery = operator.discover(None, None).await?;
        let mut plan = self.plan(resolved, &discovery)?;
        let tiers = resolved.confirm_tiers();
        let prompts = confirm::is_needed(&plan, tiers, self.yes);
        if self.pinning.looks_up(&plan, prompts) {
            plan.leave_out_refused_flakes(&discovery.fleet);
        }
        for (host, reason) in &plan.left_out {
            pin::note(&reason.advice(host), self.output);
        }
        for host in plan.silent.keys() {
            if let Some(doubt) = discovery.fleet.hosts.get(host).and_then(|host| host.identity.doubt.as_ref())
            {
                pin::note(&format!("{host} counts as silent: {doubt}"), self.output);
            }
        }
        if plan.requests.is_empty() {
            return self.end_without_hosts(&plan);
        }
        let credentials = &operator.credentials;
        pin::pin(&mut plan, &discovery.fleet, self.pinning, prompts, self.output, credentials).await?;
        if !confirm::confirm(&plan, &discovery, tiers, self.yes)? {
            return Err(CommandError::usage(anyhow::anyhow!("not confirmed; nothing was sent")));
        }
        if let Some(revision) = &plan.intent.revision {
            // The remaining hosts must get the same commit as the first ones.
            let commits = plan.commits();
            let only = commits.first().copied().filter(|_| commits.len() == 1);
            let branch = only.unwrap_or(revision.as_str()).to_owned();
            self.resume_command.flag("--branch", Some(branch));
        }
        if let Some(first) = self.build_first.take() {
            first.run(&mut plan, &self.selection, &operator, self.output).await?;
        }
        let follow_timeout = Duration::from_secs(self.timeout);
        if let Some(background) = self.background.as_ref().filter(|_| self.detach) {
            return self.detach(background, plan, follow_timeout).await;
        }
        let follow = DeploymentFollower::send(&operator, plan, discovery.fleet, None, follow_timeout).await?;
        let background = self.background.as_ref();
        follow_or_interrupt(follow, self.output, Some(&self.resume_command), background, Some(&operator))
            .await
    }

    /// Lets another process send the plan.
    async fn detach(
        &self,
        background: &DetachedRunner,
        plan: Plan,
        follow_timeout: Duration,
    ) -> Result<Exit, CommandError> {
        let id = plan.id.clone();
        let state = RolloutHandover::unsent(plan, None, follow_timeout);
        let detached = background.take_over(&state).await;
        let detached =
            detached.map_err(|error| CommandError::failure(anyhow::anyhow!("{error}; nothing was sent")))?;
        let mut out = Output::new();
        match self.output {
            Format::Human => out.line(&describe_detached(&id, &detached)),
            Format::Json => out.event("detached", DetachedJson::new(&id, &detached)),
        }
        Ok(Exit::Success)
    }

    fn plan(&self, resolved: &ResolvedConfig, discovery: &Discovery) -> Result<Plan, CommandError> {
        let (intent, skip, fleet) = (self.intent.clone(), self.skip_offline, &discovery.fleet);
        let mut plan = Plan::new(intent, &self.selection, fleet, discovery.at, skip)?;
        if self.needs_reboot {
            plan.retain(|host| {
                fleet.hosts[host].answer.as_ref().is_some_and(|a| a.reboot_needed == Some(true))
            });
        }
        match &self.rollout {
            Some(rollout) if !plan.requests.is_empty() => {
                Ok(plan.into_batches(rollout, fleet, &resolved.nats_hosts()?)?)
            }
            _ => Ok(plan),
        }
    }

    /// Ends an operation without hosts to send to.
    fn end_without_hosts(&self, plan: &Plan) -> Result<Exit, CommandError> {
        let no_answer = |error| Err(CommandError { exit: Exit::NoAnswer, error });
        if !plan.left_out.is_empty() {
            let hosts: Vec<_> = plan.left_out.keys().map(ToString::to_string).collect();
            let (command, hosts) = (self.resume_command.command, hosts.join(", "));
            return Err(CommandError::usage(anyhow::anyhow!(
                "no hosts remain for `{command}` without {hosts}; nothing was sent"
            )));
        }
        if !self.needs_reboot {
            return no_answer(anyhow::anyhow!(
                "no hosts for `{}`: {}",
                self.resume_command.command,
                describe_no_hosts(&self.selection)
            ));
        }
        let away: Vec<_> = plan.silent.keys().map(ToString::to_string).collect();
        if !away.is_empty() {
            let away = away.join(", ");
            return no_answer(anyhow::anyhow!(
                "no host reports that it needs a reboot; no answer from {away}"
            ));
        }
        let (mut out, text) = (Output::new(), "no host needs a reboot");
        match self.output {
            Format::Human => out.line(text),
            Format::Json => {
                out.event("note", text);
                out.result(Exit::Success, DeploymentSummary::new(plan.id.clone(), Vec::new()));
            }
        }
        Ok(Exit::Success)
    }
}

/// How to follow a deployment that continues in the background.
pub(super) fn describe_detached(id: &Id, detached: &DetachedProcess) -> String {
    let DetachedProcess { pid, log } = detached;
    format!(
        "deployment {id} continues in the background (process {pid}); `homelab-deploy rollouts` and the console show it\nlog: {}",
        log.display()
    )
}

/// JSON form of a process that has taken a deployment over.
#[derive(Serialize)]
pub(super) struct DetachedJson<'a> {
    id: &'a Id,
    pid: u32,
    log: &'a Path,
}

impl<'a> DetachedJson<'a> {
    pub(super) fn new(id: &'a Id, detached: &'a DetachedProcess) -> Self {
        Self { id, pid: detached.pid, log: &detached.log }
    }
}

fn describe_no_hosts(selection: &Selection) -> String {
    let of = match selection {
        Selection::All { tier, role } => {
            let role = role.as_ref().map(|role| format!(" with role {role}")).unwrap_or_default();
            let tier = tier.as_ref().map(|tier| format!(" in tier {tier}")).unwrap_or_default();
            format!("{role}{tier}")
        }
        Selection::Group(_) | Selection::Targets(_) => String::new(),
    };
    format!("no host{of} answered or is known; `homelab-deploy hosts` lists all known hosts")
}
