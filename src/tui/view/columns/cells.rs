//! What each column shows of a host.

use super::Column;
use crate::fleet::{Host, Standing, words};
use crate::protocol::{Action, DeployReport, HostAnswer, Status, printable};
use crate::tui::view::painter::Piece;
use crate::tui::{App, Symbols, Tone, text};

/// From this width on progress also says what is being done, or why it failed.
const IN_FULL: usize = 44;
/// How wide a bar is beside that.
const BAR: usize = 20;

impl Column {
    /// What it shows of a host, in a cell of this width.
    pub(in crate::tui::view) fn cell(self, app: &App, host: &Host, width: usize) -> Piece {
        let symbols = app.options.theme.symbols();
        let answer = host.answer.as_deref();
        let age = |then| words::age(then, app.now);
        match self {
            Self::Host => Tone::Plain.text(host.name.as_str()),
            Self::Tier => Tone::Plain.text(host.tier.as_ref().map(ToString::to_string).unwrap_or_default()),
            Self::Role => Tone::Plain.text(host.role.as_ref().map(ToString::to_string).unwrap_or_default()),
            Self::State => state(app, host, width, symbols),
            Self::Progress => progress(app, host, width, symbols),
            Self::Revision => {
                let tone = if app.is_behind(host) { Tone::Warn } else { Tone::Plain };
                tone.text(revision(host))
            }
            Self::Generation => {
                let generation = answer.and_then(|answer| answer.generation);
                Tone::Plain.text(generation.map(|generation| generation.to_string()).unwrap_or_default())
            }
            Self::Deployed => {
                Tone::Plain.text(deployed(host).and_then(|job| job.at).map(age).unwrap_or_default())
            }
            Self::Seen => Tone::Plain.text(host.seen.map(age).unwrap_or_default()),
            Self::System => Tone::Plain.text(told(answer.and_then(|answer| answer.os_version.as_deref()))),
            Self::Booted => answer.map_or(Tone::Plain.text(""), booted),
            Self::Up => {
                Tone::Plain.text(answer.and_then(|answer| answer.boot_at).map(age).unwrap_or_default())
            }
            Self::StoreFree => free(answer.and_then(|answer| answer.nix_free_bytes)),
            Self::BootFree => free(answer.and_then(|answer| answer.boot_free_bytes)),
            Self::Version => Tone::Plain.text(told(answer.and_then(|answer| answer.version.as_deref()))),
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

/// The state: a symbol and a word; while building also how many builds are done, where that fits.
pub(in crate::tui::view) fn state(app: &App, host: &Host, width: usize, symbols: &Symbols) -> Piece {
    let standing = host.standing(app.now);
    let (symbol, word, tone) = match standing {
        Standing::Working(_) | Standing::Idle if host.is_duplicate(app.now) => {
            (symbols.warning, "duplicate".to_owned(), Tone::Bad)
        }
        Standing::Working(job) => {
            let phase = job.phases.running().map_or(job.status.as_str(), |phase| phase.name.as_str());
            let phase = printable(phase);
            let built = words::built(job).map(|(done, expected)| format!(" {done}/{expected}"));
            let room = width.saturating_sub(text::width(symbols.working) + 1 + text::width(&phase));
            // Half a number would be read as another one.
            let built = built.filter(|built| built.len() <= room).unwrap_or_default();
            (symbols.working, format!("{phase}{built}"), Tone::Busy)
        }
        Standing::Changed | Standing::Unproven => (symbols.warning, standing.word().to_owned(), Tone::Bad),
        Standing::Offline => (symbols.offline, "offline".to_owned(), Tone::Warn),
        Standing::Stale => (symbols.stale, "stale".to_owned(), Tone::Warn),
        Standing::Restarting => (symbols.restarting, "restarting".to_owned(), Tone::Warn),
        _ if our_refusal(app, host).is_some() => (symbols.failed, "rejected".to_owned(), Tone::Bad),
        Standing::Failed(job) => {
            let phase = job.phases.failed().map_or("failed", |phase| phase.name.as_str());
            (symbols.failed, printable(phase), Tone::Bad)
        }
        Standing::Idle => match host.failed_units().len() {
            0 if host.is_held() => (symbols.online, "held".to_owned(), Tone::Warn),
            0 if host.needs_reboot() => (symbols.reboot, "reboot".to_owned(), Tone::Warn),
            0 => (symbols.online, "idle".to_owned(), Tone::Good),
            1 => (symbols.warning, "unit failed".to_owned(), Tone::Bad),
            _ => (symbols.warning, "units failed".to_owned(), Tone::Bad),
        },
    };
    tone.text(format!("{symbol} {word}"))
}

/// A refusal of what was sent from here.
fn our_refusal<'a>(app: &App, host: &'a Host) -> Option<&'a DeployReport> {
    host.refusal.as_deref().filter(|report| report.id.as_ref().is_some_and(|id| app.is_ours(id)))
}

/// How far a running job is, or why it failed; where there is room, in full.
fn progress(app: &App, host: &Host, width: usize, symbols: &Symbols) -> Piece {
    let told = |what: String, more: &str| {
        let more = Some(printable(more)).filter(|more| !more.is_empty() && width >= IN_FULL);
        more.map_or(what.clone(), |more| format!("{what}: {more}"))
    };
    let error = |job: &DeployReport| {
        let error = job.error.as_ref().map(|error| printable(error.as_str())).unwrap_or_default();
        Tone::Plain.text(told(error, &job.message))
    };
    match (host.standing(app.now), our_refusal(app, host)) {
        (Standing::Working(job), _) => match words::built(job) {
            Some((done, expected)) if width < IN_FULL => Tone::Busy.text(bar(done, expected, width, symbols)),
            Some((done, expected)) => {
                let activity = job.progress.as_ref().map(|progress| printable(&progress.activity));
                let bar = bar(done, expected, BAR, symbols);
                Tone::Busy.text(format!("{bar}  {}", activity.unwrap_or_default()))
            }
            // Often only the name of the phase again.
            None if job.phases.running().is_some_and(|phase| phase.name.as_str() == job.message) => {
                Tone::Plain.text("")
            }
            None => Tone::Plain.text(printable(&job.message)),
        },
        (Standing::Failed(_) | Standing::Idle, Some(refusal)) => error(refusal),
        (Standing::Failed(job), None) if job.rolled_back == Some(true) => {
            // Of what went wrong the last words say so again.
            let why =
                job.message.strip_suffix("; rolled back to the previous system").unwrap_or(&job.message);
            Tone::Plain.text(told("rolled back".to_owned(), why))
        }
        (Standing::Failed(job), None) => error(job),
        (Standing::Idle, None) => idle(app, host, width, symbols),
        _ => Tone::Plain.text(""),
    }
}

/// What an operator should know of a host that is idle besides its state. Where that does not fit, units have short names, and
/// that it is behind its branch is left out.
fn idle(app: &App, host: &Host, width: usize, symbols: &Symbols) -> Piece {
    let units = host.failed_units();
    let has_other_state = host.is_duplicate(app.now) || !units.is_empty();
    let held = (host.is_held() && has_other_state).then(|| "held".to_owned());
    let has_other_state = has_other_state || host.is_held();
    let reboot = (host.needs_reboot() && has_other_state).then(|| format!("{} reboot", symbols.reboot));
    let behind = app.is_behind(host).then(|| format!("{} behind", symbols.behind));
    let told = |short: bool, last: Option<&String>| {
        let name = |unit: &String| match unit.strip_suffix(".service").filter(|_| short) {
            Some(name) => printable(name),
            None => printable(unit),
        };
        let others = held.iter().chain(&reboot).chain(last).cloned();
        units.iter().map(name).chain(others).collect::<Vec<_>>().join(", ")
    };
    let shortest = told(true, behind.as_ref().filter(|_| units.is_empty()));
    let texts = [told(false, behind.as_ref()), told(true, behind.as_ref()), told(false, None)];
    let fits = |text: &String| !text.is_empty() && text::width(text) <= width;
    let tone = if units.is_empty() { Tone::Warn } else { Tone::Bad };
    tone.text(texts.into_iter().find(fits).unwrap_or(shortest))
}

/// `██████░░░░░░ 30 %`
pub(in crate::tui::view) fn bar(done: u64, expected: u64, width: usize, symbols: &Symbols) -> String {
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

fn told(text: Option<&str>) -> String {
    text.map(printable).unwrap_or_default()
}

fn free(bytes: Option<u64>) -> Piece {
    Tone::Plain.text(bytes.map(words::size).unwrap_or_default())
}

/// Whether what was booted is what runs.
fn booted(answer: &HostAnswer) -> Piece {
    match (&answer.booted_system, &answer.system) {
        _ if answer.reboot_needed == Some(true) => Tone::Warn.text("reboot"),
        (Some(booted), Some(runs)) if booted == runs => Tone::Plain.text("same"),
        (Some(_), Some(_)) => Tone::Plain.text("older"),
        _ => Tone::Plain.text(""),
    }
}
