//! Results of builds.

use super::{cells, paint, quoted, table};
use crate::client::{BuildResult, BuildSummary, ResultKind};
use crate::protocol::{BuildHost, PhaseState};
use crate::text::{format, printable};
use comfy_table::Cell;
use std::fmt::Write;

/// The table of builds, followed by details of failed hosts.
pub(in crate::cli) fn builds(summary: &BuildSummary, colours: bool) -> String {
    let rows = summary.builds.iter().flat_map(rows).collect();
    let mut text = table(&["HOST", "RESULT", "TIME", ""], rows, colours);
    for report in summary.builds.iter().filter_map(|build| build.report.as_deref()) {
        if let Some(commit) = &report.commit {
            let repo = report.repo.as_ref().map(|repo| format!(" of {repo}")).unwrap_or_default();
            let _ = write!(text, "\n\n{}: commit {}{repo}", printable(&report.target), printable(commit));
        }
        // A message about the whole build, for example about names that cannot be built.
        if !report.hosts.is_empty() && !report.message.is_empty() {
            let _ = write!(text, "\n  {}", printable(&report.message));
        }
        for host in report.hosts.iter().filter(|host| host.state == PhaseState::Failed) {
            let error = host.error.as_deref().unwrap_or("failed");
            let _ = write!(text, "\n\n{}: {}", host.hostname, printable(error));
            text.push_str(&quoted(host.log_tail.as_deref().unwrap_or_default()));
        }
    }
    text
}

fn rows(build: &BuildResult) -> Vec<Vec<Cell>> {
    let target = printable(&build.target);
    let Some(report) = build.report.as_deref() else {
        let why = "no builder answered: check that one is running and that this key may publish builds";
        return vec![row(&target, build.result, String::new(), why.to_owned())];
    };
    if report.hosts.is_empty() {
        let error = report.error.as_ref().map(|error| format!("{}: ", error.words()));
        let detail = format!("{}{}", error.unwrap_or_default(), printable(&report.message));
        return vec![row(&target, build.result, String::new(), detail)];
    }
    report.hosts.iter().map(|host| of_host(host, build.result)).collect()
}

fn of_host(host: &BuildHost, of_build: ResultKind) -> Vec<Cell> {
    let result = match host.state {
        PhaseState::Done => ResultKind::Completed,
        PhaseState::Failed => ResultKind::Failed,
        PhaseState::Skipped => ResultKind::Rejected,
        _ => of_build,
    };
    let detail = host.system.as_deref().or(host.error.as_deref().and_then(|error| error.lines().next()));
    let time = if host.elapsed_ms > 0 { format::duration(host.elapsed_ms) } else { String::new() };
    let mut cells = row(host.hostname.as_str(), result, time, printable(detail.unwrap_or_default()));
    if host.state == PhaseState::Skipped {
        cells[1] = Cell::new("skipped");
    }
    cells
}

fn row(host: &str, result: ResultKind, time: String, detail: String) -> Vec<Cell> {
    let mut row = cells([host.to_owned(), String::new(), time, detail]);
    row[1] = paint(result);
    row
}
