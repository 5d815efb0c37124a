//! One frame of the console as text.

use super::chord::Chord;
use super::effects::Runtime;
use super::{
    App, ConsoleError, ConsoleEvent, DiagnosticsState, Effect, HistoryState, LogState, Options, Screen, text,
    update, view,
};
use crate::client::Operator;
use jiff::Timestamp;
use ratatui::Terminal;
use ratatui::backend::{IntoCrossterm, TestBackend};
use ratatui::buffer::{Buffer, Cell};
use ratatui::layout::{Rect, Size};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

/// How long no new reply may arrive before the frame is drawn, and how long that may take in total.
const QUIET_PERIOD: Duration = Duration::from_millis(400);
const MAX_WAIT: Duration = Duration::from_secs(3);

/// Runs the console with these keys and returns one frame as text. The keys send nothing that changes a host.
/// `styled` adds the escape sequences of colours and modifiers, for a terminal.
pub async fn snapshot(
    operator: Operator,
    options: Options,
    size: Size,
    keys: &[Chord],
    styled: bool,
) -> Result<String, ConsoleError> {
    let mut app = App::new(options, &operator.inventory, size, Timestamp::now());
    let (mut runtime, mut events) = Runtime::start(operator, None, None, None).await?;
    let no_host_online = |app: &App| app.counts.online == 0 || is_loading(app);
    wait_until_quiet(&mut app, &mut runtime, &mut events, QUIET_PERIOD, no_host_online).await;
    for key in keys {
        apply(&mut app, ConsoleEvent::Key(key.event()), &mut runtime);
        apply(&mut app, ConsoleEvent::Frame, &mut runtime);
        // The next key may depend on the reply to this one.
        wait_until_quiet(&mut app, &mut runtime, &mut events, Duration::ZERO, is_screen_loading).await;
    }
    if !keys.is_empty() {
        wait_until_quiet(&mut app, &mut runtime, &mut events, QUIET_PERIOD, is_loading).await;
    }
    runtime.shutdown().await;
    Ok(if styled { styled_lines(&draw(&app)) } else { render_text(&app) })
}

/// Applies events until nothing is loading and no reply arrives for a while. Reports of running jobs do not count.
async fn wait_until_quiet(
    app: &mut App,
    runtime: &mut Runtime,
    events: &mut mpsc::Receiver<ConsoleEvent>,
    quiet: Duration,
    is_loading: impl Fn(&App) -> bool,
) {
    let last = Instant::now() + MAX_WAIT;
    let mut until = last.min(Instant::now() + quiet);
    loop {
        let event = tokio::select! {
            Some(event) = events.recv() => event,
            () = sleep_until(if is_loading(app) { last } else { until }) => return,
        };
        let is_reply = matches!(
            event,
            ConsoleEvent::Log(..)
                | ConsoleEvent::FullLog { .. }
                | ConsoleEvent::HostLog(..)
                | ConsoleEvent::History(..)
                | ConsoleEvent::Durations(_)
                | ConsoleEvent::Job(..)
                | ConsoleEvent::Heads(_)
                | ConsoleEvent::Commits(_)
        );
        let online = app.counts.online;
        apply(app, event, runtime);
        apply(app, ConsoleEvent::Clock(Timestamp::now()), runtime);
        apply(app, ConsoleEvent::Frame, runtime);
        if is_reply || app.counts.online != online {
            until = last.min(Instant::now() + quiet);
        }
    }
}

/// Whether the screen waits for a reply.
fn is_screen_loading(app: &App) -> bool {
    match app.screens.last() {
        Some(Screen::Host(screen)) => screen.history == HistoryState::Loading,
        Some(Screen::Log(screen)) => {
            screen.state == LogState::Loading || screen.diagnostics == DiagnosticsState::Requested
        }
        _ => false,
    }
}

/// Whether anything in view waits for a reply.
fn is_loading(app: &App) -> bool {
    let heads = app.heads_requested.is_some() && app.heads.is_none();
    let log = app.log.as_ref().is_some_and(|log| log.state == LogState::Loading);
    heads || app.commits.is_loading() || log || app.round_trip.is_none() || is_screen_loading(app)
}

fn apply(app: &mut App, event: ConsoleEvent, runtime: &mut Runtime) {
    for effect in update(app, event) {
        // Only effects that query or read.
        if let Effect::Log(_)
        | Effect::FullLogs(_)
        | Effect::Durations(_)
        | Effect::FullLog(_)
        | Effect::History(_)
        | Effect::Job(_)
        | Effect::Heads(..)
        | Effect::Commits(_) = effect
        {
            runtime.perform(effect);
        }
    }
}

/// Draws the console as lines of text.
pub fn render_text(app: &App) -> String {
    let mut text = String::new();
    for row in rows(&draw(app)) {
        let line: String = row.into_iter().map(Cell::symbol).collect();
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

fn draw(app: &App) -> Buffer {
    let mut terminal = match Terminal::new(TestBackend::new(app.size.width, app.size.height)) {
        Ok(terminal) => terminal,
        Err(never) => match never {},
    };
    if let Err(never) = terminal.draw(|frame| view(app, frame)) {
        match never {}
    }
    terminal.backend().buffer().clone()
}

/// The cells of each row, without those that a wide character covers.
fn rows(buffer: &Buffer) -> Vec<Vec<&Cell>> {
    let row = |row: Rect| {
        let mut covered = 0;
        let cells = row.columns().map(|cell| &buffer[(cell.x, cell.y)]);
        cells
            .filter(|cell| {
                let is_visible = covered == 0;
                if is_visible {
                    covered = text::width(cell.symbol());
                }
                covered = covered.saturating_sub(1);
                is_visible
            })
            .collect()
    };
    buffer.area.rows().map(row).collect()
}

/// The frame as lines with escape sequences. Each line ends with the default style.
fn styled_lines(buffer: &Buffer) -> String {
    let mut lines = String::new();
    for row in rows(buffer) {
        for run in row.chunk_by(|a, b| a.style() == b.style()) {
            let symbols: String = run.iter().map(|cell| cell.symbol()).collect();
            let style = run.first().map(|cell| cell.style()).unwrap_or_default();
            // The string of a styled run also resets its style at the end.
            lines.push_str(&style.into_crossterm().apply(symbols).to_string());
        }
        lines.push('\n');
    }
    lines
}
