//! The command line: every action by its name, with completion and a history.

mod complete;
mod said;
mod targets;
mod verbs;

pub use said::Said;
pub use targets::Targets;
pub(super) use verbs::verbs;

use super::App;
use tui_input::{Input, InputRequest};

/// How many lines are remembered.
const KEPT: usize = 100;

/// A command while it is being typed.
#[derive(Debug, Default)]
pub struct CommandLine {
    /// What is typed.
    pub input: Input,
    /// Why it was not carried out.
    pub refused: Option<String>,
    /// Which of the lines before is shown, counted from the last one; and what was typed before that.
    recalled: Option<(usize, String)>,
}

impl CommandLine {
    /// What could stand for the word before the cursor, the likeliest first.
    pub fn candidates(&self, app: &App) -> Vec<String> {
        complete::candidates(self.before_cursor(), app)
    }

    /// Completes the word before the cursor as far as all candidates agree; where there is but one, wholly.
    pub(super) fn complete(&mut self, app: &App) {
        let candidates = self.candidates(app);
        let Some(first) = candidates.first() else { return };
        let word = complete::last_word(self.before_cursor());
        let mut common = first.as_str();
        for other in &candidates {
            let same = common.bytes().zip(other.bytes()).take_while(|(a, b)| a == b).count();
            common = &common[..common.floor_char_boundary(same)];
        }
        let more = common.get(word.len()..).unwrap_or_default().to_owned();
        // A key is followed by its value, whatever else by a blank.
        let ends = candidates.len() == 1 && !common.ends_with('=');
        for c in more.chars().chain(ends.then_some(' ')) {
            self.input.handle(InputRequest::InsertChar(c));
        }
        self.refused = None;
    }

    /// Shows the line before the present one in the history, or the one after it.
    pub(super) fn recall(&mut self, back: bool, history: &[String]) {
        let (at, typed) = match self.recalled.take() {
            Some((at, typed)) if back => ((at + 1).min(history.len().saturating_sub(1)), typed),
            Some((0, typed)) => {
                self.input = Input::new(typed);
                return;
            }
            Some((at, typed)) => (at - 1, typed),
            None if back => (0, self.input.value().to_owned()),
            None => return,
        };
        if let Some(line) = history.iter().rev().nth(at) {
            self.input = Input::new(line.clone());
            self.recalled = Some((at, typed));
        }
    }

    fn before_cursor(&self) -> &str {
        let value = self.input.value();
        let end = value.char_indices().nth(self.input.cursor()).map_or(value.len(), |(at, _)| at);
        &value[..end]
    }
}

/// Notes a line that was carried out.
pub(super) fn note(history: &mut Vec<String>, line: &str) {
    history.retain(|other| other != line);
    history.push(line.to_owned());
    let excess = history.len().saturating_sub(KEPT);
    history.drain(..excess);
}
