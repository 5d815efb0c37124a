//! The view state: sort order, columns and filter, saved in one file per context.

use super::{App, Filter, HostGroup, Sort};
use crate::atomic_file::{self, WriteError};
use crate::private_file;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

/// The view state of the fleet screen, and what forms and prompts suggest.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a separate switch")]
pub struct ViewState {
    sort: Sort,
    reverse: bool,
    /// The filter as typed.
    filter: String,
    faults: bool,
    grouped: bool,
    wide: bool,
    folded: BTreeSet<HostGroup>,
    /// The batch options of the last deployment to several hosts.
    #[serde(skip_serializing_if = "Option::is_none")]
    batches: Option<String>,
    /// The directory of the last saved log.
    #[serde(skip_serializing_if = "Option::is_none")]
    log_directory: Option<PathBuf>,
}

/// Why the view state could not be loaded or saved.
#[derive(Debug, thiserror::Error)]
pub enum ViewStateError {
    /// The file could not be read.
    #[error("could not read the view state {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Error of the operating system.
        source: io::Error,
    },
    /// The file is not valid JSON of a view state.
    #[error("invalid view state {}: {source}; the default is used", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Error of the parser.
        source: serde_json::Error,
    },
    /// The file could not be written.
    #[error("could not save the view state: {0}")]
    Write(#[from] WriteError),
    /// The directory of the file could not be created.
    #[error("could not create the directory {} for the view state: {source}", path.display())]
    CreateDirectory {
        /// The directory.
        path: PathBuf,
        /// Error of the operating system.
        source: io::Error,
    },
}

impl ViewState {
    /// The view state of a console.
    pub fn of(app: &App) -> Self {
        let table = &app.table;
        Self {
            batches: app.last_batches.clone(),
            log_directory: app.log_directory.clone(),
            sort: table.sort,
            reverse: table.reverse,
            filter: table.filter.text.clone(),
            faults: table.faults,
            grouped: table.grouped,
            wide: table.wide,
            folded: table.folded.clone(),
        }
    }

    /// Applies the view state to a console. An invalid filter is ignored.
    pub(super) fn restore(self, app: &mut App) {
        (app.last_batches, app.log_directory) = (self.batches, self.log_directory);
        let table = &mut app.table;
        (table.sort, table.reverse, table.faults) = (self.sort, self.reverse, self.faults);
        (table.grouped, table.wide, table.folded) = (self.grouped, self.wide, self.folded);
        table.filter = Filter::parse(&self.filter).unwrap_or_default();
        table.invalidate();
    }

    /// Loads the view state; the default if the file does not exist.
    pub fn load(file: &Path) -> Result<Self, ViewStateError> {
        match std::fs::read(file) {
            Ok(bytes) => serde_json::from_slice(&bytes)
                .map_err(|source| ViewStateError::Damaged { path: file.to_owned(), source }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self::default()),
            Err(source) => Err(ViewStateError::Read { path: file.to_owned(), source }),
        }
    }

    /// Saves the view state, and creates the directory if needed.
    pub fn save(&self, file: &Path) -> Result<(), ViewStateError> {
        if let Some(directory) = file.parent() {
            private_file::create_dir(directory)
                .map_err(|source| ViewStateError::CreateDirectory { path: directory.to_owned(), source })?;
        }
        Ok(atomic_file::write_with(file, |out| Ok(serde_json::to_writer_pretty(out, self)?))?)
    }
}
