//! Every screen of the console on the demo, and what each of them must show.

use crate::stage::{ESC, LEFT, RIGHT, Stage};
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
    let mut stage = Stage::sized(12, size, |command| {
        command.current_dir(away.path());
    });
    attention(&mut stage);
    fleet(&mut stage);
    filter(&mut stage);
    groups(&mut stage);
    columns(&mut stage);
    help(&mut stage);
    command_line(&mut stage);
    forms(&mut stage);
    host(&mut stage);
    log(&mut stage);
    fs::remove_dir_all(away.path()).unwrap();
    error_box(&mut stage);
    deployments(&mut stage);
    stage.row("web3", &["▸", "✗ verify"]);
    stage.console.types("q");
    let screen = stage.console.ended();
    assert_eq!((screen.code, screen.left), (0, Vec::new()));
}

/// What is wrong is in view at once, on a small terminal too.
fn attention(stage: &mut Stage) {
    stage.console.line(&["─ hosts ─", " sort: state ▲ "]);
    for (host, state) in
        [("web3", "✗ verify"), ("dns3", "! unit failed"), ("dns2", "↻ reboot"), ("ci2", "↻ reboot")]
    {
        stage.row(host, &[state]);
    }
    let lines = stage.console.lines();
    let row = |host: &str| lines.iter().position(|line| line.contains(&format!(" {host} "))).unwrap();
    assert!(
        row("web3") < row("dns3") && row("dns3") < row("ci2") && row("ci2") < row("cache1"),
        "{lines:#?}"
    );
    stage.console.types(":sort host\rg");
    stage.row("cache1", &["▸"]);
}

fn fleet(stage: &mut Stage) {
    stage.console.line(&[" homelab-deploy ▸ fleet ", "● rtt ", " ms", "operator@demo"]);
    stage.console.line(&[" 12 hosts ", "● 12 online", "✗ 1 failed", "! 1 failed unit", "↻ 2", "↓ 11"]);
    stage.console.line(&["─ hosts ─", " sort: host ▲ "]);
    stage.row("cache1", &["▸", "test ", "cache ", "● idle", "↓ behind", "main 8782436"]);
    stage.row("dns2", &["↻ reboot"]);
    stage.console.line(&["─ cache1 ▸ switch main 8782436 by ci@runner, 28.0 s ─"]);
    stage.console.line(&["✓ prepare", "✓ build", "✓ check", "✓ activate", "✓ verify", "✓ persist"]);
    stage.console.shows("completed: switch done, generation 81");
    stage.console.line(&[
        "d deploy",
        "enter host",
        "/ filter",
        "f faults",
        "l log",
        "space mark",
        "? help",
        "q quit",
    ]);
    stage.console.types("G");
    stage.row("web3", &["▸", "prod ", "✗ verify", "rolled back", "main f0e5c45"]);
    stage.console.shows("verification_failed: a unit started failing: nginx.service; rolled");
}

fn filter(stage: &mut Stage) {
    stage.console.types("/role:dns");
    stage.console.line(&["─ hosts 3 of 12 /role:dns "]);
    stage.console.line(&["enter keep", "esc back", "tier: role: state:"]);
    stage.console.types(" seen>x");
    stage.console.line(&["└─ ", "seen>"]);
    stage.console.types(&"\u{7f}".repeat(" seen>x".len()));
    stage.console.types("\r");
    stage.console.line(&["─ hosts 3 of 12 /role:dns ─"]);
    stage.console.hides("web3");
    stage.console.types(ESC);
    stage.console.line(&["─ hosts ─"]);
    stage.console.types("f");
    stage.console.line(&["─ hosts ", " of 12 with faults "]);
    stage.row("web3", &["✗ verify", "rolled back"]);
    stage.row("dns3", &["! unit failed", "smartd"]);
    stage.row("dns2", &["↻ reboot"]);
    stage.console.hides("cache1");
    stage.console.types("f");
    stage.console.line(&["─ hosts ─"]);
}

fn groups(stage: &mut Stage) {
    stage.console.types("tg");
    stage.console.line(&["│▸  ▼ tier prod, role dns    3 hosts   ! 1 failed unit  ↻ 1 reboot"]);
    stage.row("dns1", &["prod"]);
    stage.console.line(&["│ dns3  ", "failed units: smartd.service"]);
    stage.console.types(LEFT);
    stage.console.line(&["│▸  ▶ tier prod, role dns    3 hosts   ! 1 failed unit  ↻ 1 reboot"]);
    stage.console.hides("dns1");
    stage.console.line(&["│   ▼ tier prod, role web    3 hosts   ✗ 1 failed"]);
    stage.console.types(RIGHT);
    stage.row("dns1", &["prod"]);
    stage.console.types("t");
    stage.console.hides("tier prod, role dns ");
}

fn columns(stage: &mut Stage) {
    stage.console.types("w");
    stage.console.line(&["HOST ▲", "STATE", "REVISION", "BOOTED", "STORE FREE"]);
    stage.row("dns2", &["↻ reboot", "reboot", " GiB"]);
    stage.console.types("ws");
    stage.console.line(&["HOST", "TIER ▲", "PROGRESS"]);
    stage.console.types(":sort host\r");
    stage.console.line(&["HOST ▲", "TIER ", "PROGRESS"]);
}

fn help(stage: &mut Stage) {
    stage.console.types("?");
    stage.console.line(&["─ keys  1-", " j k scroll "]);
    stage.console.shows("The fleet");
    stage.console.line(&[" d ", "deploy to the marked hosts, or to this one"]);
    stage.console.types("G");
    stage.console.shows("A question");
    stage.console.types("?");
    stage.console.hides("─ keys ");
}

fn command_line(stage: &mut Stage) {
    stage.console.types(":dep");
    stage.console.line(&[" deploy  deployments"]);
    stage.console.types("loy role=web branch=");
    stage.console.line(&[" branch=main  branch=testing"]);
    stage.console.types("m\t");
    stage.console.line(&[":deploy role=web branch=main"]);
    stage.console.types(ESC);
    stage.console.hides(":deploy");
    stage.console.types(":histry web1\r");
    stage.console.line(&["histry", "history"]);
    stage.console.types(ESC);
    stage.console.hides(":histry");
    stage.console.types(":mark role=dns\r");
    stage.console.line(&[" 12 hosts ", "✓ 3 marked"]);
    stage.console.types(":unmark\r");
    stage.console.hides("3 marked");
}

fn forms(stage: &mut Stage) {
    stage.console.types("G");
    stage.row("web3", &["▸"]);
    stage.console.types("d");
    stage.console.line(&["hosts ", "[web3]", "role web"]);
    stage.console.line(&["revision ", "main"]);
    stage.console.line(&["action ", "[switch]", "boot", "test", "dry-activate", "build"]);
    stage.console.line(&["● web3 ", " prod ", "main f0e5c45 ▸ main"]);
    stage.console.line(&["confirm ", "type prod"]);
    stage.console.line(&["[ Cancel ]  [ Deploy to 1 host ]"]);
    stage.console.line(&["tab fields and buttons", "right change", "enter choose", "esc back"]);
    stage.console.types(RIGHT);
    stage.console.line(&["[ Cancel ]  [ Deploy to 3 hosts ]"]);
    stage.console.types(ESC);
    stage.console.hides("─ deploy ─");
    stage.console.types("b");
    stage.console.shows("─ roll back ─");
    stage.console.line(&["back to ", "the previous system"]);
    stage.console.line(&["[ Cancel ]  [ Roll back 1 host ]"]);
    stage.console.types(ESC);
    stage.console.hides("─ roll back ─");
}

fn host(stage: &mut Stage) {
    stage.console.types("\r");
    stage.console.line(&[" homelab-deploy ▸ fleet ▸ web3 "]);
    stage.console.line(&["✗ verify", "seen "]);
    stage.console.line(&["Job ", "switch main 8782436 by operator@demo, 1:17 min"]);
    stage.console.shows("nginx: [emerg] bind() to 0.0.0.0:9100 failed");
    stage.console.line(&["d deploy", "l log", "v deployments", "b roll back", "esc back", "? help"]);
    stage.console.types("G");
    stage.console.line(&["also can", "build, cancel, rollback, reboot"]);
    // A page up is the past, which came by itself.
    stage.console.types("\u{1b}[5~");
    stage.console.line(&["switch", "main 8782436", "✗ verification"]);
    stage.console.types("g");
    stage.down_to(&["✗ nginx.service", "in the last job"]);
    stage.down_to(&["switch", "main 8782436", "✗ verification"]);
}

/// The log of the job that is selected in the history.
fn log(stage: &mut Stage) {
    stage.console.types("l");
    stage.console.line(&["─ web3 ▸ switch main 8782436 ", "✗ failed", "─ ended ─"]);
    stage.console.shows("failed: a unit started failing: nginx.service; rolled back to the previous ");
    // Why the unit did not start follows the log.
    stage.console.shows("nginx: [emerg] bind() to 0.0.0.0:9100 failed (98: Address");
    stage.console.line(&["F follow", "W wrap", "/ search", "n next", "esc back", "? help"]);
    stage.console.types("g");
    stage.console.line(&["─ ended, paused ─"]);
    stage.console.shows("deploying git+file://");
    stage.console.types("/nginx.SERVICE");
    stage.console.line(&["/nginx.SERVICE", "no match"]);
    stage.console.types("\u{17}nginx.service\r");
    stage.console.line(&["/nginx.service", "match 1 of "]);
    stage.console.types("n");
    stage.console.line(&["match 2 of "]);
    stage.console.types("N");
    stage.console.line(&["match 1 of "]);
    stage.console.types("W");
    stage.console.line(&[" wrap ─"]);
    stage.console.types("t");
    stage.console.line(&["times"]);
    stage.console.types("WtF");
    stage.console.line(&["─ ended ─"]);
    stage.console.types(ESC);
    stage.console.hides("match ");
}

/// The folder to save in is gone.
fn error_box(stage: &mut Stage) {
    stage.console.types("S");
    stage.console.shows("─ The log was not saved ");
    stage.console.shows("start the console in a folder");
    stage.console.line(&["enter close"]);
    stage.console.types("\r");
    stage.console.hides("was not saved");
    stage.console.types("q");
    stage.console.line(&[" homelab-deploy ▸ fleet ▸ web3 "]);
}

fn deployments(stage: &mut Stage) {
    stage.console.types("v");
    stage.console.line(&["─ deployments ─", " running, ", " known "]);
    stage.console.line(&["│▸", "operator@demo", "switch", "main 8782436", "✓ 5 done  ✗ 1 failed"]);
    stage.console.line(&["─ switch main 8782436 by operator@demo on 6 hosts, 2 d ago ─"]);
    stage.console.shows("web3: verification_failed: a unit started failing: nginx.service");
    stage.console.types("\r");
    stage.console.line(&["│▸ web3 ", "✗ failed", "rolled back", "1:17 min"]);
    stage.console.line(&["─ web3 ✗ failed, 1:17 min ─"]);
    stage.console.line(&["enter host", "l log", "d deploy to the rest", "esc back"]);
    stage.console.types("j");
    stage.console.line(&["│▸ dns1 ", "✓ completed", "switch done"]);
    stage.console.line(&["─ dns1 ✓ completed, "]);
    stage.console.types("d");
    stage.console.line(&["hosts ", "[1 that did not complete]"]);
    stage.console.types(ESC);
    stage.console.hides("─ deploy ─");
    for screen in ["─ deployments ─", "┌─ web3 ─", "─ hosts ─"] {
        stage.console.types("q");
        stage.console.shows(screen);
    }
}
