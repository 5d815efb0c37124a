//! Why the state directory of a service cannot be used.

use crate::atomic_file::WriteError;
use std::io;
use std::path::PathBuf;

/// The state directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// It cannot be created or read.
    #[error("could not use the state directory {}: {source}; it must be writable, or choose another with --state-dir", path.display())]
    Directory {
        /// The directory.
        path: PathBuf,
        /// The error of the operating system.
        source: io::Error,
    },
    /// Another service has locked it.
    #[error("another service uses the state directory {}; stop it, or choose another with --state-dir", .0.display())]
    Locked(PathBuf),
    /// A file in it cannot be written.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// A record is not valid JSON or lacks a field.
    #[error("the record {} is damaged: {source}", path.display())]
    Damaged {
        /// The record file.
        path: PathBuf,
        /// The JSON error.
        source: serde_json::Error,
    },
    /// A record cannot be encoded as JSON.
    #[error("failed to encode the record of job {id}: {source}")]
    Encode {
        /// Id of the job.
        id: String,
        /// The JSON error.
        source: serde_json::Error,
    },
}
