//! Bordered blocks with titles in their edges, and dialogs.

use super::lines::{fit, joined};
use crate::tui::{Theme, Tone};
use ratatui::Frame;
use ratatui::layout::{Constraint, Rect};
use ratatui::style::{Modifier, Style};
use ratatui::text::Line;
use ratatui::widgets::{Block, Clear, Padding, Paragraph, Scrollbar, ScrollbarOrientation, ScrollbarState};

/// Columns beside the titles: the corners and one column of the border at each.
const CORNERS: u16 = 4;

/// The texts in one edge of a block.
#[derive(Debug, Default)]
pub(super) struct Edge {
    /// Is cut if it does not fit.
    pub(super) left: Line<'static>,
    /// Is left out if both do not fit.
    pub(super) right: Line<'static>,
}

impl<T: Into<Line<'static>>> From<T> for Edge {
    fn from(left: T) -> Self {
        Self { left: left.into(), right: Line::default() }
    }
}

/// A bordered block of this width with texts in its upper and lower edge.
pub(super) fn panel(
    theme: &Theme,
    width: u16,
    top: impl Into<Edge>,
    bottom: impl Into<Edge>,
) -> Block<'static> {
    let columns = usize::from(width.saturating_sub(CORNERS));
    let border = theme.span(Tone::Frame, theme.border().horizontal_top);
    let titles = |edge: Edge| {
        let left = fit(edge.left, columns, theme);
        let is_shown = edge.right.width() > 0 && left.width() + edge.right.width() < columns;
        let right = is_shown.then(|| (edge.right + border.clone()).right_aligned());
        let left = (left.width() > 0).then(|| joined(border.clone(), left));
        left.into_iter().chain(right)
    };
    let style = theme.style(Tone::Frame);
    // A title is not dim, although it is drawn over the border.
    let title_style = Style::new().remove_modifier(Modifier::DIM);
    let block = Block::bordered().border_set(theme.border()).border_style(style).title_style(title_style);
    let block = titles(top.into()).fold(block, Block::title_top);
    titles(bottom.into()).fold(block, Block::title_bottom)
}

/// The same block for text, which has a blank column at both sides.
pub(super) fn text_panel(
    theme: &Theme,
    width: u16,
    top: impl Into<Edge>,
    bottom: impl Into<Edge>,
) -> Block<'static> {
    panel(theme, width, top, bottom).padding(Padding::horizontal(1))
}

/// The lines, each cut if it does not fit.
pub(super) fn paragraph(
    theme: &Theme,
    columns: u16,
    lines: impl IntoIterator<Item = Line<'static>>,
) -> Paragraph<'static> {
    let fitted = lines.into_iter().map(|line| fit(line, columns.into(), theme));
    Paragraph::new(fitted.collect::<Vec<_>>())
}

/// Draws a text panel with these lines.
pub(super) fn draw_text(
    frame: &mut Frame<'_>,
    theme: &Theme,
    area: Rect,
    top: impl Into<Edge>,
    bottom: impl Into<Edge>,
    lines: impl IntoIterator<Item = Line<'static>>,
) {
    let block = text_panel(theme, area.width, top, bottom);
    let columns = block.inner(area).width;
    frame.render_widget(paragraph(theme, columns, lines).block(block), area);
}

/// Draws an empty dialog in the middle of `area`, with at most this many inner columns and lines; returns the inner
/// area.
pub(super) fn draw_dialog(
    frame: &mut Frame<'_>,
    theme: &Theme,
    area: Rect,
    columns: usize,
    lines: usize,
    top: impl Into<Edge>,
) -> Rect {
    let clamp = |wanted: usize, most: u16| u16::try_from(wanted).unwrap_or(u16::MAX).min(most);
    let (width, height) = (clamp(columns + 4, area.width), clamp(lines + 2, area.height));
    let area = area.centered(Constraint::Length(width), Constraint::Length(height));
    let block = text_panel(theme, width, top, Line::default());
    let inside = block.inner(area);
    frame.render_widget(Clear, area);
    frame.render_widget(block, area);
    inside
}

/// Draws a scrollbar over the right edge of a panel if not all of its rows are in view. `above` is the number of lines
/// above the rows, including the border.
pub(super) fn draw_scrollbar(
    frame: &mut Frame<'_>,
    theme: &Theme,
    panel: Rect,
    above: u16,
    top: usize,
    in_view: usize,
    all: usize,
) {
    if all <= in_view {
        return;
    }
    let (y, height) = (panel.y + above, panel.height.saturating_sub(above + 1));
    // The bar is at its end when the last row comes into view, so the length is the number of positions.
    let mut state = ScrollbarState::new(all - in_view + 1).position(top).viewport_content_length(in_view);
    let bar = Scrollbar::new(ScrollbarOrientation::VerticalRight)
        .begin_symbol(None)
        .end_symbol(None)
        .track_symbol(None)
        .thumb_symbol(theme.symbols().scroll)
        .thumb_style(theme.style(Tone::Frame));
    frame.render_stateful_widget(bar, Rect { y, height, ..panel }, &mut state);
}
