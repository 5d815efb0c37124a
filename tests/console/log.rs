//! The end of a job's log, in the pane of the selected host.

use crate::common::{Broker, HostBuilder, Peer, Running, base_answer, operator};
use crate::stage::{Console, console, held, waits_in};
use serde_json::json;

/// A rebuild program that says lines between its gates.
fn saying(lines: &[&str]) -> String {
    let say = |line: &&str| format!("echo '{line}'\n{}", waits_in(&["build"]));
    lines.iter().map(say).collect()
}

#[test]
fn a_log_is_read_from_before_and_goes_on_live_to_its_end() {
    let broker = Broker::start();
    let (_host, gate) =
        held(&broker, "web1", &format!("{}echo 'the last line'", saying(&["first", "second"])));
    let mut early = Console::open(&broker, "tester");
    early.row("web1", &["● idle"]);
    early.deploy();
    early.line(&["│ first "]);
    // Whoever comes later reads what was said before.
    let mut late = Console::of(&console(&broker, "viewer"), 100, 50);
    late.line(&["│ first "]);
    gate.pass();
    for console in [&mut early, &mut late] {
        console.line(&["│ second "]);
    }
    gate.pass();
    for console in [&mut early, &mut late] {
        console.row("web1", &["● idle"]);
        console.line(&["│ the last line "]);
    }
    // And once it is over, too.
    let mut after = Console::of(&console(&broker, "admin"), 100, 50);
    for line in ["│ first ", "│ second ", "│ the last line "] {
        after.line(&[line]);
    }
    let lines = after.lines();
    let at = |text: &str| lines.iter().position(|line| line.contains(text)).unwrap();
    assert!(at("│ first ") < at("│ second ") && at("│ second ") < at("│ the last line "), "{lines:#?}");
    assert_eq!(lines.iter().filter(|line| line.starts_with("│ second ")).count(), 1, "each once");
}

#[test]
fn the_log_is_that_of_the_selected_host() {
    let broker = Broker::start();
    let (_web, _web_gate) = held(&broker, "web1", &saying(&["of the web server"]));
    let (_db, _db_gate) = held(&broker, "db1", &saying(&["of the database"]));
    let mut command = operator(&broker, "admin");
    let _deploy = Running::start(command.args(["deploy", "web1", "db1"]));
    let mut console = Console::open(&broker, "viewer");
    for (host, log, other) in
        [("web1", "of the web server", "database"), ("db1", "of the database", "web server")]
    {
        console.select(host);
        console.line(&[&format!("│ {log}")]);
        console.hides(other);
    }
    console.types("G");
    console.shows("of the web server");
}

#[test]
fn nothing_of_a_log_reaches_the_terminal_as_more_than_text() {
    let broker = Broker::start();
    // Colours, a title, a question to the terminal, bytes that are no text, tabs, wide and invisible characters, a line
    // over itself, one that is far too long, and one without an end.
    let script = r"
printf '\033[31mred\033[0m \033]0;title\007 \033[6n \233 \377\376 bell\007\n'
printf 'tab\tdone \r10 %%\r20 %%\n'
printf '\345\273\272\350\250\255 \342\200\256turned\342\200\213 e\314\201 \360\237\232\222\n'
head -c 5000 /dev/zero | tr '\0' x; echo
";
    let script = format!("{script}{}printf 'no end \\033['", waits_in(&["build"]));
    let (_host, gate) = held(&broker, "web1", &script);
    let mut console = Console::of(&console(&broker, "tester"), 100, 50);
    console.row("web1", &["● idle"]);
    console.deploy();
    console.line(&["│ red  ", "bell "]);
    console.line(&["│ tab done  10 % 20 %"]);
    console.line(&["│ 建設 turned e\u{301} 🚒"]);
    console.line(&["│ xxxxxxxxxxxxxxxx", "x… │"]);
    gate.pass();
    console.row("web1", &["● idle"]);
    console.line(&["│ no end "]);
    console.wrote_only_its_own();
}

#[test]
fn a_host_that_keeps_no_log_or_does_not_answer_is_told_so() {
    let broker = Broker::start();
    let report = json!({"hostname": "old1", "id": "job", "instance": "one", "seq": 1, "status": "running",
        "error": null, "message": "at work"});
    let mut answer = base_answer("old1", "test", "legacy");
    answer["instance"] = json!("one");
    answer["job"] = report;
    let _silent = Peer::start(&broker, answer, |_| Vec::new());
    // A host of the base format has none, and a host without a job neither.
    let mut base = base_answer("old2", "test", "legacy");
    base["job"] =
        json!({"hostname": "old2", "id": "job", "status": "running", "error": null, "message": "at work"});
    let _base = Peer::start(&broker, base, |_| Vec::new());
    let _idle = HostBuilder::new(&broker, "web1", "test", "web").start();
    let mut console = Console::open(&broker, "tester");
    console.lists(&["old1", "old2", "web1"]);
    console.select("old1");
    console.shows("the host does not answer for its log");
    for host in ["old2", "web1"] {
        console.select(host);
        console.line(&[&format!("┌─ {host} ")]);
        console.hides("its log");
    }
}
