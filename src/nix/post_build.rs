//! A program of this host's that is handed what was built, for example to push it to a cache.

use super::build::Lines;
use super::process::{self, Group};
use crate::protocol::{fit_end, printable};
use std::collections::VecDeque;
use std::io;
use std::path::Path;
use std::time::Duration;
use tokio::io::AsyncRead;
use tokio::time::timeout;

/// So many of its last lines are told, and so many bytes of them.
const TOLD_LINES: usize = 5;
const TOLD_BYTES: usize = 1024;

/// How long its last lines may take once it has ended.
const LAST_LINES: Duration = Duration::from_secs(1);

/// Why a program after a build failed.
#[derive(Debug, thiserror::Error)]
#[error("{program} {why}{said}")]
pub struct PostBuildError {
    program: String,
    why: String,
    /// What it said last.
    said: String,
}

/// Runs a program with its arguments and then the store path. Dropping the future ends it with all that it started.
pub async fn post_build(command: &[String], store_path: &Path) -> Result<(), PostBuildError> {
    let program = command.first().map(String::as_str).unwrap_or_default();
    let failed = |why: String, said: String| PostBuildError { program: program.to_owned(), why, said };
    let not_run = |error: io::Error| failed(format!("could not be run: {error}"), String::new());
    let mut child = process::command(program);
    child.args(command.iter().skip(1)).arg(store_path);
    let mut child = process::spawn(&mut child).map_err(not_run)?;
    // Declared after the child, so dropped before it: the number is then still its own.
    let group = Group::of(&child);
    let (out, err) = (child.stdout.take(), child.stderr.take());
    // It ends when the program does, whoever else holds its pipes.
    let said = async { tokio::join!(last_lines(out), last_lines(err)) };
    tokio::pin!(said);
    let mut heard = None;
    let status = loop {
        tokio::select! {
            lines = &mut said, if heard.is_none() => heard = Some(lines),
            status = child.wait() => break status,
        }
    };
    let status = status.map_err(not_run)?;
    group.ended();
    if status.success() {
        return Ok(());
    }
    let (out, mut err) = match heard {
        Some(lines) => lines,
        // Whoever it has left behind with its pipes holds nothing up.
        None => timeout(LAST_LINES, said).await.unwrap_or_default(),
    };
    if err.is_empty() {
        err = out;
    }
    let told = err.iter().map(|line| printable(line)).collect::<Vec<_>>().join("; ");
    let told = if told.is_empty() { told } else { format!(": {}", fit_end(&told, TOLD_BYTES)) };
    Err(failed(format!("ended with {status}"), told))
}

/// Reads a pipe to its end and keeps its last lines.
async fn last_lines(pipe: Option<impl AsyncRead + Unpin>) -> VecDeque<String> {
    let mut last = VecDeque::new();
    let Some(pipe) = pipe else { return last };
    let mut lines = Lines::new(pipe);
    while let Ok(Some(line)) = lines.next().await {
        if line.trim().is_empty() {
            continue;
        }
        if last.len() == TOLD_LINES {
            last.pop_front();
        }
        last.push_back(line);
    }
    last
}
