//! Events from the network.

use crate::client::{DeploymentSummary, HostResult, LogEvent, ResultKind};
use crate::fleet::{describe, failure_groups};
use crate::nats::PermissionViolation;
use crate::protocol::{Id, Inbound, Status, WireError};
use crate::text::printable;
use crate::tui::event::SentDeploymentEvent;
use crate::tui::event_feed::HostBefore;
use crate::tui::{App, ConnectionStatus, Effect, LogKey, SentDeployment, SentDeploymentState, Tone};
use jiff::Timestamp;

pub(super) fn apply_all(app: &mut App, messages: Vec<Result<Inbound, WireError>>, at: Timestamp) {
    for message in messages {
        match message {
            Ok(message) => apply_one(app, message, at),
            Err(error) => {
                app.unreadable += 1;
                app.show_notice(
                    Tone::Warn,
                    format!("ignored an unreadable message: {}", printable(&error.to_string())),
                );
                app.dirty = true;
            }
        }
    }
}

/// Applies a message and invalidates what depends on it. A message that only shows that a host is alive causes no
/// redraw before the next clock event.
fn apply_one(app: &mut App, message: Inbound, at: Timestamp) {
    let name = message.hostname().clone();
    if let Inbound::Report(report) = &message
        && report.status == Status::Completed
        && let Some(commit) = &report.commit
    {
        app.recheck_heads(commit);
    }
    if let Inbound::Report(report) = &message
        && let Some(id) = &report.id
    {
        app.clear_sending_notice(id);
    }
    let known = app.fleet.hosts.get(&name).map(HostBefore::of);
    let (is_new, deployments) = (known.is_none(), app.fleet.deployments.len());
    let changed = app.fleet.apply(message, at);
    let Some(host) = app.fleet.hosts.get(&name) else { return };
    app.feed.note_host(known, host, at);
    let moved = app.counted.update(host, app.heads.as_ref(), at);
    app.dirty |= changed || moved.rank;
    // The other reports of a running deployment count with the next tick.
    app.running_fresh &= !moved.rank && app.fleet.deployments.len() == deployments;
    app.table.invalidate_if_moved(moved);
    if is_new || changed && app.table.follows_reports() {
        app.table.invalidate();
    }
}

/// Stores the connection state; returns whether the connection has just come up.
pub(super) fn connection(app: &mut App, status: ConnectionStatus) -> bool {
    let has_connected = status.up && !app.connection.up;
    match (app.connection.up, status.up) {
        (false, true) if status.connects > 1 => {
            app.show_notice(Tone::Good, "reconnected; querying all hosts");
        }
        (true, false) => {
            let reason = status.reason.as_deref().unwrap_or("the connection was lost");
            app.show_notice(Tone::Bad, format!("{}; jobs on the hosts continue", printable(reason)));
        }
        _ => {}
    }
    if status.dropped > app.connection.dropped {
        let dropped = status.dropped;
        app.show_notice(
            Tone::Warn,
            format!(
                "messages were dropped {dropped} times because the console reads too slowly; querying again"
            ),
        );
    }
    if !status.up {
        app.round_trip = None;
    } else if has_connected {
        app.rollouts.restart_silence(app.now);
    }
    if status.up {
        app.record_answer(app.clock);
    } else {
        app.record_loss();
    }
    app.connection = status;
    has_connected
}

/// Shows a permission violation once per subject; a deployment reports the violations of its own subjects.
pub(super) fn permission_denied(app: &mut App, violation: &PermissionViolation) {
    let has_sent =
        |sent: &SentDeployment| sent.plan.requests.iter().any(|request| request.subject == violation.subject);
    if violation.is_publish && app.sent_deployments.iter().any(has_sent) {
        return;
    }
    if app.reported_subjects.insert(violation.subject.clone()) {
        app.show_error("Not permitted", printable(&violation.to_string()));
    }
}

/// Applies the progress of a deployment of this console. Its end is a notification of the terminal.
pub(super) fn sent_deployment(app: &mut App, id: &Id, event: SentDeploymentEvent) -> Option<Effect> {
    let sent = app.sent_deployments.iter_mut().find(|sent| sent.plan.id == *id)?;
    let mut effect = None;
    let title = sent.title();
    match event {
        SentDeploymentEvent::Rollout(status) => return super::rollouts::status(app, *status),
        SentDeploymentEvent::HandedOver => sent.state = SentDeploymentState::HandedOver,
        SentDeploymentEvent::Note(note) => app.show_notice(Tone::Busy, printable(&note)),
        SentDeploymentEvent::Resent(host, id, note) => {
            sent.resent.insert(host, id);
            app.show_notice(Tone::Busy, printable(&note));
        }
        SentDeploymentEvent::BatchSent(batch) => {
            sent.record_batches_sent(batch.batch, app.now);
            app.show_notice(Tone::Busy, format!("{title}: {batch}"));
        }
        SentDeploymentEvent::Failed(reason) => {
            sent.state = SentDeploymentState::Failed(reason.clone());
            app.show_error(title, printable(&reason));
        }
        SentDeploymentEvent::Finished(outcome) => {
            (sent.state, sent.stopped) = (SentDeploymentState::Finished, outcome.stopped);
            if sent.plan.intent.action.creates_job() {
                let (tone, text) = summary(&outcome);
                effect = Some(Effect::Notify(format!("{title}: {text}")));
                app.show_lasting_notice(tone, format!("{title}: {text}"));
            } else {
                show_decision(app, &title, &outcome);
            }
        }
    }
    app.running_fresh = false;
    effect
}

/// Number of hosts per result, the hosts that did not complete, and common causes.
fn summary(outcome: &DeploymentSummary) -> (Tone, String) {
    let mut parts = Vec::new();
    for (result, hosts) in results(outcome) {
        let hosts_suffix = if result == ResultKind::Completed.as_str() {
            String::new()
        } else {
            format!(" ({})", describe_hosts(&hosts))
        };
        parts.push(format!("{} {result}{hosts_suffix}", hosts.len()));
    }
    if let Some(stopped) = outcome.stopped {
        parts.push(format!("{} not started: {stopped}", outcome.not_started.len()));
    }
    if !outcome.left_out.is_empty() {
        let hosts: Vec<_> = outcome.left_out.iter().map(|left_out| left_out.host.as_str()).collect();
        parts.push(format!("{} left out ({})", hosts.len(), hosts.join(", ")));
    }
    let is_bad = |host: &HostResult| host.result != ResultKind::Completed && !is_cancelled(host);
    let tone = match outcome.exit_code() {
        0 => Tone::Good,
        1 if outcome.left_out.is_empty() && !outcome.hosts.iter().any(is_bad) => Tone::Warn,
        _ => Tone::Bad,
    };
    (tone, parts.join(", "))
}

/// The hosts of each result that occurs. A job that an operator cancelled has not failed.
fn results(outcome: &DeploymentSummary) -> Vec<(&'static str, Vec<&HostResult>)> {
    let mut results = Vec::new();
    for (result, hosts) in outcome.by_result() {
        let (cancelled, hosts): (Vec<_>, Vec<_>) = hosts.into_iter().partition(|host| is_cancelled(host));
        let kinds = [(result.as_str(), hosts), ("cancelled", cancelled)];
        results.extend(kinds.into_iter().filter(|(_, hosts)| !hosts.is_empty()));
    }
    results
}

fn is_cancelled(host: &HostResult) -> bool {
    host.report.as_ref().is_some_and(|report| report.is_cancelled())
}

/// Names of hosts, or the causes that several of them share: `6: build of foo-1.2 failed; web9`.
fn describe_hosts(hosts: &[&HostResult]) -> String {
    let mut groups = failure_groups(hosts.iter().filter_map(|host| host.report.as_deref()));
    groups.retain(|group| group.hosts.len() > 1);
    let mut parts: Vec<_> = groups
        .iter()
        .take(2)
        .map(|group| match group.hosts.len() {
            all if all == hosts.len() => group.cause.clone(),
            count => format!("{count}: {}", group.cause),
        })
        .collect();
    let is_grouped =
        |host: &&&HostResult| groups.iter().take(2).any(|group| group.hosts.contains(&host.host));
    let names: Vec<_> =
        hosts.iter().filter(|host| !is_grouped(host)).map(|host| host.host.as_str()).collect();
    if !names.is_empty() {
        let more = if names.len() > 4 { ", …" } else { "" };
        parts.push(format!("{}{more}", names[..names.len().min(4)].join(", ")));
    }
    parts.join("; ")
}

/// Shows each host's reply to a cancel, a hold or a release. A refusal stays until the operator closes it.
fn show_decision(app: &mut App, title: &str, outcome: &DeploymentSummary) {
    let replies = outcome.hosts.iter().map(|result| match &result.report {
        Some(report) if report.status == Status::Completed => {
            // The message names a command of the shell; the console has the same one.
            let message = printable(&report.message).replace("`homelab-deploy ", "`:");
            format!("{}: {message}", result.host)
        }
        Some(report) => format!("{}: {}", result.host, describe::job_progress(report)),
        None => format!("{}: no answer", result.host),
    });
    let left_out = outcome.left_out.iter().map(|left| format!("{}: left out: {}", left.host, left.reason));
    let replies = replies.chain(left_out).collect::<Vec<_>>().join("\n");
    if outcome.exit_code() == 0 {
        app.show_lasting_notice(Tone::Good, replies.replace('\n', "; "));
    } else {
        app.show_error(title, replies);
    }
}

pub(super) fn log(app: &mut App, key: &LogKey, event: LogEvent) {
    if let Some(log) = app.log.as_mut().filter(|log| log.key == *key) {
        log.apply(event);
    }
}
