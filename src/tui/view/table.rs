//! Tables: which columns fit, and rows with a cursor. Only visible rows are built.

use super::lines::fit;
use crate::tui::{Theme, Tone};
use ratatui::Frame;
use ratatui::layout::{Constraint, Rect};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Cell, HighlightSpacing, Row, Table, TableState};
use std::borrow::Cow;

/// Columns of the screen before the first cell: the cursor and a space.
pub(super) const MARGIN: u16 = 2;
/// Lines of a panel above the rows of its table: the border and the headings.
pub(super) const ABOVE: u16 = 2;
/// Number of spaces between two columns.
const GAP: u16 = 2;

/// A column of a table.
#[derive(Debug, Clone, Copy)]
pub(super) struct Column<C> {
    /// Identifies the column for the code that fills its cells.
    pub(super) kind: C,
    pub(super) title: &'static str,
    /// Minimum, preferred and maximum width.
    pub(super) width: [usize; 3],
    /// A narrow table drops the highest number first, and never 0.
    pub(super) drop_order: u8,
    /// Whether the cells are right-aligned.
    pub(super) right: bool,
}

/// The columns that fit, each with its width.
pub(super) struct FittedColumns<C> {
    columns: Vec<(Column<C>, usize)>,
    /// Width of what is between the cursor and the first column.
    lead: usize,
    /// The remaining space.
    spare: usize,
}

impl<C: Copy + PartialEq> FittedColumns<C> {
    /// Chooses the columns for a table of this width with `margin` columns before the first cell. Spare space goes to
    /// the preferred widths and then to the maximum widths, left to right.
    pub(super) fn new(columns: &[Column<C>], width: u16, margin: u16) -> Self {
        let growth =
            (1..3).flat_map(|step| columns.iter().map(move |column| (column.kind, column.width[step])));
        Self::with_growth(columns, width, margin, growth)
    }

    /// Chooses the columns. Spare space goes to the columns of `growth` in turn, each up to this width. Constraints of
    /// ratatui would shrink all columns instead of dropping some, and cells must know their width before they are drawn.
    pub(super) fn with_growth(
        columns: &[Column<C>],
        width: u16,
        margin: u16,
        growth: impl IntoIterator<Item = (C, usize)>,
    ) -> Self {
        let available = usize::from(width.saturating_sub(margin + 1));
        let mut shown = columns.to_vec();
        let needed = |shown: &[Column<C>]| {
            let widths = shown.iter().map(|column| column.width[0] + usize::from(GAP));
            widths.sum::<usize>().saturating_sub(usize::from(GAP))
        };
        while needed(&shown) > available
            && let Some(last) = shown.iter().map(|column| column.drop_order).max().filter(|last| *last > 0)
        {
            shown.retain(|column| column.drop_order != last);
        }
        let mut spare = available.saturating_sub(needed(&shown));
        let mut columns: Vec<_> =
            shown.into_iter().map(|column| (column, column.width[0].min(available))).collect();
        for (kind, most) in growth {
            if let Some((_, width)) = columns.iter_mut().find(|(column, _)| column.kind == kind) {
                let more = spare.min(most.saturating_sub(*width));
                spare -= more;
                *width += more;
            }
        }
        Self { columns, lead: usize::from(margin.saturating_sub(1)), spare }
    }

    /// Width of the rows without the cursor.
    fn width(&self) -> usize {
        let gaps = usize::from(GAP) * self.columns.len().saturating_sub(1);
        self.lead + self.columns.iter().map(|(_, width)| width).sum::<usize>() + gaps + self.spare
    }

    /// The headings; `title` returns the text of each.
    pub(super) fn headings(&self, theme: &Theme, title: impl Fn(&Column<C>) -> String) -> Row<'static> {
        self.cells(theme, Span::default(), |column, _| theme.span(Tone::Dim, title(column)).into())
    }

    /// A row; `cell` returns the contents of a column for a width.
    pub(super) fn row(&self, theme: &Theme, cell: impl Fn(C, usize) -> Line<'static>) -> Row<'static> {
        self.row_with_lead(theme, Span::default(), cell)
    }

    /// A row with a mark before its first cell.
    pub(super) fn row_with_lead(
        &self,
        theme: &Theme,
        lead: Span<'static>,
        cell: impl Fn(C, usize) -> Line<'static>,
    ) -> Row<'static> {
        self.cells(theme, lead, |column, width| cell(column.kind, width))
    }

    /// A row with one line across all columns.
    pub(super) fn spanning_row(&self, theme: &Theme, line: Line<'static>) -> Row<'static> {
        let columns = u16::try_from(self.columns.len()).unwrap_or(u16::MAX);
        Row::new([Cell::from(fit(line, self.width(), theme)).column_span(columns)])
    }

    fn cells(
        &self,
        theme: &Theme,
        lead: Span<'static>,
        cell: impl Fn(&Column<C>, usize) -> Line<'static>,
    ) -> Row<'static> {
        let mut lead = Some(lead);
        Row::new(self.columns.iter().map(|(column, width)| {
            let line = fit(cell(column, *width), *width, theme);
            let blank = if column.right { width - line.width() } else { 0 };
            // The first cell also contains the lead, which is never aligned with it.
            let lead =
                lead.take().map(|lead| [Span::raw(" ".repeat(self.lead.saturating_sub(lead.width()))), lead]);
            let lead = lead.into_iter().flatten();
            lead.chain([Span::raw(" ".repeat(blank))]).chain(line).collect::<Line<'_>>()
        }))
    }

    /// A table of these rows, below the titles of the columns.
    pub(super) fn table(&self, theme: &Theme, rows: Vec<Row<'static>>) -> Table<'static> {
        let mut widths: Vec<_> = self.columns.iter().map(|(_, width)| *width).collect();
        // The first cell also contains the lead. A row across all columns also gets the remaining space.
        widths.iter_mut().take(1).for_each(|width| *width += self.lead);
        widths.iter_mut().next_back().into_iter().for_each(|width| *width += self.spare);
        let constraint = |width| Constraint::Length(u16::try_from(width).unwrap_or(u16::MAX));
        Table::new(rows, widths.into_iter().map(constraint))
            .header(self.headings(theme, |column| column.title.to_owned()))
            .column_spacing(GAP)
            .highlight_symbol(theme.span(Tone::Title, theme.symbols().cursor))
            .highlight_spacing(HighlightSpacing::Always)
            .row_highlight_style(theme.selected_row())
    }
}

/// The state of a table of the rows from `top` on.
pub(super) fn windowed(top: usize, selected: usize) -> TableState {
    TableState::new().with_selected(selected.checked_sub(top))
}

/// Draws the reason why a table is empty below its headings.
pub(super) fn draw_placeholder(
    frame: &mut Frame<'_>,
    theme: &Theme,
    table: Rect,
    margin: u16,
    reason: impl Into<Cow<'static, str>>,
) {
    let first_row = Rect { y: table.y + 1, height: 1, ..table }.intersection(table);
    let columns = first_row.width.saturating_sub(margin);
    let line = fit(theme.span(Tone::Dim, reason).into(), columns.into(), theme);
    frame.render_widget(
        line,
        Rect { x: first_row.x + first_row.width - columns, width: columns, ..first_row },
    );
}
