//! The timeline of a deployment: a lane per host, the phases in colours, and below it the causes of failures. Only visible
//! lanes are built.

use super::lines::{fit, joined};
use super::panel::{Edge, draw_scrollbar, draw_text, panel};
use super::{Areas, deployment, deployments, dialogs, result, sparkline};
use crate::fleet::HostJob;
use crate::protocol::{PhaseName, PhaseState, Status};
use crate::text::format;
use crate::tui::known_deployment::{DeploymentHost, DeploymentHostState, KnownDeployment};
use crate::tui::screens::SCALES;
use crate::tui::{App, Theme, TimelineRow, TimelineScreen, Tone, text};
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect, Size};
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;
use std::time::Duration;

/// Columns of a tick of the axis.
const TICK: usize = 10;
/// Minimum and maximum width of the names, and the width of the states.
const NAME: [usize; 2] = [8, 20];
const STATE: usize = 16;
/// Columns before the names: the cursor, the symbol and spaces.
const LEAD: usize = 4;
/// Lines inside the panel that are not lanes: counts and axis above, the legend below.
const AROUND: u16 = 3;

/// The phases with their symbols in colour, their letters without colour, and their tones. Rollback is the last one.
const PHASES: [(PhaseName, &str, &str, Tone); 7] = [
    (PhaseName::Prepare, "░", "p", Tone::Dim),
    (PhaseName::Build, "▒", "b", Tone::Busy),
    (PhaseName::Check, "▓", "c", Tone::Plain),
    (PhaseName::Activate, "█", "a", Tone::Warn),
    (PhaseName::Verify, "█", "v", Tone::Busy),
    (PhaseName::Persist, "█", "s", Tone::Good),
    (PhaseName::Rollback, "█", "r", Tone::Bad),
];

/// The visible part of the time, in milliseconds from the start of the deployment.
#[derive(Debug, Clone, Copy)]
pub(in crate::tui) struct TimeAxis {
    /// Number of columns of a lane.
    pub(in crate::tui) columns: usize,
    /// Index of the scale in [`SCALES`].
    pub(in crate::tui) zoom: usize,
    pub(in crate::tui) scale_ms: u64,
    pub(in crate::tui) left_ms: u64,
    /// The end of the deployment: expected, as far as lanes are visible, or actual.
    pub(in crate::tui) end_ms: u64,
}

/// A part of a lane.
struct Segment {
    from: u64,
    to: u64,
    symbol: &'static str,
    tone: Tone,
}

/// Number of visible rows.
pub(in crate::tui) fn rows_in_view(size: Size) -> usize {
    usize::from(Areas::of(size).list.height.saturating_sub(2 + AROUND)).max(1)
}

/// The lanes take only the lines that they need.
pub(super) fn areas(app: &App, screen: &TimelineScreen) -> Areas {
    Areas::of(app.size).fitting(screen.cursor.rows().len() + usize::from(AROUND) + 2)
}

/// The time axis of a timeline.
pub(in crate::tui) fn time_axis(app: &App, screen: &TimelineScreen) -> TimeAxis {
    let name = name_width(app, screen);
    let columns = usize::from(app.size.width).saturating_sub(2 + LEAD + name + 2 + STATE + 1).max(1);
    let known = KnownDeployment::of(app, &screen.id);
    let end_ms = known.map_or(0, |known| end_ms(app, &known, screen));
    let fits = |scale: &u64| scale.saturating_mul(columns as u64) > end_ms;
    let fitted = SCALES.iter().position(fits).unwrap_or(SCALES.len() - 1);
    let zoom = screen.zoom.unwrap_or(fitted);
    TimeAxis { columns, zoom, scale_ms: SCALES[zoom], left_ms: screen.left_ms, end_ms }
}

/// The end of the deployment. While it runs, only visible lanes count, so that the cost does not grow with the hosts.
fn end_ms(app: &App, known: &KnownDeployment<'_>, screen: &TimelineScreen) -> u64 {
    let start = known.started_at();
    if let Some(ended_at) = screen.ended_at.filter(|_| !known.is_under_way()) {
        return since_ms(start, ended_at);
    }
    let visible = visible(screen, rows_in_view(app.size)).filter_map(|row| match row {
        TimelineRow::Host(key) => known.host_entry(key),
        TimelineRow::Batch(_) => None,
    });
    let expected = visible.filter_map(|entry| {
        let job = entry.job?;
        let end = since_ms(start, job.started_at).saturating_add(elapsed_ms(app, &entry, job));
        Some(end.saturating_add(remaining_ms(app, &entry, job).unwrap_or(0)))
    });
    expected.max().unwrap_or(0).max(since_ms(start, app.now))
}

fn since_ms(start: jiff::Timestamp, at: jiff::Timestamp) -> u64 {
    u64::try_from(at.duration_since(start).as_millis()).unwrap_or(0)
}

/// The run time of a job so far.
fn elapsed_ms(app: &App, entry: &DeploymentHost<'_>, job: &HostJob) -> u64 {
    let since =
        if entry.state == DeploymentHostState::Running { since_ms(job.last_seen, app.now) } else { 0 };
    job.elapsed_ms().saturating_add(since)
}

/// The expected remaining time of a running job, from the last jobs of its host.
fn remaining_ms(app: &App, entry: &DeploymentHost<'_>, job: &HostJob) -> Option<u64> {
    if entry.state != DeploymentHostState::Running {
        return None;
    }
    let since = since_ms(job.last_seen, app.now);
    app.durations.of(entry.host)?.remaining_ms(&job.report, since)
}

fn visible(screen: &TimelineScreen, in_view: usize) -> impl Iterator<Item = &TimelineRow> {
    screen.cursor.rows().iter().skip(screen.cursor.top).take(in_view)
}

/// Width of the longest visible name.
fn name_width(app: &App, screen: &TimelineScreen) -> usize {
    let names = visible(screen, rows_in_view(app.size)).filter_map(|row| match row {
        TimelineRow::Host((host, _)) => Some(host.as_str().len()),
        TimelineRow::Batch(_) => None,
    });
    names.max().unwrap_or(0).clamp(NAME[0], NAME[1])
}

pub(super) fn draw(app: &App, screen: &TimelineScreen, frame: &mut Frame<'_>, areas: &Areas) {
    let (theme, area) = (&app.options.theme, areas.list);
    let Some(known) = KnownDeployment::of(app, &screen.id) else {
        let reason = theme.span(Tone::Dim, "no longer available: too many newer deployments");
        return draw_text(frame, theme, area, Line::default(), dialogs::notice(app), [reason.into()]);
    };
    let axis = time_axis(app, screen);
    let scale = theme.span(Tone::Dim, format!(" {} per column ", scale_label(axis.scale_ms)));
    let top = Edge { left: deployments::title(app, &known), right: scale.into() };
    let block = panel(theme, area.width, top, dialogs::notice(app));
    let inside = block.inner(area);
    frame.render_widget(block, area);
    let [counts, ticks, lanes, legend] = inside.layout(&Layout::vertical([
        Constraint::Length(1),
        Constraint::Length(1),
        Constraint::Fill(1),
        Constraint::Length(1),
    ]));
    let width = usize::from(inside.width);
    let name = name_width(app, screen);
    frame.render_widget(fit(overview(app, &known, screen, width), width, theme), counts);
    frame.render_widget(fit(axis_line(theme, axis, name), width, theme), ticks);
    let in_view = usize::from(lanes.height);
    let rows = visible(screen, in_view).enumerate().map(|(at, row)| {
        let line = match row {
            TimelineRow::Batch(batch) => batch_heading(theme, &known, *batch),
            TimelineRow::Host(key) => match known.host_entry(key) {
                Some(entry) => {
                    lane(app, &known, &entry, axis, name, screen.cursor.top + at == screen.cursor.row())
                }
                None => Line::default(),
            },
        };
        fit(line, width, theme)
    });
    frame.render_widget(Paragraph::new(rows.collect::<Vec<_>>()), lanes);
    frame.render_widget(fit(legend_line(theme, width), width, theme), legend);
    draw_scrollbar(frame, theme, area, AROUND, screen.cursor.top, in_view, screen.cursor.rows().len());
    draw_causes(app, &known, screen, frame, areas.detail);
}

/// Counts, progress and run time.
fn overview(app: &App, known: &KnownDeployment<'_>, screen: &TimelineScreen, width: usize) -> Line<'static> {
    let theme = &app.options.theme;
    let end = if known.is_under_way() { app.now } else { screen.ended_at.unwrap_or(app.now) };
    let label = if known.is_under_way() { "elapsed" } else { "took" };
    let time = format!("  {label} {}", format::elapsed(since_ms(known.started_at(), end)));
    let counts = result::counts(known, width.saturating_sub(time.len() + 1), theme);
    let bar = result::progress(known, 30.min(width.saturating_sub(counts.width() + time.len() + 3)), theme);
    let bar = bar.filter(|bar| bar.width() >= 10).map(|bar| [Span::raw("  "), bar]);
    let line = joined(Span::raw(" "), counts.spans);
    joined(joined(line, bar.into_iter().flatten()), [theme.span(Tone::Dim, time)])
}

/// A scale as time: `1.5 s`, `2 min`.
fn scale_label(ms: u64) -> String {
    match ms {
        0..1000 => format!("{ms} ms"),
        1000..60_000 if ms.is_multiple_of(1000) => format!("{} s", ms / 1000),
        1000..60_000 => format!("{}.{} s", ms / 1000, ms % 1000 / 100),
        _ if ms.is_multiple_of(60_000) => format!("{} min", ms / 60_000),
        _ => format!("{}.{} min", ms / 60_000, ms % 60_000 / 6000),
    }
}

/// The times above the lanes, one every ten columns.
fn axis_line(theme: &Theme, axis: TimeAxis, name: usize) -> Line<'static> {
    let bar = if theme.unicode { "│" } else { "|" };
    let mut ticks = String::new();
    let tick = axis.scale_ms * TICK as u64;
    let first = axis.left_ms.div_ceil(tick);
    let indent = (first * tick - axis.left_ms) / axis.scale_ms;
    ticks.push_str(&" ".repeat(usize::try_from(indent).unwrap_or(0)));
    let mut at = first;
    while text::width(&ticks) + 2 < axis.columns {
        // Below a second, the tenths distinguish the ticks.
        let tenths = if tick < 1000 { format!(".{}", at * tick % 1000 / 100) } else { String::new() };
        let label = format!("{bar}{}{tenths}", format::elapsed(at * tick));
        ticks.push_str(&label);
        ticks.push_str(&" ".repeat(TICK.saturating_sub(text::width(&label))));
        at += 1;
    }
    let head = format!("{}{:<name$}  {:<STATE$} ", " ".repeat(LEAD), "HOST", "STATE");
    theme.span(Tone::Title, head) + theme.span(Tone::Dim, text::fit(ticks.trim_end(), axis.columns, ' '))
}

/// `batch 2 of 3, after a pause of 10 s`
fn batch_heading(theme: &Theme, known: &KnownDeployment<'_>, batch: usize) -> Line<'static> {
    let Some((sent_batches, all)) = known.batch() else { return Line::default() };
    let kind = match known.batch_kind(batch) {
        Some("canary") => ", canary",
        Some("nats_server") => ", the NATS server",
        _ => "",
    };
    // Others do not announce their pauses.
    let pause = known.sent.map_or(Duration::ZERO, |sent| sent.plan.rollout.pause());
    let pause = if batch > 0 && !pause.is_zero() {
        format!(", after a pause of {}", format::long_duration(pause))
    } else {
        String::new()
    };
    let mut line = Line::from(theme.span(Tone::Title, format!(" batch {} of {all}", batch + 1)));
    line.push_span(theme.span(Tone::Dim, format!("{kind}{pause}")));
    if batch >= sent_batches {
        let note = match (known.sent.and_then(|sent| sent.stopped), known.has_unsent_batches()) {
            (Some(stopped), _) => theme.span(Tone::Warn, format!("  not sent: {stopped}")),
            (None, true) => theme.span(Tone::Dim, "  pending"),
            (None, false) => theme.span(Tone::Warn, "  not sent"),
        };
        line.push_span(note);
    }
    line
}

/// The lane of a host. The cursor covers the name and the state; the colours of the phases stay.
fn lane(
    app: &App,
    known: &KnownDeployment<'_>,
    entry: &DeploymentHost<'_>,
    axis: TimeAxis,
    name: usize,
    selected: bool,
) -> Line<'static> {
    let theme = &app.options.theme;
    let symbols = theme.symbols();
    let cursor = if selected { symbols.cursor } else { " " };
    let state = deployment::state(app, entry);
    // The state starts with its symbol.
    let (symbol, word) = state.content.split_once(' ').unwrap_or(("", &state.content));
    let word = match entry.job.filter(|_| entry.state == DeploymentHostState::Completed) {
        Some(job) => format!("{word} {}", format::elapsed(job.elapsed_ms())),
        None => word.to_owned(),
    };
    let rolled_back = entry.job.is_some_and(|job| job.report.rolled_back == Some(true));
    let word = if rolled_back { "rolled back".to_owned() } else { word };
    let shown_name = text::fit(entry.host.as_str(), name, symbols.cut);
    let word = text::fit(&word, STATE, symbols.cut);
    let mut head = vec![
        theme.span(Tone::Title, format!("{cursor} ")),
        Span::styled(format!("{symbol:<1} "), state.style),
        theme.span(Tone::Plain, format!("{shown_name:<name$}  ")),
        Span::styled(format!("{word:<STATE$}"), state.style),
    ];
    if selected {
        let style = theme.style(Tone::Selected);
        head.iter_mut().skip(1).for_each(|span| span.style = span.style.patch(style));
    }
    let cells =
        entry.job.map(|job| cells(theme, &segments(app, known, entry, job), axis)).unwrap_or_default();
    head.push(Span::raw(" "));
    joined(Line::from(head), cells)
}

/// The phases of a job one after the other, and the expected rest.
fn segments(
    app: &App,
    known: &KnownDeployment<'_>,
    entry: &DeploymentHost<'_>,
    job: &HostJob,
) -> Vec<Segment> {
    let theme = &app.options.theme;
    let mut at = since_ms(known.started_at(), job.started_at);
    let end = at.saturating_add(elapsed_ms(app, entry, job));
    let mut segments = Vec::new();
    let phases = &job.report.phases.0;
    let last_run =
        phases.iter().rposition(|phase| phase.elapsed_ms > 0 || phase.state == PhaseState::Running);
    for (index, phase) in phases.iter().enumerate() {
        if !matches!(phase.state, PhaseState::Done | PhaseState::Failed | PhaseState::Running) {
            continue;
        }
        let known_phase = PHASES.iter().find(|(name, ..)| *name == phase.name);
        let (_, block, letter, tone) = known_phase.unwrap_or(&PHASES[2]);
        // The run time includes moments between phases; the last phase gets them, so that the lane ends with the job.
        let to = if last_run == Some(index) { end } else { at.saturating_add(phase.elapsed_ms).min(end) };
        let symbol = if theme.colour && theme.unicode { block } else { letter };
        segments.push(Segment { from: at, to, symbol, tone: *tone });
        at = to.max(at);
    }
    if phases.is_empty() && end > at {
        let tone = match job.report.status {
            Status::Failed if job.report.is_cancelled() => Tone::Warn,
            Status::Failed => Tone::Bad,
            _ => Tone::Plain,
        };
        segments.push(Segment { from: at, to: end, symbol: theme.symbols().empty, tone });
    }
    if let Some(remaining) = remaining_ms(app, entry, job) {
        let to = end.saturating_add(remaining);
        segments.push(Segment { from: end, to, symbol: theme.symbols().pending, tone: Tone::Dim });
    }
    segments
}

/// The cells of a lane: each shows the segment that covers most of its time.
fn cells(theme: &Theme, segments: &[Segment], axis: TimeAxis) -> Vec<Span<'static>> {
    let mut spans: Vec<(&'static str, Tone, usize)> = Vec::new();
    for column in 0..axis.columns as u64 {
        let from = axis.left_ms.saturating_add(column * axis.scale_ms);
        let to = from.saturating_add(axis.scale_ms);
        let overlap = |segment: &&Segment| segment.to.min(to).saturating_sub(segment.from.max(from));
        let best = segments.iter().filter(|segment| overlap(segment) > 0).max_by_key(overlap);
        let (symbol, tone) = best.map_or((" ", Tone::Plain), |segment| (segment.symbol, segment.tone));
        match spans.last_mut() {
            Some((last, last_tone, count)) if *last == symbol && *last_tone == tone => *count += 1,
            _ => spans.push((symbol, tone, 1)),
        }
    }
    spans.into_iter().map(|(symbol, tone, count)| theme.span(tone, symbol.repeat(count))).collect()
}

/// The symbols of the phases; in a narrow terminal with smaller gaps.
fn legend_line(theme: &Theme, columns: usize) -> Line<'static> {
    let label = |gap: &'static str, dots: usize| {
        let mut line = Line::default();
        for (name, block, letter, tone) in &PHASES {
            let symbol = if theme.colour && theme.unicode { *block } else { *letter };
            let word = format!(" {}{gap}", name.as_str());
            line.extend([theme.span(*tone, symbol), theme.span(Tone::Dim, word)]);
        }
        let expected = theme.symbols().pending.repeat(dots);
        line.push_span(theme.span(Tone::Dim, format!("{expected} expected")));
        line
    };
    let mut line = Line::from(" ");
    line.extend(Some(label("  ", 3)).filter(|line| line.width() < columns).unwrap_or_else(|| label(" ", 1)));
    line
}

/// The causes of the failures, and the durations of the last jobs of the selected host.
fn draw_causes(
    app: &App,
    known: &KnownDeployment<'_>,
    screen: &TimelineScreen,
    frame: &mut Frame<'_>,
    area: Rect,
) {
    let (theme, size) = (&app.options.theme, super::text_size(area));
    if size.height == 0 {
        return;
    }
    let groups = screen.failures.groups.len();
    let more = if groups > 0 { format!("{} ", format::count(groups, "cause")) } else { String::new() };
    let title = theme.span(Tone::Title, " why ") + theme.span(Tone::Plain, more);
    let (columns, rows) = (usize::from(size.width), usize::from(size.height));
    let past = screen.host().map(|key| past_durations(app, &key.0, columns)).unwrap_or_default();
    let available = rows.saturating_sub(past.len()).max(1);
    let mut lines: Vec<Line<'static>> = Vec::new();
    if let Some((tone, line)) = known.rollout_line() {
        lines.push(theme.span(tone, line).into());
    }
    lines.extend(result::causes(&screen.failures, available.saturating_sub(lines.len()), theme));
    if lines.is_empty() {
        lines.push(theme.span(Tone::Dim, "no failures").into());
    }
    lines.truncate(available);
    lines.extend(past);
    draw_text(frame, theme, area, title, Line::default(), lines);
}

/// `web1  last 10  build ▂▃▂█ 26 s, last 61 s`, in as many lines as needed.
fn past_durations(app: &App, host: &crate::protocol::Name, columns: usize) -> Vec<Line<'static>> {
    let theme = &app.options.theme;
    let Some(durations) = app.durations.of(host) else { return Vec::new() };
    let count = durations.totals().len();
    let mut lines = vec![Line::from(vec![
        theme.span(Tone::Title, host.to_string()),
        theme.span(Tone::Dim, format!("  last {}", format::count(count, "job"))),
    ])];
    lines.extend(sparkline::all_durations(durations, columns, theme));
    lines
}
