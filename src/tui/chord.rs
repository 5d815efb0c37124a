//! Keys with modifiers, and their names.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use std::str::FromStr;

/// A key with its modifiers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Chord(KeyCode, KeyModifiers);

pub(super) const fn code(code: KeyCode) -> Chord {
    Chord(code, KeyModifiers::NONE)
}

pub(super) const fn key(c: char) -> Chord {
    code(KeyCode::Char(c))
}

pub(super) const fn ctrl(c: char) -> Chord {
    Chord(KeyCode::Char(c), KeyModifiers::CONTROL)
}

/// A key name that is not known.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown key {0:?}: expected a character, or a name such as enter, space, pgdn, f5, ctrl-r or alt-x")]
pub struct UnknownKey(String);

/// Reads a character, or a name such as `enter` or `ctrl-r`.
impl FromStr for Chord {
    type Err = UnknownKey;

    fn from_str(text: &str) -> Result<Self, UnknownKey> {
        let named = only_char(text).filter(|c| *c > ' ').map(key).or_else(|| Self::named(text));
        named.ok_or_else(|| UnknownKey(text.to_owned()))
    }
}

fn only_char(text: &str) -> Option<char> {
    let mut chars = text.chars();
    chars.next().filter(|_| chars.next().is_none())
}

impl Chord {
    /// Whether an event is this key. Terminals differ in whether they report shift for an upper-case letter.
    pub(super) fn is(self, event: KeyEvent) -> bool {
        self.0 == event.code && self.1 == event.modifiers.difference(KeyModifiers::SHIFT)
    }

    /// The event that a terminal reports for this key.
    pub(super) fn event(self) -> KeyEvent {
        KeyEvent::new(self.0, self.1)
    }

    /// Parses keys for a snapshot: characters, and names such as `<enter>` or `<ctrl-r>`.
    pub fn parse(text: &str) -> Result<Vec<Self>, String> {
        let mut chords = Vec::new();
        let mut rest = text;
        while let Some(c) = rest.chars().next() {
            rest = &rest[c.len_utf8()..];
            chords.push(match rest.split_once('>') {
                Some((name, after)) if c == '<' => {
                    rest = after;
                    Self::named(name).ok_or_else(|| format!("unknown key <{name}>"))?
                }
                _ => key(c),
            });
        }
        Ok(chords)
    }

    fn named(name: &str) -> Option<Self> {
        for (prefix, modifier) in [("ctrl-", KeyModifiers::CONTROL), ("alt-", KeyModifiers::ALT)] {
            if let Some(with) = name.strip_prefix(prefix) {
                return only_char(with).map(|c| Self(KeyCode::Char(c), modifier));
            }
        }
        let codes = [
            KeyCode::Enter,
            KeyCode::Esc,
            KeyCode::Tab,
            KeyCode::BackTab,
            KeyCode::Backspace,
            KeyCode::Delete,
            KeyCode::Insert,
            KeyCode::Left,
            KeyCode::Right,
            KeyCode::Up,
            KeyCode::Down,
            KeyCode::Home,
            KeyCode::End,
            KeyCode::PageUp,
            KeyCode::PageDown,
            KeyCode::Char(' '),
        ];
        let codes = codes.into_iter().chain((1..=12).map(KeyCode::F));
        codes.map(code).find(|chord| chord.name() == name)
    }

    /// Name of the key, as in the help.
    pub fn name(self) -> String {
        let name = match self.0 {
            KeyCode::Char(' ') => "space".to_owned(),
            KeyCode::Char(c) => c.to_string(),
            KeyCode::F(number) => format!("f{number}"),
            KeyCode::BackTab => "shift-tab".to_owned(),
            KeyCode::PageUp => "pgup".to_owned(),
            KeyCode::PageDown => "pgdn".to_owned(),
            other => format!("{other:?}").to_ascii_lowercase(),
        };
        match self.1 {
            KeyModifiers::CONTROL => format!("ctrl-{name}"),
            KeyModifiers::ALT => format!("alt-{name}"),
            _ => name,
        }
    }
}
