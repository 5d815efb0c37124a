//! The timeline of a deployment: a lane per host, in batches.

use crate::fleet::{HostJob, natural_cmp};
use crate::protocol::Id;
use crate::tui::cursor::Cursor;
use crate::tui::known_deployment::{DeploymentHost, DeploymentHostKey, KnownDeployment};
use crate::tui::{App, Failures, KeyCommand, view};
use jiff::Timestamp;

/// Milliseconds per column of each zoom step. Ten columns are one tick, so each step gives round times.
pub(in crate::tui) const SCALES: [u64; 17] = [
    100, 200, 500, 1000, 1500, 3000, 6000, 12_000, 30_000, 60_000, 90_000, 180_000, 360_000, 720_000,
    1_440_000, 4_320_000, 8_640_000,
];

/// A row of the timeline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TimelineRow {
    /// The heading of a batch, from 0.
    Batch(usize),
    /// The lane of a host.
    Host(DeploymentHostKey),
}

/// The timeline of one deployment.
#[derive(Debug)]
pub struct TimelineScreen {
    /// Id of the deployment.
    pub id: Id,
    /// Title in the path at the top.
    pub title: String,
    /// The rows, in display order.
    pub cursor: Cursor<TimelineRow>,
    /// Failures of the deployment.
    pub failures: Failures,
    /// Index of the chosen scale in `SCALES`; `None` to show all of the time.
    pub zoom: Option<usize>,
    /// Milliseconds between the start of the deployment and the first column.
    pub left_ms: u64,
    /// When the last job ended, once no job runs.
    pub(in crate::tui) ended_at: Option<Timestamp>,
    /// Number of results when `ended_at` was computed.
    ended: Option<usize>,
    /// Numbers of jobs and targets when the rows were computed.
    made_of: Option<[usize; 2]>,
}

impl TimelineScreen {
    pub(in crate::tui) fn new(id: Id, title: String) -> Self {
        Self {
            id,
            title,
            cursor: Cursor::new(None),
            failures: Failures::default(),
            zoom: None,
            left_ms: 0,
            ended_at: None,
            ended: None,
            made_of: None,
        }
    }

    /// The selected host.
    pub(in crate::tui) fn host(&self) -> Option<&DeploymentHostKey> {
        match self.cursor.selected() {
            Some(TimelineRow::Host(key)) => Some(key),
            _ => None,
        }
    }

    /// Moves the selection between hosts; returns whether the command is a movement.
    pub(in crate::tui) fn go(&mut self, command: KeyCommand, page: usize) -> bool {
        if !self.cursor.go(command, page) {
            return false;
        }
        let onward = match command {
            KeyCommand::Up | KeyCommand::PageUp | KeyCommand::Last => KeyCommand::Up,
            _ => KeyCommand::Down,
        };
        self.skip_heading(onward);
        true
    }

    /// Leaves a heading in this direction, or else in the other one.
    fn skip_heading(&mut self, onward: KeyCommand) {
        let back = if onward == KeyCommand::Up { KeyCommand::Down } else { KeyCommand::Up };
        for direction in [onward, back] {
            if self.host().is_none() {
                self.cursor.go(direction, 1);
            }
        }
    }

    /// Updates the rows if hosts were added, and the scroll position. The order does not change with the results, so
    /// that a lane stays where it is.
    pub(in crate::tui) fn refresh_cache(&mut self, app: &App) {
        let Some(known) = KnownDeployment::of(app, &self.id) else { return };
        self.failures.refresh_cache(app, &self.id);
        let height = view::timeline_rows_in_view(app.size);
        let counts = known.counts_reported();
        if self.ended != Some(counts.ended()) && !known.is_under_way() {
            self.ended = Some(counts.ended());
            let jobs = known.reported.iter().flat_map(|reported| reported.hosts.values().flatten());
            self.ended_at = jobs.map(HostJob::ended_at).max();
        }
        let announced = known.rollout.map_or(0, |rollout| rollout.hosts().count());
        let targets = known.sent.map_or(announced, |sent| sent.hosts.len());
        let made_of = [counts.running + counts.ended(), targets];
        if self.made_of == Some(made_of) {
            self.cursor.scroll_into_view(height);
            return;
        }
        self.made_of = Some(made_of);
        self.cursor.set_rows(rows(&known), height);
        if self.host().is_none() {
            self.skip_heading(KeyCommand::Down);
            self.cursor.scroll_into_view(height);
        }
    }
}

/// The rows: batches in their order, and in each the hosts by name. Without batches, hosts by their start.
fn rows(known: &KnownDeployment<'_>) -> Vec<TimelineRow> {
    let batch = |host| known.batch_of(host).unwrap_or(0);
    let mut entries: Vec<_> =
        known.host_entries().into_iter().map(|entry| (batch(entry.host), entry)).collect();
    let has_batches = known.batch().is_some_and(|(_, batches)| batches > 1);
    entries.sort_unstable_by(|(a_batch, a), (b_batch, b)| {
        let start = |entry: &DeploymentHost<'_>| {
            entry.job.filter(|_| !has_batches).map(|job| job.started_at.as_second())
        };
        let by_start = start(a).is_none().cmp(&start(b).is_none()).then(start(a).cmp(&start(b)));
        a_batch
            .cmp(b_batch)
            .then(by_start)
            .then_with(|| natural_cmp(a.host, b.host))
            .then(a.index.cmp(&b.index))
    });
    let mut rows = Vec::with_capacity(entries.len());
    let mut current = None;
    for (batch, entry) in entries {
        if has_batches && current != Some(batch) {
            current = Some(batch);
            rows.push(TimelineRow::Batch(batch));
        }
        rows.push(TimelineRow::Host(entry.key()));
    }
    rows
}
