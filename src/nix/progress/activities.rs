//! The activities that run in nix and the sums over them, reckoned as nix's own progress bar does.

use super::words::{Words, store_name, words};
use crate::protocol::Progress;
use serde_json::Value;
use std::collections::{BTreeMap, HashMap};

/// More activities than any real build runs at once; further ones are not counted.
const MAX_ACTIVITIES: usize = 4096;
/// Larger numbers are nonsense; the bound keeps every sum within 64 bits.
const MAX_NUMBER: u64 = 1 << 50;

/// Activity types of nix (`logging.hh`).
pub(super) mod kind {
    pub(in super::super) const COPY_PATH: u64 = 100;
    pub(in super::super) const FILE_TRANSFER: u64 = 101;
    pub(in super::super) const COPY_PATHS: u64 = 103;
    pub(in super::super) const BUILDS: u64 = 104;
    pub(in super::super) const BUILD: u64 = 105;
    pub(in super::super) const SUBSTITUTE: u64 = 108;
    pub(in super::super) const QUERY_PATH_INFO: u64 = 109;
    pub(in super::super) const POST_BUILD_HOOK: u64 = 110;
}

/// The kinds that are summed, by their place in [`Activities::sums`].
const SUMMED: [u64; 3] = [kind::BUILDS, kind::FILE_TRANSFER, kind::COPY_PATHS];
const BUILDS: usize = 0;
const TRANSFERS: usize = 1;
const COPIES: usize = 2;

/// One activity, or the sum over those of a kind that run.
#[derive(Debug, Default, Clone, Copy)]
struct Counts {
    done: u64,
    expected: u64,
    running: u64,
}

/// All that is known of one kind.
#[derive(Debug, Default)]
struct Sum {
    live: Counts,
    /// Done by activities that have stopped.
    finished: u64,
    /// What other activities have announced.
    announced: u64,
}

impl Sum {
    fn done(&self) -> u64 {
        self.finished.saturating_add(self.live.done)
    }

    fn expected(&self) -> u64 {
        let counted = self.finished.saturating_add(self.live.expected);
        counted.max(self.announced).max(self.done())
    }

    fn add(&mut self, counts: Counts) {
        self.live.done = self.live.done.saturating_add(counts.done);
        self.live.expected = self.live.expected.saturating_add(counts.expected);
        self.live.running = self.live.running.saturating_add(counts.running);
    }

    fn take(&mut self, counts: Counts) {
        self.live.done = self.live.done.saturating_sub(counts.done);
        self.live.expected = self.live.expected.saturating_sub(counts.expected);
        self.live.running = self.live.running.saturating_sub(counts.running);
    }
}

#[derive(Debug, Default)]
struct Activity {
    kind: u64,
    /// What is built, for the lines of its log.
    name: Option<String>,
    counts: Counts,
    /// What it announced, by place in the sums.
    announced: [u64; SUMMED.len()],
    /// Its place among those that have words.
    telling: Option<(u8, u64)>,
}

/// The activities that run, and the sums.
#[derive(Debug, Default)]
pub(super) struct Activities {
    live: HashMap<u64, Activity>,
    /// Those that have words, by rank and then age.
    telling: BTreeMap<(u8, u64), Words>,
    started: u64,
    sums: [Sum; SUMMED.len()],
    /// Rounds of builds that run, and whether there was one.
    building: u64,
    built: bool,
    /// The words that were told last.
    told: String,
}

impl Activities {
    pub(super) fn start(&mut self, id: u64, event: &Value) {
        // An id that starts again has lost its stop.
        self.stop(id);
        if self.live.len() >= MAX_ACTIVITIES {
            return;
        }
        let kind = event["type"].as_u64().unwrap_or_default();
        self.started += 1;
        let mut activity = Activity { kind, ..Activity::default() };
        if let Some((rank, words)) = words(kind, event) {
            let place = (rank, self.started);
            self.telling.insert(place, words);
            activity.telling = Some(place);
        }
        if matches!(kind, kind::BUILD | kind::POST_BUILD_HOOK) {
            activity.name = event["fields"][0].as_str().map(store_name).filter(|name| !name.is_empty());
        }
        if kind == kind::BUILDS {
            self.building += 1;
            self.built = true;
        }
        self.live.insert(id, activity);
    }

    pub(super) fn stop(&mut self, id: u64) {
        let Some(activity) = self.live.remove(&id) else { return };
        if let Some(at) = place(activity.kind) {
            self.sums[at].take(activity.counts);
            self.sums[at].finished = self.sums[at].finished.saturating_add(activity.counts.done);
        }
        for (sum, announced) in self.sums.iter_mut().zip(activity.announced) {
            sum.announced = sum.announced.saturating_sub(announced);
        }
        if let Some(place) = activity.telling {
            self.telling.remove(&place);
        }
        if activity.kind == kind::BUILDS {
            self.building = self.building.saturating_sub(1);
        }
    }

    /// `[done, expected, running, failed]` of an activity.
    pub(super) fn set_progress(&mut self, id: u64, fields: &Value) {
        let Some(activity) = self.live.get_mut(&id) else { return };
        let counts =
            Counts { done: number(&fields[0]), expected: number(&fields[1]), running: number(&fields[2]) };
        let before = std::mem::replace(&mut activity.counts, counts);
        if let Some(at) = place(activity.kind) {
            self.sums[at].take(before);
            self.sums[at].add(counts);
        }
    }

    /// `[kind, count]`: an activity announces how much of a kind is to come.
    pub(super) fn set_expected(&mut self, id: u64, fields: &Value) {
        let Some(at) = fields[0].as_u64().and_then(place) else { return };
        let Some(activity) = self.live.get_mut(&id) else { return };
        let before = std::mem::replace(&mut activity.announced[at], number(&fields[1]));
        let sum = &mut self.sums[at];
        sum.announced = sum.announced.saturating_sub(before).saturating_add(activity.announced[at]);
    }

    /// What an activity builds.
    pub(super) fn name(&self, id: u64) -> Option<&str> {
        self.live.get(&id)?.name.as_deref()
    }

    pub(super) fn progress(&mut self) -> Progress {
        self.tell();
        let [builds, transfers] = [BUILDS, TRANSFERS].map(|at| &self.sums[at]);
        Progress {
            done: builds.done(),
            expected: builds.expected(),
            running: builds.live.running,
            downloaded_bytes: transfers.done(),
            expected_bytes: transfers.expected(),
            activity: self.told.clone(),
        }
    }

    /// Puts what is being done into words. Nix says nothing of evaluation, which is what it does before it builds.
    fn tell(&mut self) {
        self.told = match self.telling.last_key_value() {
            Some((_, Words::Text(text))) => text.clone(),
            Some((_, Words::Copying(name))) => match self.sums[COPIES].expected() {
                0 | 1 => format!("copying {name}"),
                count => format!("copying {count} paths"),
            },
            // Between two builds.
            None if self.building > 0 => return,
            None if self.built => String::new(),
            None => "evaluating".to_owned(),
        };
    }
}

fn place(kind: u64) -> Option<usize> {
    SUMMED.iter().position(|summed| *summed == kind)
}

fn number(field: &Value) -> u64 {
    field.as_u64().unwrap_or_default().min(MAX_NUMBER)
}
