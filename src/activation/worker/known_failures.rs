//! Snippets of the activation script that fail on each activation of a system. Their failure does not count against the
//! next system if it has them too.

use crate::atomic_file::{self, WriteError};
use serde::{Deserialize, Serialize};
use std::fs;
use std::path::{Path, PathBuf};

/// The snippets that failed when a system was last activated on this host.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct KnownFailures {
    system: String,
    snippets: Vec<String>,
}

impl KnownFailures {
    /// Returns the snippets that failed when this system was last activated on this host.
    pub(super) fn of(state_dir: &Path, system: Option<&str>) -> Vec<String> {
        let read = fs::read(file(state_dir)).ok();
        let known: Option<Self> = read.and_then(|bytes| serde_json::from_slice(&bytes).ok());
        known
            .filter(|known| Some(known.system.as_str()) == system)
            .map(|known| known.snippets)
            .unwrap_or_default()
    }

    /// Saves the snippets that failed in the activation of a system that stays.
    pub(super) fn save(state_dir: &Path, system: &str, snippets: &[String]) -> Result<(), WriteError> {
        if Self::of(state_dir, Some(system)) == snippets {
            return Ok(());
        }
        let known = Self { system: system.to_owned(), snippets: snippets.to_vec() };
        // This struct can always be serialized.
        atomic_file::write(&file(state_dir), &serde_json::to_vec(&known).unwrap_or_default())
    }
}

fn file(state_dir: &Path) -> PathBuf {
    state_dir.join("failed_snippets.json")
}
