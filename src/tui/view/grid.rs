//! Rows of cells: which columns fit, and where each cell stands.

use super::columns::GAP;
use super::hosts::shifted;
use super::painter::{Painter, Piece};
use crate::tui::Tone;
use ratatui::layout::Rect;

/// The columns before the first: the selected row and a blank.
const MARGIN: u16 = 2;

/// A column.
#[derive(Debug, Clone, Copy)]
pub(super) struct Column<C> {
    /// What stands in it.
    pub(super) what: C,
    pub(super) title: &'static str,
    /// The least columns that it takes, how many it likes, and the most.
    pub(super) width: [usize; 3],
    /// The highest number leaves first where it is narrow; 0 never.
    pub(super) leaves: u8,
    /// Whether it ends at its right edge.
    pub(super) right: bool,
}

/// The columns that fit, each with its width.
pub(super) struct Grid<C>(Vec<(Column<C>, usize)>);

impl<C: Copy> Grid<C> {
    /// What is left over goes first to what columns like, then to what they take at most, from left to right.
    pub(super) fn new(columns: &[Column<C>], area: Rect) -> Self {
        let room = usize::from(area.width.saturating_sub(MARGIN + 1));
        let mut shown = columns.to_vec();
        let needed = |shown: &[Column<C>]| {
            shown.iter().map(|column| column.width[0] + GAP).sum::<usize>().saturating_sub(GAP)
        };
        while needed(&shown) > room && shown.len() > 1 {
            let last = shown.iter().map(|column| column.leaves).max();
            shown.retain(|column| column.leaves == 0 || Some(column.leaves) != last);
            if last == Some(0) {
                break;
            }
        }
        let mut spare = room.saturating_sub(needed(&shown));
        let mut widths: Vec<_> = shown.iter().map(|column| column.width[0].min(room)).collect();
        for wanted in 1..3 {
            for (column, width) in shown.iter().zip(&mut widths) {
                let more = spare.min(column.width[wanted].saturating_sub(*width));
                spare -= more;
                *width += more;
            }
        }
        Self(shown.into_iter().zip(widths).collect())
    }

    pub(super) fn headings(&self, painter: &mut Painter<'_>, place: Rect) {
        self.cells(painter, place, |column, _| vec![Tone::Title.text(column.title)]);
    }

    /// Draws a row; `cell` gives what stands in a column of a width.
    pub(super) fn row(
        &self,
        painter: &mut Painter<'_>,
        place: Rect,
        selected: bool,
        cell: impl Fn(C, usize) -> Vec<Piece>,
    ) {
        if selected {
            let cursor = painter.theme.symbols().cursor;
            painter.line(place, &[Tone::Title.text(cursor)]);
        }
        self.cells(painter, place, |column, width| cell(column.what, width));
        if selected {
            painter.tint(place, Tone::Selected);
        }
    }

    fn cells(&self, painter: &mut Painter<'_>, place: Rect, cell: impl Fn(&Column<C>, usize) -> Vec<Piece>) {
        let mut x = MARGIN;
        for (column, width) in &self.0 {
            let (there, line) = (shifted(place, x, *width), cell(column, *width));
            if column.right {
                painter.right(there, &line);
            } else {
                painter.line(there, &line);
            }
            x = x.saturating_add(u16::try_from(*width + GAP).unwrap_or(u16::MAX));
        }
    }
}
