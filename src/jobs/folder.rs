//! The folder of one job: its record, its log, and the proof that its host can still be reached.

use super::{Record, StoreError};
use crate::durable;
use crate::private;
use crate::protocol::Id;
use serde::{Deserialize, Serialize};
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

/// What is kept free for the result of a job, in bytes: on a full disk the record is written into its place.
const RESERVE: usize = 64 << 10;

/// Where everything about one job lies.
///
/// The record has one owner at a time: the listener until it hands the job over, then the worker until the result is
/// final. The confirmation and the note that the result was delivered are always the listener's.
///
/// With a runtime directory, a record or confirmation that the state directory does not take is written there instead: a
/// tmpfs, which ends with the boot, as an activation does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobFolder {
    path: PathBuf,
    runtime: Option<PathBuf>,
}

/// What a listener found out about its connection after an activation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proof {
    /// What it was asked to write down.
    pub nonce: String,
    /// Whether a fresh connection with every subscription was made.
    pub proved: bool,
    /// Whether the connection was refused: the network works and the NATS server is away.
    #[serde(default)]
    pub refused: bool,
    /// Whether a connection was made all the same: the NATS server refused a subject.
    #[serde(default)]
    pub connected: bool,
    /// Why not, in words.
    #[serde(default)]
    pub said: String,
    /// By which rules the system that this listener belongs to is judged.
    #[serde(default)]
    pub rules: Option<HealthRules>,
}

/// By which rules a listener was configured to judge its system.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HealthRules {
    /// Commands that must succeed after the activation.
    pub health_checks: Vec<String>,
    /// Seconds for them.
    pub health_timeout_s: u64,
    /// Globs of units whose failure does not count.
    pub ignore_units: Vec<String>,
}

impl JobFolder {
    /// The folder of a job in a state directory. An id is a token, so it is a safe name.
    pub fn new(state_dir: &Path, id: &Id) -> Self {
        Self { path: state_dir.join("jobs").join(id.as_str()), runtime: None }
    }

    /// The same with a directory for what the state directory does not take.
    #[must_use]
    pub fn with_runtime(self, runtime_dir: &Path) -> Self {
        // An id is one path component, and so the folder has a name.
        let runtime = self.path.file_name().map(|id| runtime_dir.join(id));
        Self { runtime, ..self }
    }

    /// The links that keep the new system and the one before it from garbage collection.
    pub fn roots(&self) -> [PathBuf; 2] {
        ["result", "old"].map(|name| self.path.join(name))
    }

    /// The folder itself.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The job's whole output.
    pub fn log(&self) -> PathBuf {
        self.path.join("log")
    }

    /// Gives back what was preallocated for the log beyond its end.
    pub fn trim_log(&self) {
        // Setting the present length frees what lies beyond it. A file system that cannot do that keeps it.
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

    /// The file that holds the newest record: one in the runtime directory is newer, because it was written after the
    /// state directory had failed.
    pub fn newest_record_file(&self) -> PathBuf {
        self.runtime_file("state.json").filter(|file| file.exists()).unwrap_or_else(|| self.record_file())
    }

    /// What became of the command that runs apart from the listener.
    pub fn command_file(&self) -> PathBuf {
        self.path.join("command.json")
    }

    /// Reads the newest record.
    pub fn record(&self) -> Result<Record, StoreError> {
        let path = self.newest_record_file();
        let bytes = fs::read(&path).map_err(|source| StoreError::Folder { path: path.clone(), source })?;
        Record::parse(&bytes).map_err(|source| StoreError::Damaged { path, source })
    }

    /// Writes the record durably into the state directory.
    pub fn save(&self, record: &Record) -> Result<(), StoreError> {
        let path = &self.path;
        private::directory(path).map_err(|source| StoreError::Folder { path: path.clone(), source })?;
        durable::write(&self.record_file(), &encode(record)?)?;
        if let Some(file) = self.runtime_file("state.json") {
            // Older than what was just written.
            let _ = fs::remove_file(file);
        }
        Ok(())
    }

    /// The same, whatever it takes: in place of what was reserved for it, or else in the runtime directory.
    pub fn save_anywhere(&self, record: &Record) -> Result<(), StoreError> {
        let Err(error) = self.save(record) else { return Ok(()) };
        self.release_reserve();
        if self.save(record).is_ok() {
            return Ok(());
        }
        let Some(file) = self.runtime_file("state.json") else { return Err(error) };
        write_runtime(&file, &encode(record)?).map_err(|_| error)
    }

    /// Keeps room free for the result of the job.
    pub fn reserve(&self) -> io::Result<()> {
        let mut file = private::options().truncate(true).open(self.reserve_file())?;
        // A file system may compress zeros away.
        let bytes: Vec<u8> = std::iter::repeat_with(|| fastrand::u8(..)).take(RESERVE).collect();
        file.write_all(&bytes)?;
        file.sync_all()
    }

    /// Gives up the room that was kept free.
    pub fn release_reserve(&self) {
        // Where there is none, nothing was kept free.
        let _ = fs::remove_file(self.reserve_file());
    }

    fn reserve_file(&self) -> PathBuf {
        self.path.join("reserve")
    }

    /// What a listener last wrote down about its connection; `None` where it wrote nothing that can be read.
    pub fn proof(&self) -> Option<Proof> {
        let read = |file: &Path| serde_json::from_slice(&fs::read(file).ok()?).ok();
        let runtime = self.runtime_file("proof.json");
        runtime.and_then(|file| read(&file)).or_else(|| read(&self.proof_file()))
    }

    /// Writes down what was found out about the connection.
    pub fn write_proof(&self, proof: &Proof) -> Result<(), StoreError> {
        // Our own plain struct always has a JSON form.
        let json = serde_json::to_vec(proof).unwrap_or_default();
        let runtime = self.runtime_file("proof.json");
        match (durable::write(&self.proof_file(), &json), runtime) {
            (Ok(()), runtime) => {
                if let Some(file) = runtime {
                    let _ = fs::remove_file(file);
                }
                Ok(())
            }
            (Err(error), Some(file)) => Ok(write_runtime(&file, &json).map_err(|_| error)?),
            (Err(error), None) => Err(error.into()),
        }
    }

    fn proof_file(&self) -> PathBuf {
        self.path.join("proof.json")
    }

    fn runtime_file(&self, name: &str) -> Option<PathBuf> {
        Some(self.runtime.as_ref()?.join(name))
    }
}

fn encode(record: &Record) -> Result<Vec<u8>, StoreError> {
    let id = &record.request.id;
    record.encode().map_err(|source| StoreError::Encode { id: id.clone(), source })
}

fn write_runtime(file: &Path, content: &[u8]) -> Result<(), durable::WriteError> {
    let failed = |source| durable::WriteError { path: file.to_owned(), source };
    private::directory(file.parent().unwrap_or(Path::new("/"))).map_err(failed)?;
    durable::write(file, content)
}
