//! `demo` as a newcomer runs it, and every way it can end.

use crate::common::{binary, eventually};
use crate::traces::Traces;
use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};
use tempfile::TempDir;

/// A running demo, in a process group of its own and with a temporary folder of its own. Killed in the end, in any
/// case.
struct Demo {
    temporary: TempDir,
    process: Child,
    said: BufReader<ChildStdout>,
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
        let said = BufReader::new(process.stdout.take().unwrap());
        Self { temporary, process, said }
    }

    /// Reads on until a line that starts so; gives the rest of that line.
    fn hear(&mut self, start: &str) -> String {
        let mut lines = (&mut self.said).lines().map(Result::unwrap);
        let rest = lines.find_map(|line| line.strip_prefix(start).map(str::to_owned));
        rest.unwrap_or_else(|| panic!("the demo ended without saying {start:?}"))
    }

    fn traces(&mut self) -> Traces {
        let url = self.hear("the broker listens on ");
        let folders = std::fs::read_dir(self.temporary.path()).unwrap().map(|entry| entry.unwrap().path());
        let folders: Vec<PathBuf> = folders.collect();
        assert_eq!(folders.len(), 1, "{folders:?}");
        Traces::of(&url, &folders[0])
    }

    fn ended(&mut self) -> Option<i32> {
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
fn it_deploys_to_the_test_tier_and_one_host_fails_and_shows_the_console_and_nothing_is_left() {
    let mut demo = Demo::start("6");
    let traces = demo.traces();
    demo.hear("HOST    TIER  ROLE   STATE");
    demo.hear("deploying main to every host of the tier test");
    demo.hear("HOST    RESULT");
    let table: Vec<String> = (&mut demo.said).lines().map(Result::unwrap).take(4).collect();
    let results = table.iter().map(|row| row.split_whitespace().take(2).collect::<Vec<_>>().join(" "));
    assert_eq!(
        results.collect::<Vec<_>>(),
        ["cache1 completed", "cache2 failed", "ci1 completed", "ci2 completed"],
        "{table:?}"
    );
    let why = demo.hear("cache2: verification_failed: ");
    assert!(why.ends_with("; rolled back to the previous system"), "{why}");
    // And the console, as it would show all this.
    demo.hear("on a terminal the demo opens the console instead, which now shows:");
    demo.hear(" homelab-deploy");
    let frame: Vec<String> = (&mut demo.said).lines().map(Result::unwrap).collect();
    assert_eq!(frame.iter().filter(|line| !line.is_empty()).count(), 29, "{frame:#?}");
    assert!(
        frame[0].contains(" 6 hosts ") && frame[0].contains(" 6 online ") && frame[0].contains(" 1 failed")
    );
    let row = |host: &str| frame.iter().find(|line| line.contains(&format!(" {host} "))).expect("a row");
    assert!(row("cache2").contains("verify ") && row("cache2").contains("rolled back"), "{frame:#?}");
    for host in ["cache1", "ci1", "ci2", "dns1", "web1"] {
        assert!(row(host).contains(" idle "), "{frame:#?}");
    }
    assert_eq!(demo.ended(), Some(0));
    assert!(traces.left().is_empty(), "left behind: {:?}", traces.left());
}

#[test]
fn killed_it_leaves_nothing() {
    let mut demo = Demo::start("3");
    let traces = demo.traces();
    demo.process.kill().unwrap();
    traces.wait_until_gone();
}

#[test]
fn asked_to_end_it_leaves_nothing() {
    let mut demo = Demo::start("3");
    let traces = demo.traces();
    kill_process(Pid::from_child(&demo.process), Signal::TERM).unwrap();
    assert_eq!(demo.ended(), Some(130));
    traces.wait_until_gone();
}

#[test]
fn ctrl_c_on_its_terminal_ends_it_and_leaves_nothing() {
    let mut demo = Demo::start("3");
    let traces = demo.traces();
    kill_process_group(Pid::from_child(&demo.process), Signal::INT).unwrap();
    assert_eq!(demo.ended(), Some(130));
    traces.wait_until_gone();
}
