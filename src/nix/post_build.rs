//! Runs the post-build command with the built store path, for example to push it to a cache.

use super::build::LineReader;
use crate::text::{fitting_suffix, printable};
use crate::unattended::{ProcessGroup, captured, spawn};
use std::collections::VecDeque;
use std::io;
use std::path::Path;
use std::time::Duration;
use tokio::io::AsyncRead;
use tokio::time::timeout;

/// How many of the command's last lines an error quotes.
const SHOWN_LINES: usize = 5;
/// Maximum length of the quoted lines, in bytes.
const SHOWN_BYTES: usize = 1024;

/// How long to wait for the last lines after the command has ended.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(1);

/// A failed post-build command.
#[derive(Debug, thiserror::Error)]
#[error("{program} {reason}{output_suffix}")]
pub struct PostBuildError {
    program: String,
    reason: String,
    /// The last lines of its output, after a colon; empty if there are none.
    output_suffix: String,
}

/// Runs a command with the store path as its last argument. Dropping the future kills it and all its descendants.
pub async fn run_post_build(command: &[String], store_path: &Path) -> Result<(), PostBuildError> {
    let program = command.first().map(String::as_str).unwrap_or_default();
    let failed = |reason: String, output_suffix: String| PostBuildError {
        program: program.to_owned(),
        reason,
        output_suffix,
    };
    let not_run = |error: io::Error| failed(format!("could not be run: {error}"), String::new());
    let mut child = captured(program);
    child.args(command.iter().skip(1)).arg(store_path);
    let mut child = spawn(&mut child).map_err(not_run)?;
    // Declared after the child and so dropped before it: until the child is reaped, its process id is not reused.
    let group = ProcessGroup::of(&child);
    let (out, err) = (child.stdout.take(), child.stderr.take());
    // The command counts as ended when it exits, even if a background process still holds its pipes.
    let last_output = async { tokio::join!(last_lines(out), last_lines(err)) };
    tokio::pin!(last_output);
    let mut finished = None;
    let status = loop {
        tokio::select! {
            lines = &mut last_output, if finished.is_none() => finished = Some(lines),
            status = child.wait() => break status,
        }
    };
    let status = status.map_err(not_run)?;
    group.disarm();
    if status.success() {
        return Ok(());
    }
    let (out, mut err) = match finished {
        Some(lines) => lines,
        // A background process that holds the pipes must not delay the result.
        None => timeout(DRAIN_TIMEOUT, last_output).await.unwrap_or_default(),
    };
    if err.is_empty() {
        err = out;
    }
    let shown = err.iter().map(|line| printable(line)).collect::<Vec<_>>().join("; ");
    let shown = if shown.is_empty() { shown } else { format!(": {}", fitting_suffix(&shown, SHOWN_BYTES)) };
    Err(failed(format!("ended with {status}"), shown))
}

/// Reads a pipe to its end and returns its last lines.
async fn last_lines(pipe: Option<impl AsyncRead + Unpin>) -> VecDeque<String> {
    let mut last = VecDeque::new();
    let Some(pipe) = pipe else { return last };
    let mut lines = LineReader::new(pipe);
    while let Ok(Some(line)) = lines.next().await {
        if line.trim().is_empty() {
            continue;
        }
        if last.len() == SHOWN_LINES {
            last.pop_front();
        }
        last.push_back(line);
    }
    last
}
