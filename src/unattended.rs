//! Programs that run unattended: each has its own session without a terminal, so it cannot ask for a password, and is killed as a
//! whole.
//!
//! A program that asks for a password opens `/dev/tty`, even if its stdin is empty. In our session it would draw over
//! the console, and from the background it could not read the reply. Interactive programs, such as a shell on a host,
//! are not started here.

use process_wrap::tokio::{CommandWrap, CommandWrapper, ProcessSession};
use rustix::process::{Pid, Resource, Rlimit, Signal, kill_process_group, prlimit};
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::process::{ExitStatus, Stdio};
use std::{fs, io};
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::{Child, Command};

/// Maximum size of a program's stderr, in bytes.
const MAX_STDERR: u64 = 64 << 10;

/// `oom_score_adj` of programs, from -1000 to 1000: the kernel kills them before any service if memory runs out.
const OOM_SCORE: i32 = 500;

/// Variables through which a hook or an editor could direct git to a surrounding repository.
const REPOSITORY_VARIABLES: [&str; 6] =
    ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY", "GIT_COMMON_DIR", "GIT_NAMESPACE"];

/// Returns a command without a terminal and with an empty stdin. The process leads its session and its process group,
/// so its id is also the id of the group, and a signal to the group reaches all descendants.
pub fn command(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    // This only registers a hook for the child process and cannot fail.
    let _ = ProcessSession.pre_spawn(&mut command, &CommandWrap::from(Command::new("")));
    command
        .stdin(Stdio::null())
        .env("GIT_TERMINAL_PROMPT", "0")
        // Also replaces `core.askPass` and `SSH_ASKPASS`: if it is empty, git starts no program to ask.
        .env("GIT_ASKPASS", "")
        // Without a terminal, ssh would start this program, which opens a window.
        .env_remove("SSH_ASKPASS")
        .env("SSH_ASKPASS_REQUIRE", "never")
        // The terminal on which gpg-agent would ask.
        .env_remove("GPG_TTY");
    command
}

/// A [`command`] whose output is captured. It prints English messages, and runs git independently of surrounding repositories.
pub fn captured(program: impl AsRef<OsStr>) -> Command {
    let mut command = command(program);
    command
        .current_dir("/")
        .env("LC_ALL", "C")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    for name in REPOSITORY_VARIABLES {
        command.env_remove(name);
    }
    command
}

/// Exit status and output of a program.
pub struct ProcessOutput {
    /// How the program ended.
    pub status: ExitStatus,
    /// What it printed, up to the limit.
    pub stdout: String,
    /// Its messages, up to 64 KiB.
    pub stderr: String,
}

/// Spawns a program that the kernel kills before this process if memory runs out.
///
/// The score can only be raised after the spawn, so the program starts with the score of this process. Its children inherit the
/// raised score. nix and git need little memory before that because they read their settings first.
pub fn spawn(command: &mut Command) -> io::Result<Child> {
    let child = command.spawn()?;
    if let Some(id) = child.id() {
        let file = format!("/proc/{id}/oom_score_adj");
        let score = fs::read_to_string(&file).ok().and_then(|score| score.trim().parse::<i32>().ok());
        if score.is_some_and(|score| score < OOM_SCORE) {
            // Fails if the program has already ended.
            let _ = fs::write(&file, OOM_SCORE.to_string());
        }
    }
    Ok(child)
}

/// Runs a program and reads at most `max` bytes of its stdout. Dropping the future kills the program and all its descendants.
pub async fn run(command: Command, max: u64) -> io::Result<ProcessOutput> {
    run_with_limits(command, ProcessLimits { output: max, memory: None }).await
}

/// Resource limits of a program.
#[derive(Debug, Clone, Copy)]
pub struct ProcessLimits {
    /// Maximum size of stdout, in bytes.
    pub output: u64,
    /// Maximum address space of the program and of each of its descendants, in bytes.
    pub memory: Option<u64>,
}

/// Runs a program with resource limits, otherwise like [`run`].
pub async fn run_with_limits(mut command: Command, limits: ProcessLimits) -> io::Result<ProcessOutput> {
    let mut child = spawn(&mut command)?;
    if let Some(memory) = limits.memory {
        limit_memory(&child, memory);
    }
    // Declared after the child and so dropped before it: until the child is reaped, its process id is not reused.
    let group = ProcessGroup::of(&child);
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let (stdout, stderr) =
        tokio::try_join!(read_limited(stdout, limits.output), read_limited(stderr, MAX_STDERR))?;
    let status = child.wait().await?;
    group.disarm();
    Ok(ProcessOutput { status, stdout, stderr })
}

/// Limits the memory of a program that was just spawned. A limit before the spawn would need `unsafe` code.
fn limit_memory(child: &Child, bytes: u64) {
    let limit = Rlimit { current: Some(bytes), maximum: Some(bytes) };
    let id = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
    if let Some(id) = id {
        // Fails if the program has already ended.
        let _ = prlimit(Some(id), Resource::As, limit);
    }
}

/// Reads up to `max` bytes, then closes the pipe.
pub async fn read_limited(pipe: Option<impl AsyncRead + Unpin>, max: u64) -> io::Result<String> {
    let mut bytes = Vec::new();
    if let Some(pipe) = pipe {
        pipe.take(max).read_to_end(&mut bytes).await?;
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Kills a child's process group when dropped, because nix and git leave most work to their own children.
pub struct ProcessGroup(Option<Pid>);

impl ProcessGroup {
    /// The group that a child leads.
    pub fn of(child: &Child) -> Self {
        Self(child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw))
    }

    /// Sends a signal to the group.
    pub fn signal(&self, signal: Signal) {
        if let Some(leader) = self.0 {
            // Fails if the group has already exited.
            let _ = kill_process_group(leader, signal);
        }
    }

    /// The process groups of all descendants of the leader. nix starts each build in a separate group, which survives if nix
    /// itself is killed.
    pub fn descendant_groups(&self) -> Vec<Pid> {
        let Some(leader) = self.0 else { return Vec::new() };
        let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
        let stats = entries.filter_map(|entry| fs::read_to_string(entry.path().join("stat")).ok());
        let all: Vec<[i32; 3]> = stats.filter_map(|stat| parse_stat(&stat)).collect();
        let mut family = vec![leader.as_raw_nonzero().get()];
        let mut groups = BTreeSet::new();
        let mut at = 0;
        while let Some(parent) = family.get(at).copied() {
            for [id, _, group] in all.iter().filter(|[_, of, _]| *of == parent) {
                family.push(*id);
                groups.insert(*group);
            }
            at += 1;
        }
        groups.into_iter().filter_map(Pid::from_raw).collect()
    }

    /// Disables the kill on drop. Call it once the leader is reaped and its process id can be reused.
    pub fn disarm(mut self) {
        self.0 = None;
    }
}

impl Drop for ProcessGroup {
    fn drop(&mut self) {
        self.signal(Signal::KILL);
    }
}

/// Parses process id, parent and process group from `/proc/ID/stat`.
fn parse_stat(stat: &str) -> Option<[i32; 3]> {
    // The name is in parentheses and may contain any character.
    let (id, rest) = stat.split_once(' ')?;
    let mut fields = rest.rsplit_once(") ")?.1.split(' ').skip(1);
    let mut next = || fields.next()?.parse().ok();
    Some([id.parse().ok()?, next()?, next()?])
}

#[cfg(test)]
mod tests {
    use super::parse_stat;

    #[test]
    fn stat_is_parsed_if_the_name_has_parentheses() {
        assert_eq!(parse_stat("12 (a) R 3 (b)) S 4 5 6 0 -1"), Some([12, 4, 5]));
        assert_eq!(parse_stat("12 (sh) S 4"), None);
        assert_eq!(parse_stat(""), None);
    }
}
