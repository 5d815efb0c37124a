//! Parts of the activation script that fail on each activation of a system. They say nothing about the next system that
//! has them too.

use super::Program;
use crate::durable;
use serde::{Deserialize, Serialize};
use std::fs;
use std::path::{Path, PathBuf};

/// What failed when a system was last activated here.
#[derive(Debug, Default, Serialize, Deserialize)]
struct KnownFailures {
    system: String,
    snippets: Vec<String>,
}

impl Program {
    /// The parts that failed when this system was last activated here.
    pub(super) fn failed_snippets(&self, system: Option<&str>) -> Vec<String> {
        let read = fs::read(file(&self.state_dir)).ok();
        let known: Option<KnownFailures> = read.and_then(|bytes| serde_json::from_slice(&bytes).ok());
        known
            .filter(|known| Some(known.system.as_str()) == system)
            .map(|known| known.snippets)
            .unwrap_or_default()
    }

    /// Writes down what failed in the activation of a system that stays. Without it the next deployment rolls back once
    /// more, which is no reason to fail.
    pub(super) fn keep_failed_snippets(&self, system: &str, snippets: &[String]) {
        if self.failed_snippets(Some(system)) == snippets {
            return;
        }
        let known = KnownFailures { system: system.to_owned(), snippets: snippets.to_vec() };
        // Our own plain struct always has a JSON form.
        if let Err(error) =
            durable::write(&file(&self.state_dir), &serde_json::to_vec(&known).unwrap_or_default())
        {
            self.say(&error.to_string());
        }
    }
}

fn file(state_dir: &Path) -> PathBuf {
    state_dir.join("failed_snippets.json")
}
