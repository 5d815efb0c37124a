//! The shell key: a program gets the terminal, which is in its normal mode during and after the program.

use crate::common::{FakeListener, Host, HostBuilder, NatsServer, base_presence, binary};
use crate::harness::{Console, ESC, LEAVE, console};
use rustix::process::Signal;
use serde_json::json;
use std::process::Command;

/// A program that prints the name of its host and waits for a line.
const WAITS: &str = "sh -c 'echo a shell on {host}; read line; echo \"$line\"'";

fn with_shell(nats: &NatsServer, template: &str) -> Command {
    let mut command = console(nats, "tester");
    command.args(["--shell", template]);
    command
}

/// A console on the screen of `web1`.
fn on_a_host(nats: &NatsServer, template: &str) -> Console {
    let mut console = Console::of(&with_shell(nats, template), 80, 24);
    open(&mut console);
    console
}

fn open(console: &mut Console) {
    console.row("web1", &["● idle"]);
    console.types("\r");
    console.shows("no finished jobs yet");
}

#[test]
fn a_shell_gets_a_normal_terminal_and_returns_it() {
    let nats = NatsServer::start();
    let _host = HostBuilder::new(&nats, "web1", "test", "web").start();
    let mut console = on_a_host(&nats, WAITS);
    assert!(console.tty.is_raw());
    console.types("x");
    console.shows("a shell on web1");
    assert_eq!(console.left(), [] as [&str; 0]);
    // Messages in the meantime are not lost, and the connection stays up.
    let _new = HostBuilder::new(&nats, "web2", "test", "web").start();
    console.resize(100, 30);
    // The console receives none of these keys.
    console.types("qbdx");
    console.types("\n");
    console.shows("no finished jobs yet");
    assert!(console.tty.is_raw());
    console.types(ESC);
    console.lists(&["web1", "web2"]);
    console.row("web2", &["● idle"]);
    assert!(!console.lines().concat().contains("reconnected"));
    console.types(LEAVE);
    let screen = console.wait_for_exit();
    assert_eq!((screen.code, screen.left), (0, Vec::new()), "{}", screen.text);
}

#[test]
fn the_journal_of_a_failed_unit_opens() {
    let nats = NatsServer::start();
    let mut answer = base_presence("web1", "test", "web");
    answer["failed_units"] = json!(["nginx.service", "x'; touch /tmp/never; '"]);
    let again = answer.clone();
    let _peer = FakeListener::start(&nats, answer, move |_| vec![again.clone()]);
    let mut console = Console::of(&with_shell(&nats, "sh -c 'echo \"on {host}: $*\"; read line' --"), 80, 24);
    console.row("web1", &["! units failed", "nginx"]);
    console.types("\r");
    console.line(&["✗ nginx.service"]);
    console.types("jx");
    console.shows("on web1: journalctl -b -e -u nginx.service");
    console.types("\n");
    console.line(&["▸ ✗ nginx.service"]);
    console.types("jx");
    console.shows("journal not opened: invalid unit name");
    console.types(LEAVE);
    assert_eq!(console.wait_for_exit().code, 0);
}

#[test]
fn a_failed_exit_is_reported() {
    let nats = NatsServer::start();
    let _host = HostBuilder::new(&nats, "web1", "test", "web").start();
    for (template, message) in [
        ("exit 3 # {host}", "exited with code 3: exit 3 # web1"),
        ("kill -9 $$ # {host}", "killed by signal 9: kill -9 $$ # web1"),
        ("no-such-program {host}", "exited with code 127: no-such-program web1"),
    ] {
        let mut console = on_a_host(&nats, template);
        console.types("x");
        console.shows(message);
        console.types(LEAVE);
        let screen = console.wait_for_exit();
        assert_eq!((screen.code, screen.left), (0, Vec::new()), "{}", screen.text);
    }
}

#[test]
fn terminal_modes_that_a_program_leaves_are_reset() {
    let nats = NatsServer::start();
    let _host = HostBuilder::new(&nats, "web1", "test", "web").start();
    let mut console = on_a_host(&nats, "stty -icanon -echo -isig -opost; exit 7 # {host}");
    console.types("x");
    console.shows("exited with code 7");
    assert!(console.tty.is_raw());
    console.types(LEAVE);
    let screen = console.wait_for_exit();
    assert_eq!((screen.code, screen.left), (0, Vec::new()), "{}", screen.text);
}

/// A program that prints the number of its round, waits for a line and then runs `then`.
fn in_rounds(host: &Host, then: &str) -> String {
    let rounds = host.file("rounds").display().to_string();
    let round = format!("echo >> {rounds}; echo \"round $(wc -l < {rounds}) on {{host}}\"");
    format!("ulimit -c 0; {round}; read line; {then}")
}

/// Ends the program in this way, in one round. The console receives each signal too, possibly only after the end of the
/// program.
fn ends_by(console: &mut Console, round: usize, typed: &str, signal: u8) {
    console.types("x");
    console.shows(&format!("round {round} on web1"));
    console.types(typed);
    console.shows("no finished jobs yet");
    console.shows(&format!("killed by signal {signal}: ulimit -c 0;"));
    // Each notice is dismissed. A key right after esc would be read as that key with alt.
    console.types("?");
    console.shows("─ keys ");
    console.types(ESC);
    console.hides("─ keys ");
    assert!(console.tty.is_raw());
}

#[test]
fn keys_that_end_the_program_do_not_end_the_console() {
    let nats = NatsServer::start();
    let host = HostBuilder::new(&nats, "web1", "test", "web").start();
    let mut console = on_a_host(&nats, &in_rounds(&host, "true"));
    for round in 1..=20 {
        let (key, signal) = [("\u{3}", 2), ("\u{1c}", 3)][round % 2];
        ends_by(&mut console, round, key, signal);
    }
    // A signal to the console alone does not end it either while the program runs.
    console.types("x");
    console.shows("round 21 on web1");
    console.signal(Signal::INT);
    console.types("to the program\n");
    console.shows("no finished jobs yet");
    // Without a program it ends the console.
    console.types("?");
    console.shows("─ keys ");
    console.signal(Signal::INT);
    let screen = console.wait_for_exit();
    assert_eq!((screen.code, screen.left), (0, Vec::new()), "{}", screen.text);
}

#[test]
fn a_program_that_interrupts_its_process_group_does_not_end_the_console() {
    let nats = NatsServer::start();
    let host = HostBuilder::new(&nats, "web1", "test", "web").start();
    let mut console = on_a_host(&nats, &in_rounds(&host, "kill -s INT 0"));
    for round in 1..=20 {
        ends_by(&mut console, round, "\n", 2);
    }
    console.types(LEAVE);
    assert_eq!(console.wait_for_exit().code, 0);
}

#[test]
fn ctrl_z_stops_both_and_the_program_continues_first() {
    let nats = NatsServer::start();
    let _host = HostBuilder::new(&nats, "web1", "test", "web").start();
    let script = "\"$0\" tui; echo stopped; read go; fg >/dev/null; echo \"ended with $?\"";
    let mut shell = Command::new("sh");
    shell.args(["-mc", script]).arg(binary());
    let inside = console(&nats, "tester");
    shell.envs(inside.get_envs().filter_map(|(name, value)| Some((name, value?))));
    shell.env("HOMELAB_DEPLOY_SHELL", WAITS);
    let mut console = Console::of(&shell, 80, 24);
    open(&mut console);
    console.types("x");
    console.shows("a shell on web1");
    console.types("\u{1a}");
    console.shows("stopped");
    console.types("\n");
    // The program has the terminal and receives the input.
    console.types("to the program\n");
    console.shows("no finished jobs yet");
    assert!(console.tty.is_raw());
    console.types(ESC);
    console.row("web1", &["● idle"]);
    console.types("q");
    console.shows("ended with 0");
}

#[test]
fn a_stop_signal_ends_it_while_a_program_runs() {
    let nats = NatsServer::start();
    let _host = HostBuilder::new(&nats, "web1", "test", "web").start();
    let mut console = on_a_host(&nats, WAITS);
    console.types("x");
    console.shows("a shell on web1");
    console.signal(Signal::TERM);
    let screen = console.wait_for_exit();
    assert_eq!((screen.code, screen.left), (0, Vec::new()), "{}", screen.text);
}

#[test]
fn a_read_only_console_has_no_shell() {
    let nats = NatsServer::start();
    let _host = HostBuilder::new(&nats, "web1", "test", "web").start();
    let mut command = with_shell(&nats, WAITS);
    command.arg("--read-only");
    let mut console = Console::of(&command, 80, 24);
    open(&mut console);
    console.types("xbD\u{12}?");
    console.line(&["┌─ keys "]);
    console.hides("open a shell on this host");
    assert!(!console.lines().concat().contains("roll back"));
    console.types(LEAVE);
    let screen = console.wait_for_exit();
    assert_eq!((screen.code, screen.raw.contains("a shell on")), (0, false));
}
