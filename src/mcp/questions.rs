//! `list_hosts`, `host_status` and `host_history`: questions that change nothing.

use super::access::Access;
use super::answer::answer;
use super::error::ToolError;
use super::follow;
use super::parameters::{HistoryParameters, ListParameters, StatusParameters, in_range, read};
use super::tools::{HOST_HISTORY, HOST_STATUS, LIST_HOSTS};
use super::views::{FleetView, HistoryView, HostView, JobView, StatusView, last_lines};
use crate::deployer::{Discovery, Operator, SelectionError, Told, check_one};
use crate::fleet::{Host, words};
use crate::protocol::{DeployReport, HistoryEntry, Id, Name, printable};
use rmcp::RoleServer;
use rmcp::model::{CallToolResponse, JsonObject};
use rmcp::service::RequestContext;
use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

/// How many hosts and notes `list_hosts` gives, and how many bytes at most.
const MAX_HOSTS: usize = 200;
const MAX_NOTES: usize = 10;
const MAX_ANSWER: usize = 256 * 1024;
/// How many jobs `host_history` gives if the call does not say.
const SOME_JOBS: usize = 10;
/// How much of the diagnostics of a failure is told, in bytes.
const DIAGNOSTICS: usize = 16 * 1024;

pub(super) async fn list_hosts(
    access: &Access,
    arguments: Option<JsonObject>,
) -> Result<CallToolResponse, ToolError> {
    let parameters: ListParameters = read(LIST_HOSTS, arguments)?;
    let (_, discovery) = access.discover(parameters.tier.as_ref()).await?;
    let hosts = discovery.fleet.hosts_by_name();
    let mut text = match (hosts.len(), &parameters.tier) {
        (0, Some(tier)) => format!("no host of tier {tier} answers or is known"),
        (0, None) => "no host answers or is known: is a listener running?".to_owned(),
        (1, _) => "1 host".to_owned(),
        (count, _) => format!("{count} hosts"),
    };
    let mut views = Vec::new();
    let mut size = 0;
    for host in hosts.iter().take(MAX_HOSTS) {
        let line = line(host, &discovery);
        let view = HostView::new(host, discovery.at);
        size += line.len() + serde_json::to_vec(&view).map_or(0, |json| json.len());
        if size > MAX_ANSWER {
            break;
        }
        let _ = write!(text, "\n{line}");
        views.push(view);
    }
    let mut notes: Vec<_> = discovery
        .unreadable
        .iter()
        .take(MAX_NOTES)
        .map(|error| format!("an answer could not be read: {}", printable(&error.to_string())))
        .collect();
    let more = hosts.len() - views.len();
    if more > 0 {
        notes.push(format!(
            "{more} more hosts are not listed: ask for one tier, or for single hosts with host_status"
        ));
    }
    if discovery.unlisted > 0 {
        notes.push(format!(
            "{} new hosts are not noted, because too many answered at once",
            discovery.unlisted
        ));
    }
    for note in &notes {
        let _ = write!(text, "\nnote: {note}");
    }
    let view = FleetView { hosts: views, notes };
    Ok(answer(text, &view, false))
}

/// A host on one line.
fn line(host: &Host, discovery: &Discovery) -> String {
    let part = |name: &Option<Name>| name.as_ref().map_or("-", Name::as_str).to_owned();
    let (tier, role) = (part(&host.tier), part(&host.role));
    let mut text = format!("{} ({tier}, {role}): {}", host.name, host.presence(discovery.at).as_str());
    let runs = words::runs(host);
    if !runs.is_empty() {
        let _ = write!(text, ", runs {runs}");
    }
    if let Some(job) = &host.job {
        let _ = write!(text, "; last job {}", words::progress_of(job));
    }
    if let Some(answer) = &host.answer {
        if let Some(why) = &answer.held {
            let _ = write!(text, "; held: {}", printable(why));
        }
        if answer.reboot_needed == Some(true) {
            text.push_str("; needs a reboot");
        }
        if !answer.failed_units.is_empty() {
            let _ = write!(text, "; failed units {}", printable(&answer.failed_units.join(", ")));
        }
    }
    text
}

pub(super) async fn host_status(
    access: &Access,
    arguments: Option<JsonObject>,
    context: &RequestContext<RoleServer>,
) -> Result<CallToolResponse, ToolError> {
    let parameters: StatusParameters = read(HOST_STATUS, arguments)?;
    let wait_s = parameters.wait_s.unwrap_or_default();
    in_range("wait_s", wait_s, 0, 3600)?;
    let (operator, discovery) = access.discover(None).await?;
    let mut host = known(&parameters.hostname, &discovery)?.clone();
    // It stands beside the host, and whole.
    host.job = None;
    let mut job = job_of(&host.name, parameters.deployment.as_ref(), &operator, &discovery).await?;
    if let Some(report) = job.take_if(|report| wait_s > 0 && !report.status.is_final()) {
        job = Some(wait(report, operator, &discovery, wait_s, context).await?);
    }
    let mut text = line(&host, &discovery);
    for warning in host.answer.iter().flat_map(|answer| &answer.warnings) {
        let _ = write!(text, "\nwarning: {}", printable(warning));
    }
    match &job {
        None => text.push_str("\nno job has run there yet"),
        Some(job) => tell_job(&mut text, job),
    }
    let view = StatusView {
        host: HostView::new(&host, discovery.at),
        running: job.as_ref().is_some_and(|job| !job.status.is_final()),
        job: job.as_deref().map(|job| JobView::whole(job, DIAGNOSTICS)),
    };
    Ok(answer(text, &view, false))
}

/// Follows a job until it ends or the time is over.
async fn wait(
    job: Arc<DeployReport>,
    operator: Operator,
    discovery: &Discovery,
    seconds: u64,
    context: &RequestContext<RoleServer>,
) -> Result<Arc<DeployReport>, ToolError> {
    let patience = Duration::from_secs(seconds);
    let Some(mut follow) = operator.take_up(&job, discovery.fleet.clone(), patience).await? else {
        return Ok(job);
    };
    follow::to_the_end(&mut follow, context).await?;
    let last = follow.outcome().hosts.into_iter().find(|result| result.host == job.hostname);
    Ok(last.and_then(|result| result.report).unwrap_or(job))
}

fn tell_job(text: &mut String, job: &DeployReport) {
    let deployment = job.id.as_ref().map(|id| format!(" {id}")).unwrap_or_default();
    let action = job.action.as_ref().map(|action| format!("{action} ")).unwrap_or_default();
    let what = printable(&format!("{action}{}", words::deploys(job)));
    let _ = write!(text, "\njob{deployment} ({}): {}", what.trim_end(), words::progress_of(job));
    if let Some(note) = job.rollback_note() {
        let _ = write!(text, "\n{note}");
    }
    for phase in job.phases.0.iter().filter(|phase| phase.elapsed_ms > 0) {
        let (name, state) = (printable(phase.name.as_str()), printable(phase.state.as_str()));
        let _ = write!(text, "\n  {name}: {state}, {}", words::duration(phase.elapsed_ms));
    }
    if let Some(diagnostics) = &job.diagnostics {
        text.push_str("\nlast output:");
        for line in last_lines(diagnostics, DIAGNOSTICS).lines() {
            let _ = write!(text, "\n  {line}");
        }
    }
}

pub(super) async fn host_history(
    access: &Access,
    arguments: Option<JsonObject>,
) -> Result<CallToolResponse, ToolError> {
    let parameters: HistoryParameters = read(HOST_HISTORY, arguments)?;
    let limit = parameters.limit.unwrap_or(SOME_JOBS);
    in_range("limit", limit as u64, 1, 200)?;
    let (operator, discovery) = access.discover(None).await?;
    let host = known(&parameters.hostname, &discovery)?.name.clone();
    let replies = operator.history(&[host.clone()].into(), &discovery, limit).await?;
    let entries = answer_of(&host, replies.hosts)?;
    let mut text = match entries.len() {
        0 => format!("no job has ended on {host} yet"),
        1 => format!("the last job on {host}:"),
        count => format!("the last {count} jobs on {host}, the newest first:"),
    };
    for entry in &entries {
        let _ = write!(text, "\n{}", past(entry));
    }
    let view = HistoryView { hostname: host.to_string(), jobs: entries.iter().map(JobView::past).collect() };
    Ok(answer(text, &view, false))
}

/// A past job on one line.
fn past(entry: &HistoryEntry) -> String {
    let issuer = entry.issuer.as_deref().map(|issuer| format!(" by {issuer}")).unwrap_or_default();
    let error = entry.error.as_ref().map(|error| format!(" ({})", error.as_str())).unwrap_or_default();
    let reason = entry.reason.as_ref().map(|reason| format!("; {reason}")).unwrap_or_default();
    printable(&format!(
        "{} {}: {} {}{issuer}: {}{error} in {}{reason}",
        entry.at,
        entry.id,
        entry.action,
        words::deployed(entry),
        entry.status,
        words::duration(entry.elapsed_ms)
    ))
}

/// A host of the fleet, which must be one and not two of one name.
pub(super) fn known<'a>(host: &Name, discovery: &'a Discovery) -> Result<&'a Host, ToolError> {
    let known = discovery.fleet.hosts.get(host);
    let known = known.ok_or_else(|| SelectionError::unknown(host, &discovery.fleet))?;
    check_one(known, discovery.at)?;
    Ok(known)
}

/// The report of a job on a host, or of its running or else last one.
pub(super) async fn job_of(
    host: &Name,
    deployment: Option<&Id>,
    operator: &Operator,
    discovery: &Discovery,
) -> Result<Option<Arc<DeployReport>>, ToolError> {
    let replies = operator.jobs(&[host.clone()].into(), discovery, deployment.cloned()).await?;
    let report = answer_of(host, replies.hosts)?;
    match deployment {
        Some(id) if report.is_none() => {
            Err(ToolError::new(format!("{host} knows no deployment {id}; host_history lists what it did")))
        }
        _ => Ok(report),
    }
}

/// What a host made of a question, or why it told nothing.
fn answer_of<T>(host: &Name, hosts: Vec<(Name, Told<T>)>) -> Result<T, ToolError> {
    match hosts.into_iter().next() {
        Some((_, Told::Answer(answer))) => Ok(answer),
        Some((_, Told::TooOld)) => {
            Err(ToolError::new(format!("the listener on {host} is too old to tell; update it")))
        }
        _ => Err(ToolError::new(format!("{host} does not answer; list_hosts tells when it was last seen"))),
    }
}
