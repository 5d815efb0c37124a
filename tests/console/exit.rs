//! All ways to quit, after which the terminal must be restored.

use crate::common::{HostBuilder, NatsServer};
use crate::harness::{Console, LEAVE, console};
use rustix::process::Signal;

/// A console with a host, in use.
fn in_use(nats: &NatsServer) -> Console {
    let _host = HostBuilder::new(nats, "web1", "test", "web").start();
    let mut console = Console::open(nats, "tester");
    console.row("web1", &["● idle"]);
    console
}

/// Quits a console in use, and checks that the terminal is restored.
fn left_after(leave: impl Fn(&mut Console)) {
    let nats = NatsServer::start();
    let mut console = in_use(&nats);
    assert!(console.tty.is_raw());
    let taken = ["modes", "alternate screen", "bracketed paste", "mouse", "hidden cursor"];
    console.until("the cursor hidden", vt100::Screen::hide_cursor);
    assert_eq!(console.left(), taken);
    leave(&mut console);
    let screen = console.wait_for_exit();
    assert_eq!((screen.code, screen.left), (0, Vec::new()), "{}", screen.text);
    assert_eq!(screen.text, "", "the previous contents of the screen are restored");
}

#[test]
fn a_key_restores_the_terminal() {
    left_after(|console| console.types("q"));
}

#[test]
fn ctrl_c_leaves_from_within_the_form_and_sends_nothing() {
    left_after(|console| {
        console.types("d");
        console.shows("─ deploy ─");
        // In a text field, where the cursor is visible.
        console.types("\tx");
        console.until("a cursor", |screen| !screen.hide_cursor());
        console.types(LEAVE);
    });
}

#[test]
fn a_signal_restores_the_terminal() {
    for signal in [Signal::TERM, Signal::HUP, Signal::INT, Signal::QUIT] {
        left_after(|console| console.signal(signal));
    }
}

#[test]
fn a_closed_terminal_ends_the_console_and_the_inventory_is_saved() {
    let nats = NatsServer::start();
    let console = in_use(&nats);
    let directory = nats.dir().join("xdg/tester/homelab-deploy/inventory");
    assert!(!directory.exists());
    assert_eq!(console.closed(), 0);
    let file = std::fs::read_dir(&directory).unwrap().next().unwrap().unwrap().path();
    assert!(std::fs::read_to_string(file).unwrap().contains("web1"));
}

#[test]
fn a_panic_restores_the_terminal_before_its_message() {
    let nats = NatsServer::start();
    let mut command = console(&nats, "tester");
    // No thread of this size can start, and the thread that reads keys starts after the terminal was set up.
    command.env("RUST_MIN_STACK", (1_u64 << 60).to_string()).env("RUST_BACKTRACE", "0");
    let screen = Console::of(&command, 80, 24).wait_for_exit();
    assert_eq!((screen.code, screen.left), (101, Vec::new()), "{}", screen.text);
    assert!(screen.raw.contains("\u{1b}[?1049h"), "the terminal was set up: {:?}", screen.raw);
    assert!(screen.text.contains("panicked at "), "{}", screen.text);
    assert!(screen.text.contains("failed to spawn thread"), "{}", screen.text);
}
