//! The tools `list_hosts`, `host_status` and `host_history`, which change nothing.

use super::client::FleetClient;
use super::job_views::{JobView, last_lines};
use super::parameters::{HistoryParameters, ListParameters, StatusParameters, in_range, read};
use super::progress;
use super::result::{ToolError, tool_result};
use super::tools::{HOST_HISTORY, HOST_STATUS, LIST_HOSTS};
use super::views::{FleetView, HistoryView, HostView, StatusView};
use crate::client::{DeploymentFollower, Discovery, Operator, Reply, SelectionError, check_single_instance};
use crate::fleet::{Host, describe};
use crate::protocol::{DeployReport, HistoryEntry, Id, Name};
use crate::text::{format, printable};
use rmcp::RoleServer;
use rmcp::model::{CallToolResponse, JsonObject};
use rmcp::service::RequestContext;
use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

/// Maximum number of hosts and notes in `list_hosts`, and its maximum size in bytes.
const MAX_HOSTS: usize = 200;
const MAX_NOTES: usize = 10;
const MAX_ANSWER: usize = 256 * 1024;
/// Number of jobs in `host_history` if the call sets none.
const DEFAULT_JOBS: usize = 10;
/// Maximum size of a failure's diagnostics, in bytes.
const DIAGNOSTICS: usize = 16 * 1024;

pub(super) async fn list_hosts(
    client: &FleetClient,
    arguments: Option<JsonObject>,
) -> Result<CallToolResponse, ToolError> {
    let parameters: ListParameters = read(LIST_HOSTS, arguments)?;
    let (_, discovery) = client.discover(parameters.tier.as_ref()).await?;
    let hosts = discovery.fleet.hosts_by_name();
    let mut text = match (hosts.len(), &parameters.tier) {
        (0, Some(tier)) => format!("no known host in tier {tier}"),
        (0, None) => "no known hosts: is a listener running?".to_owned(),
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
        .map(|error| format!("ignored an unreadable reply: {}", printable(&error.to_string())))
        .collect();
    let more = hosts.len() - views.len();
    if more > 0 {
        notes.push(format!(
            "{more} more hosts are not listed: set tier, or use host_status for a single host"
        ));
    }
    if discovery.unrecorded > 0 {
        notes.push(format!(
            "{} new hosts are not recorded, because too many replied at once",
            discovery.unrecorded
        ));
    }
    for note in &notes {
        let _ = write!(text, "\nnote: {note}");
    }
    let view = FleetView { hosts: views, notes };
    Ok(tool_result(text, &view, false))
}

/// A host on one line.
fn line(host: &Host, discovery: &Discovery) -> String {
    let part = |name: &Option<Name>| name.as_ref().map_or("-", Name::as_str).to_owned();
    let (tier, role) = (part(&host.tier), part(&host.role));
    let mut text = format!("{} ({tier}, {role}): {}", host.name, host.reachability(discovery.at).as_str());
    let runs = describe::running_revision(host);
    if !runs.is_empty() {
        let _ = write!(text, ", runs {runs}");
    }
    if let Some(job) = &host.job {
        let _ = write!(text, "; last job {}", describe::job_progress(job));
    }
    if let Some(change) = host.earlier_change() {
        let _ = write!(text, "; last change {}", describe::job_progress(change));
    }
    if let Some(answer) = &host.answer {
        if let Some(why) = &answer.held {
            let _ = write!(text, "; held: {}", printable(why));
        }
        if answer.reboot_needed == Some(true) {
            text.push_str("; needs a reboot");
        }
        if !answer.failed_units.is_empty() {
            let _ = write!(
                text,
                "; failed {}s {}",
                answer.unit_noun(),
                printable(&answer.failed_units.join(", "))
            );
        }
    }
    text
}

pub(super) async fn host_status(
    client: &FleetClient,
    arguments: Option<JsonObject>,
    context: &RequestContext<RoleServer>,
) -> Result<CallToolResponse, ToolError> {
    let parameters: StatusParameters = read(HOST_STATUS, arguments)?;
    let wait_s = parameters.wait_s.unwrap_or_default();
    in_range("wait_s", wait_s, 0, 3600)?;
    let (operator, discovery) = client.discover(None).await?;
    let mut host = find_host(&parameters.hostname, &discovery)?.clone();
    // The complete job is a separate field of the result.
    if host.earlier_change().is_none() {
        host.last_change = None;
    }
    host.job = None;
    let mut job = job_of(&host.name, parameters.deployment.as_ref(), &operator, &discovery).await?;
    if let Some(report) = job.take_if(|report| wait_s > 0 && !report.status.is_final()) {
        job = Some(wait_for_job(report, operator, &discovery, wait_s, context).await?);
    }
    let mut text = line(&host, &discovery);
    for warning in host.answer.iter().flat_map(|answer| &answer.warnings) {
        let _ = write!(text, "\nwarning: {}", printable(warning));
    }
    match &job {
        None => text.push_str("\nno job has run on this host yet"),
        Some(job) => write_job(&mut text, job),
    }
    let view = StatusView {
        host: HostView::new(&host, discovery.at),
        running: job.as_ref().is_some_and(|job| !job.status.is_final()),
        job: job.as_deref().map(|job| JobView::full(job, DIAGNOSTICS)),
    };
    Ok(tool_result(text, &view, false))
}

/// Follows a job until it ends or the timeout elapses.
async fn wait_for_job(
    job: Arc<DeployReport>,
    operator: Operator,
    discovery: &Discovery,
    seconds: u64,
    context: &RequestContext<RoleServer>,
) -> Result<Arc<DeployReport>, ToolError> {
    let follow_timeout = Duration::from_secs(seconds);
    let Some(mut follow) =
        DeploymentFollower::attach(&operator, &job, discovery.fleet.clone(), follow_timeout).await?
    else {
        return Ok(job);
    };
    progress::until_done(&mut follow, context).await?;
    let last = follow.summary().hosts.into_iter().find(|result| result.host == job.hostname);
    Ok(last.and_then(|result| result.report).unwrap_or(job))
}

fn write_job(text: &mut String, job: &DeployReport) {
    let deployment = job.id.as_ref().map(|id| format!(" {id}")).unwrap_or_default();
    let action = job.action.as_ref().map(|action| format!("{action} ")).unwrap_or_default();
    let what = printable(&format!("{action}{}", describe::job_revision(job)));
    let _ = write!(text, "\njob{deployment} ({}): {}", what.trim_end(), describe::job_progress(job));
    if let Some(note) = job.rollback_note() {
        let _ = write!(text, "\n{note}");
    }
    for phase in job.phases.0.iter().filter(|phase| phase.elapsed_ms > 0) {
        let (name, state) = (printable(phase.name.as_str()), printable(phase.state.as_str()));
        let _ = write!(text, "\n  {name}: {state}, {}", format::duration(phase.elapsed_ms));
    }
    for component in describe::components(job) {
        let _ = write!(text, "\n  {component}");
    }
    if let Some(diagnostics) = &job.diagnostics {
        text.push_str("\nlast output:");
        for line in last_lines(diagnostics, DIAGNOSTICS).lines() {
            let _ = write!(text, "\n  {line}");
        }
    }
}

pub(super) async fn host_history(
    client: &FleetClient,
    arguments: Option<JsonObject>,
) -> Result<CallToolResponse, ToolError> {
    let parameters: HistoryParameters = read(HOST_HISTORY, arguments)?;
    let limit = parameters.limit.unwrap_or(DEFAULT_JOBS);
    in_range("limit", limit as u64, 1, 200)?;
    let (operator, discovery) = client.discover(None).await?;
    let host = find_host(&parameters.hostname, &discovery)?.name.clone();
    let replies = operator.history(&[host.clone()].into(), &discovery, limit).await?;
    let entries = reply_of(&host, replies.hosts)?;
    let mut text = match entries.len() {
        0 => format!("no job has finished on {host} yet"),
        1 => format!("the last job on {host}:"),
        count => format!("the last {count} jobs on {host}, newest first:"),
    };
    for entry in &entries {
        let _ = write!(text, "\n{}", history_line(entry));
    }
    let view =
        HistoryView { hostname: host.to_string(), jobs: entries.iter().map(JobView::from_history).collect() };
    Ok(tool_result(text, &view, false))
}

/// A finished job on one line.
fn history_line(entry: &HistoryEntry) -> String {
    let issuer = entry.issuer.as_deref().map(|issuer| format!(" by {issuer}")).unwrap_or_default();
    let error = entry.error.as_ref().map(|error| format!(" ({})", error.as_str())).unwrap_or_default();
    let reason = entry.reason.as_ref().map(|reason| format!("; {reason}")).unwrap_or_default();
    let revision = describe::history_revision(entry);
    let revision = if revision.is_empty() { String::new() } else { format!(" {revision}") };
    printable(&format!(
        "{} {}: {}{revision}{issuer}: {}{error} in {}{reason}",
        entry.at,
        entry.id,
        entry.action,
        entry.status,
        format::duration(entry.elapsed_ms)
    ))
}

/// Finds a known host. Fails if two listeners share its name.
pub(super) fn find_host<'a>(host: &Name, discovery: &'a Discovery) -> Result<&'a Host, ToolError> {
    let known = discovery.fleet.hosts.get(host);
    let known = known.ok_or_else(|| SelectionError::unknown(host, &discovery.fleet))?;
    check_single_instance(known, discovery.at)?;
    Ok(known)
}

/// The report of a deployment's job on a host, or of the host's running or last job.
pub(super) async fn job_of(
    host: &Name,
    deployment: Option<&Id>,
    operator: &Operator,
    discovery: &Discovery,
) -> Result<Option<Arc<DeployReport>>, ToolError> {
    let replies = operator.jobs(&[host.clone()].into(), discovery, deployment.cloned()).await?;
    let report = reply_of(host, replies.hosts)?;
    match deployment {
        Some(id) if report.is_none() => {
            Err(ToolError::new(format!("{host} has no job of deployment {id}; host_history lists its jobs")))
        }
        _ => Ok(report),
    }
}

/// The reply of a host, or an error if there is none.
fn reply_of<T>(host: &Name, hosts: Vec<(Name, Reply<T>)>) -> Result<T, ToolError> {
    match hosts.into_iter().next() {
        Some((_, Reply::Ok(answer))) => Ok(answer),
        Some((_, Reply::Unsupported)) => {
            Err(ToolError::new(format!("the listener on {host} is too old for this query; update it")))
        }
        _ => Err(ToolError::new(format!("{host} does not reply; list_hosts shows when it was last seen"))),
    }
}
