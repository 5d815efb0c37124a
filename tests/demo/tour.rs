//! All screens of the console on the demo, and what each of them must show.

use crate::session::{DemoSession, ESC, LEFT, RIGHT};
use std::fs;

#[test]
fn every_screen_on_a_small_terminal() {
    tour((80, 24));
}

#[test]
fn every_screen_on_a_large_terminal() {
    tour((160, 50));
}

fn tour(size: (u16, u16)) {
    let away = tempfile::tempdir().unwrap();
    let mut session = DemoSession::sized(12, size, |command| {
        command.current_dir(away.path());
    });
    attention(&mut session);
    fleet(&mut session);
    filter(&mut session);
    groups(&mut session);
    columns(&mut session);
    help(&mut session);
    command_line(&mut session);
    forms(&mut session);
    host(&mut session);
    log(&mut session);
    fs::remove_dir_all(away.path()).unwrap();
    error_dialog(&mut session);
    deployments(&mut session);
    session.row("web3", &["▸", "✗ rolled back"]);
    session.console.types("q");
    let screen = session.console.wait_for_exit();
    assert_eq!((screen.code, screen.left), (0, Vec::new()));
}

/// Hosts that need attention are visible at once, even on a small terminal.
fn attention(session: &mut DemoSession) {
    session.console.line(&["─ hosts 12 ─", " what needs attention first "]);
    for (host, state) in [
        ("web3", "✗ rolled back"),
        ("cache2", "✗ rolled back"),
        ("dns3", "! unit failed"),
        ("web2", "! /boot low"),
        ("dns2", "↻ needs reboot"),
        ("ci2", "↻ needs reboot"),
    ] {
        session.row(host, &[state]);
    }
    let lines = session.console.lines();
    let row = |host: &str| lines.iter().position(|line| line.contains(&format!(" {host} "))).unwrap();
    assert!(row("web3") < row("dns3") && row("dns3") < row("ci2"), "{lines:#?}");
    session.console.types(":sort host\rg");
    session.row("cache1", &["▸"]);
}

fn fleet(session: &mut DemoSession) {
    session.console.line(&[" homelab-deploy ▸ fleet ", "● rtt ", " ms", "operator@demo"]);
    session.console.line(&[
        " 12 hosts ",
        "● 12",
        "✗ 2 failed",
        "! 1 failed unit",
        "! 1 disk low",
        "↻ 2",
        "↓ 11",
    ]);
    session.console.line(&["─ hosts 12 ─", " sort: host ▲ "]);
    session.row("cache1", &["▸", "test ", "cache ", "● idle", "8782436 −1"]);
    session.row("dns2", &["↻ needs reboot"]);
    session.console.line(&["─ cache1 ▸ switch main 8782436 by ci@runner, 28.0 s, 2 d ago ─"]);
    session.console.line(&["✓ prepare", "✓ build", "✓ check", "✓ activate", "✓ verify", "✓ persist"]);
    session.console.shows("completed: switch done, generation 81");
    session.console.line(&[
        "d deploy",
        "enter host",
        "/ filter",
        "f faults",
        "l log",
        "space mark",
        "? help",
        "q quit",
    ]);
    session.console.types("G");
    session.row("web3", &["▸", "prod ", "✗ rolled back", "f0e5c45 −2"]);
    session.console.shows("bind() to 0.0.0.0:9100 failed (98: Address already in use)");
}

fn filter(session: &mut DemoSession) {
    session.console.types("/role:dns");
    session.console.line(&["─ hosts 3 of 12 /role:dns "]);
    session.console.line(&["enter keep", "esc back", "tier: role: state:"]);
    session.console.types(" seen>x");
    session.console.line(&["└─ ", "seen>"]);
    session.console.types(&"\u{7f}".repeat(" seen>x".len()));
    session.console.types("\r");
    session.console.line(&["─ hosts 3 of 12 /role:dns ─"]);
    session.console.hides("web3");
    session.console.types(ESC);
    session.console.line(&["─ hosts 12 ─"]);
    session.console.types("f");
    session.console.line(&["─ hosts ", " of 12 with faults "]);
    session.row("web3", &["✗ rolled back"]);
    session.row("dns3", &["! unit failed", "smartd"]);
    session.row("dns2", &["↻ needs reboot"]);
    session.console.hides("cache1");
    session.console.types("f");
    session.console.line(&["─ hosts 12 ─"]);
}

fn groups(session: &mut DemoSession) {
    session.console.types("tg");
    session.console.line(&["│▸  ▾ tier prod, role dns    3 hosts   ! 1 failed unit  ↻ 1 reboot"]);
    session.row("dns1", &["prod"]);
    session.console.line(&["│ dns3  ", "failed units: smartd.service"]);
    session.console.types(LEFT);
    session.console.line(&["│▸  ▸ tier prod, role dns    3 hosts   ! 1 failed unit  ↻ 1 reboot"]);
    session.console.hides("dns1");
    session.console.line(&["│   ▾ tier prod, role web    3 hosts   ✗ 1 failed"]);
    session.console.types(RIGHT);
    session.row("dns1", &["prod"]);
    session.console.types("t");
    session.console.hides("tier prod, role dns ");
}

fn columns(session: &mut DemoSession) {
    session.console.types("w");
    session.console.line(&["HOST ▲", "STATE", "RUNS", "BOOTED", "STORE FREE"]);
    session.row("dns2", &["↻ needs reboot", "reboot", " GiB"]);
    session.console.types("w:sort tier\r");
    session.console.line(&["HOST", "TIER ▲", "WHAT TO KNOW"]);
    session.console.types(":sort host\r");
    session.console.line(&["HOST ▲", "TIER", "WHAT TO KNOW"]);
}

fn help(session: &mut DemoSession) {
    session.console.types("?");
    session.console.line(&["─ keys  1-", " j k scroll "]);
    session.console.shows("Fleet");
    session.console.line(&[" d ", "deploy to the marked hosts, or to this one"]);
    session.console.types("G");
    session.console.shows("Prompt");
    session.console.types("?");
    session.console.hides("─ keys ");
}

fn command_line(session: &mut DemoSession) {
    session.console.types(":dep");
    session.console.line(&[" deploy  deployments"]);
    session.console.types("loy role=web branch=");
    session.console.line(&[" branch=main  branch=testing"]);
    session.console.types("m\t");
    session.console.line(&[":deploy role=web branch=main"]);
    session.console.types(ESC);
    session.console.hides(":deploy");
    session.console.types(":histry web1\r");
    session.console.line(&["histry", "history"]);
    session.console.types(ESC);
    session.console.hides(":histry");
    session.console.types(":mark role=dns\r");
    session.console.line(&[" 12 hosts ", "✓ 3 marked"]);
    session.console.types(":unmark\r");
    session.console.hides("3 marked");
}

fn forms(session: &mut DemoSession) {
    session.console.types("G");
    session.row("web3", &["▸"]);
    session.console.types("d");
    session.console.line(&["hosts ", "[web3]", "role web"]);
    session.console.line(&["revision ", "main"]);
    session.console.line(&["action ", "[switch]", "boot", "test", "dry-activate", "build"]);
    session.console.line(&["✗ web3 ", " prod ", "main f0e5c45 → main"]);
    session.console.line(&["confirm ", "type prod"]);
    session.console.line(&["[ Cancel ]  [ Deploy to 1 host ]"]);
    session.console.line(&["tab fields and buttons", "right change", "enter send", "esc back"]);
    session.console.types(RIGHT);
    session.console.line(&["[ Cancel ]  [ Deploy to 3 hosts ]"]);
    session.console.types(ESC);
    session.console.hides("─ deploy ─");
    session.console.types("b");
    session.console.shows("─ roll back ─");
    session.console.line(&["back to ", "the previous system"]);
    session.console.line(&["[ Cancel ]  [ Roll back 1 host ]"]);
    session.console.types(ESC);
    session.console.hides("─ roll back ─");
}

fn host(session: &mut DemoSession) {
    session.console.types("\r");
    session.console.line(&[" homelab-deploy ▸ fleet ▸ web3 "]);
    session.console.line(&["✗ rolled back", "seen "]);
    session.console.line(&["Job ", "switch main 8782436 by operator@demo, 1:17 min"]);
    session.console.shows("nginx: [emerg] bind() to 0.0.0.0:9100 failed");
    session.console.line(&["d deploy", "l log", "v deployments", "b roll back", "esc back", "? help"]);
    session.console.types("g");
    session.down_to(&["✗ nginx.service", "in the last job"]);
    session.down_to(&["switch", "main 8782436", "✗ verification"]);
}

/// The log of the job that is selected in the history.
fn log(session: &mut DemoSession) {
    session.console.types("l");
    session.console.line(&["─ web3 ▸ switch main 8782436 ", "✗ failed", "─ ended ─"]);
    session.console.shows("failed: a unit started failing: nginx.service; rolled back to the previous ");
    // The journal of the failed unit follows the log.
    session.console.shows("nginx: [emerg] bind() to 0.0.0.0:9100 failed (98: Address");
    session.console.line(&["F follow", "W wrap", "/ search", "n next", "esc back", "? help"]);
    session.console.types("g");
    session.console.line(&["─ ended, paused ─"]);
    session.console.shows("deploying git+file://");
    session.console.types("/nginx.SERVICE");
    session.console.line(&["/nginx.SERVICE", "no match"]);
    session.console.types("\u{17}nginx.service\r");
    session.console.line(&["/nginx.service", "match 1 of "]);
    session.console.types("n");
    session.console.line(&["match 2 of "]);
    session.console.types("N");
    session.console.line(&["match 1 of "]);
    session.console.types("W");
    session.console.line(&[" wrap ─"]);
    session.console.types("t");
    session.console.line(&["times"]);
    session.console.types("WtF");
    session.console.line(&["─ ended ─"]);
    session.console.types(ESC);
    session.console.hides("match ");
}

/// The log cannot be saved there.
fn error_dialog(session: &mut DemoSession) {
    session.console.types(":save /proc/none/log\r");
    session.console.shows("─ The log was not saved ");
    session.console.shows("choose a file in a writable");
    session.console.line(&["enter close"]);
    session.console.types("\r");
    session.console.hides("was not saved");
    session.console.types("q");
    session.console.line(&[" homelab-deploy ▸ fleet ▸ web3 "]);
}

fn deployments(session: &mut DemoSession) {
    session.console.types("v");
    session.console.line(&["─ deployments ─", " running, ", " known "]);
    session.console.line(&["│▸", "operator@demo", "switch", "main 8782436", "✓ 5 done  ✗ 1 failed"]);
    session.console.line(&["─ switch main 8782436 by operator@demo on 6 hosts, 2 d ago ─"]);
    session.console.shows("web3: verification failed: a unit started failing: nginx.service");
    session.console.types("\r");
    session.console.line(&["│▸ web3 ", "✗ failed", "rolled back", "1:17 min"]);
    session.console.line(&["─ web3 ✗ failed, 1:17 min ─"]);
    session.console.line(&["enter host", "l log", "d deploy to the rest", "esc back"]);
    session.console.types("j");
    session.console.line(&["│▸ dns1 ", "✓ completed", "switch done"]);
    session.console.line(&["─ dns1 ✓ completed, "]);
    session.console.types("d");
    session.console.line(&["hosts ", "[1 that did not complete]"]);
    session.console.types(ESC);
    session.console.hides("─ deploy ─");
    for screen in ["─ deployments ─", "┌─ web3 ─", "─ hosts 12 ─"] {
        session.console.types("q");
        session.console.shows(screen);
    }
}
