//! Keys on the screen of a log and in its search.

use crate::deployer::LogNews;
use crate::protocol::{DeployReport, Status, printable};
use crate::tui::deployments::Known;
use crate::tui::{
    App, Command, DeploymentScreen, Diagnostics, Effect, LogFile, LogKey, LogScreen, Overlay, Screen, Tone,
    view,
};
use tui_input::Input;

/// Opens the log of the job of the host in view; on the screen of a host that of the selected job, on that of a deployment
/// that of its job there.
pub(super) fn open(app: &mut App) {
    let key = match app.screens.last() {
        Some(Screen::Deployment(screen)) => of_part(app, screen),
        Some(Screen::Host(screen)) => match screen.entry() {
            Some(entry) => Some(LogKey { host: screen.host.clone(), job: entry.id.clone() }),
            None => app.log_in_view(),
        },
        _ => app.log_in_view(),
    };
    if let Some(key) = key {
        app.screens.push(Screen::Log(LogScreen::new(key)));
    } else if let Some(host) = app.host() {
        let text = format!("{} has no job whose log could be read", host.name);
        app.say(Tone::Warn, text);
    }
}

/// The job of the selected host. What was refused never began, and a host without an instance keeps no logs.
fn of_part(app: &App, screen: &DeploymentScreen) -> Option<LogKey> {
    let part = Known::of(app, &screen.id)?.part_of(screen.cursor.selected()?)?;
    let report = &part.job?.report;
    let is_kept = report.instance.is_some() && report.status != Status::Rejected;
    let job = report.id.clone().filter(|_| is_kept)?;
    Some(LogKey { host: part.host.clone(), job })
}

pub(super) fn act(app: &mut App, command: Command) -> Option<Effect> {
    let room = view::log_room(app.size);
    let Some(Screen::Log(screen)) = app.screens.last_mut() else { return None };
    let page = screen.page(room);
    match command {
        Command::Down => screen.scroll_down(1, page),
        Command::Up => screen.scroll_up(1, page),
        Command::PageDown => screen.scroll_down(page.rows, page),
        Command::PageUp => screen.scroll_up(page.rows, page),
        Command::First => screen.go_to_start(),
        Command::Last => screen.follow = true,
        Command::Left => screen.scroll_left(),
        Command::Right => screen.scroll_right(page),
        Command::Follow => screen.follow = !screen.follow,
        Command::Wrap => screen.wrap = !screen.wrap,
        Command::Times => screen.times = !screen.times,
        Command::Search => screen.type_search(),
        Command::NextMatch | Command::PreviousMatch => {
            let forward = command == Command::NextMatch;
            let searches = screen.search.is_some();
            let (tone, text) = match screen.go_to_match(forward, page) {
                None if searches => (Tone::Warn, "no line matches the search"),
                None => (Tone::Warn, "nothing is searched for; / begins a search"),
                Some(false) => return None,
                Some(true) if forward => (Tone::Plain, "the search goes on at the beginning"),
                Some(true) => (Tone::Plain, "the search goes on at the end"),
            };
            app.say(tone, text);
        }
        Command::Save if screen.text.is_empty() => app.say(Tone::Warn, "there is nothing to save yet"),
        Command::Save => {
            let file = LogFile { name: screen.file(), text: screen.text.whole(), gone: screen.text.first() };
            return Some(Effect::SaveLog(Box::new(file)));
        }
        Command::CommandLine => super::command_line::open(app),
        Command::Help => app.overlay = Some(Overlay::Help(0)),
        Command::Back if screen.search.is_some() => screen.search = None,
        Command::Back => {
            app.screens.pop();
        }
        _ => {}
    }
    None
}

pub(super) fn act_on_search(app: &mut App, command: Command) -> Option<Effect> {
    if let Some(Screen::Log(screen)) = app.screens.last_mut() {
        screen.end_typing(command == Command::Accept);
    }
    None
}

/// Changes what is typed, and searches for it at once.
pub(super) fn edit_search(app: &mut App, change: impl FnOnce(&mut Input)) {
    let room = view::log_room(app.size);
    if let Some(Screen::Log(screen)) = app.screens.last_mut()
        && let Some(typing) = &mut screen.typing
    {
        change(&mut typing.input);
        let page = screen.page(room);
        screen.search_as_typed(page);
    }
}

/// Takes news. After the end of the log, the host is queried for the diagnostics of a job that failed, if they are not known.
pub(super) fn news(app: &mut App, key: &LogKey, news: LogNews, kept: Option<u64>) -> Option<Effect> {
    let now = app.now;
    let report = app.job_of(key).cloned();
    let screen = screen_of(app, key)?;
    screen.apply(news, kept, now);
    if !screen.wants_diagnostics() {
        return None;
    }
    match report {
        Some(report) if report.status == Status::Completed || report.diagnostics.is_some() => {
            screen.show_diagnostics(Some(&*report));
            None
        }
        _ => {
            screen.diagnostics = Diagnostics::Asked;
            Some(Effect::Job(key.clone()))
        }
    }
}

/// Takes what the host has replied about the job.
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
        Ok(text) => app.say(Tone::Good, printable(&text)),
        Err(text) => app.fault("The log was not saved", printable(&text)),
    }
}
