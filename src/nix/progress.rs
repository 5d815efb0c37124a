//! Reads nix's `--log-format internal-json` stream: what a build has done, what is left, and the lines of its log.

mod activities;
mod words;

use super::secrets::without_userinfo;
use crate::protocol::{Progress, printable};
use activities::Activities;
use serde_json::Value;

pub(super) use words::store_name;

/// Result types of nix (`logging.hh`); the others tell nothing that is shown.
mod result {
    pub(super) const BUILD_LOG_LINE: u64 = 101;
    pub(super) const PROGRESS: u64 = 105;
    pub(super) const SET_EXPECTED: u64 = 106;
    pub(super) const POST_BUILD_LOG_LINE: u64 = 107;
}

/// What a line of the stream meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NixLine {
    /// The progress has changed to this.
    Progress(Progress),
    /// Text for the log, without escape sequences and without credentials; an error may be several lines.
    Log(String),
}

/// Folds the stream of one nix command. Its memory is bounded, whatever the stream says.
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
    /// A reader at the start of a stream: nix evaluates before it has anything to say.
    pub fn new() -> Self {
        let mut activities = Activities::default();
        let progress = activities.progress();
        Self { activities, progress }
    }

    /// The progress up to here.
    pub fn progress(&self) -> &Progress {
        &self.progress
    }

    /// Takes the next line of the stream. One that is not nix's own, such as git's or ssh's, is log.
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
