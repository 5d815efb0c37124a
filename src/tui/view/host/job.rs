//! The running or last job: its phases with their times, how it ended and why, what it changes, what it said last.

use super::{INDENT, Row};
use crate::fleet::{Host, words};
use crate::protocol::{Action, DeployReport, Status, printable};
use crate::tui::view::flow::flow;
use crate::tui::view::{changes, detail};
use crate::tui::{App, Tone};

/// How many of the last lines of the diagnostics, and of the log, are shown.
const DIAGNOSTICS: usize = 12;
const LOG: usize = 6;

pub(super) fn rows(app: &App, host: &Host, columns: usize) -> Vec<Row> {
    let symbols = app.options.theme.symbols();
    let inside = columns.saturating_sub(INDENT);
    let mut rows = Vec::new();
    let Some(job) = host.job.as_deref() else {
        rows.extend(Row::heading("Job", Vec::new()));
        rows.extend(Row::wrapped(Tone::Dim, "none is known", columns));
        return rows;
    };
    rows.extend(Row::heading("Job", vec![Tone::Plain.text(detail::job_title(app, host, job))]));
    let phases = detail::phases(app, host, job, true, symbols);
    let lines = flow(phases, inside).into_iter().chain(detail::verdict(app, host, job, inside));
    rows.extend(lines.map(Row::of));
    rows.extend(more(job).into_iter().flat_map(|text| Row::wrapped(Tone::Plain, &text, columns)));
    rows.extend(changes::lines(host, job, inside, symbols).into_iter().map(Row::of));
    match job.diagnostics.as_deref().filter(|_| job.status.is_final()) {
        Some(diagnostics) => {
            let lines: Vec<_> = diagnostics.lines().collect();
            let last = &lines[lines.len().saturating_sub(DIAGNOSTICS)..];
            let quoted = |line: &&str| Row::of(vec![Tone::Dim.text(format!("| {}", printable(line)))]);
            rows.extend(last.iter().map(quoted));
        }
        // What went well needs none, but of a dry run the log may be all there is.
        None if job.status == Status::Completed && job.action != Some(Action::DryActivate) => {}
        None => rows.extend(detail::log_lines(app, LOG).into_iter().map(Row::of)),
    }
    rows
}

/// What else the report tells.
fn more(job: &DeployReport) -> Vec<String> {
    let built = words::built(job).filter(|_| !job.status.is_final());
    let built = built.map(|(done, expected)| format!("{done} of {expected} built"));
    let back = job.rollback_note().map(str::to_owned);
    let generation = job.generation.map(|generation| format!("made generation {generation}"));
    let generation = generation.filter(|_| job.status.is_final());
    let reboot =
        (job.reboot_needed == Some(true)).then(|| "a reboot is needed for the whole of it".to_owned());
    [built, back, generation, reboot].into_iter().flatten().collect()
}
