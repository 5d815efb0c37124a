//! Deployments side by side: of another operator and from here, each with the result of every host.

use crate::common::{Broker, Running, operator};
use crate::stage::{Console, ESC, console, held, waits_in};

/// A rebuild program that is held in its build, and then fails as nix does.
fn fails_to_build() -> String {
    let drv = "/nix/store/0123456789abcdfghijklmnpqrsvwxyz-foo-1.2.drv";
    format!("{}echo \"error: builder for '{drv}' failed with exit code 2\"\nexit 1", waits_in(&["build"]))
}

#[test]
fn two_at_once_are_seen_opened_and_one_of_them_cancelled() {
    let broker = Broker::start();
    let bad = fails_to_build();
    let (_web1, web1) = held(&broker, "web1", &bad);
    let (_web2, web2) = held(&broker, "web2", &bad);
    let (_db1, _gate) = held(&broker, "db1", &waits_in(&["build"]));
    let mut command = console(&broker, "tester");
    let mut console = Console::of(command.args(["--branch", "ours"]), 120, 40);
    console.lists(&["db1", "web1", "web2"]);
    for host in ["db1", "web1", "web2"] {
        console.row(host, &["● idle"]);
    }
    // Nothing was deployed yet.
    console.types("v");
    console.shows("no deployment was heard of yet");
    console.types(ESC);

    // Another operator's on two hosts, and ours on the third.
    let mut other = operator(&broker, "admin");
    let other = Running::start(other.args(["deploy", "web1", "web2", "--branch", "feature"]));
    for host in ["web1", "web2"] {
        console.row(host, &["▶ build 1/3"]);
    }
    console.hides("2 deployments");
    console.select("db1");
    console.deploy();
    console.row("db1", &["▶ build 1/3"]);
    console.line(&[" 3 hosts ", "2 deployments", "▶ 3 deploying"]);

    // Both are seen, ours first.
    console.types("v");
    console.line(&["─ deployments ─", "2 running, 2 known"]);
    console.line(&["▸", "tester@", "switch", "ours", " 1 ", "▶ 1 running", "0 %"]);
    console.line(&["admin@", "switch", "feature", " 2 ", "▶ 2 running", "0 %"]);

    // Theirs is opened and each host's result read side by side.
    console.types("j\r");
    console.line(&["─ switch feature", "by admin@", "on 2 hosts"]);
    console.line(&["▸", "web1 ", "▶ build 1/3", "33 %", "building nginx"]);
    console.line(&[" web2 ", "▶ build 1/3", "33 %"]);
    web1.pass();
    console.line(&["web1: build of foo-1.2 failed"]);
    console.line(&[" web1 ", "✗ failed", "in build", "build of foo-1.2 failed"]);
    console.line(&["✗ 1 failed  ▶ 1 running", "50 %"]);
    web2.pass();
    console.line(&["2 hosts: build of foo-1.2 failed", "web1, web2"]);
    console.line(&["✗ 2 failed"]);
    console.shows("error: builder for '/nix/store/");
    let said = other.ended(1);
    let table = said.out.split_once("\n\n").unwrap().1;
    assert!(table.contains("\n2 hosts: build of foo-1.2 failed (web1, web2)\n"), "{said}");

    // What did not complete is offered again, exactly.
    console.types("d");
    console.shows("2 that did not complete");
    let listed = console.form_hosts();
    assert!(listed.len() == 2 && listed[0].contains("web1") && listed[1].contains("web2"), "{listed:?}");
    console.types(ESC);
    console.hides("─ deploy ─");

    // Ours still runs, and is cancelled.
    console.types(ESC);
    console.line(&["─ deployments ─", "1 running, 2 known"]);
    console.types("g\r");
    console.line(&["▸", "db1 ", "▶ build 1/3"]);
    console.types("c");
    console.shows("Cancel switch ours on db1?");
    console.types("y");
    console.line(&["db1 ", "✗ failed", "cancelled: stopped in build"]);
    console.shows("switch ours on db1: 1 failed (db1)");
    console.types(ESC);
    console.line(&["─ deployments ─", "0 running, 2 known"]);
    console.line(&["tester@", "✗ 1 failed"]);
    console.line(&["admin@", "✗ 2 failed"]);
    // From the deployment to the host, and all the way back.
    console.types("\r\r");
    console.line(&["▸ fleet ▸ deployments ▸ switch ours ▸ db1 "]);
    console.types("qqq");
    console.lists(&["db1", "web1", "web2"]);
    console.wrote_only_its_own();
}

#[test]
fn how_many_hosts_are_done_stands_below_the_table() {
    let broker = Broker::start();
    let (_web1, web1) = held(&broker, "web1", &waits_in(&["build"]));
    let (_web2, web2) = held(&broker, "web2", &waits_in(&["build"]));
    let mut console = Console::open(&broker, "tester");
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
