//! A deployment on a terminal: live lines, and a clean screen at the end.

use crate::common::{Gate, Host, HostBuilder, NatsServer, Screen, Terminal, operator};

const HELD: &str = r#"
echo '@homelab-deploy {"phase":"build","done":1,"expected":3,"activity":"building nginx"}'
read go < $DIR/gate || exit 1
"#;

fn held(nats: &NatsServer) -> (Host, Gate) {
    let host = HostBuilder::new(nats, "web1", "test", "web").script(HELD).start();
    let gate = Gate::of(&host);
    (host, gate)
}

/// A complete deployment to a good and a bad host. Both builds wait until both were shown.
fn deployed(environment: &[(&str, &str)]) -> Screen {
    let nats = NatsServer::start();
    let (_host, gate) = held(&nats);
    let bad = HostBuilder::new(&nats, "db1", "test", "db").script(&format!("{HELD}\nexit 1")).start();
    let bad_gate = Gate::of(&bad);
    let mut command = operator(&nats, "tester");
    command.args(["deploy", "web1", "db1"]).envs(environment.iter().copied());
    let mut terminal = Terminal::start(&command);
    terminal.shows("web1  build 1/3 building nginx");
    terminal.shows("db1   build 1/3 building nginx");
    gate.pass();
    bad_gate.pass();
    terminal.wait_for_exit()
}

/// The style sequences of a terminal: those that end in `m`.
fn looks(raw: &str) -> Vec<&str> {
    let sequences = raw.split("\u{1b}[").skip(1);
    let end = |text: &str| text.find(|c: char| c.is_ascii_alphabetic());
    sequences.filter_map(|text| end(text).map(|at| &text[..=at])).filter(|text| text.ends_with('m')).collect()
}

#[test]
fn live_lines_are_replaced_by_the_final_table() {
    let screen = deployed(&[]);
    assert_eq!(screen.code, 1, "{}", screen.text);
    let lines: Vec<_> =
        screen.text.lines().map(|line| line.split_whitespace().next().unwrap_or("")).collect();
    // A line per result in any order, the table, and the details of the failure.
    let mut results = lines[..2].to_vec();
    results.sort_unstable();
    assert_eq!(results, ["db1", "web1"], "{}", screen.text);
    assert_eq!(lines[2..8], ["", "HOST", "db1", "web1", "", "db1:"], "{}", screen.text);
    assert!(lines[8..].iter().all(|word| *word == "|"), "{}", screen.text);
    assert!(!screen.text.contains("building nginx\n"), "a live line is left: {}", screen.text);
    assert!(screen.clean && screen.raw.ends_with("\r\n"), "{:?}", screen.raw);
}

#[test]
fn results_are_coloured_unless_disabled() {
    assert_ne!(looks(&deployed(&[]).raw), [] as [&str; 0]);
    let plain = deployed(&[("NO_COLOR", "1")]);
    assert_eq!(looks(&plain.raw), [] as [&str; 0]);
    assert!(plain.text.contains("\nweb1  completed"), "{}", plain.text);
}

#[test]
fn a_dumb_terminal_gets_plain_lines() {
    let plain = deployed(&[("TERM", "dumb")]);
    assert!(!plain.raw.contains('\u{1b}'), "{:?}", plain.raw);
    assert!(
        plain.raw.starts_with("web1  accepted") || plain.raw.starts_with("db1   accepted"),
        "{:?}",
        plain.raw
    );
}

#[test]
fn ctrl_c_stops_following_and_leaves_the_terminal_in_order() {
    let nats = NatsServer::start();
    let (_host, _gate) = held(&nats);
    let mut terminal = Terminal::start(operator(&nats, "tester").args(["deploy", "web1"]));
    terminal.shows("web1  build");
    terminal.types("\u{3}");
    let screen = terminal.wait_for_exit();
    assert_eq!(screen.code, 130);
    assert!(screen.text.contains("interrupted; running jobs continue on their hosts"), "{}", screen.text);
    assert!(screen.clean && screen.raw.ends_with("\r\n"), "{:?}", screen.raw);
}

#[test]
fn json_has_no_live_lines_on_a_terminal_either() {
    let nats = NatsServer::start();
    let _host = HostBuilder::new(&nats, "web1", "test", "web").start();
    let mut command = operator(&nats, "tester");
    let screen = Terminal::start(command.args(["deploy", "web1", "--output", "json"])).wait_for_exit();
    assert_eq!(screen.code, 0);
    assert!(!screen.raw.contains('\u{1b}'), "{:?}", screen.raw);
    for line in screen.raw.lines() {
        assert!(serde_json::from_str::<serde_json::Value>(line).unwrap().is_object());
    }
}
