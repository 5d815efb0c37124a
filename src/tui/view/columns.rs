//! The columns of the table: what each shows of a host, and which leave first where it is narrow.

use super::painter::Piece;
use crate::fleet::{Host, Standing, words};
use crate::protocol::{Action, DeployReport, Status, printable};
use crate::tui::{App, Sort, Symbols, Tone};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Column {
    Host,
    Tier,
    Role,
    State,
    Progress,
    Revision,
    Generation,
    Deployed,
    Seen,
}

/// The order on the screen, and the order in which they leave: the highest number first, the name never.
const COLUMNS: [(Column, u8); 9] = [
    (Column::Host, 0),
    (Column::Tier, 3),
    (Column::Role, 5),
    (Column::State, 1),
    (Column::Progress, 2),
    (Column::Revision, 4),
    (Column::Generation, 7),
    (Column::Deployed, 8),
    (Column::Seen, 6),
];

/// The blank columns between two.
pub(super) const GAP: usize = 2;

/// The columns that fit into `room`, each with its width. What is left over goes to progress, or else to the name.
pub(super) fn fitting(app: &App, room: usize) -> Vec<(Column, usize)> {
    let mut shown = COLUMNS.to_vec();
    let needed = |shown: &[(Column, u8)]| -> usize {
        shown.iter().map(|(column, _)| column.width(app, room) + GAP).sum::<usize>().saturating_sub(GAP)
    };
    while needed(&shown) > room && shown.len() > 1 {
        let last = shown.iter().map(|(_, leaves)| *leaves).max();
        shown.retain(|(_, leaves)| Some(*leaves) != last);
    }
    let spare = room.saturating_sub(needed(&shown));
    let takes = if shown.iter().any(|(column, _)| *column == Column::Progress) {
        Column::Progress
    } else {
        Column::Host
    };
    let width = |column: Column| {
        let more = match column {
            _ if column != takes => 0,
            Column::Progress => spare.min(28),
            _ => spare,
        };
        (column.width(app, room) + more).min(room)
    };
    shown.into_iter().map(|(column, _)| (column, width(column))).collect()
}

impl Column {
    pub(super) fn title(self) -> &'static str {
        match self {
            Self::Host => "HOST",
            Self::Tier => "TIER",
            Self::Role => "ROLE",
            Self::State => "STATE",
            Self::Progress => "PROGRESS",
            Self::Revision => "REVISION",
            Self::Generation => "GEN",
            Self::Deployed => "DEPLOYED",
            Self::Seen => "SEEN",
        }
    }

    /// The sort that this column belongs to.
    pub(super) fn sort(self) -> Option<Sort> {
        match self {
            Self::Host => Some(Sort::Host),
            Self::Tier => Some(Sort::Tier),
            Self::Role => Some(Sort::Role),
            Self::State => Some(Sort::State),
            Self::Revision => Some(Sort::Revision),
            Self::Seen => Some(Sort::Seen),
            Self::Progress | Self::Generation | Self::Deployed => None,
        }
    }

    /// The least width. Names take what the longest needs, but no more than their share of the room.
    fn width(self, app: &App, room: usize) -> usize {
        let [host, tier, role] = app.table.widths;
        match self {
            Self::Host => host.clamp(6, (room / 4).max(12)),
            Self::Tier => tier.clamp(6, (room / 8).max(6)),
            Self::Role => role.clamp(6, (room / 8).max(6)),
            Self::State => 14,
            Self::Progress => 10,
            Self::Revision => 12,
            Self::Generation => 4,
            Self::Deployed => 8,
            Self::Seen => 6,
        }
    }

    pub(super) fn is_number(self) -> bool {
        matches!(self, Self::Generation | Self::Deployed | Self::Seen)
    }

    /// What it shows of a host, in a cell of this width.
    pub(super) fn cell(self, app: &App, host: &Host, width: usize) -> Piece {
        let symbols = app.options.theme.symbols();
        let answer = host.answer.as_deref();
        let age = |then| words::age(then, app.now);
        match self {
            Self::Host => Tone::Plain.text(host.name.as_str()),
            Self::Tier => Tone::Plain.text(host.tier.as_ref().map(ToString::to_string).unwrap_or_default()),
            Self::Role => Tone::Plain.text(host.role.as_ref().map(ToString::to_string).unwrap_or_default()),
            Self::State => state(app, host, symbols),
            Self::Progress => progress(app, host, width, symbols),
            Self::Revision => Tone::Plain.text(revision(host)),
            Self::Generation => {
                let generation = answer.and_then(|answer| answer.generation);
                Tone::Plain.text(generation.map(|generation| generation.to_string()).unwrap_or_default())
            }
            Self::Deployed => {
                Tone::Plain.text(deployed(host).and_then(|job| job.at).map(age).unwrap_or_default())
            }
            Self::Seen => Tone::Plain.text(host.seen.map(age).unwrap_or_default()),
        }
    }
}

/// The last job, where it changed what runs.
fn deployed(host: &Host) -> Option<&DeployReport> {
    let changes = |action: &Action| !matches!(action, Action::Build | Action::DryActivate);
    let job = host.job.as_deref()?;
    (job.status == Status::Completed && job.action.as_ref().is_none_or(changes)).then_some(job)
}

/// What runs; a base host tells it only by its last job.
fn revision(host: &Host) -> String {
    let runs = words::runs(host);
    if runs.is_empty() { deployed(host).map(words::deploys).unwrap_or_default() } else { runs }
}

/// The state: a symbol and a word.
fn state(app: &App, host: &Host, symbols: &Symbols) -> Piece {
    let standing = host.standing(app.now);
    let answer = host.answer.as_deref();
    let (symbol, word, tone) = match standing {
        Standing::Working(job) => {
            let phase = job.phases.running().map_or(job.status.as_str(), |phase| phase.name.as_str());
            let built = words::built(job).map(|(done, expected)| format!(" {done}/{expected}"));
            (symbols.working, format!("{}{}", printable(phase), built.unwrap_or_default()), Tone::Busy)
        }
        Standing::Offline => (symbols.offline, "offline".to_owned(), Tone::Warn),
        Standing::Stale => (symbols.stale, "stale".to_owned(), Tone::Warn),
        Standing::Restarting => (symbols.restarting, "restarting".to_owned(), Tone::Warn),
        _ if our_refusal(app, host).is_some() => (symbols.failed, "rejected".to_owned(), Tone::Bad),
        Standing::Failed(job) => {
            let phase = job.phases.failed().map_or("failed", |phase| phase.name.as_str());
            (symbols.failed, printable(phase), Tone::Bad)
        }
        Standing::Idle if host.claimants(app.now).len() > 1 => {
            (symbols.warning, "two of one name".to_owned(), Tone::Bad)
        }
        Standing::Idle if answer.is_some_and(|answer| answer.held.is_some()) => {
            (symbols.online, "held".to_owned(), Tone::Warn)
        }
        Standing::Idle if answer.is_some_and(|answer| answer.reboot_needed == Some(true)) => {
            (symbols.reboot, "reboot".to_owned(), Tone::Warn)
        }
        Standing::Idle => (symbols.online, "idle".to_owned(), Tone::Good),
    };
    tone.text(format!("{symbol} {word}"))
}

/// A refusal of what was sent from here.
fn our_refusal<'a>(app: &App, host: &'a Host) -> Option<&'a DeployReport> {
    host.refusal.as_deref().filter(|report| report.id.as_ref().is_some_and(|id| app.is_ours(id)))
}

fn progress(app: &App, host: &Host, width: usize, symbols: &Symbols) -> Piece {
    let error = |job: &DeployReport| {
        Tone::Plain.text(job.error.as_ref().map(|error| printable(error.as_str())).unwrap_or_default())
    };
    match (host.standing(app.now), our_refusal(app, host)) {
        (Standing::Working(job), _) => match words::built(job) {
            Some((done, expected)) => Tone::Busy.text(bar(done, expected, width, symbols)),
            // Often only the name of the phase again.
            None if job.phases.running().is_some_and(|phase| phase.name.as_str() == job.message) => {
                Tone::Plain.text("")
            }
            None => Tone::Plain.text(printable(&job.message)),
        },
        (Standing::Failed(_) | Standing::Idle, Some(refusal)) => error(refusal),
        (Standing::Failed(job), None) if job.rolled_back == Some(true) => Tone::Plain.text("rolled back"),
        (Standing::Failed(job), None) => error(job),
        _ => Tone::Plain.text(""),
    }
}

/// `██████░░░░░░ 30 %`
pub(super) fn bar(done: u64, expected: u64, width: usize, symbols: &Symbols) -> String {
    // Both come over the wire and may be of any size.
    let share = |of: usize| {
        let part = u128::from(done) * of as u128 / u128::from(expected.max(1));
        usize::try_from(part).unwrap_or(of)
    };
    let percent = format!(" {:>3} %", share(100));
    let cells = width.saturating_sub(percent.len());
    let full = share(cells).min(cells);
    format!("{}{}{percent}", symbols.full.repeat(full), symbols.empty.repeat(cells - full))
}
