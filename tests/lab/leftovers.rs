//! A lab leaves nothing behind: a test that panics cleans up, and the next lab cleans up after a test that was killed.

use crate::common::{RunningCommand, is_running};
use crate::harness::{Host, Lab};
use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};

/// The traces of a lab, printed by the runs below: its directory, its bridge, and the first process of its host.
struct Traces {
    dir: String,
    bridge: String,
    leader: u32,
}

impl Traces {
    fn read(line: &str) -> Self {
        let words: Vec<_> = line.split_whitespace().collect();
        let [.., dir, bridge, leader] = words[..] else { panic!("{line}") };
        Self { dir: dir.into(), bridge: bridge.into(), leader: leader.parse().unwrap() }
    }

    fn left(&self) -> Vec<String> {
        let name = Path::new(&self.dir).file_name().unwrap().to_str().unwrap();
        let groups = Command::new("find").args(["/sys/fs/cgroup", "-name", name]).output().unwrap().stdout;
        let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap();
        let found = [
            (Path::new(&self.dir).exists(), "its directory"),
            (Path::new("/sys/class/net").join(&self.bridge).exists(), "its bridge"),
            (is_running(self.leader), "its host"),
            (!groups.is_empty(), "its control group"),
            (mounts.contains(&self.dir), "a mount"),
        ];
        found.into_iter().filter(|(left, _)| *left).map(|(_, what)| what.to_owned()).collect()
    }
}

/// Starts another run of this program with one of the tests below.
fn run(test: &str) -> RunningCommand {
    let mut command = Command::new(std::env::current_exe().unwrap());
    let name = format!("leftovers::{test}");
    RunningCommand::start(command.args(["--ignored", "--exact", "--nocapture", &name]).stdin(Stdio::piped()))
}

/// A lab with a host that has its own disk.
fn lab() -> (Host, Lab) {
    let lab = Lab::new();
    let host = lab.host("web1").disk(64).boot();
    (host, lab)
}

#[test]
#[ignore = "run by a test below"]
fn one_that_panics() {
    let (host, _lab) = lab();
    println!("traces {}", host.traces());
    panic!("on purpose");
}

#[test]
#[ignore = "run by a test below"]
fn one_that_waits() {
    let (host, _lab) = lab();
    println!("traces {}", host.traces());
    // Waits until it is killed; a run by hand ends.
    let _ = std::io::stdin().read(&mut [0]);
}

#[test]
fn panicking_test_leaves_nothing() {
    let mut run = run("one_that_panics");
    let traces = Traces::read(&run.wait_for_line("traces "));
    let ended = run.wait_for_exit(101);
    assert!(ended.stderr.contains("on purpose"), "{ended}");
    assert_eq!(traces.left(), [""; 0]);
}

#[test]
fn next_lab_removes_what_a_killed_one_left() {
    let mut run = run("one_that_waits");
    let traces = Traces::read(&run.wait_for_line("traces "));
    run.kill_alone();
    assert!(traces.left().contains(&"its host".to_owned()));
    drop(Lab::new());
    // Another test may already use its number again, but its host must be gone.
    assert!(!is_running(traces.leader));
}
