//! Finds processes, and kills them together with everything that they have started. A program may lead a session of its
//! own, which a signal to a process group does not reach.

use super::eventually;
use rustix::process::{Pid, Signal, kill_process};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Child;

/// The processes of nix whose arguments contain `on`.
pub fn nix_processes(on: &str) -> Vec<u32> {
    processes(|line| line.starts_with("nix\0") && line.contains(on))
}

/// The processes whose command line is wanted; it has a NUL after each argument.
pub fn processes(wanted: impl Fn(&str) -> bool) -> Vec<u32> {
    let line = |pid: &u32| fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    process_ids().filter(|pid| wanted(&String::from_utf8_lossy(&line(pid)))).collect()
}

/// Whether a process is running; a zombie is not.
pub fn is_running(pid: u32) -> bool {
    Process::of(pid).is_some()
}

/// Kills a child that has not ended, with all its descendants, and waits until they have ended.
pub fn kill_tree(child: &mut Child) {
    // After the child has been waited for, its id may belong to another process.
    if let Ok(None) = child.try_wait() {
        kill_tree_of(child.id());
        let _ = child.wait();
    }
}

/// Kills a process with all its descendants, and waits until they have ended.
pub fn kill_tree_of(process: u32) {
    kill_with_descendants(|pid| pid == process);
}

/// Kills every process that has a path in its arguments or its environment, with all its descendants, and waits until
/// they have ended.
pub fn kill_users(path: &Path) {
    let path = path.as_os_str().as_encoded_bytes();
    let mentions = |pid: u32, file: &str| {
        let text = fs::read(format!("/proc/{pid}/{file}")).unwrap_or_default();
        text.windows(path.len()).any(|part| part == path)
    };
    kill_with_descendants(|pid| mentions(pid, "environ") || mentions(pid, "cmdline"));
}

fn kill_with_descendants(is_root: impl Fn(u32) -> bool) {
    let mut stopped = BTreeSet::new();
    // A stopped process starts no other, so the set is complete when a search finds no process that is not stopped.
    loop {
        let all: BTreeMap<u32, Process> =
            process_ids().filter_map(|pid| Some((pid, Process::of(pid)?))).collect();
        let mut found = stopped.clone();
        found.extend(all.keys().copied().filter(|pid| *pid != std::process::id() && is_root(*pid)));
        let belongs = |pid: u32| {
            let parent = |pid: &u32| all.get(pid).map(|process| process.parent);
            std::iter::successors(Some(pid), parent).any(|pid| found.contains(&pid))
        };
        let is_stopped = |pid: u32| stopped.contains(&pid) && all[&pid].is_suspended;
        let unstopped: Vec<u32> =
            all.keys().copied().filter(|pid| belongs(*pid) && !is_stopped(*pid)).collect();
        if unstopped.is_empty() {
            break;
        }
        for pid in unstopped {
            signal(pid, Signal::STOP);
            stopped.insert(pid);
        }
    }
    for pid in &stopped {
        signal(*pid, Signal::KILL);
    }
    let is_gone = |pid: &u32| !is_running(*pid);
    eventually("the end of killed processes", || stopped.iter().all(is_gone).then_some(()));
}

/// A process that has not ended.
struct Process {
    parent: u32,
    /// Whether it can start no other process before it has handled a signal.
    is_suspended: bool,
}

fn process_ids() -> impl Iterator<Item = u32> {
    fs::read_dir("/proc").unwrap().filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
}

impl Process {
    fn of(pid: u32) -> Option<Self> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The name of the process, in parentheses, may contain spaces.
        let mut fields = stat.rsplit(") ").next()?.split(' ');
        let (state, parent) = (fields.next()?, fields.next()?.parse().ok()?);
        // `D` includes a process that waits for its stopped child to execute a program, which does not stop itself.
        let is_suspended = matches!(state, "T" | "t" | "D");
        (!matches!(state, "Z" | "X")).then_some(Self { parent, is_suspended })
    }
}

fn signal(pid: u32, signal: Signal) {
    // It may have ended.
    let _ = i32::try_from(pid).ok().and_then(Pid::from_raw).map(|pid| kill_process(pid, signal));
}
