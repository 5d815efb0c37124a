//! The shell key: the terminal is lent to a program, and is as before, while that has it and after.

use crate::common::{Broker, Host, HostBuilder, Peer, base_answer, binary};
use crate::stage::{Console, ESC, LEAVE, console};
use rustix::process::Signal;
use serde_json::json;
use std::process::Command;

/// A program that says where it is and waits for a line.
const WAITS: &str = "sh -c 'echo a shell on {host}; read line; echo \"$line\"'";

fn with_shell(broker: &Broker, template: &str) -> Command {
    let mut command = console(broker, "tester");
    command.args(["--shell", template]);
    command
}

/// A console on the screen of `web1`.
fn on_a_host(broker: &Broker, template: &str) -> Console {
    let mut console = Console::of(&with_shell(broker, template), 80, 24);
    open(&mut console);
    console
}

fn open(console: &mut Console) {
    console.row("web1", &["● idle"]);
    console.types("\r");
    console.shows("no job has ended there yet");
}

#[test]
fn a_shell_has_the_terminal_as_it_was_and_gives_it_back() {
    let broker = Broker::start();
    let _host = HostBuilder::new(&broker, "web1", "test", "web").start();
    let mut console = on_a_host(&broker, WAITS);
    assert!(console.tty.is_raw());
    console.types("x");
    console.shows("a shell on web1");
    assert_eq!(console.left(), [] as [&str; 0]);
    // What comes meanwhile is not missed, nor is the link.
    let _new = HostBuilder::new(&broker, "web2", "test", "web").start();
    console.resize(100, 30);
    // No key of it is the console's.
    console.types("qbdx");
    console.types("\n");
    console.shows("no job has ended there yet");
    assert!(console.tty.is_raw());
    console.types(ESC);
    console.lists(&["web1", "web2"]);
    console.row("web2", &["● idle"]);
    assert!(!console.lines().concat().contains("connected again"));
    console.types(LEAVE);
    let screen = console.ended();
    assert_eq!((screen.code, screen.left), (0, Vec::new()), "{}", screen.text);
}

#[test]
fn on_a_failed_unit_its_journal_opens() {
    let broker = Broker::start();
    let mut answer = base_answer("web1", "test", "web");
    answer["failed_units"] = json!(["nginx.service", "x'; touch /tmp/never; '"]);
    let again = answer.clone();
    let _peer = Peer::start(&broker, answer, move |_| vec![again.clone()]);
    let mut console =
        Console::of(&with_shell(&broker, "sh -c 'echo \"on {host}: $*\"; read line' --"), 80, 24);
    console.row("web1", &["! units failed", "nginx"]);
    console.types("\r");
    console.line(&["✗ nginx.service"]);
    console.types("jx");
    console.shows("on web1: journalctl -b -e -u nginx.service");
    console.types("\n");
    console.line(&["▸ ✗ nginx.service"]);
    console.types("jx");
    console.shows("is no name of a unit, so its journal is not opened");
    console.types(LEAVE);
    assert_eq!(console.ended().code, 0);
}

#[test]
fn how_it_ended_is_told() {
    let broker = Broker::start();
    let _host = HostBuilder::new(&broker, "web1", "test", "web").start();
    for (template, told) in [
        ("exit 3 # {host}", "ended with 3: exit 3 # web1"),
        ("kill -9 $$ # {host}", "ended by signal 9: kill -9 $$ # web1"),
        ("no-such-program {host}", "ended with 127: no-such-program web1"),
    ] {
        let mut console = on_a_host(&broker, template);
        console.types("x");
        console.shows(told);
        console.types(LEAVE);
        let screen = console.ended();
        assert_eq!((screen.code, screen.left), (0, Vec::new()), "{}", screen.text);
    }
}

#[test]
fn modes_that_a_program_leaves_behind_are_not_kept() {
    let broker = Broker::start();
    let _host = HostBuilder::new(&broker, "web1", "test", "web").start();
    let mut console = on_a_host(&broker, "stty -icanon -echo -isig -opost; exit 7 # {host}");
    console.types("x");
    console.shows("ended with 7");
    assert!(console.tty.is_raw());
    console.types(LEAVE);
    let screen = console.ended();
    assert_eq!((screen.code, screen.left), (0, Vec::new()), "{}", screen.text);
}

/// A program that says in which round it is, waits for a line and then does this.
fn in_rounds(host: &Host, then: &str) -> String {
    let rounds = host.file("rounds").display().to_string();
    let round = format!("echo >> {rounds}; echo \"round $(wc -l < {rounds}) on {{host}}\"");
    format!("ulimit -c 0; {round}; read line; {then}")
}

/// Has the program end by this, in one round after the other. Each time its signal goes to us too, and we may hear of it only
/// after the program's end.
fn ends_by(console: &mut Console, round: usize, typed: &str, signal: u8) {
    console.types("x");
    console.shows(&format!("round {round} on web1"));
    console.types(typed);
    console.shows("no job has ended there yet");
    console.shows(&format!("ended by signal {signal}: ulimit -c 0;"));
    // Each is told anew. A key right behind esc would be that key with alt.
    console.types("?");
    console.shows("─ keys ");
    console.types(ESC);
    console.hides("─ keys ");
    assert!(console.tty.is_raw());
}

#[test]
fn keys_that_end_the_program_do_not_end_the_console() {
    let broker = Broker::start();
    let host = HostBuilder::new(&broker, "web1", "test", "web").start();
    let mut console = on_a_host(&broker, &in_rounds(&host, "true"));
    for round in 1..=20 {
        let (key, signal) = [("\u{3}", 2), ("\u{1c}", 3)][round % 2];
        ends_by(&mut console, round, key, signal);
    }
    // One that is sent to us alone meanwhile is no reason to leave the program either.
    console.types("x");
    console.shows("round 21 on web1");
    console.signal(Signal::INT);
    console.types("to the program\n");
    console.shows("no job has ended there yet");
    // Without one it still ends so.
    console.types("?");
    console.shows("─ keys ");
    console.signal(Signal::INT);
    let screen = console.ended();
    assert_eq!((screen.code, screen.left), (0, Vec::new()), "{}", screen.text);
}

#[test]
fn a_program_that_interrupts_all_around_it_does_not_end_the_console() {
    let broker = Broker::start();
    let host = HostBuilder::new(&broker, "web1", "test", "web").start();
    let mut console = on_a_host(&broker, &in_rounds(&host, "kill -s INT 0"));
    for round in 1..=20 {
        ends_by(&mut console, round, "\n", 2);
    }
    console.types(LEAVE);
    assert_eq!(console.ended().code, 0);
}

#[test]
fn ctrl_z_there_stops_both_and_the_program_goes_on_first() {
    let broker = Broker::start();
    let _host = HostBuilder::new(&broker, "web1", "test", "web").start();
    let script = "\"$0\" tui; echo stopped; read go; fg >/dev/null; echo \"ended with $?\"";
    let mut shell = Command::new("sh");
    shell.args(["-mc", script]).arg(binary());
    let inside = console(&broker, "tester");
    shell.envs(inside.get_envs().filter_map(|(name, value)| Some((name, value?))));
    shell.env("HOMELAB_DEPLOY_SHELL", WAITS);
    let mut console = Console::of(&shell, 80, 24);
    open(&mut console);
    console.types("x");
    console.shows("a shell on web1");
    console.types("\u{1a}");
    console.shows("stopped");
    console.types("\n");
    // The program has the terminal, and what is typed is its own.
    console.types("to the program\n");
    console.shows("no job has ended there yet");
    assert!(console.tty.is_raw());
    console.types(ESC);
    console.row("web1", &["● idle"]);
    console.types("q");
    console.shows("ended with 0");
}

#[test]
fn told_to_stop_meanwhile_it_leaves() {
    let broker = Broker::start();
    let _host = HostBuilder::new(&broker, "web1", "test", "web").start();
    let mut console = on_a_host(&broker, WAITS);
    console.types("x");
    console.shows("a shell on web1");
    console.signal(Signal::TERM);
    let screen = console.ended();
    assert_eq!((screen.code, screen.left), (0, Vec::new()), "{}", screen.text);
}

#[test]
fn whoever_may_only_look_has_no_shell() {
    let broker = Broker::start();
    let _host = HostBuilder::new(&broker, "web1", "test", "web").start();
    let mut command = with_shell(&broker, WAITS);
    command.arg("--read-only");
    let mut console = Console::of(&command, 80, 24);
    open(&mut console);
    console.types("xbD\u{12}?");
    console.line(&["┌─ keys "]);
    console.hides("a shell there");
    assert!(!console.lines().concat().contains("roll back"));
    console.types(LEAVE);
    let screen = console.ended();
    assert_eq!((screen.code, screen.raw.contains("a shell on")), (0, false));
}
