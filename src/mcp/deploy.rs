//! The tools `deploy` and `deploy_admin`: select hosts, check limits, send and follow.

use super::audit::Audit;
use super::client::FleetClient;
use super::confirm::{ConfirmationRequest, Decision, Retry, request_confirmation};
use super::confirmation_codes::ConfirmationCodes;
use super::job_views::JobView;
use super::parameters::{Confirm, DeploySpec, HostSelector, service_names};
use super::progress;
use super::result::{ToolError, tool_result};
use super::views::{DeploymentView, HostResultView};
use crate::client::{
    DeploymentFollower, DeploymentSummary, Discovery, HostRequest, HostResult, Intent, LeftOutReason,
    Operator, Plan, ResultKind, Selection, Target, heads,
};
use crate::fleet::{describe, printable_flake};
use crate::protocol::{Action, ErrorCode, Name, Revision, host_subject};
use crate::text::{format, printable};
use rmcp::RoleServer;
use rmcp::model::CallToolResponse;
use rmcp::service::RequestContext;
use std::fmt::Write;
use std::time::Duration;

/// Maximum size of the diagnostics of all failed hosts, and of one host, in bytes.
const DIAGNOSTICS: usize = 24 * 1024;
const DIAGNOSTICS_OF_ONE: usize = 4 * 1024;
/// Maximum time of the branch lookup for a question.
const LOOKUP_TIMEOUT: Duration = Duration::from_secs(5);

/// A planned deployment; nothing has been sent.
pub(super) struct PlannedDeployment {
    operator: Operator,
    discovery: Discovery,
    plan: Plan,
    tier: Name,
    branch: Revision,
}

/// Plans a deployment. Fails if a host is in another tier than the requested one.
pub(super) async fn plan(
    spec: DeploySpec,
    client: &FleetClient,
    branch: &Revision,
) -> Result<PlannedDeployment, ToolError> {
    let (operator, discovery) = client.discover(None).await?;
    let branch = spec.branch.unwrap_or_else(|| branch.clone());
    let intent = Intent {
        revision: Some(branch.clone()),
        allow_older: spec.allow_older,
        services: spec.services,
        ..Intent::new(spec.action, operator.issuer.clone())
    };
    let (selection, suffix) = match spec.hosts {
        HostSelector::One(host) => (Selection::Targets(vec![Target::Host(host)]), String::new()),
        HostSelector::All => (Selection::All { tier: Some(spec.tier.clone()), role: None }, String::new()),
        HostSelector::Role(role) => {
            let suffix = format!(" with role {role}");
            (Selection::All { tier: Some(spec.tier.clone()), role: Some(role) }, suffix)
        }
    };
    let plan = Plan::new(intent, &selection, &discovery.fleet, discovery.at, false)?;
    check_not_all_left_out(&plan)?;
    if plan.requests.is_empty() {
        return Err(ToolError::new(format!(
            "no known host in tier {}{suffix}; nothing was sent. list_hosts shows all known hosts",
            spec.tier
        )));
    }
    if let Some((host, tier)) = plan.hosts().into_iter().find(|(_, tier)| **tier != spec.tier) {
        return Err(ToolError::new(format!(
            "{host} is in tier {tier}, but this call is limited to tier {}; nothing was sent",
            spec.tier
        )));
    }
    Ok(PlannedDeployment { operator, discovery, plan, tier: spec.tier, branch })
}

impl PlannedDeployment {
    /// Leaves the hosts of a group out whose request would use a subject outside the tier, regardless of what they
    /// announce. A named host with such a subject is an error.
    pub(super) fn check_subjects(&mut self) -> Result<(), ToolError> {
        let own = |host: &Name| host_subject(&self.tier, host);
        let mut elsewhere = Vec::new();
        for request in &self.plan.requests {
            for host in request.hosts.keys().filter(|host| request.subject != own(host)) {
                elsewhere.push((host.clone(), request.subject.clone()));
            }
        }
        for (host, subject) in elsewhere {
            let usual = own(&host);
            if !self.plan.is_group {
                return Err(ToolError::new(format!(
                    "{host} does not listen on {usual}, and this tool uses no other subject; nothing was sent"
                )));
            }
            let subjects = vec![printable(&subject)];
            self.plan.leave_out(host, LeftOutReason::NoSubject { usual, subjects });
        }
        check_not_all_left_out(&self.plan)
    }

    /// What will be done, and on which hosts.
    pub(super) fn description(&self) -> String {
        let hosts = self.plan.hosts();
        let names: Vec<_> = hosts.keys().map(|host| host.as_str()).collect();
        let (action, hosts) = (&self.plan.intent.action, format::count(names.len(), "host"));
        let older = if self.plan.intent.allow_older { ", even if it is older" } else { "" };
        let services = &self.plan.intent.services;
        let only =
            if services.is_empty() { String::new() } else { format!(", only {}", service_names(services)) };
        format!(
            "{action} {} on {hosts} of tier {}: {}{only}{older}",
            printable(self.branch.as_str()),
            self.tier,
            names.join(", ")
        )
    }

    /// Resolves the revision if all flakes are known, so that the confirmed commit is the one that is built.
    pub(super) async fn pin_revision(&mut self) -> Result<(), ToolError> {
        self.plan.leave_out_refused_flakes(&self.discovery.fleet);
        check_not_all_left_out(&self.plan)?;
        let Some(branch) = self.plan.revision_to_pin().cloned() else { return Ok(()) };
        if self.plan.named_flakes(&self.discovery.fleet)?.values().any(|named| named.is_new) {
            return Ok(());
        }
        let (flakes, credentials) = (self.plan.flakes(), &self.operator.credentials);
        let heads = heads(flakes, &branch, LOOKUP_TIMEOUT, credentials).await;
        // If the lookup fails, the question says that the commit is unknown.
        let _ = self.plan.pin(&heads);
        Ok(())
    }

    /// The question for the person.
    fn prompt(&self) -> Result<String, ToolError> {
        let mut text = self.description();
        for (flake, named) in self.plan.named_flakes(&self.discovery.fleet)? {
            let _ = write!(text, "; flake {}", printable_flake(flake));
            let of =
                |request: &&HostRequest| named.hosts.iter().any(|host| request.hosts.contains_key(*host));
            match self.plan.requests.iter().find(of).and_then(|request| request.pin.as_ref()) {
                Some(commit) => drop(write!(text, " at commit {commit}")),
                None if self.branch.is_commit() => {}
                None => text.push_str(", commit unknown"),
            }
        }
        for left_out in left_out(&self.plan) {
            let _ = write!(text, "; {left_out}");
        }
        text.push('?');
        Ok(text)
    }

    /// Asks the person for confirmation. `Some` is the response if nothing must be sent now.
    pub(super) async fn confirm(
        &self,
        confirm: Option<Confirm>,
        retry: Retry,
        codes: &ConfirmationCodes,
        context: &RequestContext<RoleServer>,
        audit: &mut Audit,
    ) -> Result<Option<CallToolResponse>, ToolError> {
        let asked = ConfirmationRequest { text: self.prompt()?, scope: (&self.plan).into(), codes };
        match request_confirmation(asked, confirm, retry, context).await? {
            Decision::Approved => Ok(None),
            Decision::Declined(reason) => Err(ToolError::new(reason)),
            Decision::InputRequired(question) => {
                audit.result("the client must ask for confirmation; nothing was sent");
                Ok(Some(*question))
            }
        }
    }

    /// Sends the plan and follows each host to its result, for at most `follow_timeout`.
    pub(super) async fn execute(
        self,
        follow_timeout: Duration,
        context: &RequestContext<RoleServer>,
        audit: &mut Audit,
    ) -> Result<CallToolResponse, ToolError> {
        let Self { operator, discovery, plan, tier, branch } = self;
        let mut follow =
            DeploymentFollower::send(&operator, plan, discovery.fleet, None, follow_timeout).await?;
        audit.sent(follow.plan());
        let mut notes = left_out(follow.plan());
        notes.append(&mut progress::until_done(&mut follow, context).await?);
        let summary = follow.summary();
        let failed = summary.exit_code() != 0;
        let failures = summary.hosts.iter().filter(|host| host.result == ResultKind::Failed).count();
        let diagnostics = DIAGNOSTICS_OF_ONE.min(DIAGNOSTICS / failures.max(1));
        let view = DeploymentView {
            deployment: summary.id.to_string(),
            tier: tier.to_string(),
            action: follow.plan().intent.action.to_string(),
            branch: branch.to_string(),
            completed: !failed,
            hosts: summary.hosts.iter().map(|host| HostResultView::new(host, diagnostics)).collect(),
            notes,
        };
        let text = describe(&summary, &view);
        audit.result(text.lines().next().unwrap_or_default());
        Ok(tool_result(text, &view, failed))
    }
}

fn check_not_all_left_out(plan: &Plan) -> Result<(), ToolError> {
    if plan.requests.is_empty() && !plan.left_out.is_empty() {
        return Err(ToolError::new(format!("{}; nothing was sent", left_out(plan).join("; "))));
    }
    Ok(())
}

/// The hosts that are left out, with the reasons.
fn left_out(plan: &Plan) -> Vec<String> {
    plan.left_out.iter().map(|(host, reason)| format!("{host} is left out: {reason}")).collect()
}

/// The result as text: the summary, each host, and the next step.
fn describe(summary: &DeploymentSummary, view: &DeploymentView) -> String {
    let count = |(result, hosts): (ResultKind, Vec<_>)| format!("{} {}", hosts.len(), result.as_str());
    let counts: Vec<_> = summary.by_result().map(count).collect();
    let mut text = format!("deployment {}: {}", summary.id, counts.join(", "));
    for (host, seen) in summary.hosts.iter().zip(&view.hosts) {
        let how = match &host.report {
            Some(report) => describe::job_progress(report),
            None => "silent: no reply".to_owned(),
        };
        let _ = write!(text, "\n{}: {how}", host.host);
        let dry = host.report.as_ref().is_some_and(|report| report.action == Some(Action::DryActivate));
        if let Some(report) = &host.report {
            for component in describe::components(report) {
                let _ = write!(text, "\n  {component}");
            }
        }
        for change in seen.job.iter().filter(|_| dry).flat_map(JobView::changes) {
            let _ = write!(text, "\n  {change}");
        }
    }
    for note in &view.notes {
        let _ = write!(text, "\nnote: {note}");
    }
    let has = |kind| summary.hosts.iter().any(|host| host.result == kind);
    if has(ResultKind::Unknown) {
        text.push_str("\nStill running; the hosts continue. host_status with wait_s follows them again.");
    }
    let held =
        |host: &HostResult| host.report.as_ref().is_some_and(|report| report.error == Some(ErrorCode::Held));
    if summary.hosts.iter().any(held) {
        text.push_str("\nA held host rejects deployments until an operator releases it; no tool here can do that. Ask the operator.");
    }
    let older = |host: &HostResult| host.report.as_ref().is_some_and(|report| report.names_allow_older());
    if summary.hosts.iter().any(older) {
        text.push_str(
            "\nA host that rejected an older commit accepts it with allow_older: true. Ask the person first whether they want to go back.",
        );
    }
    if has(ResultKind::Failed) {
        text.push_str("\nhost_status shows why a host failed, host_logs its complete output.");
    }
    text
}
