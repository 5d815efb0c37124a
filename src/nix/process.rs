//! Programs that ask nobody, each in a session of its own that ends as a whole.

use crate::unattended;
use rustix::process::{Pid, Resource, Rlimit, Signal, kill_process_group, prlimit};
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::process::{ExitStatus, Stdio};
use std::{fs, io};
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::{Child, Command};

/// The most of a program's complaints that is read, in bytes.
const MAX_COMPLAINT: u64 = 64 << 10;

/// How readily the kernel ends a program where memory runs out, from -1000 to 1000: well before any service.
const OOM_SCORE: i32 = 500;

/// What the environment of a hook or an editor may say of a repository around us.
const REPOSITORY: [&str; 6] =
    ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY", "GIT_COMMON_DIR", "GIT_NAMESPACE"];

/// A program that asks nobody, speaks English and, where it calls git, knows of no repository around it.
pub(super) fn command(program: impl AsRef<OsStr>) -> Command {
    let mut command = unattended::command(program);
    command
        .current_dir("/")
        .env("LC_ALL", "C")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    for name in REPOSITORY {
        command.env_remove(name);
    }
    command
}

/// How a program ended, and what it said.
pub(super) struct Ended {
    pub(super) status: ExitStatus,
    pub(super) stdout: String,
    pub(super) stderr: String,
}

/// Starts a program that the kernel ends before this process where memory runs out.
///
/// Nobody but the program itself could raise its score before it begins, so it begins with ours; what it starts later has
/// the raised one. nix and git read their settings first, and so early they need no memory to speak of.
pub(super) fn spawn(command: &mut Command) -> io::Result<Child> {
    let child = command.spawn()?;
    if let Some(id) = child.id() {
        let file = format!("/proc/{id}/oom_score_adj");
        let score = fs::read_to_string(&file).ok().and_then(|score| score.trim().parse::<i32>().ok());
        if score.is_some_and(|score| score < OOM_SCORE) {
            // It may have ended already.
            let _ = fs::write(&file, OOM_SCORE.to_string());
        }
    }
    Ok(child)
}

/// Runs to the end. At most `max` bytes of stdout are read. Dropping the future kills the program and all that it
/// started.
pub(super) async fn run(command: Command, max: u64) -> io::Result<Ended> {
    run_within(command, Limits { output: max, memory: None }).await
}

/// What a program may use.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// The most of its output that is read, in bytes.
    pub(super) output: u64,
    /// The most memory of it, and of each program that it starts, in bytes of addresses.
    pub(super) memory: Option<u64>,
}

/// The same with limits.
pub(super) async fn run_within(mut command: Command, limits: Limits) -> io::Result<Ended> {
    let mut child = spawn(&mut command)?;
    if let Some(memory) = limits.memory {
        limit_memory(&child, memory);
    }
    // Declared after the child, so dropped before it: the number is then still its own.
    let group = Group::of(&child);
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let (stdout, stderr) = tokio::try_join!(read(stdout, limits.output), read(stderr, MAX_COMPLAINT))?;
    let status = child.wait().await?;
    group.ended();
    Ok(Ended { status, stdout, stderr })
}

/// Limits a program that has just begun: before that only `unsafe` code could, and so early it needs little.
fn limit_memory(child: &Child, bytes: u64) {
    let limit = Rlimit { current: Some(bytes), maximum: Some(bytes) };
    let id = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
    if let Some(id) = id {
        // It may have ended already.
        let _ = prlimit(Some(id), Resource::As, limit);
    }
}

/// Reads up to `max` bytes, then closes the pipe.
pub(super) async fn read(pipe: Option<impl AsyncRead + Unpin>, max: u64) -> io::Result<String> {
    let mut bytes = Vec::new();
    if let Some(pipe) = pipe {
        pipe.take(max).read_to_end(&mut bytes).await?;
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Kills a child's process group when dropped: programs leave the work to children of their own.
pub(super) struct Group(Option<Pid>);

impl Group {
    pub(super) fn of(child: &Child) -> Self {
        Self(child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw))
    }

    pub(super) fn signal(&self, signal: Signal) {
        if let Some(leader) = self.0 {
            // Gone already is as good.
            let _ = kill_process_group(leader, signal);
        }
    }

    /// The process groups of all that descend from the leader. nix gives each build a group of its own, which is left
    /// behind where nix itself is killed.
    pub(super) fn families(&self) -> Vec<Pid> {
        let Some(leader) = self.0 else { return Vec::new() };
        let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
        let stats = entries.filter_map(|entry| fs::read_to_string(entry.path().join("stat")).ok());
        let all: Vec<[i32; 3]> = stats.filter_map(|stat| kinship(&stat)).collect();
        let mut known = vec![leader.as_raw_nonzero().get()];
        let mut groups = BTreeSet::new();
        let mut at = 0;
        while let Some(parent) = known.get(at).copied() {
            for [id, _, group] in all.iter().filter(|[_, of, _]| *of == parent) {
                known.push(*id);
                groups.insert(*group);
            }
            at += 1;
        }
        groups.into_iter().filter_map(Pid::from_raw).collect()
    }

    /// The leader is reaped and its number may be another's now.
    pub(super) fn ended(mut self) {
        self.0 = None;
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.signal(Signal::KILL);
    }
}

/// Id, parent and process group in `/proc/ID/stat`.
fn kinship(stat: &str) -> Option<[i32; 3]> {
    // The name stands in parentheses and may hold anything.
    let (id, rest) = stat.split_once(' ')?;
    let mut fields = rest.rsplit_once(") ")?.1.split(' ').skip(1);
    let mut next = || fields.next()?.parse().ok();
    Some([id.parse().ok()?, next()?, next()?])
}

#[cfg(test)]
mod tests {
    use super::kinship;

    #[test]
    fn a_name_with_parentheses_hides_nothing() {
        assert_eq!(kinship("12 (a) R 3 (b)) S 4 5 6 0 -1"), Some([12, 4, 5]));
        assert_eq!(kinship("12 (sh) S 4"), None);
        assert_eq!(kinship(""), None);
    }
}
