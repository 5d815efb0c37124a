//! Runs `git ls-remote`: the one question to the remote that no cache answers.

use super::refs::Refs;
use super::{FlakeUrl, ResolveError};
use crate::protocol::{Revision, fit_end, printable};
use rustix::process::{Pid, Signal, kill_process_group};
use std::io;
use std::process::{ExitStatus, Stdio};
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::{Child, Command};

/// The most of a listing that is read, in bytes; some hundred thousand refs.
const MAX_LISTING: u64 = 64 << 20;
/// The most of git's complaints that is read, in bytes.
const MAX_COMPLAINT: u64 = 64 << 10;
/// The last lines of git that are told, and their bytes.
const TOLD_LINES: usize = 3;
const TOLD_BYTES: usize = 1024;

/// Asks the remote for its refs. Dropping the future kills git and all that it started.
pub(super) async fn refs(flake: &FlakeUrl, remote: &str, revision: &Revision) -> Result<Refs, ResolveError> {
    let failed = |source: io::Error| {
        let (revision, flake) = (revision.to_string(), flake.without_credentials());
        if source.kind() == io::ErrorKind::NotFound {
            ResolveError::NoGit { revision, flake }
        } else {
            ResolveError::Git { revision, flake, source }
        }
    };
    let mut command = git();
    command.args(["ls-remote", "--symref", "--", remote, "HEAD", "refs/heads/*", "refs/tags/*"]);
    if remote.starts_with("ssh://") && !has_ssh_command().await.map_err(failed)? {
        command.env("GIT_SSH_COMMAND", "ssh -o BatchMode=yes");
    }
    let (status, listing, complaint) = run(command).await.map_err(failed)?;
    if status.success() {
        return Ok(Refs::parse(&listing));
    }
    let complaint = flake.scrub(&complaint);
    Err(ResolveError::Unreachable {
        revision: revision.to_string(),
        flake: flake.without_credentials(),
        said: last_lines(&complaint, status),
        advice: advice(&complaint),
    })
}

/// A git that asks nobody, speaks English and knows of no repository around it.
fn git() -> Command {
    let mut command = Command::new("git");
    command
        .current_dir("/")
        .env("LC_ALL", "C")
        .env("GIT_TERMINAL_PROMPT", "0")
        .env_remove("GIT_DIR")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true);
    command
}

/// Whether this host already says how git is to call ssh; nix's own fetch goes that way too.
async fn has_ssh_command() -> io::Result<bool> {
    if ["GIT_SSH_COMMAND", "GIT_SSH"].iter().any(|name| std::env::var_os(name).is_some()) {
        return Ok(true);
    }
    let mut command = git();
    command.args(["config", "--get", "core.sshCommand"]);
    Ok(run(command).await?.0.success())
}

/// Runs to the end and gives the status, stdout and stderr.
async fn run(mut command: Command) -> io::Result<(ExitStatus, String, String)> {
    let mut child = command.spawn()?;
    // Declared after the child, so dropped before it: the number is then still its own.
    let group = Group::of(&child);
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let (stdout, stderr) = tokio::try_join!(read(stdout, MAX_LISTING), read(stderr, MAX_COMPLAINT))?;
    let status = child.wait().await?;
    group.ended();
    Ok((status, stdout, stderr))
}

/// Reads up to `max` bytes, then closes the pipe.
async fn read(pipe: Option<impl AsyncRead + Unpin>, max: u64) -> io::Result<String> {
    let mut bytes = Vec::new();
    if let Some(pipe) = pipe {
        pipe.take(max).read_to_end(&mut bytes).await?;
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Kills a child's process group when dropped: git leaves the talking to a child of its own.
struct Group(Option<Pid>);

impl Group {
    fn of(child: &Child) -> Self {
        Self(child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw))
    }

    /// The leader is reaped and its number may be another's now.
    fn ended(mut self) {
        self.0 = None;
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(leader) = self.0 {
            // Gone already is as good.
            let _ = kill_process_group(leader, Signal::KILL);
        }
    }
}

fn last_lines(complaint: &str, status: ExitStatus) -> String {
    let said = |line: &&str| {
        // The end of every failure over ssh; it says nothing that the advice does not.
        !line.trim().is_empty()
            && !line.starts_with("Please make sure you have the correct access rights")
            && !line.starts_with("and the repository exists.")
    };
    let mut lines: Vec<String> =
        complaint.lines().rev().filter(said).take(TOLD_LINES).map(printable).collect();
    lines.reverse();
    if lines.is_empty() {
        return format!("git ended with {status}");
    }
    fit_end(&lines.join("; "), TOLD_BYTES).to_owned()
}

fn advice(complaint: &str) -> &'static str {
    let complaint = complaint.to_lowercase();
    let says = |words: &[&str]| words.iter().any(|word| complaint.contains(word));
    if says(&["host key verification failed"]) {
        "add the server's key to this user's known_hosts"
    } else if says(&["authentication failed", "could not read username", "could not read password"])
        || says(&["permission denied", "access denied", "error: 401", "error: 403"])
    {
        "give this host a deploy key or credentials that may read the repository, and check that it exists"
    } else if says(&["not found", "not exist", "not appear to be a git repository", "no such repository"]) {
        "check the flake URL"
    } else {
        "check the flake URL and this host's way to the server, then deploy again"
    }
}
