//! A frame with 10,000 hosts, beside the same frame with 100.

use crate::{COLUMNS, ROWS, at_share, hosts};
use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use homelab_deploy::deployer::Roster;
use homelab_deploy::protocol::Inbound;
use homelab_deploy::tui::{App, Event, Filter, Options, Sort, Theme, update, view};
use jiff::{SignedDuration, Timestamp};
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::layout::Size;
use rustix::time::{ClockId, clock_gettime};
use std::time::Duration;

const HOSTS: usize = 10_000;
const FEW: usize = 100;
const FRAMES: u32 = 600;
/// How many reports arrive between two frames: 5,000 a second.
const REPORTS: u32 = 80;
const BOUND: Duration = Duration::from_millis(2);

pub(crate) fn measure() -> bool {
    let (median, late) = frames(HOSTS, |_| {});
    let floor = frames(FEW, |_| {});
    println!(
        "frame: 99 of 100 within {late:.2?} of processor time with {HOSTS} hosts, median {median:.2?}, bound {BOUND:?}; \
         floor, {FEW} hosts: {:.2?}, median {:.2?}",
        floor.1, floor.0
    );
    let (by_state, _) = frames(HOSTS, |app| app.table.sort = Sort::State);
    let (by_revision, _) = frames(HOSTS, |app| app.table.sort = Sort::Revision);
    let (filtered, _) = frames(HOSTS, |app| {
        app.table.sort = Sort::State;
        app.table.filter = Filter::parse("main !state:offline").unwrap();
    });
    println!(
        "  with the order made anew for it: by state {by_state:.2?}, by revision {by_revision:.2?}, by state and \
         filtered {filtered:.2?}"
    );
    late <= BOUND
}

/// What this thread has taken so far. Drawing never waits, so this is the time a frame takes where nothing else runs.
pub(crate) fn processor_time() -> Duration {
    clock_gettime(ClockId::ThreadCPUTime).try_into().unwrap()
}

/// The median and the 99th of 100 times that a frame took. Before each a key moves the selection and reports arrive, some
/// of which change how a host stands; once a second the clock ticks.
fn frames(count: usize, prepare: fn(&mut App)) -> (Duration, Duration) {
    let mut now = Timestamp::now();
    let mut app = app(count, now);
    prepare(&mut app);
    app.table.touch();
    let mut terminal = Terminal::new(TestBackend::new(COLUMNS, ROWS)).unwrap();
    let mut draw = |app: &mut App| {
        let begun = processor_time();
        update(app, Event::Frame);
        terminal.draw(|frame| view(app, frame)).unwrap();
        processor_time().saturating_sub(begun)
    };
    draw(&mut app);
    let mut taken = Vec::new();
    let mut next = 0;
    for frame in 0..FRAMES {
        let key = if frame % 100 < 60 { 'j' } else { 'k' };
        update(&mut app, Event::Key(KeyEvent::new(KeyCode::Char(key), KeyModifiers::NONE)));
        let reports = (0..REPORTS).map(|_| {
            next += 1;
            let host = next % count;
            // Half of the hosts are in view sooner or later; one report in ten is a verdict or begins anew.
            let mut report = hosts::report(host, u64::from(frame), next % 10 == 0);
            report.id = Some(format!("round-{}", frame / 200).parse().unwrap());
            Ok(Inbound::Report(Box::new(report)))
        });
        let reports = reports.collect();
        update(&mut app, Event::Messages(reports, now));
        if frame % 60 == 0 {
            now += SignedDuration::from_secs(1);
            update(&mut app, Event::Clock(now));
        }
        assert!(app.is_dirty());
        taken.push(draw(&mut app));
    }
    taken.sort_unstable();
    (at_share(&taken, 500), at_share(&taken, 990))
}

/// A console that knows everything of its hosts: a third has a job that runs.
pub(crate) fn app(count: usize, now: Timestamp) -> App {
    let options = Options {
        server: "nats://127.0.0.1:4222".to_owned(),
        issuer: "alice@workstation".to_owned(),
        branch: None,
        confirm_tiers: Vec::new(),
        zone: jiff::tz::TimeZone::UTC,
        theme: Theme { colour: true, unicode: true },
        context: None,
        read_only: false,
    };
    let size = Size { width: COLUMNS, height: ROWS };
    let mut app = App::new(options, &Roster::default(), size, now);
    let answers = (0..count).map(|n| {
        // Some have not been heard of for long.
        let ago = [0, 0, 0, 0, 0, 0, 0, 200, 700][n % 9];
        let at = now - SignedDuration::from_secs(ago);
        (at, Inbound::Presence(Box::new(hosts::answer(n))))
    });
    let running = (0..count).step_by(3).map(|n| (now, Inbound::Report(Box::new(hosts::report(n, 1, false)))));
    for (at, message) in answers.chain(running) {
        update(&mut app, Event::Messages(vec![Ok(message)], at));
    }
    app
}
