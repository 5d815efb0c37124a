//! One frame as text, of a console that is asked for nothing else.

use super::keys::Chord;
use super::outside::Outside;
use super::{App, ConsoleError, Effect, Event, Options, text, update, view};
use crate::deployer::Operator;
use jiff::Timestamp;
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::layout::Size;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

/// How long nothing new must come, and how long is waited in all: once before the keys, and once after them.
const QUIET: Duration = Duration::from_millis(400);
const PATIENCE: Duration = Duration::from_secs(3);

/// One frame as text: what the console shows once everybody has answered and these keys were pressed. Keys send nothing.
pub async fn snapshot(
    operator: Operator,
    options: Options,
    size: Size,
    keys: &[Chord],
) -> Result<String, ConsoleError> {
    let mut app = App::new(options, &operator.roster, size, Timestamp::now());
    let (mut outside, mut events) = Outside::begin(operator, None).await?;
    settle(&mut app, &mut outside, &mut events).await?;
    for key in keys {
        take(&mut app, Event::Key(key.event()), &mut outside);
        take(&mut app, Event::Frame, &mut outside);
    }
    if !keys.is_empty() {
        settle(&mut app, &mut outside, &mut events).await?;
    }
    outside.end().await;
    Ok(picture(&app))
}

/// Takes what comes until no more of that comes which ends: reports of what is under way do not.
async fn settle(
    app: &mut App,
    outside: &mut Outside,
    events: &mut mpsc::Receiver<Event>,
) -> Result<(), ConsoleError> {
    let last = Instant::now() + PATIENCE;
    let mut until = if app.counts.online == 0 { last } else { last.min(Instant::now() + QUIET) };
    loop {
        let event = tokio::select! {
            event = events.recv() => event.ok_or(ConsoleError::Closed)?,
            () = sleep_until(until) => return Ok(()),
        };
        let (is_asked, online) = (matches!(event, Event::Log(..) | Event::Heads(_)), app.counts.online);
        take(app, event, outside);
        take(app, Event::Clock(Timestamp::now()), outside);
        take(app, Event::Frame, outside);
        if is_asked || app.counts.online != online {
            until = last.min(Instant::now() + QUIET);
        }
    }
}

fn take(app: &mut App, event: Event, outside: &mut Outside) {
    for effect in update(app, event) {
        if matches!(effect, Effect::Log(_) | Effect::Heads(..)) {
            outside.carry_out(effect);
        }
    }
}

/// The console as lines of text.
pub fn picture(app: &App) -> String {
    let mut terminal = match Terminal::new(TestBackend::new(app.size.width, app.size.height)) {
        Ok(terminal) => terminal,
        Err(never) => match never {},
    };
    if let Err(never) = terminal.draw(|frame| view(app, frame)) {
        match never {}
    }
    let buffer = terminal.backend().buffer();
    let mut text = String::new();
    for row in buffer.area.rows() {
        let mut line = String::new();
        let mut covered = 0;
        for place in row.columns() {
            let symbol = buffer[(place.x, place.y)].symbol();
            // A wide character covers the cell after it.
            if covered == 0 {
                line.push_str(symbol);
                covered = text::width(symbol);
            }
            covered = covered.saturating_sub(1);
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}
