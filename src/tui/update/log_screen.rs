//! Keys on the screen of a log and in its search field.

use crate::client::LogEvent;
use crate::protocol::{DeployReport, Id, Status};
use crate::text::printable;
use crate::tui::known_deployment::KnownDeployment;
use crate::tui::{
    App, CommandLine, Context, DeploymentHostKey, DiagnosticsState, Effect, KeyCommand, LogFile, LogKey,
    LogScreen, Overlay, Screen, Tone, view,
};
use std::path::{Path, PathBuf};
use tui_input::Input;

const NOTHING_TO_SAVE: &str = "nothing to save yet";

/// Opens the log of the job in view: on a host screen, of the selected job; on a deployment screen, of the job in that
/// deployment.
pub(super) fn open(app: &mut App) {
    let key = match app.screens.last() {
        Some(Screen::Deployment(screen)) => of_part(app, &screen.id, screen.cursor.selected()),
        Some(Screen::Timeline(screen)) => of_part(app, &screen.id, screen.host()),
        Some(Screen::Host(screen)) => match screen.entry() {
            Some(entry) => Some(LogKey { host: screen.host.clone(), job: entry.id.clone() }),
            None => app.log_in_view(),
        },
        _ => app.log_in_view(),
    };
    if let Some(key) = key {
        app.screens.push(Screen::Log(LogScreen::new(key)));
    } else if let Some(host) = app.host() {
        let text = format!("{} has no job with a log", host.name);
        app.show_notice(Tone::Warn, text);
    }
}

/// The log of the selected host's job. A rejected job has no log, nor has a job of a host without an instance.
fn of_part(app: &App, id: &Id, host: Option<&DeploymentHostKey>) -> Option<LogKey> {
    let entry = KnownDeployment::of(app, id)?.host_entry(host?)?;
    let report = &entry.job?.report;
    let has_log = report.instance.is_some() && report.status != Status::Rejected;
    let job = report.id.clone().filter(|_| has_log)?;
    Some(LogKey { host: entry.host.clone(), job })
}

pub(super) fn act(app: &mut App, command: KeyCommand) -> Option<Effect> {
    let available = view::log_text_area(app.size);
    let Some(Screen::Log(screen)) = app.screens.last_mut() else { return None };
    let page = screen.page(available);
    match command {
        KeyCommand::Down => screen.scroll_down(1, page),
        KeyCommand::Up => screen.scroll_up(1, page),
        KeyCommand::PageDown => screen.scroll_down(page.rows, page),
        KeyCommand::PageUp => screen.scroll_up(page.rows, page),
        KeyCommand::First => screen.go_to_start(),
        KeyCommand::Last => screen.follow = true,
        KeyCommand::Left => screen.scroll_left(),
        KeyCommand::Right => screen.scroll_right(page),
        KeyCommand::Follow => screen.follow = !screen.follow,
        KeyCommand::Wrap => screen.wrap = !screen.wrap,
        KeyCommand::Times => screen.times = !screen.times,
        KeyCommand::Search => screen.type_search(),
        KeyCommand::NextMatch | KeyCommand::PreviousMatch => {
            let forward = command == KeyCommand::NextMatch;
            let searches = screen.search.is_some();
            let no_search = || {
                let key = app.options.keys.name(Context::Log, KeyCommand::Search);
                format!("no search yet; press {key} to search")
            };
            let (tone, text) = match screen.go_to_match(forward, page) {
                None if searches => (Tone::Warn, "no line matches the search"),
                None => (Tone::Warn, &*no_search()),
                Some(false) => return None,
                Some(true) if forward => (Tone::Plain, "search continued from the beginning"),
                Some(true) => (Tone::Plain, "search continued from the end"),
            };
            app.show_notice(tone, text);
        }
        KeyCommand::Save if screen.text.is_empty() => app.show_notice(Tone::Warn, NOTHING_TO_SAVE),
        KeyCommand::Save => {
            let file = screen.file();
            let directory = app.log_directory.as_deref().unwrap_or(app.options.log_directory.as_path());
            let line = CommandLine::with_text(format!("save {}", directory.join(file).display()));
            app.overlay = Some(Overlay::Command(line));
        }
        KeyCommand::CommandLine => super::command_line::open(app),
        KeyCommand::Help => app.overlay = Some(Overlay::Help(0)),
        KeyCommand::Back if screen.search.is_some() => screen.search = None,
        KeyCommand::Back => {
            app.screens.pop();
        }
        _ => {}
    }
    None
}

/// Saves the log on screen to a file, and remembers its directory for the next one.
pub(super) fn save(app: &mut App, path: &str) -> Result<Effect, String> {
    let Some(Screen::Log(screen)) = app.screens.last() else {
        return Err("save needs a log on screen".to_owned());
    };
    if screen.text.is_empty() {
        return Err(NOTHING_TO_SAVE.to_owned());
    }
    let path = PathBuf::from(path);
    let file = LogFile { path: path.clone(), text: screen.text.whole(), dropped_lines: screen.text.first() };
    app.log_directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).map(Path::to_owned);
    Ok(Effect::SaveLog(Box::new(file)))
}

pub(super) fn act_on_search(app: &mut App, command: KeyCommand) -> Option<Effect> {
    if let Some(Screen::Log(screen)) = app.screens.last_mut() {
        screen.end_typing(command == KeyCommand::Accept);
    }
    None
}

/// Changes the search field and searches at once.
pub(super) fn edit_search(app: &mut App, change: impl FnOnce(&mut Input)) {
    let available = view::log_text_area(app.size);
    if let Some(Screen::Log(screen)) = app.screens.last_mut()
        && let Some(typing) = &mut screen.search_input
    {
        change(&mut typing.input);
        let page = screen.page(available);
        screen.search_as_typed(page);
    }
}

/// Applies a log event. After the end of the log, the host is queried for the diagnostics of a failed job, unless they
/// are known.
pub(super) fn full_log(
    app: &mut App,
    key: &LogKey,
    event: LogEvent,
    stored_len: Option<u64>,
) -> Option<Effect> {
    let now = app.now;
    let report = app.job_of(key).cloned();
    let screen = screen_of(app, key)?;
    screen.apply(event, stored_len, now);
    if !screen.needs_diagnostics() {
        return None;
    }
    match report {
        Some(report) if report.status == Status::Completed || report.diagnostics.is_some() => {
            screen.show_diagnostics(Some(&*report));
            None
        }
        _ => {
            screen.diagnostics = DiagnosticsState::Requested;
            Some(Effect::Job(key.clone()))
        }
    }
}

/// Shows the diagnostics from the host's reply.
pub(super) fn job(app: &mut App, key: &LogKey, report: Option<&DeployReport>) {
    if let Some(screen) = screen_of(app, key) {
        screen.show_diagnostics(report);
    }
}

fn screen_of<'a>(app: &'a mut App, key: &LogKey) -> Option<&'a mut LogScreen> {
    app.screens.iter_mut().find_map(|screen| match screen {
        Screen::Log(screen) if screen.key == *key => Some(&mut **screen),
        _ => None,
    })
}

pub(super) fn saved(app: &mut App, saved: Result<String, String>) {
    match saved {
        Ok(text) => app.show_notice(Tone::Good, printable(&text)),
        Err(text) => app.show_error("The log was not saved", printable(&text)),
    }
}
