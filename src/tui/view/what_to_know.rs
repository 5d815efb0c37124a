//! The column WHAT TO KNOW: why a host needs attention, what its job does, or what is notable.

use super::detail;
use crate::fleet::{
    AttentionGroup, Host, HostStatus, LowDisk, Reachability, describe, failure_reason, short_cause,
};
use crate::protocol::{DeployReport, Status};
use crate::text::{format, printable};
use crate::tui::{App, Tone, text};
use jiff::SignedDuration;
use ratatui::text::{Line, Span};

/// How long a finished deployment is notable.
const RECENT: SignedDuration = SignedDuration::from_hours(1);
/// The note that a message about a rollback ends with; the state already says it.
const ROLLED_BACK: &str = "; rolled back to the previous system";

/// What to know about a host, the most important fact first; `width` decides how long the cause of a failure is.
pub(super) fn line(app: &App, host: &Host, width: usize) -> Line<'static> {
    let theme = &app.options.theme;
    let facts = facts(app, host, width);
    let mut line = Line::default();
    for (tone, fact) in facts {
        let used = line.width();
        if used > 0 {
            if used + 2 + text::width(&fact).min(8) > width {
                break;
            }
            line.push_span(Span::raw("  "));
        }
        line.push_span(theme.span(tone, fact));
    }
    line
}

fn facts(app: &App, host: &Host, width: usize) -> Vec<(Tone, String)> {
    let now = app.now;
    let status = host.status(now);
    let mut facts = Vec::new();
    let mut plain = |fact: String| facts.push((Tone::Plain, fact));
    match status {
        HostStatus::Failed(job) => plain(cause(job, width)),
        HostStatus::Deploying(job) => return job_facts(app, host, job),
        HostStatus::Changed | HostStatus::Unproven => {
            host.identity_notes().into_iter().for_each(|note| plain(printable(&note)));
        }
        HostStatus::Duplicate => {
            let listeners = host.active_instances(now).count();
            plain(format!("{listeners} listeners use this name: give each a different --hostname"));
        }
        HostStatus::Stale | HostStatus::Offline if let Some(job) = host.running_job() => {
            let phase = job.phases.running().map_or("a job", |phase| phase.name.as_str());
            plain(format!("last seen in {}", printable(phase)));
        }
        HostStatus::Offline if host.last_seen.is_none() => plain("never seen".to_owned()),
        HostStatus::Reboot => plain(kernel_change(host)),
        _ => {}
    }
    if let Some(rejection) = own_rejection(app, host) {
        facts.push((Tone::Bad, format!("rejected: {}", rejection_reason(rejection))));
    }
    let is_failed = matches!(status, HostStatus::Failed(_));
    // A job that does not change the system, such as a dry run, hides no failure.
    if let Some(job) = host.running_job().filter(|_| host.reachability(now) == Reachability::Online) {
        let action = job.action.as_ref().map(|action| printable(action.as_str())).unwrap_or_default();
        facts.push((Tone::Busy, format!("{action} {}", describe::job_step(job)).trim_start().to_owned()));
    }
    if is_failed && let Some(silence) = silence(app, host) {
        facts.insert(0, (Tone::Warn, silence));
    }
    let units = host.failed_units();
    if !units.is_empty() && !is_failed {
        let names: Vec<_> = units.iter().map(|unit| printable(unit)).collect();
        facts.push((Tone::Plain, format!("{} failed", names.join(", "))));
    }
    let low = host.answer.iter().flat_map(|answer| LowDisk::of(answer));
    facts.extend(low.map(|low| (Tone::Plain, detail::low_disk(low))));
    if let Some(answer) = &host.answer {
        facts.extend(
            answer.held.iter().map(|held| (Tone::Plain, format!("held: {}", detail::hold(app, held)))),
        );
    }
    if status != HostStatus::Reboot && host.needs_reboot() {
        facts.push((Tone::Warn, "needs reboot".to_owned()));
    }
    if !is_failed && status.group() == AttentionGroup::Attention {
        facts.extend(
            silence(app, host).filter(|_| host.last_seen.is_some()).map(|silence| (Tone::Dim, silence)),
        );
    }
    if facts.is_empty() {
        facts.extend(quiet(app, host).map(|fact| (Tone::Dim, fact)));
    }
    facts
}

/// Why a change failed: the deciding line of a journal, or else the cause in the report.
pub(super) fn cause(job: &DeployReport, width: usize) -> String {
    if let Some(cause) = &job.cause {
        return short_cause(&printable(cause), width, text::width);
    }
    let reason = failure_reason(job).replace(ROLLED_BACK, "");
    match reason.strip_prefix("the health check `").and_then(|rest| rest.split_once("` did not succeed")) {
        // What failed comes before the command, which may be long.
        Some((check, _)) => format!("health check failed: {check}"),
        None => reason,
    }
}

/// The rejection of a request that this console sent.
pub(super) fn own_rejection<'a>(app: &App, host: &'a Host) -> Option<&'a DeployReport> {
    host.refusal.as_deref().filter(|report| report.id.as_ref().is_some_and(|id| app.is_ours(id)))
}

fn rejection_reason(report: &DeployReport) -> String {
    printable(&report.message)
}

/// `silent 2 min`, unless the host is online.
fn silence(app: &App, host: &Host) -> Option<String> {
    let seen = host.last_seen?;
    (host.reachability(app.now) != Reachability::Online)
        .then(|| format!("silent {}", format::age(seen, app.now)))
}

/// The activity of a job, who deploys, and the time left or so far.
fn job_facts(app: &App, host: &Host, job: &DeployReport) -> Vec<(Tone, String)> {
    let since = detail::since_last_report(app, host, job);
    let mut facts = Vec::new();
    let activity = job.progress.as_ref().map(|progress| printable(&progress.activity)).unwrap_or_default();
    let activity = activity.strip_prefix("building ").unwrap_or(&activity);
    if !activity.is_empty() && job.phases.running().is_none_or(|phase| phase.name.as_str() == "build") {
        facts.push((Tone::Plain, activity.to_owned()));
    }
    if let Some((_, component)) = job.components.running() {
        facts.push((Tone::Plain, printable(&component.name)));
    }
    // The message is often only the name of the phase.
    let phase = job.phases.running().map(|phase| phase.name.as_str());
    if facts.is_empty() && phase != Some(job.message.as_str()) && !job.message.is_empty() {
        facts.push((Tone::Plain, printable(&job.message)));
    }
    match (describe::remaining_ms(job, since), job.elapsed_ms) {
        (Some(left), _) => facts.push((Tone::Dim, format::remaining(left))),
        (None, Some(elapsed)) => facts.push((Tone::Dim, format::elapsed(elapsed.saturating_add(since)))),
        _ => {}
    }
    if let Some(issuer) = job.issuer.as_deref().filter(|issuer| *issuer != app.options.issuer) {
        facts.push((Tone::Dim, format!("by {}", printable(issuer))));
    }
    facts
}

/// `kernel 6.12.7 → 6.12.9`, if the last change is the one that needs the reboot.
fn kernel_change(host: &Host) -> String {
    let changes = host.last_change.as_ref().and_then(|job| job.changes.as_ref());
    let kernel = changes.and_then(|changes| changes.packages.iter().find(|package| package.name == "linux"));
    match kernel.map(|package| (&package.from, &package.to)) {
        Some((Some(from), Some(to))) => printable(&format!("kernel {from} → {to}")),
        _ => "runs an older kernel or initrd".to_owned(),
    }
}

/// What is notable about a host without a problem.
fn quiet(app: &App, host: &Host) -> Option<String> {
    if let Some(warning) = host.answer.as_ref().and_then(|answer| answer.warnings.first()) {
        return Some(printable(warning));
    }
    let job = host.job.as_deref()?;
    if job.is_cancelled() {
        return Some(format!("cancelled: {}", printable(&job.message)));
    }
    let at = host.deployed_at()?;
    let is_recent = job.status == Status::Completed && app.now.duration_since(at) < RECENT;
    is_recent.then(|| format!("deployed {} ago", format::age(at, app.now)))
}
