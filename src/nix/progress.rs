//! Parses nix's `--log-format internal-json` stream into the progress of a build and its log lines.

use crate::git::without_userinfo;
use crate::protocol::Progress;
use crate::text::{fitting_prefix, printable};
use serde_json::Value;
use std::collections::{BTreeMap, HashMap};

/// Result types of nix (`logging.hh`). Others are ignored.
mod result {
    pub(super) const BUILD_LOG_LINE: u64 = 101;
    pub(super) const PROGRESS: u64 = 105;
    pub(super) const SET_EXPECTED: u64 = 106;
    pub(super) const POST_BUILD_LOG_LINE: u64 = 107;
}

/// The meaning of a line of the stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NixLine {
    /// The new progress.
    Progress(Progress),
    /// Text for the log, without escape sequences and credentials. An error may have several lines.
    Log(String),
}

/// Parses the stream of one nix command. Memory use is bounded for any input.
#[derive(Debug)]
pub struct ProgressReader {
    activities: Activities,
    progress: Progress,
}

impl Default for ProgressReader {
    fn default() -> Self {
        Self::new()
    }
}

impl ProgressReader {
    /// A reader at the start of a stream, when nix evaluates and has sent no messages yet.
    pub fn new() -> Self {
        let mut activities = Activities::default();
        let progress = activities.progress();
        Self { activities, progress }
    }

    /// The current progress.
    pub fn progress(&self) -> &Progress {
        &self.progress
    }

    /// Parses the next line of the stream. Lines of other programs, such as git or ssh, are log lines.
    pub fn line(&mut self, line: &str) -> Option<NixLine> {
        let event = line.strip_prefix("@nix ").and_then(|json| serde_json::from_str::<Value>(json).ok());
        let Some(event) = event else { return log(line) };
        let id = event["id"].as_u64();
        match (event["action"].as_str(), id) {
            (Some("msg"), _) => return log(event["msg"].as_str()?),
            (Some("start"), Some(id)) => self.activities.start(id, &event),
            (Some("stop"), Some(id)) => self.activities.stop(id),
            (Some("result"), Some(id)) => {
                let fields = &event["fields"];
                match event["type"].as_u64()? {
                    result::PROGRESS => self.activities.set_progress(id, fields),
                    result::SET_EXPECTED => self.activities.set_expected(id, fields),
                    result::BUILD_LOG_LINE | result::POST_BUILD_LOG_LINE => {
                        let text = fields[0].as_str()?;
                        return match self.activities.name(id) {
                            Some(name) => log(&format!("{name}> {text}")),
                            None => log(text),
                        };
                    }
                    _ => return None,
                }
            }
            _ => return None,
        }
        let progress = self.activities.progress();
        if progress == self.progress {
            return None;
        }
        self.progress = progress;
        Some(NixLine::Progress(self.progress.clone()))
    }
}

fn log(text: &str) -> Option<NixLine> {
    let lines: Vec<String> = text.lines().map(|line| printable(line).trim_end().to_owned()).collect();
    let text = without_userinfo(lines.join("\n").trim_end());
    (!text.is_empty()).then_some(NixLine::Log(text))
}

/// Maximum number of running activities, more than any real build has. Further ones are ignored.
const MAX_ACTIVITIES: usize = 4096;
/// Maximum value of a counter. Keeps all sums within 64 bits.
const MAX_NUMBER: u64 = 1 << 50;

/// Activity types of nix (`logging.hh`).
mod kind {
    pub(super) const COPY_PATH: u64 = 100;
    pub(super) const FILE_TRANSFER: u64 = 101;
    pub(super) const COPY_PATHS: u64 = 103;
    pub(super) const BUILDS: u64 = 104;
    pub(super) const BUILD: u64 = 105;
    pub(super) const SUBSTITUTE: u64 = 108;
    pub(super) const QUERY_PATH_INFO: u64 = 109;
    pub(super) const POST_BUILD_HOOK: u64 = 110;
}

/// The kinds that are totalled, by their index in [`Activities::sums`].
const SUMMED: [u64; 3] = [kind::BUILDS, kind::FILE_TRANSFER, kind::COPY_PATHS];
const BUILDS: usize = 0;
const TRANSFERS: usize = 1;
const COPIES: usize = 2;

/// The counters of one activity, or the totals of all running activities of a kind.
#[derive(Debug, Default, Clone, Copy)]
struct ActivityCounts {
    done: u64,
    expected: u64,
    running: u64,
}

/// The totals of one kind of activity.
#[derive(Debug, Default)]
struct ActivitySum {
    live: ActivityCounts,
    /// The done counts of stopped activities.
    finished: u64,
    /// How much other activities have announced for this kind.
    announced: u64,
}

impl ActivitySum {
    fn done(&self) -> u64 {
        self.finished.saturating_add(self.live.done)
    }

    fn expected(&self) -> u64 {
        let counted = self.finished.saturating_add(self.live.expected);
        counted.max(self.announced).max(self.done())
    }

    fn add(&mut self, counts: ActivityCounts) {
        self.live.done = self.live.done.saturating_add(counts.done);
        self.live.expected = self.live.expected.saturating_add(counts.expected);
        self.live.running = self.live.running.saturating_add(counts.running);
    }

    fn subtract(&mut self, counts: ActivityCounts) {
        self.live.done = self.live.done.saturating_sub(counts.done);
        self.live.expected = self.live.expected.saturating_sub(counts.expected);
        self.live.running = self.live.running.saturating_sub(counts.running);
    }
}

#[derive(Debug, Default)]
struct Activity {
    kind: u64,
    /// The name of the derivation, to prefix its log lines.
    name: Option<String>,
    counts: ActivityCounts,
    /// How much this activity has announced, by index in the sums.
    announced: [u64; SUMMED.len()],
    /// Its key in [`Activities::described`].
    described: Option<(u8, u64)>,
}

/// The running activities and the totals.
#[derive(Debug, Default)]
struct Activities {
    live: HashMap<u64, Activity>,
    /// The activities that have a description, by rank and then age.
    described: BTreeMap<(u8, u64), ActivityText>,
    started: u64,
    sums: [ActivitySum; SUMMED.len()],
    /// The number of running [`kind::BUILDS`] activities.
    building: u64,
    /// Whether a [`kind::BUILDS`] activity has started.
    built: bool,
    /// The last description.
    description: String,
}

impl Activities {
    fn start(&mut self, id: u64, event: &Value) {
        // If an id is reused, its stop message was lost.
        self.stop(id);
        if self.live.len() >= MAX_ACTIVITIES {
            return;
        }
        let kind = event["type"].as_u64().unwrap_or_default();
        self.started += 1;
        let mut activity = Activity { kind, ..Activity::default() };
        if let Some((rank, text)) = describe(kind, event) {
            let rank = (rank, self.started);
            self.described.insert(rank, text);
            activity.described = Some(rank);
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

    fn stop(&mut self, id: u64) {
        let Some(activity) = self.live.remove(&id) else { return };
        if let Some(at) = sum_index(activity.kind) {
            self.sums[at].subtract(activity.counts);
            self.sums[at].finished = self.sums[at].finished.saturating_add(activity.counts.done);
        }
        for (sum, announced) in self.sums.iter_mut().zip(activity.announced) {
            sum.announced = sum.announced.saturating_sub(announced);
        }
        if let Some(rank) = activity.described {
            self.described.remove(&rank);
        }
        if activity.kind == kind::BUILDS {
            self.building = self.building.saturating_sub(1);
        }
    }

    /// Handles `[done, expected, running, failed]` of an activity.
    fn set_progress(&mut self, id: u64, fields: &Value) {
        let Some(activity) = self.live.get_mut(&id) else { return };
        let counts = ActivityCounts {
            done: number(&fields[0]),
            expected: number(&fields[1]),
            running: number(&fields[2]),
        };
        let before = std::mem::replace(&mut activity.counts, counts);
        if let Some(at) = sum_index(activity.kind) {
            self.sums[at].subtract(before);
            self.sums[at].add(counts);
        }
    }

    /// Handles `[kind, count]`: an activity announces how much of a kind is to come.
    fn set_expected(&mut self, id: u64, fields: &Value) {
        let Some(at) = fields[0].as_u64().and_then(sum_index) else { return };
        let Some(activity) = self.live.get_mut(&id) else { return };
        let before = std::mem::replace(&mut activity.announced[at], number(&fields[1]));
        let sum = &mut self.sums[at];
        sum.announced = sum.announced.saturating_sub(before).saturating_add(activity.announced[at]);
    }

    /// The name of the derivation that an activity builds.
    fn name(&self, id: u64) -> Option<&str> {
        self.live.get(&id)?.name.as_deref()
    }

    fn progress(&mut self) -> Progress {
        self.update_description();
        let [builds, transfers] = [BUILDS, TRANSFERS].map(|at| &self.sums[at]);
        Progress {
            done: builds.done(),
            expected: builds.expected(),
            running: builds.live.running,
            downloaded_bytes: transfers.done(),
            expected_bytes: transfers.expected(),
            activity: self.description.clone(),
        }
    }

    /// Describes the current activity. nix sends no messages about evaluation, which comes before all builds.
    fn update_description(&mut self) {
        self.description = match self.described.last_key_value() {
            Some((_, ActivityText::Text(text))) => text.clone(),
            Some((_, ActivityText::Copying(name))) => match self.sums[COPIES].expected() {
                0 | 1 => format!("copying {name}"),
                count => format!("copying {count} paths"),
            },
            // Between two builds the last description stays.
            None if self.building > 0 => return,
            None if self.built => String::new(),
            None => "evaluating".to_owned(),
        };
    }
}

fn sum_index(kind: u64) -> Option<usize> {
    SUMMED.iter().position(|summed| *summed == kind)
}

fn number(field: &Value) -> u64 {
    field.as_u64().unwrap_or_default().min(MAX_NUMBER)
}

/// Maximum length of a description, in bytes.
const MAX_TEXT: usize = 200;
/// Maximum verbosity level of displayed activities: one above nix's default. Higher levels are for debugging nix.
const MAX_VERBOSITY: u64 = 4;

/// The description of an activity. Among several, the one with the highest rank is displayed.
#[derive(Debug, Clone)]
enum ActivityText {
    /// The name of a path that is copied. If there are several, only their number is displayed.
    Copying(String),
    Text(String),
}

/// The rank and description of a new activity; `None` if it is not displayed.
fn describe(kind: u64, event: &Value) -> Option<(u8, ActivityText)> {
    let field = |at: usize| event["fields"][at].as_str().unwrap_or_default();
    match kind {
        kind::BUILD => {
            let name = store_name(field(0));
            let machine = field(1);
            let location = if machine.is_empty() { String::new() } else { format!(" on {machine}") };
            Some((2, ActivityText::Text(short(&format!("building {name}{location}")))))
        }
        kind::COPY_PATH | kind::SUBSTITUTE => Some((1, ActivityText::Copying(store_name(field(0))))),
        kind::QUERY_PATH_INFO => Some((0, ActivityText::Text(short(&format!("querying {}", field(1)))))),
        _ => {
            let text = event["text"].as_str().filter(|text| !text.is_empty())?;
            let is_shown = event["level"].as_u64().is_none_or(|level| level <= MAX_VERBOSITY);
            is_shown.then(|| (0, ActivityText::Text(short(&text.replace('\'', "")))))
        }
    }
}

/// The name in a store path, such as `linux-6.12.9` of `/nix/store/HASH-linux-6.12.9.drv`.
pub(in crate::nix) fn store_name(path: &str) -> String {
    let file = path.rsplit('/').next().unwrap_or_default();
    let file = file.strip_suffix(".drv").unwrap_or(file);
    // The hash has 32 characters.
    let name = file.get(32..).and_then(|rest| rest.strip_prefix('-')).unwrap_or(file);
    short(name)
}

fn short(text: &str) -> String {
    fitting_prefix(&without_userinfo(&printable(text)), MAX_TEXT).to_owned()
}
