//! Deployments of two operators at the same time, with the result of each host.

use crate::common::{NatsServer, RunningCommand, operator};
use crate::harness::{Console, ESC, console, held, waits_in};

/// A rebuild program that waits in its build, and then fails like nix.
fn fails_to_build() -> String {
    let drv = "/nix/store/0123456789abcdfghijklmnpqrsvwxyz-foo-1.2.drv";
    format!("{}echo \"error: builder for '{drv}' failed with exit code 2\"\nexit 1", waits_in(&["build"]))
}

#[test]
fn two_simultaneous_deployments_are_shown_and_one_is_cancelled() {
    let nats = NatsServer::start();
    let bad = fails_to_build();
    let (_web1, web1) = held(&nats, "web1", &bad);
    let (_web2, web2) = held(&nats, "web2", &bad);
    let (_db1, _gate) = held(&nats, "db1", &waits_in(&["build"]));
    let mut command = console(&nats, "tester");
    let mut console = Console::of(command.args(["--branch", "ours"]), 120, 40);
    console.sort_by_name();
    console.lists(&["db1", "web1", "web2"]);
    for host in ["db1", "web1", "web2"] {
        console.row(host, &["● idle"]);
    }
    // Nothing was deployed yet.
    console.types("v");
    console.shows("no deployments yet");
    console.types(ESC);

    // The other operator deploys to two hosts, and this console to the third.
    let mut other = operator(&nats, "admin");
    let other = RunningCommand::start(other.args(["deploy", "web1", "web2", "--branch", "feature"]));
    for host in ["web1", "web2"] {
        console.row(host, &["▶ build 1/3"]);
    }
    console.hides("2 deployments");
    console.select("db1");
    console.deploy();
    console.row("db1", &["▶ build 1/3"]);
    console.line(&[" 3 hosts ", "▶ 3 deploying"]);

    // Both are listed, ours first.
    console.types("v");
    console.line(&["─ deployments ─", "2 running, 2 known"]);
    console.line(&["▸", "tester@", "switch", "ours", " 1 ", "▶ 1 running", "21 %"]);
    console.line(&["admin@", "switch", "feature", " 2 ", "▶ 2 running", "21 %"]);

    // The other deployment is opened, with the result of each host.
    console.types("j\r");
    console.line(&["─ switch feature", "by admin@", "on 2 hosts"]);
    console.line(&["▸", "web1 ", "▶ build 1/3", "33 %", "building nginx"]);
    console.line(&[" web2 ", "▶ build 1/3", "33 %"]);
    web1.pass();
    console.line(&["web1: build of foo-1.2 failed"]);
    console.line(&[" web1 ", "✗ failed", "in build", "build of foo-1.2 failed"]);
    console.line(&["✗ 1 failed  ▶ 1 running", "60 %"]);
    web2.pass();
    console.line(&["2 hosts: build of foo-1.2 failed", "web1, web2"]);
    console.line(&["✗ 2 failed"]);
    console.shows("error: builder for '/nix/store/");
    let ended = other.wait_for_exit(1);
    let table = ended.stdout.split_once("\n\n").unwrap().1;
    assert!(table.contains("\n2 hosts: build of foo-1.2 failed (web1, web2)\n"), "{ended}");

    // The incomplete hosts are offered again.
    console.types("d");
    console.shows("2 that did not complete");
    console.shows("[ Deploy to 2 hosts ]");
    let listed = console.form_hosts();
    assert!(listed.len() == 2 && listed[0].contains("web1") && listed[1].contains("web2"), "{listed:?}");
    console.types(ESC);
    console.hides("─ deploy ─");

    // Our deployment is still running, and is cancelled.
    console.types(ESC);
    console.line(&["─ deployments ─", "1 running, 2 known"]);
    console.types("g\r");
    console.line(&["▸", "db1 ", "▶ build 1/3"]);
    console.types("C");
    console.shows("Cancel switch ours on db1?");
    console.types("y");
    console.line(&["db1 ", "! cancelled", "stopped in build"]);
    console.shows("switch ours on db1: 1 cancelled (db1)");
    console.types(ESC);
    console.line(&["─ deployments ─", "0 running, 2 known"]);
    console.line(&["tester@", "! 1 cancelled"]);
    console.line(&["admin@", "✗ 2 failed"]);
    // From the deployment to the host, and back to the fleet screen.
    console.types("\r\r");
    console.line(&["▸ fleet ▸ deployments ▸ switch ours ▸ db1 "]);
    console.types("qqq");
    console.lists(&["db1", "web1", "web2"]);
    console.wrote_only_its_own();
}

#[test]
fn progress_is_shown_below_the_host_table() {
    let nats = NatsServer::start();
    let (_web1, web1) = held(&nats, "web1", &waits_in(&["build"]));
    let (_web2, web2) = held(&nats, "web2", &waits_in(&["build"]));
    let mut console = Console::open(&nats, "tester");
    for host in ["web1", "web2"] {
        console.row(host, &["● idle"]);
    }
    console.types("a");
    console.deploy();
    console.shows("switch master on 2 hosts: 0 of 2 done");
    console.hides("sending");
    web1.pass();
    console.shows("switch master on 2 hosts: 1 of 2 done");
    web2.pass();
    console.shows("switch master on 2 hosts: 2 completed");
}
