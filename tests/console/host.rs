//! One host: its past, the way back, a reboot, and what a deployment would change.

use crate::common::{Broker, HostBuilder, Peer, Running, Wire, base_answer, base_report, operator, run};
use crate::stage::{Console, ESC, console};
use serde_json::{Value, json};

/// Opens the screen of a host that is in view.
fn open(console: &mut Console, host: &str) {
    console.select(host);
    console.types("\r");
    console.line(&["homelab-deploy", &format!(" ▸ {host}")]);
}

/// A host of a known past that can go back and reboot, and does. It tells of changes after a dry run.
fn able(broker: &Broker, name: &str) -> Peer {
    let mut answer = base_answer(name, "test", "web");
    answer["capabilities"] = json!(["rollback", "reboot"]);
    answer["instance"] = json!("one");
    answer["generation"] = json!(43);
    answer["failed_units"] = json!(["nginx.service"]);
    let name = name.to_owned();
    Peer::start(broker, answer, move |body| vec![said(&name, body)])
}

fn said(name: &str, body: &Value) -> Value {
    let entry = |n: u64| {
        json!({"id": format!("job{n}"), "at": "2026-11-20T10:00:00Z", "action": "switch", "status": "completed",
            "issuer": "alice@laptop", "revision": format!("v{n}"), "generation": n, "elapsed_ms": 48200})
    };
    match body["want"].as_str() {
        Some("history") => {
            let entries: Vec<_> = [43, 42, 41].map(entry).into();
            json!({"want": "history", "hostname": name, "entries": entries, "next": null})
        }
        Some(_) => json!({"want": "job", "hostname": name, "report": null}),
        None => {
            let action = body["action"].as_str().unwrap();
            let mut report = base_report(name, "completed", None, &format!("{action} done"));
            report["action"] = json!(action);
            report["id"] = body["id"].clone();
            if action == "dry-activate" {
                report["changes"] = json!({"packages": [{"name": "linux", "from": "6.12.8", "to": "6.12.9"}],
                    "bytes": 4096, "units_restarted": ["nginx.service"]});
            }
            report
        }
    }
}

#[test]
fn its_past_is_shown_and_grows_while_one_looks() {
    let broker = Broker::start();
    let script = "case $* in *no*) echo no such package; exit 1;; esac; echo done";
    let _host = HostBuilder::new(&broker, "web1", "test", "web").script(script).start();
    let deploy = |branch: &str, code| {
        run(operator(&broker, "admin").args(["deploy", "web1", "--branch", branch]), code);
    };
    deploy("first", 0);
    let mut console = Console::of(&console(&broker, "viewer"), 100, 50);
    console.row("web1", &["● idle"]);
    open(&mut console, "web1");
    console.line(&["switch", "first", "✓ completed", "admin@"]);
    deploy("second", 0);
    console.line(&["switch", "second", "✓ completed", "admin@"]);
    deploy("third", 0);
    for revision in ["first", "second", "third"] {
        console.line(&["switch", revision, "✓ completed"]);
    }
    console.types(ESC);
    console.row("web1", &["● idle"]);
}

#[test]
fn what_a_failure_said_last_is_asked_for() {
    let broker = Broker::start();
    let script = "echo no such package; exit 1";
    let _host = HostBuilder::new(&broker, "web1", "test", "web").script(script).start();
    run(operator(&broker, "admin").args(["deploy", "web1"]), 1);
    // It came too late for the report itself, and announcements leave this out.
    let mut console = Console::of(&console(&broker, "viewer"), 100, 40);
    console.row("web1", &["✗ "]);
    open(&mut console, "web1");
    console.line(&["│   | no such package"]);
    console.line(&["switch", "master", "✗ activation_failed"]);
}

#[test]
fn who_does_not_tell_is_said_so() {
    let broker = Broker::start();
    let answer = base_answer("old1", "test", "legacy");
    let again = answer.clone();
    let _base = Peer::start(&broker, answer, move |_| vec![again.clone()]);
    let _silent = Peer::start(&broker, base_answer("web2", "test", "web"), |_| Vec::new());
    let mut console = Console::open(&broker, "viewer");
    console.lists(&["old1", "web2"]);
    open(&mut console, "old1");
    console.shows("its listener is too old to tell; update it");
    console.types(ESC);
    open(&mut console, "web2");
    console.shows("asking the host");
    console.shows("the host does not answer");
}

#[test]
fn back_to_the_generation_that_is_chosen() {
    let broker = Broker::start();
    let peer = able(&broker, "web1");
    let mut console = Console::open(&broker, "tester");
    console.row("web1", &["! unit failed", "nginx"]);
    open(&mut console, "web1");
    console.line(&["switch", "v42", "✓ completed"]);
    // A failed unit, then the jobs.
    console.types("jjj");
    console.line(&["│ ▸ ", "v42"]);
    console.types("b");
    console.shows("─ roll back ─");
    console.line(&["● web1 ", "▸ generation 42"]);
    console.types("\r");
    console.hides("─ roll back ─");
    console.types("b");
    console.shows("[ Cancel ]  [ Roll back 1 host ]");
    console.types("\u{1b}[C\r");
    let request = peer.request();
    assert_eq!((&request["action"], &request["generation"]), (&json!("rollback"), &json!(42)));
    assert_eq!(request.get("revision"), None, "{request}");
    console.shows("rollback to generation 42 on web1: 1 completed");
    console.line(&["Job  rollback"]);
    // And without one, what ran before; and a reboot.
    console.types("g");
    console.types("b\u{1b}[C\r");
    let request = peer.request();
    assert_eq!((&request["action"], request.get("generation")), (&json!("rollback"), None));
    console.shows("rollback on web1: 1 completed");
    console.types("\u{12}");
    console.shows("[ Cancel ]  [ Reboot 1 host ]");
    console.types("\u{1b}[C\r");
    assert_eq!(peer.request()["action"], "reboot");
    console.shows("reboot on web1: 1 completed");
    assert_eq!(peer.others(), 0);
}

#[test]
fn a_listener_that_cannot_go_back_is_sent_nothing() {
    let broker = Broker::start();
    let _host = HostBuilder::new(&broker, "web1", "test", "web").start();
    let wire = Wire::connect(&broker, "everything");
    let sent = wire.listen("deploy.test.>");
    let mut console = Console::open(&broker, "tester");
    console.row("web1", &["● idle"]);
    for (key, action) in [("b", "rollback"), ("\u{12}", "reboot")] {
        console.types(key);
        console.shows(&format!("the listener on web1 cannot do `{action}`; update it, nothing was sent"));
        console.types("\u{1b}[C\r");
        console.types(ESC);
        console.hides("[ Cancel ]");
    }
    wire.round_trip();
    assert_eq!(sent.arrived(), []);
}

#[test]
fn what_would_change_is_shown_in_the_pane_and_on_the_screen_of_the_host() {
    let broker = Broker::start();
    let peer = able(&broker, "web1");
    let script = "echo would restart the following units: sshd.service";
    let _program = HostBuilder::new(&broker, "db1", "test", "db").script(script).start();
    let mut console = Console::of(&console(&broker, "tester"), 100, 40);
    console.lists(&["db1", "web1"]);
    console.types("a");
    console.line(&["✓ 2 marked"]);
    console.types("D");
    console.shows("[ Cancel ]  [ Show what would change on 2 hosts ]");
    console.types("\r");
    let request = peer.request();
    assert_eq!((&request["action"], &request["revision"]), (&json!("dry-activate"), &json!("master")));
    console.shows("dry-activate master on 2 hosts: 2 completed");
    // The same hosts are deployed to next.
    console.line(&["✓ 2 marked"]);
    console.select("db1");
    console.shows("the host did not report what would change; its log may");
    console.shows("would restart the following units: sshd.service");
    console.select("web1");
    for screen in ["┌─ web1 ▸ dry-activate", "Job  dry-activate"] {
        console.shows(screen);
        console.shows("changes 1 package, +4 KiB, 1 unit");
        console.shows("linux 6.12.8 ▸ 6.12.9");
        console.shows("restarts nginx.service");
        console.types("\r");
    }
}

#[test]
fn a_job_that_runs_is_followed_and_cancelled_there() {
    let broker = Broker::start();
    let (_host, _gate) = crate::stage::held(&broker, "web1", &crate::stage::waits_in(&["build"]));
    let mut console = Console::open(&broker, "tester");
    console.row("web1", &["● idle"]);
    open(&mut console, "web1");
    console.shows("no job has ended there yet");
    let _deploy = Running::start(operator(&broker, "admin").args(["deploy", "web1"]));
    console.line(&["✓ prepare ", "▶ build "]);
    console.shows("1 of 3 built");
    console.types("cy");
    console.line(&["switch", "✗ cancelled"]);
    console.shows("cancelled: stopped in build; nothing was changed");
}
