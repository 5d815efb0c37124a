//! The screen of one log: from its first line, then live.

mod rows;
mod scroll;
mod search;
mod text;

pub use scroll::Place;
pub(in crate::tui) use scroll::TIME;
pub use search::Search;
pub use text::LogText;

use crate::activation::beside_log;
use crate::deployer::LogNews;
use crate::protocol::DeployReport;
use crate::tui::{LogKey, LogState};
use jiff::Timestamp;
use tui_input::Input;

/// One log.
#[derive(Debug)]
pub struct LogScreen {
    /// Whose.
    pub key: LogKey,
    /// How it stands.
    pub state: LogState,
    /// What it says.
    pub text: LogText,
    /// Whether its end stays in view.
    pub follow: bool,
    /// Whether long lines are wrapped.
    pub wrap: bool,
    /// Whether the times are shown at which lines came.
    pub times: bool,
    /// The first row in view.
    pub top: Place,
    /// The first column in view where lines are not wrapped.
    pub left: usize,
    /// What is searched for.
    pub search: Option<Search>,
    /// The search while it is being typed.
    pub typing: Option<Typing>,
    /// Whether the diagnostics of its job are known.
    pub diagnostics: Diagnostics,
    /// The line before which all were in view once.
    seen: u64,
}

/// Whether the diagnostics are known that follow the log of a failed job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Diagnostics {
    /// The log has not ended yet.
    NotNeeded,
    /// The host was queried for them.
    Asked,
    /// They follow the log, or there are none.
    Shown,
}

/// A search while it is being typed, and what to go back to.
#[derive(Debug)]
pub struct Typing {
    /// What is typed.
    pub input: Input,
    top: Place,
    left: usize,
    follow: bool,
    search: Option<Search>,
}

impl LogScreen {
    /// A log of which nothing is known yet. It is read while this is the last of [`crate::tui::App::screens`].
    pub fn new(key: LogKey) -> Box<Self> {
        Box::new(Self {
            key,
            state: LogState::Asked,
            text: LogText::default(),
            follow: true,
            wrap: false,
            times: false,
            top: Place::default(),
            left: 0,
            search: None,
            typing: None,
            diagnostics: Diagnostics::NotNeeded,
            seen: 0,
        })
    }

    /// Takes news; what lies behind the first `kept` bytes came now.
    pub(in crate::tui) fn apply(&mut self, news: LogNews, kept: Option<u64>, now: Timestamp) {
        self.state = match news {
            LogNews::Text { offset, text } => {
                self.text.take(offset, &text, kept, now);
                if let Some(search) = &mut self.search {
                    search.look(&self.text);
                }
                LogState::Live
            }
            LogNews::Back => LogState::Live,
            LogNews::Missing => LogState::Missing,
            LogNews::Silent => LogState::Silent,
            LogNews::End => LogState::Ended,
        };
    }

    /// Whether it has ended and nothing follows it yet.
    pub(in crate::tui) fn wants_diagnostics(&self) -> bool {
        matches!(self.state, LogState::Ended | LogState::Missing)
            && self.diagnostics == Diagnostics::NotNeeded
    }

    /// Shows after the log why its job has failed.
    pub(in crate::tui) fn show_diagnostics(&mut self, report: Option<&DeployReport>) {
        if self.diagnostics == Diagnostics::Shown {
            return;
        }
        self.diagnostics = Diagnostics::Shown;
        let lines = report.and_then(|report| report.diagnostics.as_deref()).map(beside_log);
        if let Some(lines) = lines.filter(|lines| !lines.is_empty()) {
            self.text.add_after_end(lines);
            if let Some(search) = &mut self.search {
                search.look(&self.text);
            }
        }
    }

    /// Begins to type a search.
    pub(in crate::tui) fn type_search(&mut self) {
        let (top, left, follow, search) = (self.top, self.left, self.follow, self.search.take());
        self.typing = Some(Typing { input: Input::default(), top, left, follow, search });
    }

    /// Ends typing. Without anything typed, or where it is not kept, all is as before.
    pub(in crate::tui) fn end_typing(&mut self, keep: bool) {
        let Some(typing) = self.typing.take() else { return };
        if keep && self.search.is_some() {
            return;
        }
        (self.top, self.left, self.follow) = (typing.top, typing.left, typing.follow);
        self.search = typing.search;
        if let Some(search) = &mut self.search {
            search.look(&self.text);
        }
    }

    /// The name of the file that it is saved in.
    pub(in crate::tui) fn file(&self) -> String {
        format!("{}-{}.log", self.key.host, self.key.job)
    }
}
