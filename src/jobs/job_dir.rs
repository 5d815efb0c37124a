//! The directory of one job: its record, its log and its confirmation.

use super::JobRecord;
use crate::atomic_file;
use crate::private_file;
use crate::protocol::Id;
use crate::state_dir::StoreError;
use serde::{Deserialize, Serialize};
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

/// Disk space reserved for the result of a job, in bytes: if the disk is full, the record uses it.
const RESERVE: usize = 64 << 10;

/// Paths and files of one job.
///
/// The record has one owner at a time: the listener until the handover, then the worker until the result is final. The
/// confirmation and the delivery mark always belong to the listener.
///
/// With a runtime directory (a tmpfs), a record or confirmation that cannot be written to the state directory is written
/// there instead. It is lost at a reboot, but so is the activation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobDir {
    path: PathBuf,
    runtime: Option<PathBuf>,
}

/// The listener's result of testing its connection after an activation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confirmation {
    /// The nonce that the worker requested.
    pub nonce: String,
    /// Whether a new connection with every subscription succeeded.
    pub confirmed: bool,
    /// Whether the connection was refused: the network works, but the NATS server is not running.
    #[serde(default)]
    pub refused: bool,
    /// Whether the connection succeeded although the confirmation failed: the NATS server refused a subject.
    #[serde(default)]
    pub connected: bool,
    /// Why the confirmation failed; empty if it succeeded.
    #[serde(default)]
    pub reason: String,
    /// The health rules of the system that this listener belongs to.
    #[serde(default)]
    pub rules: Option<HealthRules>,
}

/// The rules by which a listener is configured to judge its system.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HealthRules {
    /// Commands that must succeed after the activation.
    pub health_checks: Vec<String>,
    /// Maximum duration of the health checks, in seconds.
    pub health_timeout_s: u64,
    /// Globs of units whose failure is ignored.
    pub ignore_units: Vec<String>,
}

impl JobDir {
    /// The directory of a job in a state directory. An id is a token, so it is a safe file name.
    pub fn new(state_dir: &Path, id: &Id) -> Self {
        Self { path: state_dir.join("jobs").join(id.as_str()), runtime: None }
    }

    /// Adds a runtime directory as the fallback for failed writes.
    #[must_use]
    pub fn with_runtime(self, runtime_dir: &Path) -> Self {
        // An id is one path component, so the directory has a name.
        let runtime = self.path.file_name().map(|id| runtime_dir.join(id));
        Self { runtime, ..self }
    }

    /// Garbage collector roots of the new system and the previous one.
    pub fn roots(&self) -> [PathBuf; 2] {
        ["result", "old"].map(|name| self.path.join(name))
    }

    /// The job's directory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The file with the job's complete output.
    pub fn log(&self) -> PathBuf {
        self.path.join("log")
    }

    /// Frees the disk space that was preallocated beyond the end of the log.
    pub fn trim_log(&self) {
        // Setting the current length frees the blocks beyond it. Some file systems do not support that and keep them.
        let trim = || {
            let log = fs::OpenOptions::new().append(true).open(self.log())?;
            log.set_len(log.metadata()?.len())
        };
        let _: io::Result<()> = trim();
    }

    /// The file of the record in the state directory.
    pub fn record_file(&self) -> PathBuf {
        self.path.join("state.json")
    }

    /// The file with the newest record. A record in the runtime directory is newer, because it was written after a
    /// write to the state directory had failed.
    pub fn newest_record_file(&self) -> PathBuf {
        self.runtime_file("state.json").filter(|file| file.exists()).unwrap_or_else(|| self.record_file())
    }

    /// The file with the exit status of the external command.
    pub fn command_file(&self) -> PathBuf {
        self.path.join("command.json")
    }

    /// Reads the newest record.
    pub fn record(&self) -> Result<JobRecord, StoreError> {
        let path = self.newest_record_file();
        let bytes = atomic_file::read(&path)
            .map_err(|source| StoreError::Directory { path: path.clone(), source })?;
        JobRecord::parse(&bytes).map_err(|source| StoreError::Damaged { path, source })
    }

    /// Writes the record durably to the state directory.
    pub fn save(&self, record: &JobRecord) -> Result<(), StoreError> {
        let (path, json) = (&self.path, encode(record)?);
        match atomic_file::write(&self.record_file(), &json) {
            Err(_) if !path.is_dir() => {
                private_file::create_dir(path)
                    .map_err(|source| StoreError::Directory { path: path.clone(), source })?;
                atomic_file::write(&self.record_file(), &json)?;
            }
            written => written?,
        }
        if let Some(file) = self.runtime_file("state.json") {
            // It is older than the record just written.
            let _ = fs::remove_file(file);
        }
        Ok(())
    }

    /// Like [`JobDir::save`], but falls back to the reserved space, then to the runtime directory.
    pub fn save_with_fallback(&self, record: &JobRecord) -> Result<(), StoreError> {
        let Err(error) = self.save(record) else { return Ok(()) };
        self.release_reserve();
        if self.save(record).is_ok() {
            return Ok(());
        }
        let Some(file) = self.runtime_file("state.json") else { return Err(error) };
        write_runtime_file(&file, &encode(record)?).map_err(|_| error)
    }

    /// Reserves disk space for the result of the job.
    pub fn reserve(&self) -> io::Result<()> {
        let mut file = private_file::open_options().truncate(true).open(self.reserve_file())?;
        // Random bytes, because a file system may compress zeros.
        let bytes: Vec<u8> = std::iter::repeat_with(|| fastrand::u8(..)).take(RESERVE).collect();
        file.write_all(&bytes)?;
        file.sync_all()
    }

    /// Frees the reserved disk space.
    pub fn release_reserve(&self) {
        // The file is missing if nothing was reserved.
        let _ = fs::remove_file(self.reserve_file());
    }

    fn reserve_file(&self) -> PathBuf {
        self.path.join("reserve")
    }

    /// The last confirmation that a listener wrote; `None` if there is none or it is unreadable.
    pub fn confirmation(&self) -> Option<Confirmation> {
        let read = |file: &Path| serde_json::from_slice(&atomic_file::read(file).ok()?).ok();
        let runtime = self.runtime_file("confirmation.json");
        runtime.and_then(|file| read(&file)).or_else(|| read(&self.confirmation_file()))
    }

    /// Writes the confirmation durably.
    pub fn write_confirmation(&self, confirmation: &Confirmation) -> Result<(), StoreError> {
        // Our own plain struct always has a JSON form.
        let json = serde_json::to_vec(confirmation).unwrap_or_default();
        let runtime = self.runtime_file("confirmation.json");
        match (atomic_file::write(&self.confirmation_file(), &json), runtime) {
            (Ok(()), runtime) => {
                if let Some(file) = runtime {
                    let _ = fs::remove_file(file);
                }
                Ok(())
            }
            (Err(error), Some(file)) => Ok(write_runtime_file(&file, &json).map_err(|_| error)?),
            (Err(error), None) => Err(error.into()),
        }
    }

    fn confirmation_file(&self) -> PathBuf {
        self.path.join("confirmation.json")
    }

    fn runtime_file(&self, name: &str) -> Option<PathBuf> {
        Some(self.runtime.as_ref()?.join(name))
    }
}

fn encode(record: &JobRecord) -> Result<Vec<u8>, StoreError> {
    let id = &record.request.id;
    record.encode().map_err(|source| StoreError::Encode { id: id.to_string(), source })
}

fn write_runtime_file(file: &Path, content: &[u8]) -> Result<(), atomic_file::WriteError> {
    let failed = |source| atomic_file::WriteError { path: file.to_owned(), source };
    private_file::create_dir(file.parent().unwrap_or(Path::new("/"))).map_err(failed)?;
    atomic_file::write(file, content)
}
