//! The store: one folder a job, under a lock that one listener holds.

use super::{Identity, JobFolder, Record, StateDir};
use crate::durable::{self, WriteError};
use crate::protocol::Id;
use jiff::{SignedDuration, Timestamp};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The note that a verdict has reached the server.
const SENT: &str = "sent.json";

/// Why the state directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// It cannot be made or read.
    #[error("could not use the state directory {}: {source}; it must be writable, or choose another with --state-dir", path.display())]
    Folder {
        /// The directory.
        path: PathBuf,
        /// The operating system's reason.
        source: io::Error,
    },
    /// Somebody else uses it.
    #[error("another listener or builder uses the state directory {}; stop it, or choose another with --state-dir", .0.display())]
    Locked(PathBuf),
    /// A file in it cannot be written.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// A record cannot be read.
    #[error("the record {} is damaged: {source}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// A record has no JSON form.
    #[error("could not encode the record of job {id}: {source}")]
    Encode {
        /// The job.
        id: Id,
        /// The reason.
        source: serde_json::Error,
    },
}

/// The jobs of one host.
#[derive(Debug)]
pub struct Store {
    dir: StateDir,
    /// What was wrong with the state directory, in sentences for the operator.
    warnings: Vec<String>,
}

impl Store {
    /// Opens the state directory, takes its lock and counts the start. Gives every job that lies there, oldest
    /// first; a damaged record is put aside. Where nothing can be written there any more, the host can still be looked at:
    /// see [`Store::warnings`].
    pub fn open(folder: &Path) -> Result<(Self, Vec<Record>), StoreError> {
        let (dir, unwritten) = StateDir::open(folder, "jobs")?;
        let mut store = Self { dir, warnings: Vec::new() };
        if let Some(error) = unwritten {
            store.warn(format!("{error}; no job can be done here until that is mended"));
        }
        let mut records =
            store.read_all().map_err(|source| StoreError::Folder { path: folder.to_owned(), source })?;
        records.sort_by_key(Record::order);
        // A new identity counts its starts from one: jobs that come must not be older than those that lie here.
        if let Some(newest) = records.last()
            && let Err(error) = store.dir.start_after(newest.starts)
        {
            store.warn(error.to_string());
        }
        Ok((store, records))
    }

    /// Who this listener is.
    pub fn identity(&self) -> &Identity {
        self.dir.identity()
    }

    /// What was wrong with the state directory when it was opened, in sentences.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    fn warn(&mut self, warning: String) {
        tracing::error!(warning, "something is wrong with the state directory");
        self.warnings.push(warning);
    }

    /// The state directory.
    pub fn state_dir(&self) -> &Path {
        self.dir.path()
    }

    /// Where everything about one job lies.
    pub fn job(&self, id: &Id) -> JobFolder {
        JobFolder::new(self.dir.path(), id)
    }

    /// Writes a record durably.
    pub fn save(&self, record: &Record) -> Result<(), StoreError> {
        self.job(&record.request.id).save(record)
    }

    /// Whether a record could be written now. It is not synced: whoever asks may ask often.
    pub fn check_writable(&self) -> Result<(), StoreError> {
        self.dir.check_writable()
    }

    /// Puts the record of a job aside, so that no later start takes it up. One that is not there is as good.
    pub fn set_aside(&self, id: &Id) -> io::Result<()> {
        let file = self.job(id).record_file();
        match fs::rename(&file, file.with_extension("aside")) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// Notes durably that the verdict of a job has reached the server.
    pub fn mark_sent(&self, id: &Id, now: Timestamp) -> Result<(), StoreError> {
        let json = format!("{{\"sent_at\":\"{now}\"}}\n");
        Ok(durable::write(&self.job(id).path().join(SENT), json.as_bytes())?)
    }

    /// Whether the verdict of a job is noted to have reached the server.
    pub(super) fn is_sent(&self, id: &Id) -> bool {
        self.job(id).path().join(SENT).exists()
    }

    /// Gives up the garbage collector roots of a job.
    pub(super) fn drop_roots(&self, id: &Id) {
        for root in self.job(id).roots() {
            match fs::remove_file(&root) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    tracing::warn!(%id, %error, "could not give up a root of an old job");
                }
                _ => {}
            }
        }
    }

    /// Removes the folder of a job.
    pub fn remove(&self, id: &Id) {
        if let Err(error) = fs::remove_dir_all(self.job(id).path()) {
            tracing::warn!(%id, %error, "could not remove the folder of a job");
        }
    }

    /// Removes the folders of jobs whose verdicts were told longer ago than `age`, unless they are to be kept.
    pub(super) fn sweep(&self, age: SignedDuration, now: Timestamp, kept: impl Fn(&Id) -> bool) {
        let folders = fs::read_dir(self.dir.records()).into_iter().flatten().flatten();
        let ids = folders.filter_map(|folder| folder.file_name().to_str()?.parse::<Id>().ok());
        for id in ids.filter(|id| !kept(id)) {
            let told = fs::metadata(self.job(&id).path().join(SENT)).and_then(|note| note.modified());
            let told_at = told.ok().and_then(|at| Timestamp::try_from(at).ok());
            if told_at.is_some_and(|at| now.duration_since(at) > age) {
                self.remove(&id);
            }
        }
    }

    fn read_all(&mut self) -> io::Result<Vec<Record>> {
        let mut records = Vec::new();
        for entry in fs::read_dir(self.dir.records())? {
            let path = entry?.path().join("state.json");
            // A folder without a record is that of a job that was never durably begun.
            let Ok(bytes) = fs::read(&path) else { continue };
            match Record::parse(&bytes) {
                Ok(record) => records.push(record),
                Err(error) => {
                    let aside = path.with_extension("damaged");
                    tracing::error!(file = %path.display(), %error, "put a damaged job record aside");
                    let put = match fs::rename(&path, &aside) {
                        Ok(()) => format!("it lies in {}", aside.display()),
                        Err(error) => format!("it could not be put aside: {error}"),
                    };
                    self.warn(format!("the job record {} is damaged ({error}); {put}", path.display()));
                    // It told of a verdict that is lost with the record.
                    let _ = fs::remove_file(path.with_file_name(SENT));
                }
            }
        }
        Ok(records)
    }
}
