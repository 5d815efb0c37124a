//! `demo` on a terminal: the console with a fleet to play with, and nothing left behind however it is left.

use crate::common::{Screen, Terminal, binary, run};
use crate::traces::Traces;
use rustix::process::Signal;
use std::process::Command;
use tempfile::TempDir;

/// A demo of five hosts in a terminal, with a temporary folder of its own.
fn demo() -> (Terminal, TempDir, Traces) {
    let temporary = TempDir::new().unwrap();
    let mut command = Command::new(binary());
    command.args(["demo", "--hosts", "5"]).env("TMPDIR", temporary.path());
    command.env("LANG", "C.UTF-8").env_remove("LC_ALL").env_remove("LC_CTYPE").env_remove("NO_COLOR");
    let mut terminal = Terminal::sized(&command, 80, 24);
    let url = terminal.wrote("the broker listens on ");
    let folder = std::fs::read_dir(temporary.path()).unwrap().next().unwrap().unwrap().path();
    let traces = Traces::of(&url, &folder);
    // Hosts that are slower to start announce themselves.
    terminal.line(&[" 5 hosts ", "● 5 online"]);
    for host in ["cache1", "ci1", "dns1", "web1"] {
        terminal.line(&["│", host, "● idle", "main 8782436"]);
    }
    terminal.line(&["│", "cache2", "● idle", "main 9221df1"]);
    (terminal, temporary, traces)
}

/// Everything is as it was before.
fn gone(screen: &Screen, traces: &Traces) {
    assert_eq!((screen.code, &screen.left), (0, &Vec::new()), "{}", screen.text);
    assert!(screen.text.contains("the broker listens on "), "{}", screen.text);
    assert!(traces.left().is_empty(), "left behind: {:?}", traces.left());
}

#[test]
fn a_deployment_fails_on_one_host_in_view_and_q_ends_it_all() {
    let (mut terminal, temporary, traces) = demo();
    terminal.types("/tier:test\ra");
    terminal.line(&["✓ 3 marked"]);
    terminal.types("d\r\r\r\r\u{1b}[C\r");
    terminal.line(&["▶ 3 deploying"]);
    terminal.line(&["│", "cache2", "✗ verify", "rolled back"]);
    terminal.shows("switch main on 3 hosts: 2 completed, 1 failed (cache2)");
    terminal.types("q");
    gone(&terminal.ended(), &traces);
    assert_eq!(std::fs::read_dir(temporary.path()).unwrap().count(), 0);
}

#[test]
fn commands_from_another_terminal_reach_it_and_leave_nothing() {
    let temporary = TempDir::new().unwrap();
    let mut command = Command::new(binary());
    let mut terminal =
        Terminal::sized(command.args(["demo", "--hosts", "5"]).env("TMPDIR", temporary.path()), 80, 24);
    let example = terminal.wrote("  XDG_STATE_HOME=");
    terminal.line(&["● 5 online"]);
    let hosts = run(Command::new("sh").args(["-c", &format!("XDG_STATE_HOME={example}")]), 0);
    assert!(hosts.out.contains("\ncache1  test  cache  idle"), "{hosts}");
    terminal.types("q");
    assert_eq!(terminal.ended().code, 0);
    assert_eq!(std::fs::read_dir(temporary.path()).unwrap().count(), 0);
}

#[test]
fn a_signal_ends_it_all() {
    for signal in [Signal::TERM, Signal::HUP] {
        let (terminal, _temporary, traces) = demo();
        terminal.signal(signal);
        gone(&terminal.ended(), &traces);
    }
}

#[test]
fn when_its_terminal_is_closed_nothing_is_left() {
    let (terminal, _temporary, traces) = demo();
    assert_eq!(terminal.closed(), 0);
    assert!(traces.left().is_empty(), "left behind: {:?}", traces.left());
}
