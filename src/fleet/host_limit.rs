//! How much of what hosts say of themselves is kept: anyone with a key of a host can make hosts up.

use crate::protocol::{DeployReport, HostAnswer, SharedText, fit_end, fit_start};
use std::sync::Arc;

/// Hosts that are kept for each that was known before, and in addition to these.
const PER_KNOWN: usize = 4;
const UNKNOWN: usize = 1000;
/// The most of one field that is kept, in bytes, and the entries of one list.
const MAX_FIELD: usize = 4 * 1024;
const MAX_LIST: usize = 100;
/// The most of diagnostics that is kept, in bytes: as much as a listener sends.
const MAX_DIAGNOSTICS: usize = 16 * 1024;

/// How many hosts are kept.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct HostLimit {
    /// Hosts that were known before.
    pub(super) known: usize,
}

impl HostLimit {
    /// Whether one more host is kept beside so many.
    pub(super) fn allows(self, kept: usize) -> bool {
        kept < self.known.saturating_mul(PER_KNOWN).saturating_add(UNKNOWN)
    }
}

/// Cuts what a host says of itself to what is shown.
pub(super) fn cut_answer(answer: &mut HostAnswer) {
    for text in [
        &mut answer.instance,
        &mut answer.version,
        &mut answer.os_version,
        &mut answer.revision,
        &mut answer.commit,
        &mut answer.system,
        &mut answer.booted_system,
        &mut answer.flake_url,
        &mut answer.confirm,
    ] {
        cut_shared(text);
    }
    if let Some(held) = &mut answer.held {
        cut(held);
    }
    cut_list(&mut answer.failed_units);
    cut_list(&mut answer.warnings);
    // A part of a subject is another subject.
    answer.deploy_subjects.retain(|subject| subject.len() <= MAX_FIELD);
    cut_list(&mut answer.deploy_subjects);
    answer.capabilities.truncate(MAX_LIST);
}

/// Cuts what a report says to what is shown.
pub(super) fn cut_report(report: Arc<DeployReport>) -> Arc<DeployReport> {
    let is_long = |text: &Option<SharedText>| text.as_ref().is_some_and(|text| text.len() > MAX_FIELD);
    let lists = report.changes.as_ref().map_or([0; 3], |changes| {
        [&changes.units_stopped, &changes.units_started, &changes.units_restarted].map(|list| size(list))
    });
    let texts =
        [&report.revision, &report.issuer, &report.instance, &report.commit, &report.system, &report.confirm];
    let is_short = report.message.len() <= MAX_FIELD
        && size(&report.failed_units) <= MAX_FIELD
        && lists.into_iter().all(|size| size <= MAX_FIELD)
        && !texts.into_iter().any(is_long)
        && report.diagnostics.as_ref().is_none_or(|text| text.len() <= MAX_DIAGNOSTICS)
        && report.progress.as_ref().is_none_or(|progress| progress.activity.len() <= MAX_FIELD)
        && report.phases.0.len() <= MAX_LIST;
    if is_short {
        return report;
    }
    let mut report = Arc::unwrap_or_clone(report);
    cut(&mut report.message);
    cut_list(&mut report.failed_units);
    for text in [
        &mut report.revision,
        &mut report.issuer,
        &mut report.instance,
        &mut report.commit,
        &mut report.system,
        &mut report.confirm,
    ] {
        cut_shared(text);
    }
    if let Some(changes) = &mut report.changes {
        cut_list(&mut changes.units_stopped);
        cut_list(&mut changes.units_started);
        cut_list(&mut changes.units_restarted);
    }
    if let Some(diagnostics) = &mut report.diagnostics
        && diagnostics.len() > MAX_DIAGNOSTICS
    {
        *diagnostics = fit_end(diagnostics, MAX_DIAGNOSTICS).to_owned();
    }
    if let Some(progress) = &mut report.progress {
        cut(&mut progress.activity);
    }
    report.phases.0.truncate(MAX_LIST);
    Arc::new(report)
}

fn size(list: &[String]) -> usize {
    list.iter().map(String::len).sum()
}

fn cut(text: &mut String) {
    if text.len() > MAX_FIELD {
        *text = fit_start(text, MAX_FIELD).to_owned();
    }
}

fn cut_shared(text: &mut Option<SharedText>) {
    if let Some(text) = text.as_mut().filter(|text| text.len() > MAX_FIELD) {
        *text = fit_start(text, MAX_FIELD).into();
    }
}

/// Keeps the first entries, as many as one field may hold; at least a part of the first one.
fn cut_list(list: &mut Vec<String>) {
    list.truncate(MAX_LIST);
    let mut room = MAX_FIELD;
    list.retain_mut(|text| {
        let fits = room > 0;
        if text.len() > room {
            *text = fit_start(text, room).to_owned();
        }
        room = room.saturating_sub(text.len().max(1));
        fits
    });
    list.shrink_to_fit();
}
