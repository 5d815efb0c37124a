//! The box of the running deployments above the hosts: a line for each, with a bar by phases and the time left.

use super::columns::line_bar;
use super::lines::{self, Count, fit, joined};
use super::panel::{Edge, draw_text};
use crate::text::format;
use crate::tui::{App, Context, KeyCommand, RunningRollout, Theme, Tone, text};
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

/// Width of the bar: at most this share of the box, and at least so many columns.
const BAR_SHARE: usize = 4;
const MIN_BAR: usize = 6;

/// Number of lines of the box, with its frame; 0 if nothing runs.
pub(super) fn height(app: &App) -> u16 {
    let lines = u16::try_from(app.running.len()).unwrap_or(u16::MAX);
    if lines == 0 { 0 } else { lines.saturating_add(2) }
}

pub(super) fn draw(app: &App, frame: &mut Frame<'_>, area: Rect) {
    if area.height < 3 {
        return;
    }
    let theme = &app.options.theme;
    let columns = usize::from(super::text_size(area).width);
    let interrupted = app.running.iter().filter(|running| running.interrupted.is_some()).count();
    let held = app.running.iter().filter(|running| running.held.is_some()).count();
    let mut title = theme.span(Tone::Title, " rollouts ")
        + theme.span(Tone::Dim, format!("{} running", app.counts.deployments.saturating_sub(held)));
    if held > 0 {
        title.push_span(theme.span(Tone::Warn, format!(", {held} held")));
    }
    if interrupted > 0 {
        title.push_span(theme.span(Tone::Bad, format!(", {interrupted} interrupted")));
    }
    title.push_span(" ");
    let key = app.options.keys.name(Context::Fleet, KeyCommand::Deployments);
    let top = Edge { left: title, right: theme.span(Tone::Dim, format!(" {key} open ")).into() };
    let shown = usize::from(area.height - 2);
    let widest = app.running.iter().map(|running| head(running, theme).width()).max().unwrap_or(0);
    let lines = app.running.iter().take(shown).map(|running| line(running, theme, widest, columns));
    draw_text(frame, theme, area, top, Line::default(), lines);
}

/// `▶ switch main b04c7de by alice`
fn head(running: &RunningRollout, theme: &Theme) -> Line<'static> {
    let by = running.issuer.as_ref().map(|issuer| format!(" by {issuer}")).unwrap_or_default();
    let batch = running.batch.map(|(batch, of)| format!("  batch {batch}/{of}")).unwrap_or_default();
    let symbols = theme.symbols();
    let (symbol, tone) = match (running.interrupted, &running.held) {
        (Some(_), _) | (_, Some((true, _))) => (symbols.failed, Tone::Bad),
        (None, Some((false, _))) => (symbols.held, Tone::Warn),
        (None, None) => (symbols.working, Tone::Busy),
    };
    Line::from(vec![
        theme.span(tone, symbol),
        Span::raw(" "),
        theme.span(Tone::Title, running.title.clone()),
        theme.span(Tone::Dim, by),
        theme.span(Tone::Plain, batch),
    ])
}

fn line(running: &RunningRollout, theme: &Theme, widest: usize, columns: usize) -> Line<'static> {
    let symbols = theme.symbols();
    let percent = format!(" {:>3} %  ", running.share / 10);
    let kinds: [Count<'_>; 6] = [
        (symbols.done, running.counts.completed, "", Tone::Good),
        (symbols.failed, running.counts.failed, "", Tone::Bad),
        (symbols.warning, running.counts.rejected, "", Tone::Bad),
        (symbols.warning, running.counts.cancelled, "", Tone::Warn),
        (symbols.working, running.counts.running, "", Tone::Busy),
        (symbols.pending, running.waiting, "", Tone::Dim),
    ];
    let counts = lines::counts(theme, &kinds, " ", 0);
    let mut time = format::elapsed(running.elapsed_ms);
    if let Some(left) = running.left_ms {
        time = format!("{time}, {}", format::remaining(left));
    }
    let time = match (running.interrupted, &running.held) {
        (Some(not_sent), _) => theme.span(Tone::Bad, format!("interrupted, {not_sent} not sent")),
        (None, Some((true, reason))) => theme.span(Tone::Bad, format!("stopped: {reason}")),
        (None, Some((false, reason))) => theme.span(Tone::Warn, reason.clone()),
        (None, None) => theme.span(Tone::Dim, time),
    };
    let rest = percent.len() + counts.width() + 2 + time.width();
    let head = fit(head(running, theme), columns.saturating_sub(rest.min(columns / 2)), theme);
    let start = widest.min(columns / 2).max(head.width()) + 2;
    let bar = columns.saturating_sub(start + rest).min((columns / BAR_SHARE).max(MIN_BAR));
    let gap = " ".repeat(start.saturating_sub(head.width()));
    let mut line = joined(head, [Span::raw(gap)]);
    if bar >= MIN_BAR {
        line.extend(line_bar(running.share, crate::fleet::WHOLE_JOB, bar, theme));
    }
    line.push_span(theme.span(Tone::Plain, percent));
    line.extend(counts);
    let left = columns.saturating_sub(line.width() + time.width());
    if left >= 2 && text::width(&time.content) > 0 {
        line.extend([Span::raw(" ".repeat(left)), time]);
    }
    line
}
