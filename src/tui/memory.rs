//! What the console remembers of its looks, in a file for each context.

use super::{Filter, Group, Sort, Table};
use crate::durable::{self, WriteError};
use crate::private;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

/// How the table was looked at.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own")]
pub struct Memory {
    sort: Sort,
    reverse: bool,
    /// As it was typed.
    filter: String,
    faults: bool,
    grouped: bool,
    wide: bool,
    folded: BTreeSet<Group>,
}

/// Why it could not be read or kept.
#[derive(Debug, thiserror::Error)]
pub enum MemoryError {
    /// It could not be read.
    #[error("could not read how the console was looked at, {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The operating system's reason.
        source: io::Error,
    },
    /// It could not be understood.
    #[error("could not understand how the console was looked at, {}: {source}; it begins anew", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// It could not be written.
    #[error("could not keep how the console is looked at: {0}")]
    Write(#[from] WriteError),
    /// Its folder could not be made.
    #[error("could not make the folder {} to keep how the console is looked at: {source}", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// The operating system's reason.
        source: io::Error,
    },
}

impl Memory {
    /// How a table is looked at.
    pub fn of(table: &Table) -> Self {
        Self {
            sort: table.sort,
            reverse: table.reverse,
            filter: table.filter.text.clone(),
            faults: table.faults,
            grouped: table.grouped,
            wide: table.wide,
            folded: table.folded.clone(),
        }
    }

    /// Looks at a table in the same way. A filter that is none any more is left out.
    pub fn restore(self, table: &mut Table) {
        (table.sort, table.reverse, table.faults) = (self.sort, self.reverse, self.faults);
        (table.grouped, table.wide, table.folded) = (self.grouped, self.wide, self.folded);
        table.filter = Filter::parse(&self.filter).unwrap_or_default();
        table.touch();
    }

    /// Reads it; what was never kept is as at first.
    pub fn load(file: &Path) -> Result<Self, MemoryError> {
        match std::fs::read(file) {
            Ok(bytes) => serde_json::from_slice(&bytes)
                .map_err(|source| MemoryError::Damaged { path: file.to_owned(), source }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self::default()),
            Err(source) => Err(MemoryError::Read { path: file.to_owned(), source }),
        }
    }

    /// Writes it down.
    pub fn save(&self, file: &Path) -> Result<(), MemoryError> {
        if let Some(folder) = file.parent() {
            private::directory(folder)
                .map_err(|source| MemoryError::Folder { path: folder.to_owned(), source })?;
        }
        Ok(durable::write_with(file, |out| Ok(serde_json::to_writer_pretty(out, self)?))?)
    }
}
