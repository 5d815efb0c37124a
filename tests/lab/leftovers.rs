//! Nothing of a lab is left behind: not where a test panics, and after the next one not where it was killed.

use crate::common::{Running, runs};
use crate::harness::{Host, Lab};
use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};

/// What a lab is known by, told by the runs below: its folder, its bridge, and the first process of its host.
struct Traces {
    folder: String,
    bridge: String,
    leader: u32,
}

impl Traces {
    fn read(line: &str) -> Self {
        let words: Vec<_> = line.split_whitespace().collect();
        let [.., folder, bridge, leader] = words[..] else { panic!("{line}") };
        Self { folder: folder.into(), bridge: bridge.into(), leader: leader.parse().unwrap() }
    }

    fn left(&self) -> Vec<String> {
        let name = Path::new(&self.folder).file_name().unwrap().to_str().unwrap();
        let groups = Command::new("find").args(["/sys/fs/cgroup", "-name", name]).output().unwrap().stdout;
        let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap();
        let found = [
            (Path::new(&self.folder).exists(), "its folder"),
            (Path::new("/sys/class/net").join(&self.bridge).exists(), "its bridge"),
            (runs(self.leader), "its host"),
            (!groups.is_empty(), "its control group"),
            (mounts.contains(&self.folder), "a mount"),
        ];
        found.into_iter().filter(|(left, _)| *left).map(|(_, what)| what.to_owned()).collect()
    }
}

/// Another run of this program with one of the tests below.
fn run(test: &str) -> Running {
    let mut command = Command::new(std::env::current_exe().unwrap());
    let name = format!("leftovers::{test}");
    Running::start(command.args(["--ignored", "--exact", "--nocapture", &name]).stdin(Stdio::piped()))
}

/// A lab with a host that has a disk of its own.
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
    // Until it is killed; run by hand, it ends.
    let _ = std::io::stdin().read(&mut [0]);
}

#[test]
fn a_test_that_panics_leaves_nothing() {
    let mut run = run("one_that_panics");
    let traces = Traces::read(&run.says("traces "));
    let ended = run.ended(101);
    assert!(ended.err.contains("on purpose"), "{ended}");
    assert_eq!(traces.left(), [""; 0]);
}

#[test]
fn the_next_lab_clears_away_what_a_killed_one_left() {
    let mut run = run("one_that_waits");
    let traces = Traces::read(&run.says("traces "));
    // Kills it.
    drop(run);
    assert!(traces.left().contains(&"its host".to_owned()));
    drop(Lab::new());
    // Its number may be in use again, by another test; its host is gone for good.
    assert!(!runs(traces.leader));
}
