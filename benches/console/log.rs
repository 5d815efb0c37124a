//! A frame of a log of 100,000 lines, wrapped and searched, compared with the same frame with 100 lines.

use crate::frame::{app, processor_time};
use crate::{COLUMNS, ROWS, percentile};
use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use homelab_deploy::client::LogEvent;
use homelab_deploy::tui::{App, ConsoleEvent, LogKey, LogScreen, Screen, update, view};
use jiff::Timestamp;
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use std::time::Duration;

const LINES: usize = 100_000;
const FEW: usize = 100;
const FRAMES: usize = 600;
const BOUND: Duration = Duration::from_millis(2);

pub(crate) fn measure() -> bool {
    let (median, late, search) = frames(LINES);
    let baseline = frames(FEW);
    println!(
        "log: 99 of 100 frames within {late:.2?} of processor time with {LINES} lines, median {median:.2?}, bound \
         {BOUND:?}; baseline, {FEW} lines: {:.2?}, median {:.2?}",
        baseline.1, baseline.0
    );
    println!("  the first letter of a search: {search:.2?} with {LINES} lines");
    late <= BOUND
}

/// A line of about 200 columns, partly coloured.
fn line(number: usize) -> String {
    format!("\u{1b}[32mline {number}\u{1b}[0m {}\n", "building linux-6.12.9.drv ".repeat(7))
}

/// The median and the 99th percentile of the frame times, and the time of a search's first letter. Before each frame, a
/// key scrolls and a line arrives.
fn frames(count: usize) -> (Duration, Duration, Duration) {
    let mut app = app(10, Timestamp::now());
    let key = LogKey { host: "host0".parse().unwrap(), job: "round-1".parse().unwrap() };
    app.screens.push(Screen::Log(LogScreen::new(key.clone())));
    let mut offset = 0;
    let mut grow = |app: &mut App, text: String| {
        let length = text.len() as u64;
        let event = LogEvent::Text { offset, text };
        offset += length;
        update(app, ConsoleEvent::FullLog { key: key.clone(), event, stored_len: Some(0) });
    };
    grow(&mut app, (0..count).map(line).collect::<Vec<_>>().concat());
    let press = |app: &mut App, code| update(app, ConsoleEvent::Key(KeyEvent::new(code, KeyModifiers::NONE)));
    press(&mut app, KeyCode::Char('W'));
    press(&mut app, KeyCode::Char('/'));
    let start = processor_time();
    press(&mut app, KeyCode::Char('x'));
    let search = processor_time().saturating_sub(start);
    press(&mut app, KeyCode::Enter);
    let mut terminal = Terminal::new(TestBackend::new(COLUMNS, ROWS)).unwrap();
    let mut taken = Vec::new();
    for frame in 0..FRAMES {
        grow(&mut app, line(frame));
        let start = processor_time();
        press(&mut app, if frame % 100 < 60 { KeyCode::PageUp } else { KeyCode::Down });
        update(&mut app, ConsoleEvent::Frame);
        terminal.draw(|frame| view(&app, frame)).unwrap();
        taken.push(processor_time().saturating_sub(start));
    }
    taken.sort_unstable();
    (percentile(&taken, 500), percentile(&taken, 990), search)
}
