//! Shared code of services: logging, keys, state directory, signals, and notification of systemd.

use super::connection::refuse_seed;
use super::exit::{CommandError, Exit};
use super::logging::LogArgs;
use crate::config::{Setting, SettingSource};
use crate::keys::TrustedKey;
use crate::nats::Nkey;
use crate::sd_notify;
use crate::text::holds_seed;
use anyhow::{Context, anyhow, bail};
use std::path::{Path, PathBuf};
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::AbortHandle;
use tokio_util::sync::CancellationToken;

/// Starts logging, calls `prepare`, and runs the returned service until a signal. systemd is notified of a failure.
pub(super) fn serve<W, F>(
    log: &LogArgs,
    prepare: impl FnOnce() -> Result<W, CommandError>,
) -> Result<Exit, CommandError>
where
    W: FnOnce(CancellationToken) -> F,
    F: Future<Output = Result<(), CommandError>>,
{
    let ended = run_until_signal(log, prepare);
    if let Err(failed) = &ended {
        sd_notify::notify_start_failure(&format!("could not start: {:#}", failed.error));
    }
    ended
}

fn run_until_signal<W, F>(
    log: &LogArgs,
    prepare: impl FnOnce() -> Result<W, CommandError>,
) -> Result<Exit, CommandError>
where
    W: FnOnce(CancellationToken) -> F,
    F: Future<Output = Result<(), CommandError>>,
{
    log.start().map_err(CommandError::usage)?;
    let work = prepare()?;
    // One thread is enough, because everything that waits for a disk uses separate threads.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.context("could not start").map_err(CommandError::failure)?;
    runtime.block_on(async {
        let shutdown = CancellationToken::new();
        stop_on_signal(shutdown.clone())
            .context("could not listen for signals")
            .map_err(CommandError::failure)?;
        work(shutdown).await.map(|()| Exit::Success)
    })
}

/// Reads the file of `--nkey-file`. Returns the key and warnings that do not prevent the service from running.
pub(super) fn seed(file: &Path) -> Result<(Nkey, Vec<String>), CommandError> {
    refuse_seed(&Setting { value: file.to_owned(), source: SettingSource::Flag("--nkey-file".to_owned()) })?;
    let seed = Nkey::read(file)?;
    let warnings = log_warnings(seed.warning().into_iter().collect());
    Ok((seed, warnings))
}

/// Logs warnings and returns them.
pub(super) fn log_warnings(warnings: Vec<String>) -> Vec<String> {
    for warning in &warnings {
        tracing::warn!("{warning}");
    }
    warnings
}

/// The state directory: the given one, else `$STATE_DIRECTORY`, else the default.
pub(super) fn state_dir(given: Option<&Path>, default: &str) -> PathBuf {
    let systemd = || std::env::var_os("STATE_DIRECTORY").map(PathBuf::from);
    given.map(Path::to_owned).or_else(systemd).unwrap_or_else(|| default.into())
}

/// Cancels `shutdown` on SIGTERM or SIGINT. Aborting the handle stops this.
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

/// Parses the values of `--trusted-key`. Errors do not repeat a value, because it could be a seed or part of one.
pub(super) fn trusted_keys(given: &[String]) -> anyhow::Result<Vec<TrustedKey>> {
    let mut keys: Vec<TrustedKey> = Vec::new();
    for (n, text) in given.iter().enumerate() {
        let which = if given.len() > 1 { format!(" (number {})", n + 1) } else { String::new() };
        if holds_seed(text) {
            bail!(
                "--trusted-key{which}: expected a public key but found a seed, which is secret: give the matching public key, which \
                 starts with U, and generate a new key if others may have seen the seed"
            );
        }
        let trusted = TrustedKey::parse(text.trim()).map_err(|why| anyhow!("--trusted-key{which}: {why}"))?;
        match keys.iter().find(|known| known.key == trusted.key) {
            None => keys.push(trusted),
            Some(known) if *known == trusted => {}
            Some(_) => bail!(
                "--trusted-key{which}: {} was already given with another date: give each key once",
                trusted.key.as_str()
            ),
        }
    }
    Ok(keys)
}
