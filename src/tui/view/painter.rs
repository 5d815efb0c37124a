//! Draws pieces of text into a frame. Nothing is written outside the area that is given.

use crate::tui::{Theme, Tone, text};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::widgets::{Block, Clear, Widget};
use std::borrow::Cow;

/// A piece of a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Piece {
    pub(super) text: String,
    pub(super) tone: Tone,
}

impl Tone {
    /// A piece of text in this tone.
    pub(super) fn text(self, text: impl Into<String>) -> Piece {
        Piece { text: text.into(), tone: self }
    }
}

/// The columns that a line takes.
pub(super) fn width(line: &[Piece]) -> usize {
    line.iter().map(|piece| text::width(&piece.text)).sum()
}

pub(super) struct Painter<'a> {
    pub(super) buffer: &'a mut Buffer,
    pub(super) theme: Theme,
}

impl Painter<'_> {
    /// Writes lines from the top of an area; what does not fit is cut.
    pub(super) fn lines(&mut self, area: Rect, lines: &[Vec<Piece>]) {
        for (row, line) in area.rows().zip(lines) {
            self.line(row, line);
        }
    }

    /// Writes one line; what does not fit is cut, and that is shown. What hosts and people write may be in any language,
    /// also where only ASCII can be shown.
    pub(super) fn line(&mut self, area: Rect, line: &[Piece]) {
        let cut = self.theme.symbols().cut;
        let mut x = area.x;
        for piece in line {
            let whole =
                if self.theme.unicode { Cow::from(&piece.text) } else { text::ascii(&piece.text).into() };
            let room = usize::from(area.right().saturating_sub(x));
            let shown = text::fit(&whole, room, cut);
            (x, _) = self.put(x, area, &shown, piece.tone);
            if shown != whole {
                break;
            }
        }
    }

    /// Writes one line so that it ends at the right edge.
    pub(super) fn right(&mut self, area: Rect, line: &[Piece]) {
        let width = u16::try_from(width(line)).unwrap_or(u16::MAX).min(area.width);
        self.line(Rect { x: area.right() - width, width, ..area }, line);
    }

    fn put(&mut self, x: u16, area: Rect, shown: &str, tone: Tone) -> (u16, u16) {
        let area = area.intersection(self.buffer.area);
        if area.is_empty() || x >= area.right() {
            return (x, area.y);
        }
        let room = usize::from(area.right() - x);
        self.buffer.set_stringn(x, area.y, shown, room, self.theme.style(tone))
    }

    /// Draws a box and gives what is inside; titles stand in its upper and lower edge.
    pub(super) fn framed(&mut self, area: Rect, top: &[Piece], bottom: &[Piece]) -> Rect {
        let area = area.intersection(self.buffer.area);
        let block = Block::bordered().border_set(self.theme.border());
        let inside = block.inner(area);
        block.render(area, self.buffer);
        if area.height > 1 && area.width > 4 {
            let edge = |y| Rect::new(area.x + 2, y, area.width - 4, 1);
            self.line(edge(area.y), top);
            self.line(edge(area.bottom() - 1), bottom);
        }
        inside
    }

    /// Draws a box over everything in the middle of `area`, of at most this many columns and lines inside.
    pub(super) fn dialog(&mut self, area: Rect, columns: usize, lines: usize, title: &[Piece]) -> Rect {
        let clamp = |wanted: usize, most: u16| u16::try_from(wanted).unwrap_or(u16::MAX).min(most);
        let width = clamp(columns + 4, area.width);
        let height = clamp(lines + 2, area.height);
        let place =
            Rect::new(area.x + (area.width - width) / 2, area.y + (area.height - height) / 2, width, height);
        Clear.render(place, self.buffer);
        let inside = self.framed(place, title, &[]);
        Rect { x: inside.x + 1, width: inside.width.saturating_sub(2), ..inside }
    }

    /// Gives a whole area a look.
    pub(super) fn tint(&mut self, area: Rect, tone: Tone) {
        self.buffer.set_style(area, self.theme.style(tone));
    }
}
