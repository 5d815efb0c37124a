//! The host screen: history, rollback, reboot and dry run.

use crate::common::{
    FakeListener, HostBuilder, NatsServer, RawClient, RunningCommand, base_presence, base_report, operator,
    run,
};
use crate::harness::{Console, ESC, console};
use serde_json::{Value, json};

/// Opens the screen of a visible host.
fn open(console: &mut Console, host: &str) {
    console.select(host);
    console.types("\r");
    console.line(&["homelab-deploy", &format!(" ▸ {host}")]);
}

/// A host with a history that supports rollback and reboot, and reports the changes of a dry run.
fn able(nats: &NatsServer, name: &str) -> FakeListener {
    let mut answer = base_presence(name, "test", "web");
    answer["capabilities"] = json!(["rollback", "reboot"]);
    answer["instance"] = json!("one");
    answer["generation"] = json!(43);
    answer["failed_units"] = json!(["nginx.service"]);
    let name = name.to_owned();
    FakeListener::start(nats, answer, move |body| vec![reply(&name, body)])
}

fn reply(name: &str, body: &Value) -> Value {
    let entry = |n: u64| {
        json!({"id": format!("job{n}"), "at": "2026-11-20T10:00:00Z", "action": "switch", "status": "completed",
            "issuer": "alice@laptop", "revision": format!("v{n}"), "generation": n, "elapsed_ms": 48200})
    };
    match body["query"].as_str() {
        Some("history") => {
            let entries: Vec<_> = [43, 42, 41].map(entry).into();
            json!({"query": "history", "hostname": name, "entries": entries, "next": null})
        }
        Some(_) => json!({"query": "job", "hostname": name, "report": null}),
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
fn the_history_is_shown_and_updated() {
    let nats = NatsServer::start();
    let _host = HostBuilder::new(&nats, "web1", "test", "web").script("echo done").start();
    let deploy = |branch: &str| {
        run(operator(&nats, "admin").args(["deploy", "web1", "--branch", branch]), 0);
    };
    deploy("first");
    let mut console = Console::of(&console(&nats, "viewer"), 100, 50);
    console.row("web1", &["● idle"]);
    open(&mut console, "web1");
    console.line(&["switch", "first", "✓ completed", "admin@"]);
    deploy("second");
    console.line(&["switch", "second", "✓ completed", "admin@"]);
    deploy("third");
    for revision in ["first", "second", "third"] {
        console.line(&["switch", revision, "✓ completed"]);
    }
    console.types(ESC);
    console.row("web1", &["● idle"]);
}

#[test]
fn the_last_output_of_a_failure_is_queried() {
    let nats = NatsServer::start();
    let script = "echo no such package; exit 1";
    let _host = HostBuilder::new(&nats, "web1", "test", "web").script(script).start();
    run(operator(&nats, "admin").args(["deploy", "web1"]), 1);
    // The output came too late for the report, and presence messages do not contain it.
    let mut console = Console::of(&console(&nats, "viewer"), 100, 40);
    console.row("web1", &["✗ "]);
    open(&mut console, "web1");
    console.line(&["│   | no such package"]);
    console.line(&["switch", "master", "✗ activation failed"]);
}

#[test]
fn a_host_without_history_reply_is_marked() {
    let nats = NatsServer::start();
    let answer = base_presence("old1", "test", "legacy");
    let again = answer.clone();
    let _base = FakeListener::start(&nats, answer, move |_| vec![again.clone()]);
    let _silent = FakeListener::start(&nats, base_presence("web2", "test", "web"), |_| Vec::new());
    let mut console = Console::open(&nats, "viewer");
    console.lists(&["old1", "web2"]);
    open(&mut console, "old1");
    console.shows("the listener is too old to report its history; update it");
    console.types(ESC);
    open(&mut console, "web2");
    console.shows("querying the host");
    console.shows("no answer from the host");
}

#[test]
fn a_rollback_to_the_selected_generation() {
    let nats = NatsServer::start();
    let peer = able(&nats, "web1");
    let mut console = Console::open(&nats, "tester");
    console.row("web1", &["! unit failed", "nginx"]);
    open(&mut console, "web1");
    console.line(&["switch", "v42", "✓ completed"]);
    // A failed unit, then the jobs.
    console.types("jjj");
    console.line(&["│ ▸ ", "v42"]);
    console.types("b");
    console.shows("─ roll back ─");
    console.line(&["● web1 ", "→ generation 42"]);
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
    // A rollback without a generation, and a reboot.
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
    assert_eq!(peer.unread_requests(), 0);
}

#[test]
fn nothing_is_sent_to_a_listener_without_rollback() {
    let nats = NatsServer::start();
    let _host = HostBuilder::new(&nats, "web1", "test", "web").start();
    let wire = RawClient::connect(&nats, "everything");
    let sent = wire.subscribe("deploy.test.>");
    let mut console = Console::open(&nats, "tester");
    console.row("web1", &["● idle"]);
    for (key, reason) in [
        ("b", "does not support `rollback`: it has a rebuild program,"),
        ("\u{12}", "does not support `reboot`: it has a rebuild program,"),
    ] {
        console.types(key);
        console.shows(&format!("the listener on web1 {reason}"));
        console.types("\u{1b}[C\r");
        console.types(ESC);
        console.hides("[ Cancel ]");
    }
    wire.round_trip();
    assert_eq!(sent.received(), []);
}

#[test]
fn changes_are_shown_in_the_pane_and_on_the_host_screen() {
    let nats = NatsServer::start();
    let peer = able(&nats, "web1");
    let script = "echo would restart the following units: sshd.service";
    let _program = HostBuilder::new(&nats, "db1", "test", "db").script(script).start();
    let mut console = Console::of(&console(&nats, "tester"), 100, 40);
    console.sort_by_name();
    console.lists(&["db1", "web1"]);
    console.types("a");
    console.line(&["✓ 2 marked"]);
    console.types("D");
    console.shows("[ Cancel ]  [ Show changes on 2 hosts ]");
    console.types("\r");
    let request = peer.request();
    assert_eq!((&request["action"], &request["revision"]), (&json!("dry-activate"), &json!("master")));
    console.shows("dry-activate master on 2 hosts: 2 completed");
    // The changes of both in one list.
    console.line(&["1 host ", "linux 6.12.8 → 6.12.9", "! needs a reboot"]);
    console.types(ESC);
    console.lists(&["db1", "web1"]);
    // The marks stay, because the same hosts are often deployed next.
    console.line(&["✓ 2 marked"]);
    console.select("db1");
    console.shows("the host did not report what would change; see its log");
    console.shows("would restart the following units: sshd.service");
    console.select("web1");
    for screen in ["┌─ web1 ▸ dry-activate", "Job  dry-activate"] {
        console.shows(screen);
        console.shows("changes 1 package, +4 KiB, 1 unit");
        console.shows("linux 6.12.8 → 6.12.9");
        console.shows("restarts nginx.service");
        console.types("\r");
    }
}

#[test]
fn a_running_job_is_followed_and_cancelled_on_the_host_screen() {
    let nats = NatsServer::start();
    let (_host, _gate) = crate::harness::held(&nats, "web1", &crate::harness::waits_in(&["build"]));
    let mut console = Console::open(&nats, "tester");
    console.row("web1", &["● idle"]);
    open(&mut console, "web1");
    console.shows("no finished jobs yet");
    let _deploy = RunningCommand::start(operator(&nats, "admin").args(["deploy", "web1"]));
    console.line(&["✓ prepare ", "▶ build "]);
    console.shows("1 of 3 built");
    console.types("cy");
    console.line(&["switch", "✗ cancelled"]);
    console.shows("cancelled: stopped in build; nothing was changed");
}
