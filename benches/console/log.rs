//! A frame of a log of 100,000 lines, wrapped and searched, beside the same frame with 100 lines.

use crate::frame::{app, processor_time};
use crate::{COLUMNS, ROWS, at_share};
use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use homelab_deploy::deployer::LogNews;
use homelab_deploy::tui::{App, Event, LogKey, LogScreen, Screen, update, view};
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
    let floor = frames(FEW);
    println!(
        "log: 99 of 100 frames within {late:.2?} of processor time with {LINES} lines, median {median:.2?}, bound \
         {BOUND:?}; floor, {FEW} lines: {:.2?}, median {:.2?}",
        floor.1, floor.0
    );
    println!("  the first letter of a search: {search:.2?} with {LINES} lines");
    late <= BOUND
}

/// A line of about 200 columns, some of it colour.
fn line(number: usize) -> String {
    format!("\u{1b}[32mline {number}\u{1b}[0m {}\n", "building linux-6.12.9.drv ".repeat(7))
}

/// The median and the 99th of 100 times that a frame took, and how long a search took to begin. Before each frame a key
/// scrolls and a line arrives.
fn frames(count: usize) -> (Duration, Duration, Duration) {
    let mut app = app(10, Timestamp::now());
    let key = LogKey { host: "host0".parse().unwrap(), job: "round-1".parse().unwrap() };
    app.screens.push(Screen::Log(LogScreen::new(key.clone())));
    let mut offset = 0;
    let mut grow = |app: &mut App, text: String| {
        let length = text.len() as u64;
        let news = LogNews::Text { offset, text };
        offset += length;
        update(app, Event::WholeLog { key: key.clone(), news, kept: Some(0) });
    };
    grow(&mut app, (0..count).map(line).collect::<Vec<_>>().concat());
    let press = |app: &mut App, code| update(app, Event::Key(KeyEvent::new(code, KeyModifiers::NONE)));
    press(&mut app, KeyCode::Char('W'));
    press(&mut app, KeyCode::Char('/'));
    let begun = processor_time();
    press(&mut app, KeyCode::Char('x'));
    let search = processor_time().saturating_sub(begun);
    press(&mut app, KeyCode::Enter);
    let mut terminal = Terminal::new(TestBackend::new(COLUMNS, ROWS)).unwrap();
    let mut taken = Vec::new();
    for frame in 0..FRAMES {
        grow(&mut app, line(frame));
        let begun = processor_time();
        press(&mut app, if frame % 100 < 60 { KeyCode::PageUp } else { KeyCode::Down });
        update(&mut app, Event::Frame);
        terminal.draw(|frame| view(&app, frame)).unwrap();
        taken.push(processor_time().saturating_sub(begun));
    }
    taken.sort_unstable();
    (at_share(&taken, 500), at_share(&taken, 990), search)
}
