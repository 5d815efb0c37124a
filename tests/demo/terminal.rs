//! `demo` in a terminal: the console opens, and nothing remains after it is closed.

use crate::common::{Screen, Terminal, binary, run};
use crate::leftovers::Leftovers;
use rustix::process::Signal;
use std::process::Command;
use tempfile::TempDir;

/// A demo of five hosts in a terminal, with a separate temporary directory.
fn demo() -> (Terminal, TempDir, Leftovers) {
    let temporary = TempDir::new().unwrap();
    let mut command = Command::new(binary());
    command.args(["demo", "--hosts", "5"]).env("TMPDIR", temporary.path());
    command.env("LANG", "C.UTF-8").env_remove("LC_ALL").env_remove("LC_CTYPE").env_remove("NO_COLOR");
    let mut terminal = Terminal::sized(&command, 80, 24);
    let url = terminal.wrote("the NATS server listens on ");
    let directory = std::fs::read_dir(temporary.path()).unwrap().next().unwrap().unwrap().path();
    let leftovers = Leftovers::of(&url, &directory);
    // Hosts that start more slowly announce themselves later.
    terminal.line(&[" 5 hosts ", "● 5 online"]);
    for host in ["cache1", "ci1", "dns1", "web1"] {
        terminal.line(&["│", host, "● idle", "8782436 −1"]);
    }
    terminal.line(&["│", "cache2", "✗ rolled back", "9221df1"]);
    (terminal, temporary, leftovers)
}

/// Checks that nothing of the demo remains.
fn gone(screen: &Screen, leftovers: &Leftovers) {
    assert_eq!((screen.code, &screen.left), (0, &Vec::new()), "{}", screen.text);
    assert!(screen.text.contains("the NATS server listens on "), "{}", screen.text);
    assert!(leftovers.left().is_empty(), "left behind: {:?}", leftovers.left());
}

#[test]
fn a_deployment_fails_on_one_host_and_q_ends_the_demo() {
    let (mut terminal, temporary, leftovers) = demo();
    terminal.types("/tier:test\ra");
    terminal.line(&["✓ 3 marked"]);
    terminal.types("d\r");
    terminal.line(&["switch main", "on 3 hosts"]);
    // Back to the fleet.
    terminal.types("q");
    terminal.line(&["▶ 3 deploying"]);
    terminal.line(&["│", "cache2", "✗ rolled back"]);
    terminal.shows("switch main on 3 hosts: 2 completed, 1 failed (cache2)");
    terminal.types("q");
    gone(&terminal.wait_for_exit(), &leftovers);
    assert_eq!(std::fs::read_dir(temporary.path()).unwrap().count(), 0);
}

#[test]
fn commands_from_another_terminal_work_and_leave_nothing() {
    let temporary = TempDir::new().unwrap();
    let mut command = Command::new(binary());
    let mut terminal =
        Terminal::sized(command.args(["demo", "--hosts", "5"]).env("TMPDIR", temporary.path()), 80, 24);
    let example = terminal.wrote("  XDG_STATE_HOME=");
    terminal.line(&["● 5 online"]);
    let hosts = run(Command::new("sh").args(["-c", &format!("XDG_STATE_HOME={example}")]), 0);
    assert!(hosts.stdout.contains("\ncache1  test  cache  idle"), "{hosts}");
    terminal.types("q");
    assert_eq!(terminal.wait_for_exit().code, 0);
    assert_eq!(std::fs::read_dir(temporary.path()).unwrap().count(), 0);
}

#[test]
fn a_signal_ends_the_demo() {
    for signal in [Signal::TERM, Signal::HUP] {
        let (terminal, _temporary, leftovers) = demo();
        terminal.signal(signal);
        gone(&terminal.wait_for_exit(), &leftovers);
    }
}

#[test]
fn a_closed_terminal_leaves_nothing() {
    let (terminal, _temporary, leftovers) = demo();
    assert_eq!(terminal.closed(), 0);
    assert!(leftovers.left().is_empty(), "left behind: {:?}", leftovers.left());
}
