//! The heat map. With colours, a character shows two hosts, one above the other; otherwise a letter shows one.

use super::panel::{Edge, draw_scrollbar, panel};
use super::{Areas, detail, hosts, lines};
use crate::text::format;
use crate::tui::screens::HeatKey;
use crate::tui::{App, HeatClass, HeatMapScreen, HostGroup, Theme, Tone, text};
use ratatui::Frame;
use ratatui::buffer::Buffer;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Style};
use ratatui::text::{Line, Span};
use std::ops::Range;
use strum::VariantArray as _;

/// Minimum and maximum width of the names of the groups.
const LABEL: [usize; 2] = [15, 20];
/// The colour of marked hosts.
const MARKED: Color = Color::Magenta;

/// Where the cells are.
#[derive(Debug, Clone, Copy)]
struct MapLayout {
    /// Width of the names of the groups.
    label: usize,
    /// Number of cells in a row.
    columns: usize,
    /// Number of rows of cells in a line.
    rows_per_line: usize,
    /// Number of visible lines.
    height: usize,
    /// Fewest lines of a group, and the blank lines after it.
    least: usize,
    gap: usize,
}

impl MapLayout {
    fn of(app: &App, screen: &HeatMapScreen) -> Self {
        let area = Areas::of(app.size).list;
        let names = screen.groups.iter().map(|(group, _)| text::width(&group_name(group)));
        let counts = screen.groups.iter().map(|(_, range)| widest_counts(range.len()));
        let label = names.max().unwrap_or(0).clamp(LABEL[0], LABEL[1]).max(counts.max().unwrap_or(0));
        let columns = usize::from(area.width).saturating_sub(label + 6).max(1);
        let theme = &app.options.theme;
        let rows_per_line = if theme.colour && theme.unicode { 2 } else { 1 };
        let height = usize::from(area.height.saturating_sub(3)).max(1);
        let wide = Self { label, columns, rows_per_line, height, least: 2, gap: 1 };
        // Space between the groups is worth less than hosts in view.
        if wide.lines(screen) <= height { wide } else { Self { least: 1, gap: 0, ..wide } }
    }

    /// Number of lines of a group of this many hosts.
    fn lines_of(self, hosts: usize) -> usize {
        hosts.div_ceil(self.columns).div_ceil(self.rows_per_line).max(self.least) + self.gap
    }

    fn lines(self, screen: &HeatMapScreen) -> usize {
        screen.groups.iter().map(|(_, range)| self.lines_of(range.len())).sum()
    }

    /// The line of the selected host.
    fn selected_line(self, screen: &HeatMapScreen) -> usize {
        let mut first = 0;
        for (_, range) in &screen.groups {
            if range.contains(&screen.at) {
                return first + (screen.at - range.start) / self.columns / self.rows_per_line;
            }
            first += self.lines_of(range.len());
        }
        first
    }
}

/// Number of cells in a row, and number of rows on a page.
pub(in crate::tui) fn page(app: &App, screen: &HeatMapScreen) -> (usize, usize) {
    let layout = MapLayout::of(app, screen);
    (layout.columns, layout.height * layout.rows_per_line)
}

/// The first visible line, so that the selected host is in view.
pub(in crate::tui) fn top(app: &App, screen: &HeatMapScreen) -> usize {
    let layout = MapLayout::of(app, screen);
    let selected = layout.selected_line(screen);
    let top = screen.top.min(layout.lines(screen).saturating_sub(layout.height));
    top.clamp((selected + 1).saturating_sub(layout.height), selected)
}

/// Number of lines of all groups.
pub(super) fn needed_lines(app: &App, screen: &HeatMapScreen) -> usize {
    MapLayout::of(app, screen).lines(screen)
}

pub(super) fn draw(app: &App, screen: &HeatMapScreen, frame: &mut Frame<'_>, areas: &Areas) {
    let (theme, area) = (&app.options.theme, areas.list);
    let layout = MapLayout::of(app, screen);
    let top = Edge { left: hosts::title(app, area, " heat map ").0, right: keys(theme, screen.key) };
    let block = panel(theme, area.width, top, hosts::notice(app));
    let inside = block.inner(area);
    frame.render_widget(block, area);
    let [legend, map] = inside.layout(&Layout::vertical([Constraint::Length(1), Constraint::Fill(1)]));
    frame.render_widget(legend_line(app, screen, usize::from(legend.width)), legend);
    draw_map(app, screen, layout, map, frame.buffer_mut());
    draw_scrollbar(frame, theme, area, 2, screen.top, layout.height, layout.lines(screen));
    detail::draw(app, frame, areas.detail);
}

/// The properties, the current one in bold.
fn keys(theme: &Theme, key: HeatKey) -> Line<'static> {
    let mut line = Line::from(theme.span(Tone::Dim, " colour by"));
    for other in HeatKey::VARIANTS {
        let tone = if *other == key { Tone::Title } else { Tone::Dim };
        line.extend([Span::raw(" "), theme.span(tone, other.word())]);
    }
    line.push_span(" ");
    line
}

/// The classes with their numbers; if they do not fit, with smaller gaps.
fn legend_line(app: &App, screen: &HeatMapScreen, columns: usize) -> Line<'static> {
    let theme = &app.options.theme;
    if screen.hosts.is_empty() {
        return theme.span(Tone::Dim, " no hosts to show").into();
    }
    let marked = app.table.marks.len();
    let label = |gap: &'static str| {
        let mut line = Line::from(" ");
        for class in screen.legend.iter().filter(|class| class.count > 0) {
            let sample = Span::styled(sample(theme, class), style(theme, class.tone));
            line.extend([sample, theme.span(Tone::Plain, format!(" {} {}{gap}", class.count, class.label))]);
        }
        if marked > 0 {
            let style = if theme.colour { Style::new().fg(MARKED) } else { theme.style(Tone::Title) };
            let mark = if theme.colour && theme.unicode { "■" } else { "*" };
            line.extend([
                Span::styled(mark, style),
                theme.span(Tone::Plain, format!(" {marked} marked{gap}")),
            ]);
        }
        line
    };
    let wide = label("  ");
    lines::fit(if wide.width() <= columns { wide } else { label(" ") }, columns, theme)
}

fn sample(theme: &Theme, class: &HeatClass) -> String {
    if theme.colour && theme.unicode { "■".to_owned() } else { class.letter.to_string() }
}

fn style(theme: &Theme, tone: Tone) -> Style {
    if theme.colour { Style::new().fg(colour(theme, tone)) } else { theme.style(tone) }
}

/// The colour of a tone. A tone without one is grey.
fn colour(theme: &Theme, tone: Tone) -> Color {
    let plain = if tone == Tone::Dim { Color::DarkGray } else { Color::Gray };
    theme.style(tone).fg.unwrap_or(plain)
}

/// `prod web`
fn group_name(group: &HostGroup) -> String {
    let names = [&group.tier, &group.role].into_iter().flatten().map(ToString::to_string);
    let name = names.collect::<Vec<_>>().join(" ");
    if name.is_empty() { "no group".to_owned() } else { name }
}

/// Draws the visible lines. The cells go directly into the buffer: thousands of spans would make a frame slow.
fn draw_map(app: &App, screen: &HeatMapScreen, layout: MapLayout, area: Rect, buffer: &mut Buffer) {
    let (mut first, visible) = (0, screen.top..screen.top + layout.height);
    let mut y = area.top();
    for (group, range) in &screen.groups {
        let lines = layout.lines_of(range.len());
        for line in first.max(visible.start)..(first + lines).min(visible.end) {
            if y < area.bottom() {
                let row = Rect { y, height: 1, ..area };
                draw_line(app, screen, layout, (group, range), line - first, row, buffer);
            }
            y += 1;
        }
        first += lines;
        if first >= visible.end {
            break;
        }
    }
}

/// Draws a line of a group: its name or its counts, and the cells.
fn draw_line(
    app: &App,
    screen: &HeatMapScreen,
    layout: MapLayout,
    (group, range): (&HostGroup, &Range<usize>),
    line: usize,
    area: Rect,
    buffer: &mut Buffer,
) {
    let (theme, label) = (&app.options.theme, layout.label);
    let head = match line {
        0 => {
            let name = text::fit(&group_name(group), label, theme.symbols().cut);
            Line::from(theme.span(Tone::Title, format!(" {name:<label$}  ")))
        }
        1 if layout.lines_of(range.len()) > 1 => {
            Line::from(group_counts(theme, screen, range.clone(), label))
        }
        _ => Line::default(),
    };
    buffer.set_line(area.x, area.y, &head, area.width);
    let head = u16::try_from(label + 3).unwrap_or(u16::MAX);
    let columns = (area.x.saturating_add(head)..area.right()).take(layout.columns);
    let row = |row: usize| {
        let start = range.start + row * layout.columns;
        start.min(range.end)..(start + layout.columns).min(range.end)
    };
    let first = line * layout.rows_per_line;
    let (upper, lower) = (row(first), row(first + 1));
    for (column, (x, at)) in columns.zip(upper).enumerate() {
        let cell = &mut buffer[(x, area.y)];
        if layout.rows_per_line == 2 {
            let below = Some(lower.start + column).filter(|below| lower.contains(below));
            let (symbol, style) = half_block(app, screen, at, below);
            cell.set_symbol(symbol).set_style(style);
        } else {
            let (letter, style) = letter(app, screen, at);
            cell.set_char(letter).set_style(style);
        }
    }
}

/// Width of the counts of a group of this many hosts, if all of them have failed, and a space.
fn widest_counts(hosts: usize) -> usize {
    format!("{}  x {hosts} ", format::count(hosts, "host")).len()
}

/// `320 hosts ✗ 25`
fn group_counts(
    theme: &Theme,
    screen: &HeatMapScreen,
    range: Range<usize>,
    label: usize,
) -> Vec<Span<'static>> {
    let is_bad =
        |at: &usize| screen.legend.get(screen.classes[*at]).is_some_and(|class| class.tone == Tone::Bad);
    let bad = range.clone().filter(|at| *at < screen.classes.len()).filter(is_bad).count();
    let many = format!("   {}  ", format::count(range.len(), "host"));
    let bad = if bad > 0 { format!("{} {bad}", theme.symbols().failed) } else { String::new() };
    let blank = (label + 3).saturating_sub(text::width(&many) + text::width(&bad));
    vec![theme.span(Tone::Dim, many), theme.span(Tone::Bad, bad), Span::raw(" ".repeat(blank))]
}

/// The tone of a host, and whether it is marked.
fn class_of<'a>(app: &App, screen: &'a HeatMapScreen, at: usize) -> (Option<&'a HeatClass>, bool) {
    let class = screen.classes.get(at).and_then(|class| screen.legend.get(*class));
    (class, !app.table.marks.is_empty() && app.table.marks.contains(&screen.hosts[at]))
}

/// Two hosts in one cell, one above the other. The selected host has a triangle.
fn half_block(
    app: &App,
    screen: &HeatMapScreen,
    above: usize,
    below: Option<usize>,
) -> (&'static str, Style) {
    let theme = &app.options.theme;
    let colour_of = |at: usize| match class_of(app, screen, at) {
        (_, true) => MARKED,
        (class, false) => colour(theme, class.map_or(Tone::Dim, |class| class.tone)),
    };
    if above == screen.at {
        return ("▲", Style::new().fg(Color::Black).bg(colour_of(above)).bold());
    }
    if let Some(below) = below.filter(|below| *below == screen.at) {
        return ("▼", Style::new().fg(Color::Black).bg(colour_of(below)).bold());
    }
    let style = Style::new().fg(colour_of(above));
    ("▀", below.map_or(style, |below| style.bg(colour_of(below))))
}

/// A host as a letter. The selected one is reversed.
fn letter(app: &App, screen: &HeatMapScreen, at: usize) -> (char, Style) {
    let theme = &app.options.theme;
    let (class, marked) = class_of(app, screen, at);
    let letter = if marked { '*' } else { class.map_or('?', |class| class.letter) };
    let style = style(theme, class.map_or(Tone::Dim, |class| class.tone));
    (letter, if at == screen.at { style.patch(theme.style(Tone::Selected)) } else { style })
}
