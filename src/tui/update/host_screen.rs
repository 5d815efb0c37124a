//! Keys on the screen of one host, navigation between its selectable lines, and its history.

use super::fleet_screen::{ask_to_cancel, copy_names, open_form};
use super::{command_line, deployments_screen, events_screen, log_screen, timeline_screen};
use crate::client::Reply;
use crate::fleet::Reachability;
use crate::protocol::{HistoryEntry, Id, Name};
use crate::text::printable;
use crate::tui::{
    App, Effect, FormKind, HostScreen, Item, KeyCommand, Overlay, Screen, Tone, subprocess, view,
};
use jiff::Timestamp;

/// Opens the screen of a host and queries its history.
pub(super) fn open(app: &mut App, host: Name) -> Effect {
    app.screens.push(Screen::Host(HostScreen::new(host.clone())));
    Effect::History(host)
}

pub(super) fn act(app: &mut App, command: KeyCommand) -> Option<Effect> {
    clamp_cursor(app);
    match command {
        KeyCommand::Deploy => open_form(app, FormKind::Deploy),
        KeyCommand::Rollback => roll_back(app),
        KeyCommand::Reboot => open_form(app, FormKind::Reboot),
        KeyCommand::Diff => open_form(app, FormKind::Diff),
        KeyCommand::Shell => return open_shell(app),
        KeyCommand::Cancel => ask_to_cancel(app, app.target_hosts()),
        KeyCommand::Copy => return copy_names(app),
        KeyCommand::Log => log_screen::open(app),
        KeyCommand::CommandLine => command_line::open(app),
        KeyCommand::Deployments => deployments_screen::open(app),
        KeyCommand::Timeline => timeline_screen::open(app),
        KeyCommand::Events => return events_screen::open(app),
        KeyCommand::Help => app.overlay = Some(Overlay::Help(0)),
        KeyCommand::Back => {
            app.screens.pop();
            // Another host screen may be below, and its history may be stale.
            return request_history(app);
        }
        command => go(app, command),
    }
    None
}

/// The topmost screen, if it is a host screen.
fn current_screen(app: &App) -> Option<&HostScreen> {
    app.screens.last().and_then(Screen::as_host)
}

fn roll_back(app: &mut App) {
    match current_screen(app).and_then(HostScreen::entry) {
        None => open_form(app, FormKind::Rollback(None)),
        Some(entry) if entry.generation.is_some() => open_form(app, FormKind::Rollback(entry.generation)),
        Some(_) => app.show_notice(Tone::Warn, "this job did not create a generation; select another one"),
    }
}

/// Opens a shell on the host in view; on a host screen with a selected unit, its journal.
pub(super) fn open_shell(app: &mut App) -> Option<Effect> {
    let unit = current_screen(app).and_then(HostScreen::unit);
    let host = app.host()?;
    match subprocess::command(app.options.shell.as_deref(), &host.name, unit) {
        Ok(command) => Some(Effect::Shell(command)),
        Err(reason) => {
            app.show_notice(Tone::Warn, reason);
            None
        }
    }
}

/// Properties of a host that lead to a new history query when they change.
pub(super) struct HistoryTrigger {
    ended: Option<Id>,
    online: bool,
}

/// The topmost host screen.
fn top_host_screen(app: &App) -> Option<&HostScreen> {
    app.screens.iter().rev().find_map(Screen::as_host)
}

/// Queries the history of the topmost host screen, if there is one.
pub(super) fn request_history(app: &App) -> Option<Effect> {
    top_host_screen(app).map(|screen| Effect::History(screen.host.clone()))
}

/// The trigger of the topmost host screen.
pub(super) fn history_trigger(app: &App, at: Timestamp) -> Option<HistoryTrigger> {
    let host = app.fleet.hosts.get(&top_host_screen(app)?.host)?;
    let ended = host.job.as_ref().filter(|job| job.status.is_final());
    Some(HistoryTrigger {
        ended: ended.and_then(|job| job.id.clone()),
        online: host.reachability(at) == Reachability::Online,
    })
}

/// Queries the history again if a job has ended or the host is back online.
pub(super) fn refresh_if_changed(app: &App, before: Option<HistoryTrigger>, at: Timestamp) -> Option<Effect> {
    let (before, after) = (before?, history_trigger(app, at)?);
    let ended = after.ended.is_some() && after.ended != before.ended;
    (ended || after.online && !before.online).then(|| request_history(app)).flatten()
}

/// Stores the reply of a host.
pub(super) fn set_history(app: &mut App, host: &Name, reply: Result<Reply<Vec<HistoryEntry>>, String>) {
    if let Ok(Reply::Ok(entries)) = &reply {
        app.feed.add_history(host, entries);
    }
    let mut screens = app.screens.iter_mut().rev().filter_map(Screen::as_host_mut);
    if let Some(screen) = screens.find(|screen| screen.host == *host) {
        screen.set_history(reply.map_err(|reason| printable(&reason)));
    }
}

/// Index of the first visible line, and of the selected line.
type ScrollPosition = (usize, Option<usize>);

/// The lines of the screen, each with its selectable item.
struct LineList {
    items: Vec<Option<Item>>,
    /// Number of visible lines.
    page: usize,
}

/// Moves to the next selectable line, or by a single line if none is in sight.
fn go(app: &mut App, command: KeyCommand) {
    change(app, |lines, place| lines.after(command, place));
}

/// Scrolls the selected line into view, because the lines may have changed.
pub(super) fn clamp_cursor(app: &mut App) {
    change(app, |_, place| place);
}

fn change(app: &mut App, moved: impl FnOnce(&LineList, ScrollPosition) -> ScrollPosition) {
    let Some(screen) = current_screen(app) else { return };
    let lines = LineList { items: view::host_items(app, screen), page: view::host_page(app.size).max(1) };
    let of_line = |item: &Option<Item>| item.is_some() && *item == screen.selected;
    let (top, at) = moved(&lines, lines.shown(screen.top, lines.items.iter().position(of_line)));
    let selected = at.and_then(|at| lines.items[at].clone());
    if let Some(screen) = app.screens.last_mut().and_then(Screen::as_host_mut) {
        (screen.top, screen.selected) = (top, selected);
    }
}

impl LineList {
    fn last_top(&self) -> usize {
        self.items.len().saturating_sub(self.page)
    }

    /// The position, scrolled so that the selected line is visible.
    fn shown(&self, top: usize, at: Option<usize>) -> ScrollPosition {
        let top = top.min(self.last_top());
        (at.map_or(top, |at| top.clamp((at + 1).saturating_sub(self.page), at)), at)
    }

    fn is_shown(&self, top: usize, at: usize) -> bool {
        (top..top + self.page).contains(&at)
    }

    /// The first of these lines that can be selected.
    fn first(&self, mut lines: impl Iterator<Item = usize>) -> Option<usize> {
        lines.find(|at| self.items.get(*at).is_some_and(Option::is_some))
    }

    fn after(&self, command: KeyCommand, (top, at): ScrollPosition) -> ScrollPosition {
        let all = self.items.len();
        // If the selected line is scrolled out of view, `other` is selected if it is visible, or else nothing.
        let scrolled = |top: usize, other: Option<usize>| {
            let top = top.min(self.last_top());
            (top, at.filter(|at| self.is_shown(top, *at)).or(other.filter(|at| self.is_shown(top, *at))))
        };
        match command {
            KeyCommand::Down => {
                let next = self.first(at.map_or(top, |at| at + 1)..all);
                match next.filter(|next| *next <= top + self.page) {
                    Some(next) => self.shown(top, Some(next)),
                    None => scrolled(top + 1, None),
                }
            }
            KeyCommand::Up => {
                let before = at.or((top > 0).then_some(top + self.page)).unwrap_or(0);
                match self.first((0..before.min(all)).rev()).filter(|before| before + 1 >= top) {
                    Some(before) => self.shown(top, Some(before)),
                    None => scrolled(top.saturating_sub(1), None),
                }
            }
            KeyCommand::PageDown => {
                let top = (top + self.page).min(self.last_top());
                scrolled(top, self.first(top..all))
            }
            KeyCommand::PageUp => {
                let top = top.saturating_sub(self.page);
                scrolled(top, self.first((0..(top + self.page).min(all)).rev()))
            }
            KeyCommand::First => (0, None),
            KeyCommand::Last => scrolled(self.last_top(), self.first((0..all).rev())),
            _ => (top, at),
        }
    }
}
