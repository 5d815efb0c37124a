//! A deployment as a target sees it: its hosts, and the default title and message.

use super::filter::TargetFilter;
use super::notification::{Notification, NotificationEvent, NotifiedDeployment, NotifiedHost, NotifyResult};
use super::payload::{MAX_TITLE, clean_line};
use crate::fleet::{Deployment, Fleet, failure_cause, natural_cmp};
use crate::protocol::{DeployReport, Id, Name};
use crate::text::format::{count, duration, short_commit};
use jiff::Timestamp;
use std::cmp::Reverse;
use std::fmt::Write;

/// The most hosts in a notification.
const MAX_HOSTS: usize = 200;
/// The most hosts that a message describes one by one, and the most names of a list.
const MAX_LINES: usize = 10;
const MAX_NAMES: usize = 20;
/// The maximum length of what a host says, in characters.
const MAX_REASON: usize = 300;
const MAX_WORD: usize = 100;

/// The jobs of a deployment that a target is about; `None` if there are none.
pub(super) fn deployment_for(
    fleet: &Fleet,
    id: &Id,
    filter: &TargetFilter,
) -> Option<(NotifiedDeployment, Vec<NotifiedHost>)> {
    let deployment = fleet.deployments.get(id)?;
    let mut hosts: Vec<_> =
        deployment.hosts.keys().filter_map(|name| job(fleet, deployment, name, filter)).collect();
    if hosts.is_empty() {
        return None;
    }
    hosts.sort_by(|a, b| {
        let severity = Reverse(a.result).cmp(&Reverse(b.result));
        severity.then_with(|| natural_cmp(&a.host, &b.host))
    });
    let word = |text: &str| clean_line(text, MAX_WORD);
    let number = |result| hosts.iter().filter(|host| host.result == result).count();
    let shown = NotifiedDeployment {
        id: Some(id.clone()),
        action: deployment.action.as_ref().map(|action| word(action.as_str())).unwrap_or_default(),
        revision: deployment.revision.as_deref().map(word).unwrap_or_default(),
        commit: deployment.commit.as_deref().map(word).unwrap_or_default(),
        issuer: deployment.issuer.as_deref().map(word).unwrap_or_default(),
        completed: number(NotifyResult::Completed),
        failed: number(NotifyResult::Failed),
        cancelled: number(NotifyResult::Cancelled),
        rejected: number(NotifyResult::Rejected),
        unknown: number(NotifyResult::Unknown),
        hosts: hosts.iter().take(MAX_HOSTS).cloned().collect(),
    };
    Some((shown, hosts))
}

fn job(fleet: &Fleet, deployment: &Deployment, name: &Name, filter: &TargetFilter) -> Option<NotifiedHost> {
    let report = &deployment.job(name)?.report;
    let host = fleet.hosts.get(name);
    let tier = report.tier.as_ref().or_else(|| host?.tier.as_ref());
    let role = report.role.as_ref().or_else(|| host?.role.as_ref());
    filter.has_job(report, tier, role).then(|| NotifiedHost {
        host: name.clone(),
        tier: tier.cloned(),
        role: role.cloned(),
        result: NotifyResult::of(report),
        error: report.error.as_ref().map(|error| clean_line(error.as_str(), MAX_WORD)),
        reason: reason(report),
        elapsed_ms: report.elapsed_ms,
        rolled_back: report.rolled_back == Some(true),
    })
}

/// Why a job has no success: the line that explains it best, or else the host's message.
fn reason(report: &DeployReport) -> Option<String> {
    let result = NotifyResult::of(report);
    let is_explained = matches!(result, NotifyResult::Failed | NotifyResult::Rejected);
    let text = is_explained.then(|| match (&report.cause, &report.error) {
        (Some(cause), Some(error)) => format!("{}: {cause}", error.words()),
        (Some(cause), None) => cause.clone(),
        (None, _) => failure_cause(report),
    });
    text.map(|text| clean_line(&text, MAX_REASON))
}

/// The notification of the first failure.
pub(super) fn failure(
    deployment: NotifiedDeployment,
    hosts: &[NotifiedHost],
    host: &Name,
    now: Timestamp,
) -> Option<Notification> {
    let failed = hosts.iter().find(|failed| failed.host == *host)?;
    let title = clean_line(&format!("{} failed on {host}", name(&deployment)), MAX_TITLE);
    let mut message = describe_host(failed);
    let running = deployment.unknown;
    if running > 0 {
        let _ = write!(message, "\n{} without a result yet", count(running, "host"));
    }
    message.push_str(&issued_by(&deployment));
    let mut notification = Notification::new(NotificationEvent::Failure, title, message, now);
    (notification.result, notification.host) = (Some(NotifyResult::Failed), Some(host.clone()));
    notification.deployment = Some(deployment);
    Some(notification)
}

/// The notification of the end.
pub(super) fn end(deployment: NotifiedDeployment, hosts: &[NotifiedHost], now: Timestamp) -> Notification {
    let title = clean_line(&format!("{}: {}", name(&deployment), summary(&deployment)), MAX_TITLE);
    let mut lines = Vec::new();
    let is_described = |host: &&NotifiedHost| host.result != NotifyResult::Completed;
    let described = hosts.iter().filter(is_described);
    lines.extend(described.clone().take(MAX_LINES).map(describe_host));
    let more = described.count().saturating_sub(MAX_LINES);
    if more > 0 {
        lines.push(format!("and {} more", count(more, "host")));
    }
    let completed: Vec<_> =
        hosts.iter().filter(|host| !is_described(host)).map(|host| host.host.as_str()).collect();
    if !completed.is_empty() {
        lines.push(format!("completed: {}", name_list(&completed)));
    }
    let longest = hosts.iter().filter_map(|host| host.elapsed_ms).max();
    lines.extend(longest.map(|longest| format!("longest job: {}", duration(longest))));
    let message = format!("{}{}", lines.join("\n"), issued_by(&deployment));
    let mut notification = Notification::new(NotificationEvent::End, title, message, now);
    notification.result = hosts.iter().map(|host| host.result).max();
    notification.host = hosts.first().filter(|_| hosts.len() == 1).map(|host| host.host.clone());
    notification.deployment = Some(deployment);
    notification
}

/// The action, revision and commit: `switch main 3f2a91c`.
fn name(deployment: &NotifiedDeployment) -> String {
    let action = if deployment.action.is_empty() { "deployment" } else { &deployment.action };
    let commit = short_commit(&deployment.commit);
    // A requested commit is its own revision.
    let revision = if deployment.revision == deployment.commit { "" } else { deployment.revision.as_str() };
    let words = [action, revision, commit].into_iter().filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join(" ")
}

/// The number of hosts by result: `1 failed, 3 completed`.
fn summary(deployment: &NotifiedDeployment) -> String {
    let numbers = [
        (deployment.failed, "failed"),
        (deployment.unknown, "without a result"),
        (deployment.rejected, "rejected"),
        (deployment.cancelled, "cancelled"),
        (deployment.completed, "completed"),
    ];
    let shown = numbers.into_iter().filter(|(number, _)| *number > 0);
    shown.map(|(number, word)| format!("{number} {word}")).collect::<Vec<_>>().join(", ")
}

/// One host with its result.
fn describe_host(host: &NotifiedHost) -> String {
    let name = &host.host;
    let mut text = match host.result {
        NotifyResult::Unknown => format!("{name}: no result, it stopped reporting"),
        result => format!("{name} {}", result.as_str()),
    };
    if let Some(reason) = &host.reason {
        let _ = write!(text, ": {reason}");
    }
    if host.rolled_back && !text.contains("rolled back") {
        text.push_str(" (rolled back)");
    }
    text
}

fn name_list(names: &[&str]) -> String {
    let shown = names.iter().take(MAX_NAMES).copied().collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(MAX_NAMES) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

fn issued_by(deployment: &NotifiedDeployment) -> String {
    if deployment.issuer.is_empty() { String::new() } else { format!("\nrequested by {}", deployment.issuer) }
}
