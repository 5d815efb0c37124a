//! Limits the data kept from hosts, because anyone with a host's key can invent hosts.

use super::journal_cause;
use crate::protocol::{DeployReport, InternedStr, MAX_COMPONENTS, Presence};
use crate::text::{fitting_prefix, fitting_suffix};
use std::ops::Deref;
use std::sync::Arc;

/// The number of hosts kept for each known host, and in addition to these.
const PER_KNOWN: usize = 4;
const UNKNOWN: usize = 1000;
/// The maximum size of one field, in bytes, and the maximum entries of one list.
const MAX_FIELD: usize = 4 * 1024;
const MAX_LIST: usize = 100;
/// The maximum size of one capability, in bytes. The longest action name of any version is far shorter.
const MAX_CAPABILITY: usize = 64;
/// The maximum size of a component's name, and of its message, in bytes.
const MAX_COMPONENT: usize = 512;
/// The maximum size of diagnostics, in bytes: as much as a listener sends.
const MAX_DIAGNOSTICS: usize = 16 * 1024;

/// The limit on the number of hosts.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct HostLimit {
    /// The number of hosts that were known at the start.
    pub(super) known: usize,
}

impl HostLimit {
    /// Whether one more host may be added to `count` hosts.
    pub(super) fn allows(self, count: usize) -> bool {
        count < self.known.saturating_mul(PER_KNOWN).saturating_add(UNKNOWN)
    }
}

/// Truncates a presence to what is displayed.
pub(super) fn truncate_presence(answer: &mut Presence) {
    for text in answer.strings_mut() {
        truncate_interned(text);
    }
    if let Some(held) = &mut answer.held {
        truncate_string(held);
    }
    truncate_list(&mut answer.failed_units);
    truncate_list(&mut answer.warnings);
    // A truncated name would be that of another component.
    answer.components.retain(|component| component.len() <= MAX_COMPONENT);
    answer.components.truncate(MAX_COMPONENTS);
    // A truncated subject would be a different subject.
    answer.deploy_subjects.retain(|subject| subject.len() <= MAX_FIELD);
    truncate_list(&mut answer.deploy_subjects);
    answer.capabilities.retain(|action| action.as_str().len() <= MAX_CAPABILITY);
    answer.capabilities.truncate(MAX_LIST);
    if let Some(keys) = &mut answer.trusted_keys {
        truncate_list(keys);
    }
}

/// Truncates a report to what is displayed, and adds the cause of a failure.
pub(super) fn truncate_report(mut report: Arc<DeployReport>) -> Arc<DeployReport> {
    if let Some(cause) = report.diagnostics.as_deref().and_then(journal_cause) {
        Arc::make_mut(&mut report).cause = Some(cause);
    }
    let is_long = |text: &Option<InternedStr>| text.as_ref().is_some_and(|text| text.len() > MAX_FIELD);
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
        && report.cause.as_ref().is_none_or(|cause| cause.len() <= MAX_FIELD)
        && report.phases.0.len() <= MAX_LIST
        && report.components.0.len() <= MAX_COMPONENTS
        && report.components.0.iter().all(|component| {
            component.name.len() <= MAX_COMPONENT && component.message.len() <= MAX_COMPONENT
        });
    if is_short {
        return report;
    }
    let mut report = Arc::unwrap_or_clone(report);
    truncate_string(&mut report.message);
    report.cause.as_mut().into_iter().for_each(truncate_string);
    truncate_list(&mut report.failed_units);
    for text in [
        &mut report.revision,
        &mut report.issuer,
        &mut report.instance,
        &mut report.commit,
        &mut report.system,
        &mut report.confirm,
    ] {
        truncate_interned(text);
    }
    if let Some(changes) = &mut report.changes {
        truncate_list(&mut changes.units_stopped);
        truncate_list(&mut changes.units_started);
        truncate_list(&mut changes.units_restarted);
    }
    if let Some(diagnostics) = &mut report.diagnostics
        && diagnostics.len() > MAX_DIAGNOSTICS
    {
        *diagnostics = fitting_suffix(diagnostics, MAX_DIAGNOSTICS).to_owned();
    }
    if let Some(progress) = &mut report.progress {
        truncate_string(&mut progress.activity);
    }
    report.phases.0.truncate(MAX_LIST);
    report.components.limit(MAX_COMPONENTS, MAX_COMPONENT);
    Arc::new(report)
}

fn size(list: &[String]) -> usize {
    list.iter().map(String::len).sum()
}

fn truncate_string(text: &mut String) {
    if text.len() > MAX_FIELD {
        *text = fitting_prefix(text, MAX_FIELD).to_owned();
    }
}

fn truncate_interned(text: &mut Option<InternedStr>) {
    if let Some(text) = text.as_mut().filter(|text| text.len() > MAX_FIELD) {
        *text = fitting_prefix(text, MAX_FIELD).into();
    }
}

/// Keeps the first entries up to the size of one field, and at least a part of the first entry.
fn truncate_list<T: Deref<Target = str> + for<'a> From<&'a str>>(list: &mut Vec<T>) {
    list.truncate(MAX_LIST);
    let mut left = MAX_FIELD;
    list.retain_mut(|text| {
        let fits = left > 0;
        if text.len() > left {
            *text = T::from(fitting_prefix(text, left));
        }
        left = left.saturating_sub(text.len().max(1));
        fits
    });
    list.shrink_to_fit();
}
