//! Keys on the logs of several hosts and in their filter field.

use crate::client::LogEvent;
use crate::protocol::{Id, Name, Status};
use crate::tui::known_deployment::KnownDeployment;
use crate::tui::screens::LineFilter;
use crate::tui::{App, Effect, KeyCommand, LogKey, LogsScreen, Screen, Tone, view};
use tui_input::Input;

/// Number of columns per step to the left or right.
const STEP: usize = 8;

/// Opens the logs: of a deployment on its screens, of the marked hosts, of the group, or else of the running or last
/// deployment.
pub(super) fn open(app: &mut App) {
    let keys = match app.screens.last() {
        Some(Screen::Deployment(screen)) => of_deployment(app, &screen.id),
        Some(Screen::Timeline(screen)) => of_deployment(app, &screen.id),
        _ if app.target_hosts().len() > 1 => of_hosts(app, &app.target_hosts()),
        _ => match KnownDeployment::all(app).into_iter().next() {
            Some(id) => of_deployment(app, &id),
            None => Vec::new(),
        },
    };
    open_these(app, keys, "");
}

/// Opens the logs of the last jobs of these hosts, filtered.
pub(super) fn grep(app: &mut App, hosts: &[Name], pattern: &str) {
    let keys = of_hosts(app, hosts);
    open_these(app, keys, pattern);
}

fn open_these(app: &mut App, keys: Vec<LogKey>, pattern: &str) {
    if keys.is_empty() {
        return app.show_notice(Tone::Warn, "no host has a job with a log");
    }
    app.screens.push(Screen::Logs(LogsScreen::new(keys, pattern)));
}

fn of_hosts(app: &App, hosts: &[Name]) -> Vec<LogKey> {
    hosts.iter().filter_map(|host| LogKey::of(app.fleet.hosts.get(host)?)).collect()
}

/// The logs of all jobs of a deployment. A rejected job has no log, nor has a job of a host without an instance.
fn of_deployment(app: &App, id: &Id) -> Vec<LogKey> {
    let entries = KnownDeployment::of(app, id).map(|known| known.host_entries()).unwrap_or_default();
    let key = |entry: &crate::tui::known_deployment::DeploymentHost<'_>| {
        let report = &entry.job?.report;
        let has_log = report.instance.is_some() && report.status != Status::Rejected;
        Some(LogKey { host: entry.host.clone(), job: report.id.clone().filter(|_| has_log)? })
    };
    entries.iter().filter_map(key).collect()
}

pub(super) fn act(app: &mut App, command: KeyCommand) -> Option<Effect> {
    let page = view::logs_page(app.size);
    let Some(Screen::Logs(screen)) = app.screens.last_mut() else { return None };
    let lines = isize::try_from(page).unwrap_or(isize::MAX);
    match command {
        KeyCommand::Down => screen.scroll(1),
        KeyCommand::Up => screen.scroll(-1),
        KeyCommand::PageDown => screen.scroll(lines),
        KeyCommand::PageUp => screen.scroll(-lines),
        KeyCommand::First => (screen.follow, screen.top) = (false, 0),
        KeyCommand::Last => screen.follow = true,
        KeyCommand::Left => screen.left = screen.left.saturating_sub(STEP),
        KeyCommand::Right => screen.left += STEP,
        KeyCommand::Follow => screen.follow = !screen.follow,
        KeyCommand::Filter => {
            let filter = screen.filter.clone();
            screen.filter_input = Some((Input::new(filter.text.clone()), filter));
        }
        KeyCommand::Back if !screen.filter.text.is_empty() => screen.set_filter(LineFilter::default()),
        _ => super::step(app, command),
    }
    if let Some(Screen::Logs(screen)) = app.screens.last_mut() {
        screen.clamp_scroll(page);
    }
    None
}

pub(super) fn act_on_filter(app: &mut App, command: KeyCommand) -> Option<Effect> {
    let Some(Screen::Logs(screen)) = app.screens.last_mut() else { return None };
    let (_, before) = screen.filter_input.take()?;
    if command == KeyCommand::Back {
        screen.set_filter(before);
    }
    None
}

/// Changes the typed filter and applies it.
pub(super) fn edit_filter(app: &mut App, change: impl FnOnce(&mut Input)) {
    let Some(Screen::Logs(screen)) = app.screens.last_mut() else { return };
    let Some((input, _)) = &mut screen.filter_input else { return };
    change(input);
    let filter = LineFilter::new(input.value());
    if filter.text != screen.filter.text {
        screen.set_filter(filter);
    }
}

pub(super) fn apply(app: &mut App, key: &LogKey, event: LogEvent) {
    let mut screens = app.screens.iter_mut().rev();
    if let Some(screen) = screens.find_map(|screen| match screen {
        Screen::Logs(screen) => Some(screen),
        _ => None,
    }) {
        screen.apply(key, event);
    }
}
