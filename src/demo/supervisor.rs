//! The supervisor: a hidden process that runs the demo's server and outlives its parent just long enough to clean up.
//!
//! A parent that is killed cannot clean up, but the system closes its end of the pipe to the supervisor's stdin. The
//! supervisor waits for that.

use super::nats_server::{self, MARK};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;
use std::{fs, thread};

/// Interval at which the server is checked.
const POLL_INTERVAL: Duration = Duration::from_millis(100);
/// Number of attempts to remove the directory, each a [`POLL_INTERVAL`] apart.
const REMOVE_ATTEMPTS: u32 = 20;

/// Why the supervisor failed. The server has ended by then, and the directory is removed unless that failed.
#[derive(Debug, thiserror::Error)]
pub enum SupervisorError {
    /// The directory does not belong to a demo.
    #[error("{} is not the directory of a demo; nothing was started or removed", .0.display())]
    NotOurs(PathBuf),
    /// The server is not installed.
    #[error("could not find nats-server; install it and start the demo again")]
    NotInstalled,
    /// The server could not be started.
    #[error("could not start {}: {source}; check that it can be run", program.display())]
    Start {
        /// The program.
        program: PathBuf,
        /// Error of the operating system.
        source: io::Error,
    },
    /// The server ended while the demo was running.
    #[error("nats-server exited ({0}); its log says why")]
    Ended(ExitStatus),
    /// The server could not be checked or killed.
    #[error("could not supervise nats-server: {0}; if it is still running, stop it")]
    Watch(#[source] io::Error),
    /// The directory could not be removed.
    #[error("could not remove {}: {source}; remove it by hand", directory.display())]
    Remove {
        /// The directory.
        directory: PathBuf,
        /// Error of the operating system.
        source: io::Error,
    },
}

/// Runs `nats-server` with the configuration in `directory` until stdin is closed or the server ends. Then it kills
/// the server and removes the directory with all of its contents.
pub fn run(directory: &Path) -> Result<(), SupervisorError> {
    let config = nats_server::config_path(directory);
    if !fs::read_to_string(&config).is_ok_and(|text| text.starts_with(MARK)) {
        return Err(SupervisorError::NotOurs(directory.to_owned()));
    }
    let supervised = start(directory, &config).and_then(supervise);
    let removed = remove(directory);
    supervised.and(removed)
}

fn start(directory: &Path, config: &Path) -> Result<Child, SupervisorError> {
    let program = nats_server::find_program().ok_or(SupervisorError::NotInstalled)?;
    // The server inherits stderr, which is the log, so errors in its configuration appear there.
    Command::new(&program)
        .args(["-a", "127.0.0.1", "-p", "-1", "--ports_file_dir"])
        .arg(directory)
        .arg("-c")
        .arg(config)
        .stdin(Stdio::null())
        .spawn()
        .map_err(|source| SupervisorError::Start { program, source })
}

/// Waits until stdin is closed or the server ends, and makes sure that the server has ended.
fn supervise(mut server: Child) -> Result<(), SupervisorError> {
    let (ended, parent) = mpsc::channel();
    thread::spawn(move || {
        let _ = io::copy(&mut io::stdin(), &mut io::sink());
        let _ = ended.send(());
    });
    let result = loop {
        match server.try_wait() {
            Ok(None) => {}
            Ok(Some(status)) => break Err(SupervisorError::Ended(status)),
            Err(error) => break Err(SupervisorError::Watch(error)),
        }
        match parent.recv_timeout(POLL_INTERVAL) {
            Err(RecvTimeoutError::Timeout) => {}
            Ok(()) | Err(RecvTimeoutError::Disconnected) => break Ok(()),
        }
    };
    // The server stores nothing that a kill could damage.
    server.kill().and_then(|()| server.wait()).map_err(SupervisorError::Watch)?;
    result
}

/// Removes the directory. Processes that end with the parent may still write to it, so this is repeated.
fn remove(directory: &Path) -> Result<(), SupervisorError> {
    let mut tries = 1;
    loop {
        match fs::remove_dir_all(directory) {
            Ok(()) => return Ok(()),
            Err(error) if error.kind() == ErrorKind::NotFound && !directory.exists() => return Ok(()),
            Err(source) if tries == REMOVE_ATTEMPTS => {
                return Err(SupervisorError::Remove { directory: directory.to_owned(), source });
            }
            Err(_) => thread::sleep(POLL_INTERVAL),
        }
        tries += 1;
    }
}
