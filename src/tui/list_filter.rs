//! The filter of a list other than the hosts, and its field.

use super::screens::LineFilter;
use super::{App, Screen};
use tui_input::Input;

/// The field of a filter that is being typed, and the filter that escape restores.
pub(super) type FilterField = (Input, LineFilter);

impl Screen {
    /// The filter of the list, if the screen has one.
    pub fn list_filter(&self) -> Option<&LineFilter> {
        match self {
            Self::Deployments(screen) => Some(&screen.filter),
            Self::Deployment(screen) => Some(&screen.filter),
            Self::Builds(screen) => Some(&screen.filter),
            Self::Events(screen) => Some(&screen.filter),
            Self::Changes(screen) => Some(&screen.filter),
            _ => None,
        }
    }

    /// The filter of the list for changes, if the screen has one.
    pub(super) fn list_filter_mut(&mut self) -> Option<&mut LineFilter> {
        match self {
            Self::Deployments(screen) => Some(&mut screen.filter),
            Self::Deployment(screen) => Some(&mut screen.filter),
            Self::Builds(screen) => Some(&mut screen.filter),
            Self::Events(screen) => Some(&mut screen.filter),
            Self::Changes(screen) => Some(&mut screen.filter),
            _ => None,
        }
    }
}

impl App {
    /// Opens the filter field of the list on screen.
    pub(super) fn open_list_filter(&mut self) {
        let filter = self.screens.last().and_then(Screen::list_filter).cloned();
        self.list_filter = filter.map(|filter| (Input::new(filter.text.clone()), filter));
    }

    /// Closes the filter field. A cancelled filter restores the previous one.
    pub(super) fn close_list_filter(&mut self, keep: bool) {
        if let Some((_, before)) = self.list_filter.take()
            && !keep
        {
            self.set_list_filter(before);
        }
    }

    /// Clears the filter of the list on screen; returns whether there was one.
    pub(super) fn clear_list_filter(&mut self) -> bool {
        let is_set =
            self.screens.last().and_then(Screen::list_filter).is_some_and(|filter| !filter.text.is_empty());
        if is_set {
            self.set_list_filter(LineFilter::default());
        }
        is_set
    }

    /// Changes the typed filter and applies it.
    pub(super) fn edit_list_filter(&mut self, change: impl FnOnce(&mut Input)) {
        if let Some((input, _)) = &mut self.list_filter {
            change(input);
            let filter = LineFilter::new(input.value());
            self.set_list_filter(filter);
        }
    }

    fn set_list_filter(&mut self, filter: LineFilter) {
        if let Some(current) = self.screens.last_mut().and_then(Screen::list_filter_mut) {
            *current = filter;
        }
    }
}
