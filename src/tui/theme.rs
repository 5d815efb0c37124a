//! Styles and symbols: 16 colours or only modifiers, Unicode or ASCII. `[console.theme]` replaces styles.

use super::text;
use clap::ValueEnum;
use ratatui::style::{Color, Modifier, Style};
use ratatui::symbols::border;
use ratatui::text::Span;
use std::borrow::Cow;

/// Meaning of a text, which selects its style. The names are keys of `[console.theme]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
pub enum Tone {
    /// Normal text.
    #[value(skip)]
    Plain,
    /// Less important text.
    Dim,
    /// Headings.
    Title,
    /// Keys in the help and the footer.
    Key,
    /// Success.
    Good,
    /// In progress.
    Busy,
    /// Needs attention.
    Warn,
    /// Failure.
    Bad,
    /// Matches of a search.
    Match,
    /// The row or field that keys act on.
    Selected,
    /// Frames and scrollbars.
    Frame,
}

/// Number of tones.
const TONES: usize = 11;

/// Colours and symbols of the console.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Theme {
    /// Whether colours are used; otherwise only modifiers.
    pub colour: bool,
    /// Whether symbols beyond ASCII are used.
    pub unicode: bool,
    /// Configured styles, by tone.
    styles: [Option<Style>; TONES],
}

/// The symbols. Each state has a different one, so that nothing depends on colour.
#[derive(Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is named after its meaning")]
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
    pub outdated: &'static str,
    pub minus: &'static str,
    pub unequal: &'static str,
    pub warning: &'static str,
    pub cursor: &'static str,
    pub mark: &'static str,
    pub then: &'static str,
    pub ascending: &'static str,
    pub descending: &'static str,
    pub full: &'static str,
    pub reached: &'static str,
    pub empty: &'static str,
    pub becomes: &'static str,
    pub held: &'static str,
    pub folded: &'static str,
    pub unfolded: &'static str,
    pub scroll: &'static str,
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
    outdated: "↓",
    minus: "−",
    unequal: "≠",
    warning: "!",
    cursor: "▸",
    mark: "✓",
    then: "▸",
    ascending: "▲",
    descending: "▼",
    full: "━",
    reached: "╸",
    empty: "─",
    becomes: "→",
    held: "■",
    folded: "▸",
    unfolded: "▾",
    scroll: "┃",
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
    outdated: "<",
    minus: "-",
    unequal: "!=",
    warning: "!",
    cursor: ">",
    mark: "*",
    then: ">",
    ascending: "^",
    descending: "v",
    full: "=",
    reached: ">",
    empty: "-",
    becomes: "->",
    held: "H",
    folded: "+",
    unfolded: "-",
    scroll: "#",
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

impl Tone {
    /// The style, unless another one is configured.
    fn default_style(self, colour: bool) -> Style {
        let plain = Style::new();
        let coloured = |wanted: Color| if colour { plain.fg(wanted) } else { plain };
        match self {
            Self::Plain => plain,
            Self::Dim | Self::Frame => plain.add_modifier(Modifier::DIM),
            Self::Title | Self::Key => plain.add_modifier(Modifier::BOLD),
            Self::Good => coloured(Color::Green),
            Self::Busy => coloured(Color::Cyan),
            Self::Warn if colour => coloured(Color::Yellow),
            Self::Warn => plain.add_modifier(Modifier::UNDERLINED),
            Self::Bad if colour => coloured(Color::Red).add_modifier(Modifier::BOLD),
            // Without colours, the worst state must be the most visible text.
            Self::Bad => plain.add_modifier(Modifier::BOLD | Modifier::REVERSED),
            Self::Match => plain.add_modifier(Modifier::BOLD | Modifier::UNDERLINED),
            Self::Selected => plain.add_modifier(Modifier::REVERSED),
        }
    }

    /// The default style, as it is written in the configuration file.
    pub fn default_words(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Dim | Self::Frame => "dim",
            Self::Title | Self::Key => "bold",
            Self::Good => "green",
            Self::Busy => "cyan",
            Self::Warn => "yellow",
            Self::Bad => "bold red",
            Self::Match => "bold underlined",
            Self::Selected => "reversed",
        }
    }
}

/// Reads a style such as `bold yellow` or `black on light-blue`.
pub(super) fn parse_style(text: &str) -> Result<Style, String> {
    let mut style = Style::new();
    let mut words = text.split_whitespace();
    while let Some(word) = words.next() {
        style = match word {
            "plain" => style,
            "bold" => style.bold(),
            "dim" => style.dim(),
            "italic" => style.italic(),
            "underlined" => style.underlined(),
            "reversed" => style.reversed(),
            "on" => style.bg(parse_colour(words.next().unwrap_or_default())?),
            word => style.fg(parse_colour(word)?),
        };
    }
    Ok(style)
}

fn parse_colour(word: &str) -> Result<Color, String> {
    word.parse().map_err(|_| {
        format!(
            "unknown style {word:?}: expected a colour such as red, light-blue, 208 or #ff8700, \"on\" and a colour, \
             plain, bold, dim, italic, underlined or reversed"
        )
    })
}

impl Theme {
    /// A theme with the default styles.
    pub const fn new(colour: bool, unicode: bool) -> Self {
        Self { colour, unicode, styles: [None; TONES] }
    }

    /// The theme with other styles. Without colours it keeps its own, because a style may consist of nothing else.
    #[must_use]
    pub fn with_styles(mut self, styles: impl IntoIterator<Item = (Tone, Style)>) -> Self {
        for (tone, style) in styles.into_iter().filter(|_| self.colour) {
            self.styles[tone as usize] = Some(style);
        }
        self
    }

    /// The theme for an environment: no colour if `NO_COLOR` is not empty or the terminal is dumb, and ASCII unless the
    /// locale is UTF-8 and the terminal is not the kernel's console.
    pub fn of_environment(variable: impl Fn(&str) -> Option<String>) -> Self {
        let set = |name: &str| variable(name).filter(|value| !value.is_empty());
        let locale = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find_map(set).unwrap_or_default();
        let locale = locale.to_ascii_lowercase();
        let term = set("TERM");
        // The font of the kernel's console lacks most symbols.
        let has_symbols = term.as_deref() != Some("linux");
        Self::new(
            set("NO_COLOR").is_none() && term.is_some_and(|term| term != "dumb"),
            has_symbols && (locale.contains("utf-8") || locale.contains("utf8")),
        )
    }

    /// The style of a tone.
    pub fn style(&self, tone: Tone) -> Style {
        self.styles[tone as usize].unwrap_or_else(|| tone.default_style(self.colour))
    }

    /// The style of a selected row: it replaces the styles of the row, so that the row is one even bar.
    pub fn selected_row(&self) -> Style {
        Style::reset().patch(self.style(Tone::Selected))
    }

    /// A piece of text in this tone. Text from hosts and operators can be in any language, so it is converted for an ASCII
    /// terminal.
    pub fn span(&self, tone: Tone, text: impl Into<Cow<'static, str>>) -> Span<'static> {
        let text = text.into();
        let text = if self.unicode || text.is_ascii() { text } else { text::ascii(&text).into() };
        Span::styled(text, self.style(tone))
    }

    /// The symbol set of the theme.
    pub fn symbols(&self) -> &'static Symbols {
        if self.unicode { &UNICODE } else { &ASCII }
    }

    /// The lines of a frame.
    pub fn border(&self) -> border::Set<'static> {
        if self.unicode { border::PLAIN } else { ASCII_BORDER }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_what_the_documentation_says() {
        for tone in Tone::value_variants() {
            assert_eq!(parse_style(tone.default_words()), Ok(tone.default_style(true)), "{tone:?}");
        }
        assert_eq!(Tone::value_variants().len() + 1, TONES);
    }
}
