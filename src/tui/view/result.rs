//! The summary of a deployment: number of hosts per status, and failures with a common cause.

use super::columns::bar;
use super::lines::{self, Count, wrapped_span};
use crate::fleet::WHOLE_JOB;
use crate::protocol::Name;
use crate::text::{format, printable};
use crate::tui::known_deployment::KnownDeployment;
use crate::tui::{Failures, Theme, Tone};
use ratatui::text::{Line, Span};

/// Maximum width of the progress bar.
const BAR: usize = 24;
/// Minimum width of the progress bar; a narrower one shows too little.
const MIN_BAR: usize = 10;

/// `✓ 5 done  ✗ 7 failed  ▶ 3 running`; if it does not fit, without words, and then with smaller gaps.
pub(super) fn counts(known: &KnownDeployment<'_>, available: usize, theme: &Theme) -> Line<'static> {
    let symbols = theme.symbols();
    let (counts, no_answer, not_sent) = known.counts();
    let unsent = if known.has_unsent_batches() {
        (symbols.pending, not_sent, "pending", Tone::Dim)
    } else {
        (symbols.warning, not_sent, "not started", Tone::Warn)
    };
    let unanswered = if known.is_under_way() {
        (symbols.pending, no_answer, "waiting", Tone::Dim)
    } else {
        (symbols.offline, no_answer, "no answer", Tone::Warn)
    };
    let kinds: [Count<'_>; 7] = [
        (symbols.done, counts.completed, "done", Tone::Good),
        (symbols.failed, counts.failed, "failed", Tone::Bad),
        (symbols.working, counts.running, "running", Tone::Busy),
        (symbols.warning, counts.rejected, "rejected", Tone::Bad),
        (symbols.warning, counts.cancelled, "cancelled", Tone::Warn),
        unanswered,
        unsent,
    ];
    let label = |gap: &'static str, words: usize| lines::counts(theme, &kinds, gap, words);
    let mut lines = [label("  ", kinds.len()), label("  ", 0)].into_iter();
    lines.find(|line| line.width() <= available).unwrap_or_else(|| label(" ", 0))
}

/// The part of the deployment that is done, until all hosts have a result. Phases count by their usual duration.
pub(super) fn progress(known: &KnownDeployment<'_>, width: usize, theme: &Theme) -> Option<Span<'static>> {
    known.is_under_way().then(|| theme.span(Tone::Busy, bar(known.share(), WHOLE_JOB, width, theme)))
}

/// The number of hosts per status, and below it at most `most` groups of failures.
pub(super) fn summary(
    known: &KnownDeployment<'_>,
    failures: &Failures,
    most: usize,
    columns: usize,
    theme: &Theme,
) -> Vec<Line<'static>> {
    let mut first = counts(known, columns, theme);
    let available = columns.saturating_sub(first.width() + 2);
    if let Some(bar) = progress(known, BAR.min(available), theme).filter(|_| available >= MIN_BAR) {
        first.extend([Span::raw("  "), bar]);
    }
    let mut lines = vec![first];
    let mut add = |tone, text: String| lines.push(theme.span(tone, text).into());
    if let Some((tone, line)) = known.rollout_line() {
        add(tone, line);
    }
    if let Some(reason) = known.failure_reason() {
        add(Tone::Bad, printable(reason));
    }
    lines.extend(causes(failures, most, theme));
    lines
}

/// At most `most` groups of failures, and a line for the others.
pub(super) fn causes(failures: &Failures, most: usize, theme: &Theme) -> Vec<Line<'static>> {
    let mut lines: Vec<Line<'static>> = Vec::new();
    // The line for the remaining groups could show one group instead.
    let most = if failures.groups.len() == most + 1 { most + 1 } else { most };
    lines.extend(failures.groups.iter().take(most).map(|group| {
        let many = group.hosts.len() > 1;
        let who = if many { format!("{} hosts", group.hosts.len()) } else { names(&group.hosts) };
        let cause = theme.span(Tone::Bad, format!("{who}: {}", group.cause));
        let hosts = many.then(|| theme.span(Tone::Plain, format!("  {}", names(&group.hosts))));
        [Some(cause), hosts].into_iter().flatten().collect()
    }));
    let more = failures.groups.len().saturating_sub(most);
    if more > 0 {
        let hosts: usize = failures.groups.iter().skip(most).map(|group| group.hosts.len()).sum();
        let hosts = format::count(hosts, "host");
        lines.push(theme.span(Tone::Bad, format!("and {hosts} with other causes")).into());
    }
    lines
}

/// The summary with complete causes, if these fit into `rows`.
pub(super) fn in_full(summary: Vec<Line<'static>>, columns: usize, rows: usize) -> Vec<Line<'static>> {
    let whole = |(at, line): (usize, &Line<'static>)| -> Vec<Line<'static>> {
        if at == 0 || line.width() <= columns {
            return vec![line.clone()];
        }
        line.iter().flat_map(|span| wrapped_span(span, columns)).collect()
    };
    let whole: Vec<_> = summary.iter().enumerate().flat_map(whole).collect();
    if whole.len() <= rows { whole } else { summary }
}

/// Names of the first hosts; no line has space for more.
fn names(hosts: &[Name]) -> String {
    let names: Vec<_> = hosts.iter().take(30).map(Name::as_str).collect();
    let more = if hosts.len() > 30 { ", …" } else { "" };
    format!("{}{more}", names.join(", "))
}
