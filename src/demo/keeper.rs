//! The keeper: a hidden process that owns the demo's server and outlives its parent just long enough to clean up.
//!
//! A parent that is killed cannot clean up behind itself. But its end of the pipe that is our stdin closes in any
//! case, and that is what the keeper waits for.

use super::server::{self, MARK};
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

/// How often the server is looked at.
const LOOK: Duration = Duration::from_millis(100);

/// How often a folder that others still write to is removed again, each a [`LOOK`] apart.
const REMOVALS: u32 = 20;

/// Why a keeper failed. By then the server is gone, and the folder too unless that is what failed.
#[derive(Debug, thiserror::Error)]
pub enum KeeperError {
    /// The folder was not made for a demo.
    #[error("{} is not the folder of a demo, so nothing was started and nothing removed", .0.display())]
    NotOurs(PathBuf),
    /// The server is not installed.
    #[error("could not find nats-server; install it and start the demo again")]
    NotInstalled,
    /// The server could not be started.
    #[error("could not start {}: {source}; check that it can be run", program.display())]
    Start {
        /// The program.
        program: PathBuf,
        /// What went wrong.
        source: io::Error,
    },
    /// The server ended though the demo had not.
    #[error("nats-server ended by itself ({0}); its log says why")]
    Ended(ExitStatus),
    /// The server could not be watched or ended.
    #[error("could not watch over nats-server: {0}; look for it in the list of processes and end it")]
    Watch(#[source] io::Error),
    /// The folder is still there.
    #[error("could not remove {}: {source}; remove it by hand", folder.display())]
    Remove {
        /// The folder.
        folder: PathBuf,
        /// What went wrong.
        source: io::Error,
    },
}

/// Starts `nats-server` with the configuration in `folder` and waits until stdin ends or the server does. Then the
/// server is killed and the folder removed with all that is in it.
pub fn run(folder: &Path) -> Result<(), KeeperError> {
    let config = server::config(folder);
    if !fs::read_to_string(&config).is_ok_and(|text| text.starts_with(MARK)) {
        return Err(KeeperError::NotOurs(folder.to_owned()));
    }
    let kept = start(folder, &config).and_then(keep);
    let removed = remove(folder);
    kept.and(removed)
}

fn start(folder: &Path, config: &Path) -> Result<Child, KeeperError> {
    let program = server::find().ok_or(KeeperError::NotInstalled)?;
    // What it writes goes where our own stderr goes: into the log, with complaints about its configuration.
    Command::new(&program)
        .args(["-a", "127.0.0.1", "-p", "-1", "--ports_file_dir"])
        .arg(folder)
        .arg("-c")
        .arg(config)
        .stdin(Stdio::null())
        .spawn()
        .map_err(|source| KeeperError::Start { program, source })
}

/// Waits for either end, then makes sure that the server has ended.
fn keep(mut server: Child) -> Result<(), KeeperError> {
    let (ended, parent) = mpsc::channel();
    thread::spawn(move || {
        let _ = io::copy(&mut io::stdin(), &mut io::sink());
        let _ = ended.send(());
    });
    let died = loop {
        match server.try_wait() {
            Ok(None) => {}
            Ok(Some(status)) => break Err(KeeperError::Ended(status)),
            Err(error) => break Err(KeeperError::Watch(error)),
        }
        match parent.recv_timeout(LOOK) {
            Err(RecvTimeoutError::Timeout) => {}
            Ok(()) | Err(RecvTimeoutError::Disconnected) => break Ok(()),
        }
    };
    // It keeps nothing on disk that a kill could spoil.
    server.kill().and_then(|()| server.wait()).map_err(KeeperError::Watch)?;
    died
}

/// Removes the folder. What ends with the parent may still be writing into it, so this is tried for a while.
fn remove(folder: &Path) -> Result<(), KeeperError> {
    let mut tries = 1;
    loop {
        match fs::remove_dir_all(folder) {
            Ok(()) => return Ok(()),
            Err(error) if error.kind() == ErrorKind::NotFound && !folder.exists() => return Ok(()),
            Err(source) if tries == REMOVALS => {
                return Err(KeeperError::Remove { folder: folder.to_owned(), source });
            }
            Err(_) => thread::sleep(LOOK),
        }
        tries += 1;
    }
}
