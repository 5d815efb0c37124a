//! The running or last job: phases with times, result, changes, and the last lines of its output.

use super::{HostLine, INDENT};
use crate::fleet::{Host, describe};
use crate::protocol::{Action, DeployReport, Status};
use crate::text::{last, printable};
use crate::tui::view::lines::wrapped_spans;
use crate::tui::view::{changes, detail};
use crate::tui::{App, Tone};
use ratatui::text::Line;

/// Number of lines of the diagnostics and of the log.
const DIAGNOSTICS: usize = 12;
const LOG: usize = 6;

pub(super) fn rows(app: &App, host: &Host, columns: usize) -> Vec<HostLine> {
    let theme = &app.options.theme;
    let inside = columns.saturating_sub(INDENT);
    let mut rows = Vec::new();
    let Some(job) = host.job.as_deref() else {
        rows.extend(HostLine::heading(theme, "Job", Line::default()));
        rows.extend(HostLine::wrapped(theme, Tone::Dim, "no job is known", columns));
        return rows;
    };
    let title = theme.span(Tone::Plain, detail::job_title(app, host, job));
    rows.extend(HostLine::heading(theme, "Job", title));
    let phases = detail::phases(app, host, job, true);
    let lines = wrapped_spans(phases, inside).into_iter().chain(detail::result_lines(app, host, job, inside));
    rows.extend(lines.map(HostLine::of));
    rows.extend(more(job).into_iter().flat_map(|text| HostLine::wrapped(theme, Tone::Plain, &text, columns)));
    rows.extend(changes::lines(host, job, inside, theme).into_iter().map(HostLine::of));
    match job.diagnostics.as_deref().filter(|_| job.status.is_final()) {
        Some(diagnostics) => {
            let lines: Vec<_> = diagnostics.lines().collect();
            let last = last(&lines, DIAGNOSTICS);
            let quoted = |line: &&str| HostLine::of(theme.span(Tone::Dim, format!("| {}", printable(line))));
            rows.extend(last.iter().map(quoted));
        }
        // A successful job needs no log. The log of a dry run may be all that it reports.
        None if job.status == Status::Completed && job.action != Some(Action::DryActivate) => {}
        None => rows.extend(detail::log_lines(app, LOG).into_iter().map(HostLine::of)),
    }
    rows
}

/// Further facts from the report.
fn more(job: &DeployReport) -> Vec<String> {
    let built = describe::build_counts(job).filter(|_| !job.status.is_final());
    let built = built.map(|(done, expected)| format!("{done} of {expected} built"));
    let back = job.rollback_note().map(str::to_owned);
    let generation = job.generation.map(|generation| format!("created generation {generation}"));
    let generation = generation.filter(|_| job.status.is_final());
    let reboot = (job.reboot_needed == Some(true))
        .then(|| "a reboot is needed to run all of the new system".to_owned());
    [built, back, generation, reboot].into_iter().flatten().collect()
}
