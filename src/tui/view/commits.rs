//! The commits between what a host runs and the head of its branch.

use crate::fleet::{CommitInfo, CommitPosition, ComparedCommit, Host};
use crate::text::format;
use crate::tui::{App, Theme, Tone, text};
use ratatui::text::{Line, Span};

/// The comparison of the commit that a host runs with the head of its branch, if it is known.
pub(super) fn of_host<'a>(app: &'a App, host: &Host) -> Option<&'a ComparedCommit> {
    app.commits.of_host(host, app.heads.as_ref())
}

/// `−2`, `+1`, or that the commit is not on the branch; `None` if it is unknown or needs more than `width` columns.
pub(super) fn distance(app: &App, commit: &ComparedCommit, width: usize) -> Option<String> {
    let symbols = app.options.theme.symbols();
    let distance = match commit.position {
        CommitPosition::OnBranch => format!("{}{}", symbols.minus, commit.behind),
        CommitPosition::Ahead(ahead) => format!("+{ahead}"),
        CommitPosition::NotOnBranch => {
            let branch = app.heads.as_ref().map(|heads| heads.branch.as_str()).unwrap_or_default();
            let words = format!("not on {branch}");
            if text::width(&words) <= width { words } else { symbols.unequal.to_owned() }
        }
        CommitPosition::Unknown => return None,
    };
    // A number that is cut off would be misread.
    (text::width(&distance) <= width).then_some(distance)
}

/// `2 commits behind`; `None` if it is unknown.
pub(super) fn describe(commit: &ComparedCommit) -> Option<String> {
    match commit.position {
        CommitPosition::OnBranch => Some(format!("{} behind", format::count(commit.behind, "commit"))),
        CommitPosition::Ahead(ahead) => Some(format!("{} ahead", format::count(ahead, "commit"))),
        CommitPosition::NotOnBranch => Some("the host's commit is not on it".to_owned()),
        CommitPosition::Unknown => None,
    }
}

/// `runs 3f2a91c nginx: brotli by alice, 2 d ago`, followed by at most `max` of the commits up to the head.
pub(super) fn lines(app: &App, host: &Host, max: usize, columns: usize) -> Vec<Line<'static>> {
    let theme = &app.options.theme;
    let Some(commit) = of_host(app, host) else { return Vec::new() };
    let mut lines = Vec::new();
    if let Some(info) = &commit.info {
        lines.push(labelled(app, "runs", info, columns));
    }
    for (n, info) in commit.newer.iter().take(max).enumerate() {
        lines.push(labelled(app, if n == 0 { "then" } else { "" }, info, columns));
    }
    let rest = commit.behind.saturating_sub(max.min(commit.newer.len()));
    if rest > 0 && !commit.newer.is_empty() {
        lines.push(theme.span(Tone::Dim, format!("     and {}", format::count(rest, "older commit"))).into());
    }
    lines
}

fn labelled(app: &App, label: &str, info: &CommitInfo, columns: usize) -> Line<'static> {
    let theme = &app.options.theme;
    theme.span(Tone::Dim, format!("{label:<5}")) + line(app, info, columns.saturating_sub(5), theme)
}

/// `b04c7de nginx: brotli by alice, 35 min ago`. If it does not fit, the subject is shortened.
pub(super) fn line(app: &App, info: &CommitInfo, columns: usize, theme: &Theme) -> Span<'static> {
    let by = format!(" by {}, {} ago", info.author, format::age(info.at, app.clock));
    let short = format!("{} ", format::short_commit(&info.commit));
    let left = columns.saturating_sub(text::width(&short) + text::width(&by));
    let cut = theme.symbols().cut;
    let subject = text::fit(&info.subject, left.max(10), cut);
    theme.span(Tone::Plain, text::fit(&format!("{short}{subject}{by}"), columns, cut))
}
