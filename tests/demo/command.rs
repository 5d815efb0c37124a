//! `demo` as a new user runs it, and all ways to end it.

use crate::common::{binary, eventually};
use crate::leftovers::Leftovers;
use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};
use tempfile::TempDir;

/// A running demo, with a separate process group and temporary directory. It is killed in the end in any case.
struct Demo {
    temporary: TempDir,
    process: Child,
    stdout: BufReader<ChildStdout>,
}

impl Demo {
    fn start(hosts: &str) -> Self {
        let temporary = TempDir::new().unwrap();
        let mut process = Command::new(binary())
            .args(["demo", "--hosts", hosts])
            .env("TMPDIR", temporary.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()
            .unwrap();
        let stdout = BufReader::new(process.stdout.take().unwrap());
        Self { temporary, process, stdout }
    }

    /// Reads up to a line with this prefix; returns the rest of that line.
    fn read_line_starting(&mut self, start: &str) -> String {
        let mut lines = (&mut self.stdout).lines().map(Result::unwrap);
        let rest = lines.find_map(|line| line.strip_prefix(start).map(str::to_owned));
        rest.unwrap_or_else(|| panic!("the demo ended without printing {start:?}"))
    }

    fn leftovers(&mut self) -> Leftovers {
        let url = self.read_line_starting("the NATS server listens on ");
        let directories =
            std::fs::read_dir(self.temporary.path()).unwrap().map(|entry| entry.unwrap().path());
        let directories: Vec<PathBuf> = directories.collect();
        assert_eq!(directories.len(), 1, "{directories:?}");
        Leftovers::of(&url, &directories[0])
    }

    fn wait_for_exit(&mut self) -> Option<i32> {
        eventually("the demo ending", || self.process.try_wait().unwrap()).code()
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn without_a_terminal_the_demo_deploys_and_cleans_up() {
    let mut demo = Demo::start("6");
    let leftovers = demo.leftovers();
    demo.read_line_starting("HOST    TIER  ROLE   STATE");
    demo.read_line_starting("deploying main to all hosts of the tier test");
    demo.read_line_starting("HOST    RESULT");
    let table: Vec<String> = (&mut demo.stdout).lines().map(Result::unwrap).take(4).collect();
    let results = table.iter().map(|row| row.split_whitespace().take(2).collect::<Vec<_>>().join(" "));
    assert_eq!(
        results.collect::<Vec<_>>(),
        ["cache1 completed", "cache2 failed", "ci1 completed", "ci2 completed"],
        "{table:?}"
    );
    let reason = demo.read_line_starting("cache2: verification failed: ");
    assert!(reason.ends_with("; rolled back to the previous system"), "{reason}");
    // And a frame of the console with all of this.
    demo.read_line_starting("on a terminal the demo opens the console instead, which now shows:");
    demo.read_line_starting(" homelab-deploy");
    let frame: Vec<String> = (&mut demo.stdout).lines().map(Result::unwrap).collect();
    assert_eq!(frame.iter().filter(|line| !line.is_empty()).count(), 29, "{frame:#?}");
    assert!(
        frame[0].contains(" 6 hosts ") && frame[0].contains(" 6 online") && frame[0].contains("1 failed")
    );
    let row = |host: &str| frame.iter().find(|line| line.contains(&format!(" {host} "))).expect("a row");
    assert!(row("cache2").contains("rolled back "), "{frame:#?}");
    for host in ["cache1", "ci1", "ci2", "dns1", "web1"] {
        assert!(row(host).contains(" idle "), "{frame:#?}");
    }
    assert_eq!(demo.wait_for_exit(), Some(0));
    assert!(leftovers.left().is_empty(), "left behind: {:?}", leftovers.left());
}

#[test]
fn a_killed_demo_leaves_nothing() {
    let mut demo = Demo::start("3");
    let leftovers = demo.leftovers();
    demo.process.kill().unwrap();
    leftovers.wait_until_gone();
}

#[test]
fn sigterm_leaves_nothing() {
    let mut demo = Demo::start("3");
    let leftovers = demo.leftovers();
    kill_process(Pid::from_child(&demo.process), Signal::TERM).unwrap();
    assert_eq!(demo.wait_for_exit(), Some(130));
    leftovers.wait_until_gone();
}

#[test]
fn ctrl_c_ends_the_demo_and_leaves_nothing() {
    let mut demo = Demo::start("3");
    let leftovers = demo.leftovers();
    kill_process_group(Pid::from_child(&demo.process), Signal::INT).unwrap();
    assert_eq!(demo.wait_for_exit(), Some(130));
    leftovers.wait_until_gone();
}
