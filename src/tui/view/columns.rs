//! The columns of the host table and their cells: their order, their widths, and which ones a narrow table drops.

use super::table::{Column, FittedColumns};
use super::{commits, phase_track, what_to_know};
use crate::fleet::{DiskPlace, Host, HostStatus, Reachability, describe};
use crate::protocol::{Action, DeployReport, Presence, Revision, Status};
use crate::text::{format, printable};
use crate::tui::{App, HostColumn, Sort, Theme, Tone, text};
use ratatui::text::{Line, Span};

/// The order in which a narrow table drops columns, the highest number first: among the columns about the deployment,
/// and among those about the system. The name is never dropped.
const DROP_ORDER: [(HostColumn, [u8; 2]); 16] = [
    (HostColumn::Host, [0, 0]),
    (HostColumn::State, [1, 1]),
    (HostColumn::WhatToKnow, [2, 12]),
    (HostColumn::Revision, [3, 3]),
    (HostColumn::Tier, [4, 7]),
    (HostColumn::Role, [5, 9]),
    (HostColumn::Seen, [6, 13]),
    (HostColumn::Phases, [7, 15]),
    (HostColumn::Deployed, [8, 14]),
    (HostColumn::Generation, [9, 8]),
    (HostColumn::System, [10, 6]),
    (HostColumn::StoreFree, [11, 4]),
    (HostColumn::BootFree, [12, 5]),
    (HostColumn::Up, [13, 10]),
    (HostColumn::Booted, [14, 2]),
    (HostColumn::Listener, [15, 11]),
];
/// Widths up to which columns grow, in this order: first to fit common values, then with the remaining space.
const GROWTH: [(HostColumn, usize); 4] = [
    (HostColumn::WhatToKnow, 60),
    (HostColumn::Revision, 18),
    (HostColumn::State, 18),
    (HostColumn::WhatToKnow, MAX_WHAT_TO_KNOW),
];
/// The same for the columns of the system.
const WIDE_GROWTH: [(HostColumn, usize); 5] = [
    (HostColumn::Revision, 16),
    (HostColumn::System, 24),
    (HostColumn::Revision, 24),
    (HostColumn::Host, 24),
    (HostColumn::System, 32),
];
/// The share of a table without its first columns that WHAT TO KNOW needs at least, in eighths, and its limits. A wider
/// table has more columns.
const NARROW: usize = 8;
const WHAT_TO_KNOW_EIGHTHS: usize = 3;
const MIN_WHAT_TO_KNOW: usize = 10;
const WIDE_WHAT_TO_KNOW: usize = 46;
const MAX_WHAT_TO_KNOW: usize = 90;

/// The columns that fit into a table of this width with `margin` columns before the first cell.
pub(super) fn fitted(app: &App, width: u16, margin: u16) -> FittedColumns<HostColumn> {
    let available = usize::from(width.saturating_sub(margin + 1));
    let shown = &app.options.columns;
    let (shown, growth) =
        if app.table.wide { (&shown.system, &WIDE_GROWTH[..]) } else { (&shown.deployment, &GROWTH[..]) };
    let columns = shown.iter().map(|kind| Column {
        kind: *kind,
        title: kind.title(),
        width: [kind.width(app, available).max(sorted_heading_width(app, *kind)); 3],
        drop_order: kind.drop_order(app.table.wide),
        right: kind.is_number(),
    });
    let growth = growth.iter().map(|(kind, width)| match kind {
        HostColumn::Revision => (*kind, width + distance_width(app)),
        _ => (*kind, *width),
    });
    FittedColumns::with_growth(&columns.collect::<Vec<_>>(), width, margin, growth)
}

/// Additional width for the distances to the heads, if they are known: `−120` instead of one symbol.
fn distance_width(app: &App) -> usize {
    if app.commits.is_empty() { 0 } else { 2 }
}

/// The width of the heading with its arrow, if the table is sorted by this column.
fn sorted_heading_width(app: &App, column: HostColumn) -> usize {
    if column.sort() == Some(app.table.sort) { text::width(column.title()) + 2 } else { 0 }
}

impl HostColumn {
    pub(super) fn title(self) -> &'static str {
        match self {
            Self::Host => "HOST",
            Self::Tier => "TIER",
            Self::Role => "ROLE",
            Self::State => "STATE",
            Self::Phases => "PHASES",
            Self::WhatToKnow => "WHAT TO KNOW",
            Self::Revision => "RUNS",
            Self::Generation => "GEN",
            Self::Deployed => "DEPLOYED",
            Self::Seen => "SEEN",
            Self::System => "SYSTEM",
            Self::Booted => "BOOTED",
            Self::Up => "UP",
            Self::StoreFree => "STORE FREE",
            Self::BootFree => "BOOT FREE",
            Self::Listener => "LISTENER",
        }
    }

    /// The sort column of this column, if it has one.
    pub(super) fn sort(self) -> Option<Sort> {
        match self {
            Self::Host => Some(Sort::Host),
            Self::Tier => Some(Sort::Tier),
            Self::Role => Some(Sort::Role),
            Self::State => Some(Sort::State),
            Self::Revision => Some(Sort::Revision),
            Self::Seen => Some(Sort::Seen),
            Self::Deployed => Some(Sort::Deployed),
            Self::Generation => Some(Sort::Gen),
            Self::StoreFree => Some(Sort::Store),
            Self::BootFree => Some(Sort::Boot),
            _ => None,
        }
    }

    /// Minimum width. Names take the width of the longest one, up to a share of the table.
    fn width(self, app: &App, available: usize) -> usize {
        let [host, tier, role] = app.table.widths;
        match self {
            Self::Host => host.clamp(6, (available / 4).max(12)),
            Self::Tier => tier.clamp(4, (available / 8).max(4)),
            Self::Role => role.clamp(4, (available / 8).max(4)),
            Self::State => 15,
            Self::Generation => 4,
            Self::Deployed | Self::Listener => 8,
            Self::Seen | Self::Booted | Self::Up => 6,
            Self::System => 20,
            Self::Phases => phase_track::WIDTH,
            Self::WhatToKnow => {
                let share = available.saturating_sub(NARROW) * WHAT_TO_KNOW_EIGHTHS / 8;
                let share = share.clamp(MIN_WHAT_TO_KNOW, WIDE_WHAT_TO_KNOW);
                // The wider column of revisions drops no other column.
                share.saturating_sub(distance_width(app)).max(MIN_WHAT_TO_KNOW)
            }
            Self::StoreFree => 10,
            Self::Revision => 9 + distance_width(app),
            Self::BootFree => 9,
        }
    }

    fn drop_order(self, system: bool) -> u8 {
        let order = DROP_ORDER.iter().find(|(column, _)| *column == self);
        order.map_or(u8::MAX, |(_, order)| order[usize::from(system)])
    }

    pub(super) fn is_number(self) -> bool {
        use HostColumn::{BootFree, Deployed, Generation, Seen, StoreFree, Up};
        matches!(self, Generation | Deployed | Seen | Up | StoreFree | BootFree)
    }

    /// The cell of a host, for this width.
    pub(in crate::tui::view) fn cell(self, app: &App, host: &Host, width: usize) -> Line<'static> {
        let theme = &app.options.theme;
        let answer = host.answer.as_deref();
        let age = |then| format::age(then, app.now);
        let text = match self {
            Self::State => return state(app, host, width),
            Self::Phases => return phases(app, host),
            Self::WhatToKnow => return what_to_know::line(app, host, width),
            Self::Revision => return revision(app, host, width),
            Self::Booted => return booted(answer, theme).into(),
            Self::Host => return theme.span(Tone::Title, host.name.to_string()).into(),
            Self::Tier => host.tier.as_ref().map(ToString::to_string).unwrap_or_default(),
            Self::Role => host.role.as_ref().map(ToString::to_string).unwrap_or_default(),
            Self::Generation => {
                let generation = answer.and_then(|answer| answer.generation);
                generation.map(|generation| generation.to_string()).unwrap_or_default()
            }
            Self::Deployed => host.deployed_at().map(age).unwrap_or_default(),
            Self::Seen => {
                let tone =
                    if host.reachability(app.now) == Reachability::Online { Tone::Dim } else { Tone::Plain };
                return theme.span(tone, host.last_seen.map(age).unwrap_or_default()).into();
            }
            Self::System => text_of(answer.and_then(|answer| answer.os_version.as_deref())),
            Self::Up => answer.and_then(|answer| answer.booted_at).map(age).unwrap_or_default(),
            Self::StoreFree => free(answer.and_then(|answer| answer.nix_free_bytes)),
            Self::BootFree => free(answer.and_then(|answer| answer.boot_free_bytes)),
            Self::Listener => text_of(answer.and_then(|answer| answer.version.as_deref())),
        };
        theme.span(Tone::Plain, text).into()
    }
}

/// The track of the running job, or of the change that failed.
fn phases(app: &App, host: &Host) -> Line<'static> {
    let job = match host.status(app.now) {
        HostStatus::Deploying(job) => Some(job),
        // A failure stays while a dry run runs, whose phases move here.
        HostStatus::Failed(job) => Some(host.running_job().map_or(job, |running| running)),
        _ => None,
    };
    job.map(|job| phase_track::track(job, &app.options.theme)).unwrap_or_default()
}

/// The running revision, without the branch that all hosts should run; dim and with the distance to the head if it is
/// outdated. During a job also the commit that it deploys. A host with the base format reports its revision only with its
/// last job.
fn revision(app: &App, host: &Host, width: usize) -> Line<'static> {
    let (theme, symbols) = (&app.options.theme, app.options.theme.symbols());
    let runs = describe::running_revision(host);
    let deployed = || host.last_change.as_deref().filter(|job| job.status == Status::Completed);
    let runs =
        if runs.is_empty() { deployed().map(describe::job_revision).unwrap_or_default() } else { runs };
    let usual = app.options.tracked_branch.as_ref().map(Revision::as_str).or(app.options.branch.as_deref());
    let short = usual.and_then(|usual| runs.strip_prefix(usual)?.strip_prefix(' ').map(str::to_owned));
    let mut short = short.unwrap_or(runs);
    // A cut commit cannot be recognized, so it goes before the name of an unusual branch.
    if text::width(&short) > width
        && let Some((branch, commit)) = short.rsplit_once(' ')
    {
        short = format!("{commit} {branch}");
    }
    if let HostStatus::Deploying(job) = host.status(app.now)
        && job.action.as_ref().is_none_or(Action::changes_system)
    {
        let commit = job.commit.as_deref().map(|commit| printable(format::short_commit(commit)));
        let target = commit.filter(|commit| !short.ends_with(commit.as_str())).unwrap_or_default();
        let both = format!("{short} {} {target}", symbols.becomes);
        let text = if text::width(&both) <= width { both } else { format!("{short} {}", symbols.becomes) };
        return theme.span(Tone::Plain, text.trim_end().to_owned()).into();
    }
    if app.is_outdated(host) {
        let left = width.saturating_sub(text::width(&short) + 1);
        let distance = commits::of_host(app, host).and_then(|commit| commits::distance(app, commit, left));
        if let Some(distance) = distance {
            return theme.span(Tone::Dim, format!("{short} {distance}")).into();
        }
        return theme.span(Tone::Dim, format!("{short} {}", symbols.outdated)).into();
    }
    theme.span(Tone::Plain, short).into()
}

/// Symbol and word for the status; during a build also the number of finished builds, if it fits.
pub(in crate::tui::view) fn state(app: &App, host: &Host, width: usize) -> Line<'static> {
    let (theme, symbols) = (&app.options.theme, app.options.theme.symbols());
    let status = host.status(app.now);
    let (symbol, word, tone) = match status {
        HostStatus::Deploying(job) => {
            let [_, count, word] = describe::job_steps(job);
            let available = width.saturating_sub(text::width(symbols.working) + 1);
            // A number that is cut off would be misread.
            let step = if text::width(&count) <= available { count } else { word };
            (symbols.working, step, Tone::Busy)
        }
        HostStatus::Duplicate => (symbols.warning, "duplicate".to_owned(), Tone::Bad),
        HostStatus::Changed | HostStatus::Unproven => {
            (symbols.warning, status.as_str().to_owned(), Tone::Bad)
        }
        HostStatus::Offline => (symbols.offline, "offline".to_owned(), Tone::Warn),
        HostStatus::Stale => (symbols.stale, "stale".to_owned(), Tone::Warn),
        HostStatus::Restarting => (symbols.restarting, "restarting".to_owned(), Tone::Warn),
        _ if what_to_know::own_rejection(app, host).is_some() => {
            (symbols.failed, "rejected".to_owned(), Tone::Bad)
        }
        HostStatus::Failed(job) => {
            let width = width.saturating_sub(text::width(symbols.failed) + 1);
            (symbols.failed, failed_word(job, width), Tone::Bad)
        }
        // The names are in the next column.
        HostStatus::Units(_) if host.is_compose() => (symbols.warning, "not well".to_owned(), Tone::Bad),
        HostStatus::Units([_]) => (symbols.warning, "unit failed".to_owned(), Tone::Bad),
        HostStatus::Units(_) => (symbols.warning, "units failed".to_owned(), Tone::Bad),
        HostStatus::Disk(low) => (symbols.warning, disk_word(low.place), Tone::Warn),
        HostStatus::Held => (symbols.held, "held".to_owned(), Tone::Warn),
        HostStatus::Reboot => (symbols.reboot, "needs reboot".to_owned(), Tone::Warn),
        HostStatus::Idle => {
            return theme.span(Tone::Good, symbols.online) + theme.span(Tone::Dim, " idle");
        }
    };
    theme.span(tone, format!("{symbol} {word}")).into()
}

fn disk_word(place: DiskPlace) -> String {
    match place {
        DiskPlace::Boot => "/boot low",
        DiskPlace::Store => "store low",
        DiskPlace::State => "state dir low",
    }
    .to_owned()
}

/// How a change failed: `rolled back`, `failed: build`, or without the phase if that does not fit.
fn failed_word(job: &DeployReport, width: usize) -> String {
    if job.rolled_back == Some(true) {
        return "rolled back".to_owned();
    }
    let phase = job.phases.failed().map(|phase| format!("failed: {}", printable(phase.name.as_str())));
    phase.filter(|word| text::width(word) <= width).unwrap_or_else(|| "failed".to_owned())
}

/// `━━━━━━────── 30 %`, as text, because a cell of a table cannot contain a `Gauge`. A line, unlike a block, is also
/// right on a selected row, where colours are exchanged.
pub(in crate::tui::view) fn bar(done: u64, expected: u64, width: usize, theme: &Theme) -> String {
    let percent = format!(" {:>3} %", share(done, expected, 100));
    let cells = width.saturating_sub(percent.len());
    let full = share(done, expected, cells).min(cells);
    let symbols = theme.symbols();
    format!("{}{}{percent}", symbols.full.repeat(full), symbols.empty.repeat(cells - full))
}

/// `━━━━━━──────`
pub(in crate::tui::view) fn line_bar(done: u64, expected: u64, cells: usize, theme: &Theme) -> Line<'static> {
    let symbols = theme.symbols();
    let full = share(done, expected, cells).min(cells);
    Line::from(vec![
        theme.span(Tone::Good, symbols.full.repeat(full)),
        theme.span(Tone::Dim, symbols.empty.repeat(cells - full)),
    ])
}

/// `done` of `expected` as a part of `of`. Both numbers come from the network and can have any value.
fn share(done: u64, expected: u64, of: usize) -> usize {
    let part = u128::from(done) * of as u128 / u128::from(expected.max(1));
    usize::try_from(part).unwrap_or(of)
}

fn text_of(text: Option<&str>) -> String {
    text.map(printable).unwrap_or_default()
}

fn free(bytes: Option<u64>) -> String {
    bytes.map(format::size).unwrap_or_default()
}

/// Whether the booted system is the running one.
fn booted(answer: Option<&Presence>, theme: &Theme) -> Span<'static> {
    let systems = answer.map(|answer| (&answer.booted_system, &answer.system));
    match systems {
        _ if answer.is_some_and(|answer| answer.reboot_needed == Some(true)) => {
            theme.span(Tone::Warn, "reboot")
        }
        Some((Some(booted), Some(runs))) if booted == runs => theme.span(Tone::Plain, "same"),
        Some((Some(_), Some(_))) => theme.span(Tone::Plain, "older"),
        _ => Span::default(),
    }
}
