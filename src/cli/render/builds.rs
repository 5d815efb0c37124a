//! How builds ended.

use super::table::table;
use super::{cells, paint, quoted};
use crate::deployer::{BuildOutcome, BuildResult, Verdict};
use crate::fleet::words;
use crate::protocol::{BuildHost, PhaseState, printable};
use comfy_table::Cell;
use std::fmt::Write;

/// The table of builds, and below it why hosts failed.
pub(in crate::cli) fn builds(outcome: &BuildOutcome, colours: bool) -> String {
    let rows = outcome.builds.iter().flat_map(rows).collect();
    let mut text = table(&["HOST", "RESULT", "TIME", ""], rows, colours);
    for report in outcome.builds.iter().filter_map(|build| build.report.as_deref()) {
        if let Some(commit) = &report.commit {
            let repo = report.repo.as_ref().map(|repo| format!(" of {repo}")).unwrap_or_default();
            let _ = write!(text, "\n\n{}: commit {}{repo}", printable(&report.target), printable(commit));
        }
        // What is to be known beside the hosts, such as names that could not be built.
        if !report.hosts.is_empty() && !report.message.is_empty() {
            let _ = write!(text, "\n  {}", printable(&report.message));
        }
        for host in report.hosts.iter().filter(|host| host.state == PhaseState::Failed) {
            let error = host.error.as_deref().unwrap_or("it failed");
            let _ = write!(text, "\n\n{}: {}", host.hostname, printable(error));
            text.push_str(&quoted(host.log_tail.as_deref().unwrap_or_default()));
        }
    }
    text
}

fn rows(build: &BuildResult) -> Vec<Vec<Cell>> {
    let target = printable(&build.target);
    let Some(report) = build.report.as_deref() else {
        let why = "no builder answered; is one running, and may this key publish there?";
        return vec![row(&target, build.verdict, String::new(), why.to_owned())];
    };
    if report.hosts.is_empty() {
        let error = report.error.as_ref().map(|error| format!("{}: ", printable(error.as_str())));
        let told = format!("{}{}", error.unwrap_or_default(), printable(&report.message));
        return vec![row(&target, build.verdict, String::new(), told)];
    }
    report.hosts.iter().map(|host| of_host(host, build.verdict)).collect()
}

fn of_host(host: &BuildHost, of_build: Verdict) -> Vec<Cell> {
    let verdict = match host.state {
        PhaseState::Done => Verdict::Completed,
        PhaseState::Failed => Verdict::Failed,
        PhaseState::Skipped => Verdict::Rejected,
        _ => of_build,
    };
    let told = host.system.as_deref().or(host.error.as_deref().and_then(|error| error.lines().next()));
    let time = if host.elapsed_ms > 0 { words::duration(host.elapsed_ms) } else { String::new() };
    let mut cells = row(host.hostname.as_str(), verdict, time, printable(told.unwrap_or_default()));
    if host.state == PhaseState::Skipped {
        cells[1] = Cell::new("skipped");
    }
    cells
}

fn row(host: &str, verdict: Verdict, time: String, told: String) -> Vec<Cell> {
    let mut row = cells([host.to_owned(), String::new(), time, told]);
    row[1] = paint(verdict);
    row
}
