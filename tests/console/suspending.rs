//! Stopped and woken again, by a shell that gives the terminal back and forth.

use crate::common::{Broker, HostBuilder, binary};
use crate::stage::{Console, LEAVE, console};
use rustix::process::Signal;
use std::process::Command;

/// The console as the job of a shell that says when it has the terminal.
fn in_a_shell(broker: &Broker) -> Console {
    let script = "\"$0\" tui; echo stopped; read go; fg >/dev/null; echo \"ended with $?\"";
    let mut shell = Command::new("sh");
    shell.args(["-mc", script]).arg(binary());
    let inside = console(broker, "tester");
    shell.envs(inside.get_envs().filter_map(|(name, value)| Some((name, value?))));
    Console::of(&shell, 80, 24)
}

#[test]
fn ctrl_z_gives_the_terminal_back_and_fg_takes_it_again() {
    let broker = Broker::start();
    let _host = HostBuilder::new(&broker, "web1", "test", "web").start();
    let mut console = in_a_shell(&broker);
    console.row("web1", &["● idle"]);
    console.types("\u{1a}");
    console.shows("stopped");
    assert_eq!(console.left(), [] as [&str; 0]);
    // What comes meanwhile is not missed.
    let _new = HostBuilder::new(&broker, "web2", "test", "web").start();
    console.resize(100, 30);
    console.types("\n");
    console.lists(&["web1", "web2"]);
    assert!(console.tty.is_raw());
    console.types("/web2");
    console.lists(&["web2"]);
    console.types("\r\u{1a}");
    console.shows("ended with ");
}

#[test]
fn stopped_without_being_asked_it_takes_the_terminal_again_when_it_is_woken() {
    let broker = Broker::start();
    let _host = HostBuilder::new(&broker, "web1", "test", "web").start();
    let mut console = Console::open(&broker, "tester");
    console.row("web1", &["● idle"]);
    console.signal(Signal::STOP);
    // As a shell does that finds its job stopped.
    console.tty.restore();
    console.scribble("\u{1b}[?1049l\u{1b}[?25h\u{1b}[?2004l$ ");
    console.signal(Signal::CONT);
    console.row("web1", &["● idle"]);
    assert!(console.tty.is_raw());
    console.types("/none");
    console.shows("no host matches the filter");
    console.types(LEAVE);
    let screen = console.ended();
    assert_eq!((screen.code, screen.left), (0, Vec::new()), "{}", screen.text);
}

#[test]
fn where_nobody_could_wake_it_ctrl_z_does_not_stop_it() {
    let broker = Broker::start();
    let _host = HostBuilder::new(&broker, "web1", "test", "web").start();
    // It leads its session, and the system stops nobody whom no shell could wake.
    let mut console = Console::open(&broker, "tester");
    console.row("web1", &["● idle"]);
    console.types("\u{1a}");
    console.types("/none");
    console.shows("no host matches the filter");
    console.types(LEAVE);
    let screen = console.ended();
    assert_eq!((screen.code, screen.left), (0, Vec::new()));
    assert_eq!(
        screen.raw.matches("\u{1b}[?1049l").count(),
        2,
        "it gave the terminal back in between, and in the end"
    );
}
