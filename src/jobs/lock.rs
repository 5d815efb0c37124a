//! The lock that whoever activates holds: who has it lives, and nobody else may activate.

use crate::private;
use std::fs::{File, TryLockError};
use std::io;
use std::path::Path;
use std::time::Duration;

/// How often, and with which pause, a lock is tried that somebody may only be looking at.
const PATIENCE: u32 = 50;
const PAUSE: Duration = Duration::from_millis(20);

/// Held for as long as this lives. The system lets go of it when the process dies, however it dies.
#[derive(Debug)]
pub struct ActivationLock {
    _file: File,
}

impl ActivationLock {
    /// Takes the lock of a state directory, or waits for a while where somebody only looks at it; `None` where another
    /// process holds it.
    pub fn take_patiently(state_dir: &Path) -> io::Result<Option<Self>> {
        for _ in 0..PATIENCE {
            if let Some(lock) = Self::take(state_dir)? {
                return Ok(Some(lock));
            }
            std::thread::sleep(PAUSE);
        }
        Ok(None)
    }

    /// Takes the lock of a state directory; `None` where another process holds it.
    fn take(state_dir: &Path) -> io::Result<Option<Self>> {
        let path = state_dir.join("activation.lock");
        let file = private::options().truncate(false).open(&path);
        // A file that is there needs not be written to be locked: the file system may have become read-only.
        let file = file.or_else(|error| File::open(&path).map_err(|_| error))?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Self { _file: file })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    /// Whether another process holds it. Looking takes the lock for a moment.
    pub fn is_held(state_dir: &Path) -> io::Result<bool> {
        Ok(Self::take(state_dir)?.is_none())
    }
}
