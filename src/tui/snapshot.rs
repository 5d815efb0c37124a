//! One frame as text, of a console that is asked for nothing else.

use super::keys::Chord;
use super::outside::Outside;
use super::{
    App, ConsoleError, Diagnostics, Effect, Event, HistoryState, LogState, Options, Screen, text, update,
    view,
};
use crate::deployer::Operator;
use jiff::Timestamp;
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::layout::Size;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

/// How long nothing new must come, and how long is waited in all: before the keys, for what a key has asked, and at the end.
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
    let nobody = |app: &App| app.counts.online == 0 || waits(app);
    settle(&mut app, &mut outside, &mut events, QUIET, nobody).await;
    for key in keys {
        take(&mut app, Event::Key(key.event()), &mut outside);
        take(&mut app, Event::Frame, &mut outside);
        // The next key may be about what this one has asked for.
        settle(&mut app, &mut outside, &mut events, Duration::ZERO, screen_waits).await;
    }
    if !keys.is_empty() {
        settle(&mut app, &mut outside, &mut events, QUIET, waits).await;
    }
    outside.end().await;
    Ok(picture(&app))
}

/// Takes what comes until nothing is waited for and no more of that comes which ends: reports of what is under way do not.
async fn settle(
    app: &mut App,
    outside: &mut Outside,
    events: &mut mpsc::Receiver<Event>,
    quiet: Duration,
    waits: impl Fn(&App) -> bool,
) {
    let last = Instant::now() + PATIENCE;
    let mut until = last.min(Instant::now() + quiet);
    loop {
        let event = tokio::select! {
            Some(event) = events.recv() => event,
            () = sleep_until(if waits(app) { last } else { until }) => return,
        };
        let is_asked = matches!(
            event,
            Event::Log(..) | Event::WholeLog { .. } | Event::History(..) | Event::Job(..) | Event::Heads(_)
        );
        let online = app.counts.online;
        take(app, event, outside);
        take(app, Event::Clock(Timestamp::now()), outside);
        take(app, Event::Frame, outside);
        if is_asked || app.counts.online != online {
            until = last.min(Instant::now() + quiet);
        }
    }
}

/// Whether the screen has asked for something that has not come.
fn screen_waits(app: &App) -> bool {
    match app.screens.last() {
        Some(Screen::Host(screen)) => screen.history == HistoryState::Asked,
        Some(Screen::Log(screen)) => {
            screen.state == LogState::Asked || screen.diagnostics == Diagnostics::Asked
        }
        _ => false,
    }
}

/// Whether anything in view has.
fn waits(app: &App) -> bool {
    let heads = app.heads_asked.is_some() && app.heads.is_none();
    let log = app.log.as_ref().is_some_and(|log| log.state == LogState::Asked);
    heads || log || app.round_trip.is_none() || screen_waits(app)
}

fn take(app: &mut App, event: Event, outside: &mut Outside) {
    for effect in update(app, event) {
        // Those that only ask.
        if let Effect::Log(_)
        | Effect::WholeLog(_)
        | Effect::History(_)
        | Effect::Job(_)
        | Effect::Heads(..) = effect
        {
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
