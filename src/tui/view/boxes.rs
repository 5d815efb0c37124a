//! A question, and an error that must be closed.

use super::painter::{Painter, Piece};
use crate::protocol::printable;
use crate::tui::app::Question;
use crate::tui::deployments::Known;
use crate::tui::{App, Fault, OrderState, Tone, text};
use ratatui::layout::{Position, Rect};
use std::fmt::Write;

/// The widest that text in a box becomes.
const WIDEST: usize = 72;

/// Buttons in a row, with the chosen one marked.
pub(super) fn buttons(labels: &[(&str, bool)]) -> Vec<Piece> {
    let mut line = Vec::new();
    for (label, chosen) in labels {
        let tone = if *chosen { Tone::Selected } else { Tone::Plain };
        line.extend([tone.text(format!("[ {label} ]")), Tone::Plain.text("  ")]);
    }
    line
}

/// What was last to be told, and how much more there is, for the lower edge of a box.
pub(super) fn notice(app: &App) -> Vec<Piece> {
    let Some(notice) = &app.notice else { return progress(app).into_iter().collect() };
    let more = (!app.waiting.is_empty()).then(|| Tone::Dim.text(format!(" ({} more)", app.waiting.len())));
    more.into_iter().chain([notice.tone.text(format!(" {} ", notice.text))]).collect()
}

/// How far the newest deployment to several hosts is that was sent from here: `switch main on 3 hosts: 1 of 3 done`.
fn progress(app: &App) -> Option<Piece> {
    let running =
        app.orders.iter().rev().filter(|order| order.state == OrderState::Open && order.hosts.len() > 1);
    let mut known = running.filter_map(|order| Some((order, Known::of(app, &order.plan.id)?)));
    let (order, known) = known.find(|(_, known)| known.makes_jobs() && known.is_under_way())?;
    let (tally, ..) = known.counts();
    let mut text = format!(" {}: {} of {} done", order.title(), tally.ended(), known.hosts());
    for (count, word) in [(tally.failed, "failed"), (tally.rejected, "rejected")] {
        if count > 0 {
            let _ = write!(text, ", {count} {word}");
        }
    }
    Some(Tone::Busy.text(text + " "))
}

fn wrapped(text: &str, area: Rect, tone: Tone) -> Vec<Vec<Piece>> {
    let columns = WIDEST.min(usize::from(area.width).saturating_sub(4));
    let lines = text.lines().map(printable).collect::<Vec<_>>().join("\n");
    text::wrap(&lines, columns).into_iter().map(|line| vec![tone.text(line)]).collect()
}

fn show(title: &[Piece], lines: &[Vec<Piece>], painter: &mut Painter<'_>, area: Rect) {
    let widest = lines.iter().map(|line| super::painter::width(line)).max().unwrap_or(0);
    let inside = painter.dialog(area, widest.max(20), lines.len(), title);
    painter.lines(inside, lines);
}

pub(super) fn question(question: &Question, painter: &mut Painter<'_>, area: Rect) -> Option<Position> {
    let mut lines = wrapped(&question.text, area, Tone::Plain);
    // The answer stays in view however long the question is.
    lines.truncate(usize::from(area.height).saturating_sub(4));
    lines.push(Vec::new());
    lines.push(buttons(&[("No", !question.yes), ("Yes", question.yes)]));
    show(&[Tone::Title.text(" cancel ")], &lines, painter, area);
    None
}

pub(super) fn fault(fault: &Fault, count: usize, painter: &mut Painter<'_>, area: Rect) {
    let more = if count > 1 { format!("1 of {count} ") } else { String::new() };
    let title = [Tone::Bad.text(format!(" {} ", printable(&fault.title))), Tone::Dim.text(more)];
    show(&title, &wrapped(&fault.text, area, Tone::Plain), painter, area);
}
