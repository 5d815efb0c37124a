//! The lock that the activating process holds, so that at most one process activates at a time.

use crate::private_file;
use std::fs::File;
use std::io;
use std::path::Path;

/// File with the lock, in the state directory.
const LOCK: &str = "activation.lock";

/// Held until dropped. The kernel releases it when the process dies.
#[derive(Debug)]
pub struct ActivationLock {
    _file: File,
}

impl ActivationLock {
    /// Takes the lock of a state directory, retrying for a while because another process may only be testing it. `None`
    /// if another process keeps it.
    pub fn acquire_with_retry(state_dir: &Path) -> io::Result<Option<Self>> {
        Ok(private_file::lock_with_retry(&state_dir.join(LOCK))?.map(|file| Self { _file: file }))
    }

    /// Whether another process holds the lock. The test takes it for a moment.
    pub fn is_held(state_dir: &Path) -> io::Result<bool> {
        Ok(private_file::lock(&state_dir.join(LOCK))?.is_none())
    }
}
