//! What a newcomer must manage with nothing but the footer and `?`: find what failed and why, deploy, follow, cancel, take back.

use crate::stage::{BACK_TAB, ESC, RIGHT, Stage};

#[test]
fn a_newcomer_manages_on_a_small_screen() {
    story((80, 24));
}

#[test]
fn a_newcomer_manages_on_a_large_screen() {
    story((160, 50));
}

fn story(size: (u16, u16)) {
    let mut stage = Stage::sized(12, size, |_| {});
    find_what_failed(&mut stage);
    deploy_to_every_web_host(&mut stage);
    cancel_one(&mut stage);
    follow_another(&mut stage);
    stage.console.shows("switch main on 3 hosts: 1 completed, 2 failed (web1, web3)");
    stage.row("web3", &["✗ verify", "rolled back"]);
    take_one_back(&mut stage);
    for (host, key, value) in [("web1", "error", "cancelled"), ("web2", "action", "rollback")] {
        assert_eq!(stage.history(host)[0][key], value, "{host}");
    }
    stage.console.types("q");
    let screen = stage.console.ended();
    assert_eq!((screen.code, screen.left), (0, Vec::new()));
}

fn find_what_failed(stage: &mut Stage) {
    stage.console.types("?");
    stage.console.line(&[" f ", "only hosts that need attention, or all"]);
    stage.console.line(&[" a ", "mark every host shown, or none"]);
    stage.console.types(ESC);
    stage.console.hides("mark every host shown");
    stage.console.types("f");
    stage.console.shows(" with faults ");
    stage.console.types("g");
    stage.down_to(&["web3", "✗ verify", "rolled back"]);
    stage.console.types("\r");
    stage.console.shows(" ▸ web3 ");
    stage.console.shows("verification_failed: a unit started failing: nginx.service");
    stage.console.shows("bind() to 0.0.0.0:9100 failed");
    stage.console.types("q");
    stage.console.shows(" with faults ");
    stage.console.types("f");
    stage.row("dns1", &["● idle"]);
}

fn deploy_to_every_web_host(stage: &mut Stage) {
    stage.console.types("/role:web\ra");
    stage.console.line(&[" 12 hosts ", "✓ 3 marked"]);
    for host in ["web1", "web2", "web3"] {
        stage.row(host, &["✓ web"]);
    }
    stage.console.types("d");
    stage.console.line(&["hosts ", "[3 marked]", "web3", "every host"]);
    for host in ["web1", "web2"] {
        stage.console.line(&[&format!("● {host} "), " prod ", " web ", "main 8782436 ▸ main"]);
    }
    stage.console.line(&["confirm ", "type prod"]);
    // What a tier asks for cannot be left out.
    stage.console.types(&format!("{BACK_TAB}\r"));
    stage.console.shows("type prod to deploy there; nothing was sent");
    stage.console.types(&format!("prod\r{RIGHT}\r"));
    stage.console.hides("─ deploy ─");
    for host in ["web1", "web2", "web3"] {
        stage.row(host, &["▶ build"]);
    }
}

fn cancel_one(stage: &mut Stage) {
    stage.console.types("g");
    stage.row("web1", &["▸"]);
    stage.console.line(&["c cancel"]);
    stage.console.types("c");
    stage.console.shows("Cancel the job on web1?");
    stage.console.types("y");
    stage.row("web1", &["✗ build", "cancelled", "main 8782436"]);
}

/// Reads a log from its first line to its end, which comes live.
fn follow_another(stage: &mut Stage) {
    stage.console.types("j");
    stage.row("web2", &["▸"]);
    stage.console.types("l");
    stage.console.line(&["─ web2 ▸ switch main 2541e4a ", " ▶ ", " following ─"]);
    stage.console.shows("deploying git+file://");
    stage.console.line(&["─ web2 ▸ switch main 2541e4a ", "✓ completed in ", " ended ─"]);
    stage.console.shows("completed: switch done, generation 77");
    stage.console.types("q");
    stage.row("web2", &["▸", "main 2541e4a"]);
}

fn take_one_back(stage: &mut Stage) {
    stage.console.types("\r");
    stage.console.shows(" ▸ web2 ");
    stage.console.line(&["switch", "main 8782436", " 76 ", "✓ completed"]);
    stage.down_to(&["switch", "main 8782436", " 76 ", "✓ completed"]);
    stage.console.types("b");
    stage.console.line(&["back to ", "generation 76"]);
    stage.console.line(&["● web2 ", "main 2541e4a ▸ generation 76"]);
    stage.console.line(&["confirm ", "type prod"]);
    stage.console.types(&format!("{RIGHT}\r"));
    stage.console.shows("type prod to roll back there; nothing was sent");
    stage.console.types(&format!("prod\r{RIGHT}\r"));
    stage.console.hides("─ roll back ─");
    stage.console.types("q");
    stage.console.shows("rollback to generation 76 on web2: 1 completed");
    stage.row("web2", &["▸", "↓ behind", "main 8782436"]);
    stage.console.shows("rollback done, generation 76");
}
