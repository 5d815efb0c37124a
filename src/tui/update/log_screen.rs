//! Keys on the screen of a log and in its search.

use crate::deployer::LogNews;
use crate::protocol::printable;
use crate::tui::{App, Command, Effect, LogFile, LogKey, LogScreen, Overlay, Screen, Tone, view};
use tui_input::Input;

/// Opens the log of the job of the host in view; on the screen of a host that of the selected job.
pub(super) fn open(app: &mut App) {
    let selected = app.screens.last().and_then(Screen::as_host).and_then(|screen| {
        let job = screen.entry()?.id.clone();
        Some(LogKey { host: screen.host.clone(), job })
    });
    if let Some(key) = selected.or_else(|| app.log_in_view()) {
        app.screens.push(Screen::Log(LogScreen::new(key)));
    } else if let Some(host) = app.host() {
        let text = format!("{} has no job whose log could be read", host.name);
        app.say(Tone::Warn, text);
    }
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

pub(super) fn news(app: &mut App, key: &LogKey, news: LogNews, kept: Option<u64>) {
    let now = app.now;
    for screen in &mut app.screens {
        if let Screen::Log(screen) = screen
            && screen.key == *key
        {
            return screen.apply(news, kept, now);
        }
    }
}

pub(super) fn saved(app: &mut App, saved: Result<String, String>) {
    match saved {
        Ok(text) => app.say(Tone::Good, printable(&text)),
        Err(text) => app.fault("The log was not saved", printable(&text)),
    }
}
