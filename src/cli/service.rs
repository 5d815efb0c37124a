//! What services have in common: the log, the key, the state directory, signals, and the word to the service manager.

use super::connection::refuse_seed;
use super::exit::{Exit, Failed};
use super::logging::LogArgs;
use crate::bus::Seed;
use crate::config::{Setting, Source};
use crate::manager;
use anyhow::Context;
use std::path::{Path, PathBuf};
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::AbortHandle;
use tokio_util::sync::CancellationToken;

/// Starts the log, has `begin` make ready, and runs what it gives until a signal. Where that fails, the service manager is told.
pub(super) fn serve<W, F>(log: &LogArgs, begin: impl FnOnce() -> Result<W, Failed>) -> Result<Exit, Failed>
where
    W: FnOnce(CancellationToken) -> F,
    F: Future<Output = Result<(), Failed>>,
{
    let ended = until_signal(log, begin);
    if let Err(failed) = &ended {
        manager::could_not_start(&format!("could not start: {:#}", failed.error));
    }
    ended
}

fn until_signal<W, F>(log: &LogArgs, begin: impl FnOnce() -> Result<W, Failed>) -> Result<Exit, Failed>
where
    W: FnOnce(CancellationToken) -> F,
    F: Future<Output = Result<(), Failed>>,
{
    log.start().map_err(Failed::usage)?;
    let work = begin()?;
    // One thread is enough: everything that waits for a disk has a thread of its own.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.context("could not start").map_err(Failed::host)?;
    runtime.block_on(async {
        let shutdown = CancellationToken::new();
        stop_on_signal(shutdown.clone()).context("could not listen for signals").map_err(Failed::host)?;
        work(shutdown).await.map(|()| Exit::Done)
    })
}

/// Reads the file of `--nkey-file`, and gives what is wrong with it and yet does not keep the service from working.
pub(super) fn seed(file: &Path) -> Result<(Seed, Vec<String>), Failed> {
    refuse_seed(&Setting { value: file.to_owned(), source: Source::Flag("--nkey-file".to_owned()) })?;
    let seed = Seed::read(file)?;
    let warnings = warned(seed.warning().into_iter().collect());
    Ok((seed, warnings))
}

/// Writes warnings into the log too.
pub(super) fn warned(warnings: Vec<String>) -> Vec<String> {
    for warning in &warnings {
        tracing::warn!("{warning}");
    }
    warnings
}

/// The state directory: the one that was given, else systemd's, else the usual one.
pub(super) fn state_dir(given: Option<&Path>, usual: &str) -> PathBuf {
    let systemd = || std::env::var_os("STATE_DIRECTORY").map(PathBuf::from);
    given.map(Path::to_owned).or_else(systemd).unwrap_or_else(|| usual.into())
}

/// Cancels `shutdown` on SIGTERM and SIGINT, until that is aborted.
pub(super) fn stop_on_signal(shutdown: CancellationToken) -> std::io::Result<AbortHandle> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let stop = tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        shutdown.cancel();
    });
    Ok(stop.abort_handle())
}
