//! The changes that a job makes on its host, as far as the host reports them.

use super::lines::{wrapped, wrapped_spans};
use crate::fleet::Host;
use crate::protocol::{Action, Changes, DeployReport, PackageChange, Status};
use crate::text::{format, printable};
use crate::tui::{Theme, Tone};
use ratatui::text::{Line, Span};

/// Packages, sizes and units. A dry run without a report of changes says so.
pub(super) fn lines(host: &Host, job: &DeployReport, columns: usize, theme: &Theme) -> Vec<Line<'static>> {
    let note = |text: &'static str| vec![theme.span(Tone::Dim, text).into()];
    let Some(changes) = &job.changes else {
        let dry = job.action == Some(Action::DryActivate) && job.status == Status::Completed;
        let runs = host.answer.as_ref().and_then(|answer| answer.system.as_ref());
        return match (dry, runs.is_some() && runs == job.system.as_ref()) {
            (false, _) => Vec::new(),
            // If the host runs this system already, there is nothing to compare.
            (true, true) => note("nothing would change: the host already runs this system"),
            (true, false) => note("the host did not report what would change; see its log"),
        };
    };
    let mut lines = vec![theme.span(Tone::Title, summary(changes)).into()];
    lines.extend(wrapped_spans(changes.packages.iter().map(|package| change(package, theme)), columns));
    for (what, units) in [
        ("stops", &changes.units_stopped),
        ("starts", &changes.units_started),
        ("restarts", &changes.units_restarted),
    ] {
        if !units.is_empty() {
            let units: Vec<_> = units.iter().map(|unit| printable(unit)).collect();
            lines.extend(wrapped(theme, Tone::Plain, &format!("{what} {}", units.join(", ")), columns));
        }
    }
    lines
}

/// `2 packages, +412 MiB`
fn summary(changes: &Changes) -> String {
    let count = |count: usize, noun: &str| (count > 0).then(|| format::count(count, noun));
    let bytes = changes.bytes.filter(|bytes| *bytes != 0).map(format::signed_size);
    let units = [&changes.units_stopped, &changes.units_started, &changes.units_restarted];
    let units = units.iter().map(|units| units.len()).sum();
    let parts = [count(changes.packages.len(), "package"), bytes, count(units, "unit")];
    let parts: Vec<_> = parts.into_iter().flatten().collect();
    // Systems that differ only in the contents of files, such as an address in /etc, can have the same size.
    if parts.is_empty() { "changes files only".to_owned() } else { format!("changes {}", parts.join(", ")) }
}

/// `linux 6.12.8 → 6.12.9`; `+` and `-` mark new and removed packages.
pub(super) fn change(package: &PackageChange, theme: &Theme) -> Span<'static> {
    let then = theme.symbols().becomes;
    let name = printable(&package.name);
    let version = |version: &Option<String>| version.as_deref().map(printable);
    match (version(&package.from), version(&package.to)) {
        (Some(from), Some(to)) => theme.span(Tone::Plain, format!("{name} {from} {then} {to}")),
        (None, Some(to)) => theme.span(Tone::Good, format!("+{name} {to}")),
        (Some(from), None) => theme.span(Tone::Warn, format!("-{name} {from}")),
        (None, None) => theme.span(Tone::Plain, name),
    }
}
