//! The console is stopped and continued, by a shell with job control.

use crate::common::{HostBuilder, NatsServer, binary};
use crate::harness::{Console, LEAVE, console};
use rustix::process::Signal;
use std::process::Command;

/// The console as a job of a shell that reports when it has the terminal.
fn in_a_shell(nats: &NatsServer) -> Console {
    let script = "\"$0\" tui; echo stopped; read go; fg >/dev/null; echo \"ended with $?\"";
    let mut shell = Command::new("sh");
    shell.args(["-mc", script]).arg(binary());
    let inside = console(nats, "tester");
    shell.envs(inside.get_envs().filter_map(|(name, value)| Some((name, value?))));
    Console::of(&shell, 80, 24)
}

#[test]
fn ctrl_z_restores_the_terminal_and_fg_continues_the_console() {
    let nats = NatsServer::start();
    let _host = HostBuilder::new(&nats, "web1", "test", "web").start();
    let mut console = in_a_shell(&nats);
    console.row("web1", &["● idle"]);
    console.types("\u{1a}");
    console.shows("stopped");
    assert_eq!(console.left(), [] as [&str; 0]);
    // Messages in the meantime are not lost.
    let _new = HostBuilder::new(&nats, "web2", "test", "web").start();
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
fn a_stop_from_another_process_restores_the_terminal_too() {
    let nats = NatsServer::start();
    let _host = HostBuilder::new(&nats, "web1", "test", "web").start();
    let mut console = in_a_shell(&nats);
    console.row("web1", &["● idle"]);
    let shell = console.pid().as_raw_nonzero();
    let children = std::fs::read_to_string(format!("/proc/{shell}/task/{shell}/children")).unwrap();
    let pid = children.trim().parse().ok().and_then(rustix::process::Pid::from_raw).unwrap();
    rustix::process::kill_process(pid, Signal::TSTP).unwrap();
    console.shows("stopped");
    assert_eq!(console.left(), [] as [&str; 0]);
    console.types("\n");
    console.row("web1", &["● idle"]);
    assert!(console.tty.is_raw());
    console.types("\u{1a}");
    console.shows("ended with ");
}

#[test]
fn the_terminal_is_set_up_again_after_a_sigstop() {
    let nats = NatsServer::start();
    let _host = HostBuilder::new(&nats, "web1", "test", "web").start();
    let mut console = Console::open(&nats, "tester");
    console.row("web1", &["● idle"]);
    console.signal(Signal::STOP);
    // A shell does this if it finds its job stopped.
    console.tty.restore();
    console.scribble("\u{1b}[?1049l\u{1b}[?25h\u{1b}[?2004l$ ");
    console.signal(Signal::CONT);
    console.row("web1", &["● idle"]);
    assert!(console.tty.is_raw());
    console.types("/none");
    console.shows("no host matches the filter");
    console.types(LEAVE);
    let screen = console.wait_for_exit();
    assert_eq!((screen.code, screen.left), (0, Vec::new()), "{}", screen.text);
}

#[test]
fn ctrl_z_without_a_parent_shell_does_not_stop_the_console() {
    let nats = NatsServer::start();
    let _host = HostBuilder::new(&nats, "web1", "test", "web").start();
    // The console leads its session, and the system does not stop a process group that no shell could continue.
    let mut console = Console::open(&nats, "tester");
    console.row("web1", &["● idle"]);
    console.types("\u{1a}");
    console.types("/none");
    console.shows("no host matches the filter");
    console.types(LEAVE);
    let screen = console.wait_for_exit();
    assert_eq!((screen.code, screen.left), (0, Vec::new()));
    assert_eq!(
        screen.raw.matches("\u{1b}[?1049l").count(),
        2,
        "the terminal was restored in between, and in the end"
    );
}
