//! Moving over the screen of a host: from one line that can be selected to the next, and a line further where there is
//! none in sight. What is selected is always in view.

use super::in_front;
use crate::tui::{App, Command, Item, Screen, view};

/// The first line in view, and the line that is selected.
type Place = (usize, Option<usize>);

/// The lines of the screen, each with what can be selected there.
struct Lines {
    items: Vec<Option<Item>>,
    /// How many are in view.
    page: usize,
}

pub(super) fn go(app: &mut App, command: Command) {
    change(app, |lines, place| lines.after(command, place));
}

/// Brings the selected line into view: lines come and go.
pub(in crate::tui::update) fn settle(app: &mut App) {
    change(app, |_, place| place);
}

fn change(app: &mut App, moved: impl FnOnce(&Lines, Place) -> Place) {
    let Some(screen) = in_front(app) else { return };
    let lines = Lines { items: view::host_items(app, screen), page: view::host_page(app.size).max(1) };
    let of_line = |item: &Option<Item>| item.is_some() && *item == screen.selected;
    let (top, at) = moved(&lines, lines.shown(screen.top, lines.items.iter().position(of_line)));
    let selected = at.and_then(|at| lines.items[at].clone());
    if let Some(screen) = app.screens.last_mut().and_then(Screen::as_host_mut) {
        (screen.top, screen.selected) = (top, selected);
    }
}

impl Lines {
    fn last_top(&self) -> usize {
        self.items.len().saturating_sub(self.page)
    }

    /// The place with the selected line in view.
    fn shown(&self, top: usize, at: Option<usize>) -> Place {
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

    fn after(&self, command: Command, (top, at): Place) -> Place {
        let all = self.items.len();
        // Where what was selected goes out of sight, `other` is; or nothing.
        let scrolled = |top: usize, other: Option<usize>| {
            let top = top.min(self.last_top());
            (top, at.filter(|at| self.is_shown(top, *at)).or(other.filter(|at| self.is_shown(top, *at))))
        };
        match command {
            Command::Down => {
                let next = self.first(at.map_or(top, |at| at + 1)..all);
                match next.filter(|next| *next <= top + self.page) {
                    Some(next) => self.shown(top, Some(next)),
                    None => scrolled(top + 1, None),
                }
            }
            Command::Up => {
                let before = at.or((top > 0).then_some(top + self.page)).unwrap_or(0);
                match self.first((0..before.min(all)).rev()).filter(|before| before + 1 >= top) {
                    Some(before) => self.shown(top, Some(before)),
                    None => scrolled(top.saturating_sub(1), None),
                }
            }
            Command::PageDown => {
                let top = (top + self.page).min(self.last_top());
                scrolled(top, self.first(top..all))
            }
            Command::PageUp => {
                let top = top.saturating_sub(self.page);
                scrolled(top, self.first((0..(top + self.page).min(all)).rev()))
            }
            Command::First => (0, None),
            Command::Last => scrolled(self.last_top(), self.first((0..all).rev())),
            _ => (top, at),
        }
    }
}
