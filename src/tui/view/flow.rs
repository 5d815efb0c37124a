//! Pieces of text one after the other, in as many lines as they need.

use super::painter::{Piece, width};
use crate::tui::Tone;

/// The blanks between two pieces.
const GAP: &str = "  ";

/// Lines of at most `columns`; a piece that is wider has a line for itself.
pub(super) fn flow(pieces: impl IntoIterator<Item = Piece>, columns: usize) -> Vec<Vec<Piece>> {
    let mut lines: Vec<Vec<Piece>> = Vec::new();
    for piece in pieces {
        let needed = GAP.len() + width(std::slice::from_ref(&piece));
        match lines.last_mut().filter(|line| width(line) + needed <= columns) {
            Some(line) => line.extend([Tone::Plain.text(GAP), piece]),
            None => lines.push(vec![piece]),
        }
    }
    lines
}
