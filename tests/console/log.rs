//! The end of a job's log, in the pane of the selected host.

use crate::common::{FakeListener, HostBuilder, NatsServer, RunningCommand, base_presence, operator};
use crate::harness::{Console, console, held, waits_in};
use serde_json::json;

/// A rebuild program that prints these lines, each before a gate.
fn printing(lines: &[&str]) -> String {
    let print = |line: &&str| format!("echo '{line}'\n{}", waits_in(&["build"]));
    lines.iter().map(print).collect()
}

#[test]
fn a_log_is_read_from_its_start_and_followed_to_its_end() {
    let nats = NatsServer::start();
    let (_host, gate) =
        held(&nats, "web1", &format!("{}echo 'the last line'", printing(&["first", "second"])));
    let mut early = Console::open(&nats, "tester");
    early.row("web1", &["● idle"]);
    early.deploy();
    early.line(&["│ first "]);
    // A console that starts later reads the earlier lines.
    let mut late = Console::of(&console(&nats, "viewer"), 100, 50);
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
    // And one that starts after the end of the job.
    let mut after = Console::of(&console(&nats, "admin"), 100, 50);
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
    let nats = NatsServer::start();
    let (_web, _web_gate) = held(&nats, "web1", &printing(&["of the web server"]));
    let (_db, _db_gate) = held(&nats, "db1", &printing(&["of the database"]));
    let mut command = operator(&nats, "admin");
    let _deploy = RunningCommand::start(command.args(["deploy", "web1", "db1"]));
    let mut console = Console::open(&nats, "viewer");
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
fn escape_sequences_of_a_log_do_not_reach_the_terminal() {
    let nats = NatsServer::start();
    // Colours, a title, a terminal query, invalid UTF-8, tabs, wide and invisible characters, a line that overwrites
    // itself, one that is too long, and one without a line break.
    let script = r"
printf '\033[31mred\033[0m \033]0;title\007 \033[6n \233 \377\376 bell\007\n'
printf 'tab\tdone \r10 %%\r20 %%\n'
printf '\345\273\272\350\250\255 \342\200\256turned\342\200\213 e\314\201 \360\237\232\222\n'
head -c 5000 /dev/zero | tr '\0' x; echo
";
    let script = format!("{script}{}printf 'no end \\033['", waits_in(&["build"]));
    let (_host, gate) = held(&nats, "web1", &script);
    let mut console = Console::of(&console(&nats, "tester"), 100, 50);
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
fn a_missing_log_and_a_missing_reply_are_explained() {
    let nats = NatsServer::start();
    let report = json!({"hostname": "old1", "id": "job", "instance": "one", "seq": 1, "status": "running",
        "error": null, "message": "at work"});
    let mut answer = base_presence("old1", "test", "legacy");
    answer["instance"] = json!("one");
    answer["job"] = report;
    let _silent = FakeListener::start(&nats, answer, |_| Vec::new());
    // A host with the base format has no log, and neither has a host without a job.
    let mut base = base_presence("old2", "test", "legacy");
    base["job"] =
        json!({"hostname": "old2", "id": "job", "status": "running", "error": null, "message": "at work"});
    let _base = FakeListener::start(&nats, base, |_| Vec::new());
    let _idle = HostBuilder::new(&nats, "web1", "test", "web").start();
    let mut console = Console::open(&nats, "tester");
    console.sort_by_name();
    console.lists(&["old1", "old2", "web1"]);
    console.select("old1");
    console.shows("no answer to the log query");
    for host in ["old2", "web1"] {
        console.select(host);
        console.line(&[&format!("┌─ {host} ")]);
        console.hides("log query");
    }
}
