//! Dialogs: prompts and errors.

use super::lines::wrapped;
use super::panel::{draw_dialog, paragraph};
use crate::text::printable;
use crate::tui::app::ConfirmDialog;
use crate::tui::known_deployment::KnownDeployment;
use crate::tui::{
    App, ErrorDialog, KeyCommand, LeaveChoice, LeaveDialog, ListSort, Screen, SentDeploymentState, Theme,
    Tone,
};
use ratatui::Frame;
use ratatui::layout::{Position, Rect};
use ratatui::text::{Line, Span};
use std::fmt::Write;

/// Maximum width of text in a dialog.
const MAX_WIDTH: usize = 72;

/// A row of buttons; the selected one is highlighted.
pub(super) fn buttons(theme: &Theme, labels: &[(&str, bool)]) -> Line<'static> {
    let buttons = labels.iter().flat_map(|(label, chosen)| {
        let tone = if *chosen { Tone::Selected } else { Tone::Plain };
        [theme.span(tone, format!("[ {label} ]")), Span::raw("  ")]
    });
    buttons.collect()
}

/// The current notice and the number of waiting ones, for the lower edge of a frame.
pub(super) fn notice(app: &App) -> Line<'static> {
    if let Some(filter) = list_filter(app) {
        return filter;
    }
    let Some(notice) = &app.notice else { return progress(app).into_iter().collect() };
    let theme = &app.options.theme;
    let more = (!app.queued_notices.is_empty())
        .then(|| theme.span(Tone::Dim, format!(" ({} more)", app.queued_notices.len())));
    more.into_iter().chain([theme.span(notice.tone, format!(" {} ", notice.text))]).collect()
}

/// Why the list on screen is empty: its filter, or else the given reason.
pub(super) fn why_empty(app: &App, reason: &str) -> String {
    let filter = app.screens.last().and_then(Screen::list_filter).filter(|filter| !filter.text.is_empty());
    match filter {
        None => reason.to_owned(),
        Some(_) if app.list_filter.is_some() => "nothing matches the filter".to_owned(),
        Some(_) => {
            let back = app.options.keys.name(app.context(), KeyCommand::Back);
            format!("nothing matches the filter; {back} clears it")
        }
    }
}

/// How the list on screen is sorted, unless it is in its own order.
pub(super) fn sort(app: &App) -> Line<'static> {
    let sort = app.screens.last().and_then(Screen::list_sort).unwrap_or_default();
    if sort == ListSort::default() {
        return Line::default();
    }
    let symbols = app.options.theme.symbols();
    let arrow = if sort.reverse { symbols.descending } else { symbols.ascending };
    let text = sort.column.map_or(" reversed ".to_owned(), |column| format!(" sort: {column} {arrow} "));
    app.options.theme.span(Tone::Dim, text).into()
}

/// The filter of the list on screen, while it is typed or if there is one and no notice.
fn list_filter(app: &App) -> Option<Line<'static>> {
    let theme = &app.options.theme;
    let filter = app.screens.last().and_then(Screen::list_filter)?;
    if app.list_filter.is_none() && (filter.text.is_empty() || app.notice.is_some()) {
        return None;
    }
    let mut line = theme.span(Tone::Key, " /") + theme.span(Tone::Plain, format!("{} ", filter.text));
    if let Some(error) = &filter.error {
        line.push_span(theme.span(Tone::Warn, format!("{error} ")));
    }
    Some(line)
}

/// Position of the cursor in the filter of a list, in the lower edge of its frame.
pub(super) fn list_filter_cursor(app: &App, list: Rect) -> Option<Position> {
    let (input, _) = app.list_filter.as_ref()?;
    let column = u16::try_from(4 + input.visual_cursor()).unwrap_or(u16::MAX);
    Some(Position::new(
        list.x.saturating_add(column).min(list.right().saturating_sub(2)),
        list.bottom().saturating_sub(1),
    ))
}

/// Progress of the newest running deployment to several hosts: `switch main on 3 hosts: 1 of 3 done`.
fn progress(app: &App) -> Option<Span<'static>> {
    let running = app
        .sent_deployments
        .iter()
        .rev()
        .filter(|sent| sent.state == SentDeploymentState::Active && sent.hosts.len() > 1);
    let mut known = running.filter_map(|sent| Some((sent, KnownDeployment::of(app, &sent.plan.id)?)));
    let (sent, known) = known.find(|(_, known)| known.creates_jobs() && known.is_under_way())?;
    let (counts, ..) = known.counts();
    let mut text = format!(" {}: {} of {} done", sent.title(), counts.ended(), known.hosts());
    let others = [(counts.failed, "failed"), (counts.rejected, "rejected"), (counts.cancelled, "cancelled")];
    for (count, word) in others {
        if count > 0 {
            let _ = write!(text, ", {count} {word}");
        }
    }
    Some(app.options.theme.span(Tone::Busy, text + " "))
}

/// The text of a dialog, wrapped to its width.
fn dialog_lines(theme: &Theme, text: &str, area: Rect) -> Vec<Line<'static>> {
    let columns = MAX_WIDTH.min(usize::from(area.width).saturating_sub(4));
    let lines = text.lines().map(printable).collect::<Vec<_>>().join("\n");
    wrapped(theme, Tone::Plain, &lines, columns)
}

fn show(
    frame: &mut Frame<'_>,
    theme: &Theme,
    area: Rect,
    title: impl Into<Line<'static>>,
    lines: Vec<Line<'static>>,
) {
    let widest = lines.iter().map(Line::width).max().unwrap_or(0);
    let inside = draw_dialog(frame, theme, area, widest.max(20), lines.len(), title.into());
    frame.render_widget(paragraph(theme, inside.width, lines), inside);
}

/// The lines of a question, with a line of buttons that stays visible below a long question.
fn with_buttons(theme: &Theme, text: &str, area: Rect, buttons: Line<'static>) -> Vec<Line<'static>> {
    let mut lines = dialog_lines(theme, text, area);
    // Frame, empty line and buttons.
    lines.truncate(usize::from(area.height).saturating_sub(4));
    lines.extend([Line::default(), buttons]);
    lines
}

pub(super) fn confirm(
    theme: &Theme,
    dialog: &ConfirmDialog,
    frame: &mut Frame<'_>,
    area: Rect,
) -> Option<Position> {
    let buttons = buttons(theme, &[("No", !dialog.yes), ("Yes", dialog.yes)]);
    let lines = with_buttons(theme, &dialog.text, area, buttons);
    show(frame, theme, area, theme.span(Tone::Title, " cancel "), lines);
    None
}

pub(super) fn leave(
    theme: &Theme,
    dialog: &LeaveDialog,
    frame: &mut Frame<'_>,
    area: Rect,
) -> Option<Position> {
    let buttons = if dialog.is_handing_over {
        theme.span(Tone::Busy, "starting a background process").into()
    } else {
        let label = |choice: &LeaveChoice| match choice {
            LeaveChoice::Background => "Continue in the background",
            LeaveChoice::Stop => "Stop",
            LeaveChoice::Stay => "Stay",
        };
        let labels = dialog.choices().iter().map(|choice| (label(choice), *choice == dialog.choice()));
        buttons(theme, &labels.collect::<Vec<_>>())
    };
    let lines = with_buttons(theme, &dialog.text, area, buttons);
    show(frame, theme, area, theme.span(Tone::Title, " leave "), lines);
    None
}

pub(super) fn error(theme: &Theme, dialog: &ErrorDialog, count: usize, frame: &mut Frame<'_>, area: Rect) {
    let more = if count > 1 { format!("1 of {count} ") } else { String::new() };
    let title = theme.span(Tone::Bad, format!(" {} ", printable(&dialog.title)));
    let lines = dialog_lines(theme, &dialog.text, area);
    show(frame, theme, area, title + theme.span(Tone::Dim, more), lines);
}
