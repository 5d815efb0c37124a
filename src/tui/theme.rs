//! How things look: the terminal's own 16 colours or modifiers alone, Unicode symbols or ASCII.

use ratatui::style::{Color, Modifier, Style};
use ratatui::symbols::border;

/// What a text means, from which its look follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    /// Nothing of note.
    Plain,
    /// Less important than what is around it.
    Dim,
    /// A heading.
    Title,
    /// A key that can be pressed.
    Key,
    /// As it should be.
    Good,
    /// Under way.
    Busy,
    /// To be looked at.
    Warn,
    /// Broken.
    Bad,
    /// What is searched for.
    Match,
    /// The row or field that keys act on.
    Selected,
}

/// The look of the console.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Theme {
    /// Whether colours are used; modifiers alone otherwise.
    pub colour: bool,
    /// Whether symbols beyond ASCII can be shown.
    pub unicode: bool,
}

/// The symbols. Each state has one, so that nothing depends on colour.
#[derive(Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is named by what it stands for")]
pub struct Symbols {
    pub online: &'static str,
    pub stale: &'static str,
    pub offline: &'static str,
    pub restarting: &'static str,
    pub working: &'static str,
    pub failed: &'static str,
    pub done: &'static str,
    pub pending: &'static str,
    pub skipped: &'static str,
    pub reboot: &'static str,
    pub behind: &'static str,
    pub warning: &'static str,
    pub cursor: &'static str,
    pub mark: &'static str,
    pub then: &'static str,
    pub ascending: &'static str,
    pub descending: &'static str,
    pub full: &'static str,
    pub empty: &'static str,
    pub folded: &'static str,
    pub unfolded: &'static str,
    pub cut: char,
}

const UNICODE: Symbols = Symbols {
    online: "●",
    stale: "◐",
    offline: "○",
    restarting: "↺",
    working: "▶",
    failed: "✗",
    done: "✓",
    pending: "·",
    skipped: "–",
    reboot: "↻",
    behind: "↓",
    warning: "!",
    cursor: "▸",
    mark: "✓",
    then: "▸",
    ascending: "▲",
    descending: "▼",
    full: "█",
    empty: "░",
    folded: "▶",
    unfolded: "▼",
    cut: '…',
};

const ASCII: Symbols = Symbols {
    online: "o",
    stale: "~",
    offline: "-",
    restarting: "r",
    working: ">",
    failed: "x",
    done: "+",
    pending: ".",
    skipped: "-",
    reboot: "R",
    behind: "<",
    warning: "!",
    cursor: ">",
    mark: "*",
    then: ">",
    ascending: "^",
    descending: "v",
    full: "#",
    empty: ".",
    folded: "+",
    unfolded: "-",
    cut: '~',
};

const ASCII_BORDER: border::Set<'_> = border::Set {
    top_left: "+",
    top_right: "+",
    bottom_left: "+",
    bottom_right: "+",
    vertical_left: "|",
    vertical_right: "|",
    horizontal_top: "-",
    horizontal_bottom: "-",
};

impl Theme {
    /// The look that an environment asks for: no colour under a non-empty `NO_COLOR` or on a dumb terminal, ASCII where the
    /// locale is not UTF-8.
    pub fn of_environment(variable: impl Fn(&str) -> Option<String>) -> Self {
        let set = |name: &str| variable(name).filter(|value| !value.is_empty());
        let locale = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find_map(set).unwrap_or_default();
        let locale = locale.to_ascii_lowercase();
        Self {
            colour: set("NO_COLOR").is_none() && set("TERM").is_some_and(|term| term != "dumb"),
            unicode: locale.contains("utf-8") || locale.contains("utf8"),
        }
    }

    /// The style of a meaning.
    pub fn style(self, tone: Tone) -> Style {
        let plain = Style::new();
        let coloured = |colour: Color| if self.colour { plain.fg(colour) } else { plain };
        match tone {
            Tone::Plain => plain,
            Tone::Dim => plain.add_modifier(Modifier::DIM),
            Tone::Title | Tone::Key => plain.add_modifier(Modifier::BOLD),
            Tone::Good => coloured(Color::Green),
            Tone::Busy => coloured(Color::Cyan),
            Tone::Warn if self.colour => coloured(Color::Yellow),
            Tone::Warn => plain.add_modifier(Modifier::UNDERLINED),
            Tone::Bad => coloured(Color::Red).add_modifier(Modifier::BOLD),
            Tone::Match => plain.add_modifier(Modifier::BOLD | Modifier::UNDERLINED),
            Tone::Selected => plain.add_modifier(Modifier::REVERSED),
        }
    }

    /// The symbols.
    pub fn symbols(self) -> &'static Symbols {
        if self.unicode { &UNICODE } else { &ASCII }
    }

    /// The lines around boxes.
    pub fn border(self) -> border::Set<'static> {
        if self.unicode { border::PLAIN } else { ASCII_BORDER }
    }
}
