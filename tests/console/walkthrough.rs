//! A complete session: look around, filter, mark, deploy, watch, and find out why a host failed.

use crate::common::{HostBuilder, NatsServer, RawClient, operator, run};
use crate::harness::{BACK_TAB, Console, ESC, console, held, waits_in};

#[test]
fn a_deployment_from_start_to_results_on_a_small_screen() {
    walk(80, 24);
}

#[test]
fn a_deployment_from_start_to_results_on_a_large_screen() {
    walk(160, 50);
}

fn walk(columns: u16, rows: u16) {
    let nats = NatsServer::start();
    let (_web1, web_gate) = held(&nats, "web1", &waits_in(&["build", "activate"]));
    let bad = format!("{}echo 'cannot build'\nexit 1", waits_in(&["build"]));
    let (_db1, db_gate) = held(&nats, "db1", &bad);
    let _ns1 = HostBuilder::new(&nats, "ns1", "prod", "dns").start();
    // The host is in the inventory and offline.
    let mut web2 = HostBuilder::new(&nats, "web2", "test", "web").start();
    run(operator(&nats, "admin").arg("hosts"), 0);
    web2.kill();
    let wire = RawClient::connect(&nats, "everything");
    let sent = wire.subscribe("deploy.test.*");

    let mut console = Console::of(&console(&nats, "admin"), columns, rows);
    console.sort_by_name();
    console.lists(&["db1", "ns1", "web1", "web2"]);
    for host in ["db1", "ns1", "web1"] {
        console.row(host, &["● idle"]);
    }
    console.row("web2", &["○ offline"]);
    console.line(&[" 4 hosts ", "● 3 online", "○ 1 offline"]);

    look_through(&mut console);
    mark(&mut console);
    refrain(&mut console);
    console.deploy();
    console.line(&["switch master", "on 3 hosts"]);
    console.types(ESC);
    let requests: Vec<_> = (0..3).map(|_| sent.next()).collect();
    let mut subjects: Vec<_> = requests.iter().map(|request| request.subject.as_str()).collect();
    subjects.sort_unstable();
    assert_eq!(subjects, ["deploy.test.db1", "deploy.test.web1", "deploy.test.web2"]);
    assert!(requests.iter().all(|request| request.body["action"] == "switch"), "{requests:?}");

    watch(&mut console, || web_gate.pass());
    db_gate.pass();
    console.row("db1", &["✗ failed: build", "build failed: "]);
    console.line(&[" 4 hosts ", "✗ 1 failed"]);
    console.select("db1");
    console.line(&["─ db1 ▸ switch master by admin@"]);
    console.line(&["✓ prepare", "✗ build", "– check"]);
    console.shows("build failed: ");
    console.shows("cannot build");
    console.shows("switch master on 3 hosts: 1 completed, 1 failed (db1), 1 silent (web2)");
    assert_eq!(sent.received().len(), 0);
    console.types("q");
    let screen = console.wait_for_exit();
    assert_eq!((screen.code, screen.left), (0, Vec::new()));
}

/// Filters by text and by a term, and restores the previous filter.
fn look_through(console: &mut Console) {
    console.types("/WEB");
    console.lists(&["web1", "web2"]);
    console.line(&["hosts 2 of 4 /WEB"]);
    console.types(ESC);
    console.lists(&["db1", "ns1", "web1", "web2"]);
    console.types("/tier:test !web2");
    console.lists(&["db1", "web1"]);
    console.types("\u{8}\u{17}\r");
    console.lists(&["db1", "web1", "web2"]);
    console.line(&["hosts 3 of 4 /tier:test "]);
}

/// Marks the filtered hosts, and clears the filter.
fn mark(console: &mut Console) {
    console.select("db1");
    console.types("   ");
    console.line(&[" 4 hosts ", "✓ 3 marked"]);
    console.types(ESC);
    console.lists(&["db1", "ns1", "web1", "web2"]);
    for host in ["db1", "web1", "web2"] {
        console.row(host, &["✓"]);
    }
    assert!(!console.row("ns1", &[]).contains('✓'));
}

/// Opens the form and accepts its defaults, which send nothing.
fn refrain(console: &mut Console) {
    console.types("d");
    console.shows("[ Cancel ]  [ Deploy to 3 hosts ]");
    let listed = console.form_hosts();
    assert_eq!(listed.len(), 3, "{listed:?} of {:#?}", console.lines());
    for (line, host, state) in
        [(&listed[0], "● db1 ", ""), (&listed[1], "● web1 ", ""), (&listed[2], "○ web2 ", "offline, seen ")]
    {
        assert!(line.starts_with(host) && line.contains(state), "{listed:?}");
    }
    console.types("\t\t\t\t\r");
    console.hides("─ deploy ─");
    console.types("d");
    console.shows("─ deploy ─");
    console.types(&format!("{BACK_TAB}{BACK_TAB}\r"));
    console.hides("─ deploy ─");
}

/// Watches both builds, and the activation of one host.
fn watch(console: &mut Console, mut pass_gate: impl FnMut()) {
    console.line(&[" 4 hosts ", "▶ 2 deploying"]);
    console.row("db1", &["▶ build 1/3"]);
    console.row("web1", &["▶ build 1/3"]);
    console.select("web1");
    console.line(&["─ web1 ▸ switch master by admin@"]);
    console.line(&["✓ prepare ", "▶ build ", "· check", "· activate"]);
    console.shows("building nginx");
    pass_gate();
    console.row("web1", &["▶ activate"]);
    console.line(&["✓ build", "▶ activate"]);
    console.line(&[" 4 hosts ", "▶ 2 deploying"]);
    pass_gate();
    console.row("web1", &["● idle", "master"]);
    console.shows("switch done");
}
