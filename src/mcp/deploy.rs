//! `deploy` and `deploy_admin`: find the hosts, check the leash, send, follow.

use super::access::Access;
use super::answer::answer;
use super::audit::Audit;
use super::codes::Codes;
use super::confirm::{Asked, Retry, Word, confirmed};
use super::error::ToolError;
use super::follow;
use super::parameters::{Confirm, Hosts, Wish};
use super::views::{DeploymentView, JobView, VerdictView};
use crate::deployer::{
    Discovery, HostResult, Intent, Operator, Outcome, Parcel, Plan, Selection, Target, Verdict, heads,
};
use crate::fleet::{shown_flake, words};
use crate::protocol::{Action, ErrorCode, Name, Revision, of_host, printable};
use rmcp::RoleServer;
use rmcp::model::CallToolResponse;
use rmcp::service::RequestContext;
use std::fmt::Write;
use std::time::Duration;

/// How much of the diagnostics of all failures is told, and of one, in bytes.
const DIAGNOSTICS: usize = 24 * 1024;
const DIAGNOSTICS_OF_ONE: usize = 4 * 1024;
/// How long the head of a branch may take to be looked up for a question.
const FOR_THE_QUESTION: Duration = Duration::from_secs(5);

/// A deployment that has been planned, and nothing of it was sent yet.
pub(super) struct Planned {
    operator: Operator,
    discovery: Discovery,
    plan: Plan,
    tier: Name,
    branch: Revision,
}

/// Works out the exact hosts. Fails where one of them is of another tier than the wish names.
pub(super) async fn plan(wish: Wish, access: &Access, branch: &Revision) -> Result<Planned, ToolError> {
    let (operator, discovery) = access.discover(None).await?;
    let branch = wish.branch.unwrap_or_else(|| branch.clone());
    let intent = Intent {
        revision: Some(branch.clone()),
        allow_older: wish.allow_older,
        ..Intent::new(wish.action, operator.issuer.clone())
    };
    let (selection, nobody) = match wish.hosts {
        Hosts::One(host) => (Selection::Targets(vec![Target::Host(host)]), String::new()),
        Hosts::All => (Selection::All { tier: Some(wish.tier.clone()), role: None }, String::new()),
        Hosts::Role(role) => {
            let nobody = format!(" with role {role}");
            (Selection::All { tier: Some(wish.tier.clone()), role: Some(role) }, nobody)
        }
    };
    let plan = Plan::new(intent, &selection, &discovery.fleet, discovery.at, false)?;
    if plan.parcels.is_empty() && !plan.left_out.is_empty() {
        return Err(ToolError::new(format!("{}; nothing was sent", left_out(&plan).join("; "))));
    }
    if plan.parcels.is_empty() {
        return Err(ToolError::new(format!(
            "no host of tier {}{nobody} answers or is known; nothing was sent. list_hosts tells what there is",
            wish.tier
        )));
    }
    if let Some((host, tier)) = plan.hosts().into_iter().find(|(_, tier)| **tier != wish.tier) {
        return Err(ToolError::new(format!(
            "{host} is of tier {tier}, and this call reaches tier {} only; nothing was sent",
            wish.tier
        )));
    }
    Ok(Planned { operator, discovery, plan, tier: wish.tier, branch })
}

impl Planned {
    /// Fails where a request would leave the subjects of the tier, whatever a host says of itself.
    pub(super) fn check_subjects(&self) -> Result<(), ToolError> {
        for parcel in &self.plan.parcels {
            let own = |host: &Name| of_host(&self.tier, host);
            if let Some(host) = parcel.hosts.keys().find(|host| parcel.subject != own(host)) {
                return Err(ToolError::new(format!(
                    "{host} does not take requests on {}, and this tool uses no other subject; nothing was sent",
                    own(host)
                )));
            }
        }
        Ok(())
    }

    /// What will be done, and where.
    pub(super) fn sentence(&self) -> String {
        let hosts = self.plan.hosts();
        let names: Vec<_> = hosts.keys().map(|host| host.as_str()).collect();
        let noun = if names.len() == 1 { "host" } else { "hosts" };
        let (action, count) = (&self.plan.intent.action, names.len());
        let older = if self.plan.intent.allow_older { ", also if that is older" } else { "" };
        format!(
            "{action} {} on {count} {noun} of tier {}: {}{older}",
            printable(self.branch.as_str()),
            self.tier,
            names.join(", ")
        )
    }

    /// Looks the revision up where the flakes of the hosts were known before, so that what is confirmed is what is built.
    pub(super) async fn look_up(&mut self) -> Result<(), ToolError> {
        let Some(branch) = self.plan.to_pin().cloned() else { return Ok(()) };
        if self.plan.named_flakes(&self.discovery.fleet)?.values().any(|named| named.is_new) {
            return Ok(());
        }
        let (flakes, credentials) = (self.plan.flakes(), &self.operator.credentials);
        let heads = heads(flakes, &branch, FOR_THE_QUESTION, credentials).await;
        // Where it is not known, the question says so.
        let _ = self.plan.pin(&heads);
        Ok(())
    }

    /// What a person is asked.
    fn question(&self) -> Result<String, ToolError> {
        let mut text = self.sentence();
        for (flake, named) in self.plan.named_flakes(&self.discovery.fleet)? {
            let _ = write!(text, "; flake {}", shown_flake(flake));
            let of = |parcel: &&Parcel| named.hosts.iter().any(|host| parcel.hosts.contains_key(*host));
            match self.plan.parcels.iter().find(of).and_then(|parcel| parcel.pin.as_ref()) {
                Some(commit) => drop(write!(text, " at commit {commit}")),
                None if self.branch.is_commit() => {}
                None => text.push_str(", its commit not known here"),
            }
        }
        for left_out in left_out(&self.plan) {
            let _ = write!(text, "; {left_out}");
        }
        text.push('?');
        Ok(text)
    }

    /// Asks the person; `Some` is what to answer where nothing shall be sent now.
    pub(super) async fn confirm(
        &self,
        confirm: Option<Confirm>,
        retry: Retry,
        codes: &Codes,
        context: &RequestContext<RoleServer>,
        audit: &mut Audit,
    ) -> Result<Option<CallToolResponse>, ToolError> {
        let asked = Asked { text: self.question()?, question: (&self.plan).into(), codes };
        match confirmed(asked, confirm, retry, context).await? {
            Word::Yes => Ok(None),
            Word::No(reason) => Err(ToolError::new(reason)),
            Word::Ask(question) => {
                audit.result("the client was told to ask for confirmation; nothing was sent");
                Ok(Some(*question))
            }
        }
    }

    /// Sends it and follows each host to its verdict, for `patience` at most.
    pub(super) async fn carry_out(
        self,
        patience: Duration,
        context: &RequestContext<RoleServer>,
        audit: &mut Audit,
    ) -> Result<CallToolResponse, ToolError> {
        let Self { operator, discovery, plan, tier, branch } = self;
        let mut follow = operator.send(plan, discovery.fleet, None, patience).await?;
        audit.sent(follow.plan());
        let mut notes = left_out(follow.plan());
        notes.append(&mut follow::to_the_end(&mut follow, context).await?);
        let outcome = follow.outcome();
        let failed = outcome.exit_code() != 0;
        let failures = outcome.hosts.iter().filter(|host| host.verdict == Verdict::Failed).count();
        let diagnostics = DIAGNOSTICS_OF_ONE.min(DIAGNOSTICS / failures.max(1));
        let view = DeploymentView {
            deployment: outcome.id.to_string(),
            tier: tier.to_string(),
            action: follow.plan().intent.action.to_string(),
            branch: branch.to_string(),
            completed: !failed,
            hosts: outcome.hosts.iter().map(|host| VerdictView::new(host, diagnostics)).collect(),
            notes,
        };
        let text = told(&outcome, &view);
        audit.result(text.lines().next().unwrap_or_default());
        Ok(answer(text, &view, failed))
    }
}

/// The hosts that are left out, each with the reason.
fn left_out(plan: &Plan) -> Vec<String> {
    plan.left_out.iter().map(|(host, reason)| format!("{host} is left out: {reason}")).collect()
}

/// An outcome in words: what became of all, then each host, then what to do next.
fn told(outcome: &Outcome, view: &DeploymentView) -> String {
    let count = |verdict| outcome.hosts.iter().filter(|host| host.verdict == verdict).count();
    let verdicts =
        [Verdict::Completed, Verdict::Failed, Verdict::Rejected, Verdict::Unknown, Verdict::Silent];
    let counts = verdicts.map(|verdict| (count(verdict), verdict.as_str()));
    let counts: Vec<_> = counts.iter().filter(|(count, _)| *count > 0).collect();
    let counts: Vec<_> = counts.iter().map(|(count, verdict)| format!("{count} {verdict}")).collect();
    let mut text = format!("deployment {}: {}", outcome.id, counts.join(", "));
    for (host, seen) in outcome.hosts.iter().zip(&view.hosts) {
        let how = match &host.report {
            Some(report) => words::progress_of(report),
            None => "silent: it never answered".to_owned(),
        };
        let _ = write!(text, "\n{}: {how}", host.host);
        let dry = host.report.as_ref().is_some_and(|report| report.action == Some(Action::DryActivate));
        for change in seen.job.iter().filter(|_| dry).flat_map(JobView::changes) {
            let _ = write!(text, "\n  {change}");
        }
    }
    for note in &view.notes {
        let _ = write!(text, "\nnote: {note}");
    }
    if count(Verdict::Unknown) > 0 {
        text.push_str("\nStill at work; the hosts go on. host_status with wait_s takes it up again.");
    }
    let held =
        |host: &HostResult| host.report.as_ref().is_some_and(|report| report.error == Some(ErrorCode::Held));
    if outcome.hosts.iter().any(held) {
        text.push_str("\nA held host takes nothing until an operator releases it; no tool here does. Ask whoever holds it.");
    }
    let older = |host: &HostResult| host.report.as_ref().is_some_and(|report| report.names_allow_older());
    if outcome.hosts.iter().any(older) {
        text.push_str(
            "\nA host that refused an older commit takes it with allow_older: true. Ask the person first whether they want to go back.",
        );
    }
    if count(Verdict::Failed) > 0 {
        text.push_str("\nhost_status tells why a host failed, host_logs all that it wrote.");
    }
    text
}
