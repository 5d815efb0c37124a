//! The file in which a supervisor writes what became of its command, and whose lock it holds as long as it lives.

use crate::protocol::PhaseName;
use serde::{Deserialize, Serialize};
use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;
use std::time::SystemTime;

/// Its size in bytes. It has its full size before the command starts and is written in place, because the disk may be
/// full when the command ends.
const SIZE: usize = 512;

/// What is known of a command.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::activation) struct CommandState {
    /// The transient unit that it runs in, if systemd started it.
    #[serde(default)]
    pub(in crate::activation) unit: Option<String>,
    /// The supervisor, which leads the session and the process group of the command.
    #[serde(default)]
    pub(in crate::activation) pid: Option<i32>,
    /// The last phase that it named, if it is a rebuild program: known at once and on a full disk too.
    #[serde(default)]
    pub(in crate::activation) phase: Option<PhaseName>,
    /// How often its supervisor was asked to read all that it has written, and has. `None` from a supervisor that cannot be
    /// asked: the signal for it would end that.
    #[serde(default)]
    pub(in crate::activation) caught_up: Option<u32>,
    /// How it ended.
    #[serde(default)]
    pub(in crate::activation) end: Option<CommandEnd>,
}

/// How a command ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(in crate::activation) enum CommandEnd {
    /// With this status, as the kernel gives it.
    WaitStatus(i32),
    /// It never began, for this reason.
    NotStarted(String),
    /// Its supervisor was killed, so its status is not known.
    Lost,
}

/// The file, locked by this process.
#[derive(Debug)]
pub(in crate::activation) struct StateFile {
    file: File,
}

impl StateFile {
    /// Makes the file for a command that is about to be started.
    pub(super) fn create(path: &Path, unit: Option<String>) -> io::Result<()> {
        let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
        Self { file }.write(&CommandState { unit, ..CommandState::default() })
    }

    /// Takes the lock; `None` if another process holds it.
    pub(in crate::activation) fn lock(path: &Path) -> io::Result<Option<Self>> {
        let file = OpenOptions::new().read(true).write(true).open(path)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Self { file })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    /// What the file says. While it is being written it may say nothing that can be read.
    pub(super) fn peek(path: &Path) -> Option<CommandState> {
        serde_json::from_slice(&std::fs::read(path).ok()?).ok()
    }

    /// Notes that the command is at work, in the time of the last change.
    pub(in crate::activation) fn touch(&self) -> io::Result<()> {
        self.file.set_modified(SystemTime::now())
    }

    /// What the file says.
    pub(in crate::activation) fn read(&self) -> io::Result<CommandState> {
        let mut bytes = [0; SIZE];
        let length = self.file.read_at(&mut bytes, 0)?;
        serde_json::from_slice(&bytes[..length]).map_err(io::Error::other)
    }

    /// Replaces what it says, durably.
    pub(in crate::activation) fn write(&self, state: &CommandState) -> io::Result<()> {
        // Our own plain struct always has a JSON form.
        let mut json = serde_json::to_vec(state).unwrap_or_default();
        json.resize(SIZE, b' ');
        self.file.write_all_at(&json, 0)?;
        self.file.sync_all()
    }
}
