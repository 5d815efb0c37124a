//! A private NATS server on a free loopback port, for as long as this process lives.

use super::server::{self, MARK};
use crate::protocol::MAX_MESSAGE;
use crate::unattended;
use std::fs::{self, DirBuilder, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tokio::process::Child;
use tokio::time::{sleep, timeout};

/// How long the server may take to be ready.
const START: Duration = Duration::from_secs(10);
/// How long the keeper may take to clean up; its own patience is shorter.
const STOP: Duration = Duration::from_secs(5);
/// How often we look whether the server is ready.
const LOOK: Duration = Duration::from_millis(10);
/// How much of the server's log an error shows.
const LAST_LINES: usize = 15;

/// Why there is no private server.
#[derive(Debug, thiserror::Error)]
pub enum BrokerError {
    /// The program is missing.
    #[error(
        "the demo needs nats-server, which is not installed; on Debian or Ubuntu run `sudo apt install nats-server`, \
         with nix run `nix shell nixpkgs#nats-server`, then start the demo again"
    )]
    NotInstalled,
    /// The folder could not be made ready.
    #[error("could not prepare the demo's folder {}: {source}; name a new one that you may write to", folder.display())]
    Folder {
        /// The folder.
        folder: PathBuf,
        /// What went wrong.
        source: io::Error,
    },
    /// The keeper could not be started.
    #[error("could not start {} as the demo's keeper: {source}; check that the program is still there", program.display())]
    Keeper {
        /// Our own program.
        program: PathBuf,
        /// What went wrong.
        source: io::Error,
    },
    /// The server ended instead of serving.
    #[error("the demo's nats-server ended at once; its last words, which say what to mend:\n{log}")]
    Died {
        /// The end of its log.
        log: String,
    },
    /// The server wrote down no port in time.
    #[error(
        "the demo's nats-server was not ready after {} s; try again when this machine has less to do; its last words:\n{log}",
        START.as_secs()
    )]
    Silent {
        /// The end of its log.
        log: String,
    },
    /// The keeper did not clean up.
    #[error("the demo's keeper did not clean up ({status}); look for a nats-server to end, and remove {}", folder.display())]
    NotStopped {
        /// How the keeper ended, or that it still runs.
        status: String,
        /// The folder.
        folder: PathBuf,
    },
}

/// A running server. When this is dropped, or the process ends in whatever way, the server is killed and its folder
/// removed shortly after; [`Broker::stop`] waits for that.
#[derive(Debug)]
pub struct Broker {
    url: String,
    folder: PathBuf,
    keeper: Child,
}

impl Broker {
    /// Starts a server with this `authorization` block. `program` is our own executable, which is started as the
    /// server's keeper.
    ///
    /// The folder is made if it is not there and belongs to the server from now on: in the end it is removed with
    /// everything in it, also when the server does not start.
    pub async fn start(folder: &Path, authorization: &str, program: &Path) -> Result<Self, BrokerError> {
        if server::find().is_none() {
            return Err(BrokerError::NotInstalled);
        }
        let (log, log_end) = prepare(folder, authorization)
            .map_err(|source| BrokerError::Folder { folder: folder.to_owned(), source })?;
        let mut keeper = spawn_keeper(folder, program, log).map_err(|source| {
            let _ = fs::remove_dir_all(folder);
            BrokerError::Keeper { program: program.to_owned(), source }
        })?;
        match timeout(START, wait_for_url(folder, &mut keeper)).await {
            Ok(Some(url)) => Ok(Self { url, folder: folder.to_owned(), keeper }),
            Ok(None) => {
                // The keeper did it already, unless it never came to its work.
                let _ = fs::remove_dir_all(folder);
                Err(BrokerError::Died { log: last_words(log_end) })
            }
            Err(_) => Err(BrokerError::Silent { log: last_words(log_end) }),
        }
    }

    /// Where to connect to.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Ends the server and waits until nothing of it is left.
    pub async fn stop(mut self) -> Result<(), BrokerError> {
        // Waiting closes the keeper's stdin first, which is the sign for it.
        let status = match timeout(STOP, self.keeper.wait()).await {
            Ok(Ok(status)) => status.to_string(),
            Ok(Err(error)) => error.to_string(),
            Err(_) => "it still runs".to_owned(),
        };
        // The folder goes last. A keeper whose server ended by itself fails, but leaves nothing behind either.
        if self.folder.exists() {
            Err(BrokerError::NotStopped { status, folder: self.folder })
        } else {
            Ok(())
        }
    }
}

/// Writes the configuration; gives the log's two ends. We keep ours open, for the keeper removes the file.
fn prepare(folder: &Path, authorization: &str) -> io::Result<(File, File)> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    // A folder of another demo would have another server's port in it.
    File::create_new(server::config(folder))?
        .write_all(format!("{MARK}\nmax_payload: {MAX_MESSAGE}\n{authorization}").as_bytes())?;
    let log = server::log(folder);
    Ok((File::create(&log)?, File::open(&log)?))
}

/// Ctrl-C on the terminal is for us; the keeper follows when we have ended.
fn spawn_keeper(folder: &Path, program: &Path, log: File) -> io::Result<Child> {
    unattended::command(program)
        .args(["demo", "--keeper"])
        .arg(folder)
        .stdin(Stdio::piped())
        .stdout(log.try_clone()?)
        .stderr(log)
        .spawn()
}

/// Waits until the server has written down its port; `None` if the keeper ends instead.
async fn wait_for_url(folder: &Path, keeper: &mut Child) -> Option<String> {
    loop {
        if let Some(url) = server::url(folder) {
            return Some(url);
        }
        if !matches!(keeper.try_wait(), Ok(None)) {
            return None;
        }
        sleep(LOOK).await;
    }
}

/// The last lines of the log.
fn last_words(mut log: File) -> String {
    let mut bytes = Vec::new();
    let _ = log.read_to_end(&mut bytes);
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<_> = text.lines().collect();
    lines[lines.len().saturating_sub(LAST_LINES)..].join("\n")
}
