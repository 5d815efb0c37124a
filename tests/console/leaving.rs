//! Every way out, and what of the terminal is left behind: nothing.

use crate::common::{Broker, HostBuilder};
use crate::stage::{Console, LEAVE, console};
use rustix::process::Signal;

/// A console with a host, in the midst of its work.
fn at_work(broker: &Broker) -> Console {
    let _host = HostBuilder::new(broker, "web1", "test", "web").start();
    let mut console = Console::open(broker, "tester");
    console.row("web1", &["● idle"]);
    console
}

/// What a console at work leaves behind, once it has ended.
fn left_after(leave: impl Fn(&mut Console)) {
    let broker = Broker::start();
    let mut console = at_work(&broker);
    assert!(console.tty.is_raw());
    let taken = ["modes", "alternate screen", "bracketed paste", "mouse", "hidden cursor"];
    console.until("the cursor hidden", vt100::Screen::hide_cursor);
    assert_eq!(console.left(), taken);
    leave(&mut console);
    let screen = console.ended();
    assert_eq!((screen.code, screen.left), (0, Vec::new()), "{}", screen.text);
    assert_eq!(screen.text, "", "what was on the screen before is there again");
}

#[test]
fn a_key_gives_the_terminal_back() {
    left_after(|console| console.types("q"));
}

#[test]
fn ctrl_c_leaves_from_within_the_form_and_sends_nothing() {
    left_after(|console| {
        console.types("d");
        console.shows("─ deploy ─");
        // Into a text field, where the cursor shows.
        console.types("\tx");
        console.until("a cursor", |screen| !screen.hide_cursor());
        console.types(LEAVE);
    });
}

#[test]
fn a_signal_gives_the_terminal_back() {
    for signal in [Signal::TERM, Signal::HUP, Signal::INT, Signal::QUIT] {
        left_after(|console| console.signal(signal));
    }
}

#[test]
fn when_its_terminal_is_closed_it_ends_and_keeps_what_it_knows() {
    let broker = Broker::start();
    let console = at_work(&broker);
    let roster = broker.folder().join("xdg/tester/homelab-deploy/roster");
    assert!(!roster.exists());
    assert_eq!(console.closed(), 0);
    let file = std::fs::read_dir(&roster).unwrap().next().unwrap().unwrap().path();
    assert!(std::fs::read_to_string(file).unwrap().contains("web1"));
}

#[test]
fn a_panic_gives_the_terminal_back_before_it_is_told() {
    let broker = Broker::start();
    let mut command = console(&broker, "tester");
    // No thread of this size can be made, and the one that reads keys is begun after the terminal was taken.
    command.env("RUST_MIN_STACK", (1_u64 << 60).to_string()).env("RUST_BACKTRACE", "0");
    let screen = Console::of(&command, 80, 24).ended();
    assert_eq!((screen.code, screen.left), (101, Vec::new()), "{}", screen.text);
    assert!(screen.raw.contains("\u{1b}[?1049h"), "it was taken: {:?}", screen.raw);
    assert!(screen.text.contains("panicked at "), "{}", screen.text);
    assert!(screen.text.contains("failed to spawn thread"), "{}", screen.text);
}
