//! A private NATS server on a free loopback port, which runs as long as this process.

use crate::protocol::MAX_MESSAGE;
use crate::text::last;
use crate::unattended;
use std::env;
use std::ffi::OsStr;
use std::fs::{self, DirBuilder, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tokio::process::Child;
use tokio::time::{sleep, timeout};

/// Time limit for the start of the server.
const START_TIMEOUT: Duration = Duration::from_secs(10);
/// Time limit for the supervisor to clean up; longer than the supervisor's own retries.
const STOP_TIMEOUT: Duration = Duration::from_secs(5);
/// Interval at which the start of the server is checked.
const POLL_INTERVAL: Duration = Duration::from_millis(10);
/// Number of log lines in an error.
const LOG_TAIL_LINES: usize = 15;
/// Debian installs the program here, but the `PATH` of a normal user does not include these directories.
const SYSTEM_DIRECTORIES: [&str; 2] = ["/usr/local/sbin", "/usr/sbin"];
/// First line of the configuration. A directory without it does not belong to a demo and is not removed.
pub(super) const MARK: &str = "# homelab-deploy demo: this directory is removed when the demo ends";

/// Why a private server is not available.
#[derive(Debug, thiserror::Error)]
pub enum NatsServerError {
    /// The program is not installed.
    #[error(
        "the demo needs nats-server, which is not installed; on Debian or Ubuntu run `sudo apt install nats-server`, \
         with nix run `nix shell nixpkgs#nats-server`, then start the demo again"
    )]
    NotInstalled,
    /// The directory could not be prepared.
    #[error("could not prepare the demo's directory {}: {source}; choose a new directory in a writable place", directory.display())]
    Directory {
        /// The directory.
        directory: PathBuf,
        /// Error of the operating system.
        source: io::Error,
    },
    /// The supervisor could not be started.
    #[error("could not start {} as the demo's supervisor: {source}; check that the program still exists", program.display())]
    Supervisor {
        /// Path of this executable.
        program: PathBuf,
        /// Error of the operating system.
        source: io::Error,
    },
    /// The server ended during its start.
    #[error("the demo's nats-server exited at once; its log says why:\n{log}")]
    Exited {
        /// End of its log.
        log: String,
    },
    /// The server did not write its port in time.
    #[error(
        "the demo's nats-server was not ready after {} s; try again when this machine is less busy; its log ends:\n{log}",
        START_TIMEOUT.as_secs()
    )]
    NotReady {
        /// End of its log.
        log: String,
    },
    /// The supervisor did not clean up.
    #[error("the demo's supervisor did not clean up ({status}); stop its nats-server and remove {}", directory.display())]
    NotStopped {
        /// Exit status of the supervisor, or that it is still running.
        status: String,
        /// The directory that remains.
        directory: PathBuf,
    },
}

/// A running server. If this is dropped or the process ends in any way, the server is killed and its directory is
/// removed shortly after; [`NatsServer::stop`] waits for that.
#[derive(Debug)]
pub struct NatsServer {
    url: String,
    directory: PathBuf,
    supervisor: Child,
}

impl NatsServer {
    /// Starts a server with this `authorization` block. `program` is the path of this executable, which runs as the
    /// supervisor of the server.
    ///
    /// The directory is created if needed and belongs to the server from now on: it is removed with all of its contents
    /// in the end, even if the server does not start.
    pub async fn start(
        directory: &Path,
        authorization: &str,
        program: &Path,
    ) -> Result<Self, NatsServerError> {
        if find_program().is_none() {
            return Err(NatsServerError::NotInstalled);
        }
        let (log, log_reader) = prepare(directory, authorization)
            .map_err(|source| NatsServerError::Directory { directory: directory.to_owned(), source })?;
        let mut supervisor = spawn_supervisor(directory, program, log).map_err(|source| {
            let _ = fs::remove_dir_all(directory);
            NatsServerError::Supervisor { program: program.to_owned(), source }
        })?;
        match timeout(START_TIMEOUT, wait_for_url(directory, &mut supervisor)).await {
            Ok(Some(url)) => Ok(Self { url, directory: directory.to_owned(), supervisor }),
            Ok(None) => {
                // The supervisor has removed the directory, unless it failed before it started.
                let _ = fs::remove_dir_all(directory);
                Err(NatsServerError::Exited { log: log_tail(log_reader) })
            }
            Err(_) => Err(NatsServerError::NotReady { log: log_tail(log_reader) }),
        }
    }

    /// URL of the server.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Stops the server and waits until its directory is gone.
    pub async fn stop(mut self) -> Result<(), NatsServerError> {
        // `wait` closes the stdin of the supervisor, which makes it stop the server.
        let status = match timeout(STOP_TIMEOUT, self.supervisor.wait()).await {
            Ok(Ok(status)) => status.to_string(),
            Ok(Err(error)) => error.to_string(),
            Err(_) => "still running".to_owned(),
        };
        // The directory is removed last. If the server ended on its own, the supervisor fails, but it also cleans up.
        if self.directory.exists() {
            Err(NatsServerError::NotStopped { status, directory: self.directory })
        } else {
            Ok(())
        }
    }
}

/// Writes the configuration and opens the log for writing and reading; it stays readable after its removal.
fn prepare(directory: &Path, authorization: &str) -> io::Result<(File, File)> {
    DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    // The directory of another demo contains the port of another server, so it must not be reused.
    File::create_new(config_path(directory))?
        .write_all(format!("{MARK}\nmax_payload: {MAX_MESSAGE}\n{authorization}").as_bytes())?;
    let log = log_path(directory);
    Ok((File::create(&log)?, File::open(&log)?))
}

/// Starts the supervisor. It has no terminal, so Ctrl-C ends only this process, and the supervisor follows.
fn spawn_supervisor(directory: &Path, program: &Path, log: File) -> io::Result<Child> {
    unattended::command(program)
        .args(["demo", "--supervisor"])
        .arg(directory)
        .stdin(Stdio::piped())
        .stdout(log.try_clone()?)
        .stderr(log)
        .spawn()
}

/// Waits until the server has written its port; `None` if the supervisor ends first.
async fn wait_for_url(directory: &Path, supervisor: &mut Child) -> Option<String> {
    loop {
        if let Some(url) = read_url(directory) {
            return Some(url);
        }
        if !matches!(supervisor.try_wait(), Ok(None)) {
            return None;
        }
        sleep(POLL_INTERVAL).await;
    }
}

/// The last lines of the log.
fn log_tail(mut log: File) -> String {
    let mut bytes = Vec::new();
    let _ = log.read_to_end(&mut bytes);
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<_> = text.lines().collect();
    last(&lines, LOG_TAIL_LINES).join("\n")
}

/// Path of the program, from `PATH` or a system directory.
pub(super) fn find_program() -> Option<PathBuf> {
    env::split_paths(&env::var_os("PATH").unwrap_or_default())
        .chain(SYSTEM_DIRECTORIES.map(PathBuf::from))
        .map(|directory| directory.join("nats-server"))
        .find(|program| program.is_file())
}

/// Path of a private server's configuration.
pub(super) fn config_path(directory: &Path) -> PathBuf {
    directory.join("nats-server.conf")
}

/// Path of a private server's log.
fn log_path(directory: &Path) -> PathBuf {
    directory.join("nats-server.log")
}

/// URL of the server in `directory`; `None` until the server has written it.
fn read_url(directory: &Path) -> Option<String> {
    let files = fs::read_dir(directory).ok()?.flatten().map(|entry| entry.path());
    let mut ports = files.filter(|path| path.extension() == Some(OsStr::new("ports")));
    ports.find_map(|path| {
        // A partly written file is not valid JSON.
        let ports: serde_json::Value = serde_json::from_slice(&fs::read(path).ok()?).ok()?;
        Some(ports["nats"][0].as_str()?.to_owned())
    })
}
