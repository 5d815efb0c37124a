//! A deployment on a terminal: lines that live, and a clean screen in the end.

use crate::common::{Broker, Gate, Host, HostBuilder, Screen, Terminal, operator};

const HELD: &str = r#"
echo '@homelab-deploy {"phase":"build","done":1,"expected":3,"activity":"building nginx"}'
read go < $DIR/gate || exit 1
"#;

fn held(broker: &Broker) -> (Host, Gate) {
    let host = HostBuilder::new(broker, "web1", "test", "web").script(HELD).start();
    let gate = Gate::of(&host);
    (host, gate)
}

/// A whole deployment to a good and a bad host, both held in their builds until both were seen there.
fn deployed(environment: &[(&str, &str)]) -> Screen {
    let broker = Broker::start();
    let (_host, gate) = held(&broker);
    let bad = HostBuilder::new(&broker, "db1", "test", "db").script(&format!("{HELD}\nexit 1")).start();
    let bad_gate = Gate::of(&bad);
    let mut command = operator(&broker, "tester");
    command.args(["deploy", "web1", "db1"]).envs(environment.iter().copied());
    let mut terminal = Terminal::start(&command);
    terminal.shows("web1  build 1/3 building nginx");
    terminal.shows("db1   build 1/3 building nginx");
    gate.pass();
    bad_gate.pass();
    terminal.ended()
}

/// What a terminal is told about looks: escape sequences that end in `m`.
fn looks(raw: &str) -> Vec<&str> {
    let sequences = raw.split("\u{1b}[").skip(1);
    let end = |text: &str| text.find(|c: char| c.is_ascii_alphabetic());
    sequences.filter_map(|text| end(text).map(|at| &text[..=at])).filter(|text| text.ends_with('m')).collect()
}

#[test]
fn lines_live_while_hosts_work_and_the_table_is_left() {
    let screen = deployed(&[]);
    assert_eq!(screen.code, 1, "{}", screen.text);
    let lines: Vec<_> =
        screen.text.lines().map(|line| line.split_whitespace().next().unwrap_or("")).collect();
    // One line for each verdict in the order they came, the table, and why one failed.
    let mut verdicts = lines[..2].to_vec();
    verdicts.sort_unstable();
    assert_eq!(verdicts, ["db1", "web1"], "{}", screen.text);
    assert_eq!(lines[2..8], ["", "HOST", "db1", "web1", "", "db1:"], "{}", screen.text);
    assert!(lines[8..].iter().all(|word| *word == "|"), "{}", screen.text);
    assert!(!screen.text.contains("building nginx\n"), "a live line is left: {}", screen.text);
    assert!(screen.clean && screen.raw.ends_with("\r\n"), "{:?}", screen.raw);
}

#[test]
fn verdicts_have_colour_unless_it_is_not_wanted() {
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
    let broker = Broker::start();
    let (_host, _gate) = held(&broker);
    let mut terminal = Terminal::start(operator(&broker, "tester").args(["deploy", "web1"]));
    terminal.shows("web1  build");
    terminal.types("\u{3}");
    let screen = terminal.ended();
    assert_eq!(screen.code, 130);
    assert!(screen.text.contains("interrupted; what runs on the hosts goes on"), "{}", screen.text);
    assert!(screen.clean && screen.raw.ends_with("\r\n"), "{:?}", screen.raw);
}

#[test]
fn json_has_no_live_lines_on_a_terminal_either() {
    let broker = Broker::start();
    let _host = HostBuilder::new(&broker, "web1", "test", "web").start();
    let mut command = operator(&broker, "tester");
    let screen = Terminal::start(command.args(["deploy", "web1", "--output", "json"])).ended();
    assert_eq!(screen.code, 0);
    assert!(!screen.raw.contains('\u{1b}'), "{:?}", screen.raw);
    for line in screen.raw.lines() {
        assert!(serde_json::from_str::<serde_json::Value>(line).unwrap().is_object());
    }
}
