//! A new user must manage this with only the footer and `?`: find a failure and its cause, deploy, follow, cancel and
//! roll back.

use crate::session::{BACK_TAB, DemoSession, ESC, RIGHT};

#[test]
fn a_newcomer_manages_on_a_small_screen() {
    story((80, 24));
}

#[test]
fn a_newcomer_manages_on_a_large_screen() {
    story((160, 50));
}

fn story(size: (u16, u16)) {
    let mut session = DemoSession::sized(12, size, |_| {});
    find_what_failed(&mut session);
    deploy_to_every_web_host(&mut session);
    cancel_one(&mut session);
    follow_another(&mut session);
    session.console.shows("switch main on 3 hosts: 1 completed, 1 failed (web3), 1 cancelled (web1)");
    session.row("web3", &["✗ rolled back"]);
    roll_one_back(&mut session);
    for (host, key, value) in [("web1", "error", "cancelled"), ("web2", "action", "rollback")] {
        assert_eq!(session.history(host)[0][key], value, "{host}");
    }
    session.console.types("q");
    let screen = session.console.wait_for_exit();
    assert_eq!((screen.code, screen.left), (0, Vec::new()));
}

fn find_what_failed(session: &mut DemoSession) {
    session.console.types("?");
    session.console.line(&[" f ", "show only hosts that need attention, or all hosts"]);
    session.console.line(&[" a ", "mark or unmark all listed hosts"]);
    session.console.types(ESC);
    session.console.hides("mark or unmark all listed hosts");
    session.console.types("f");
    session.console.shows(" with faults ");
    session.console.types("g");
    session.down_to(&["web3", "✗ rolled back"]);
    session.console.types("\r");
    session.console.shows(" ▸ web3 ");
    session.console.shows("a unit started failing: nginx.service");
    session.console.shows("bind() to 0.0.0.0:9100 failed");
    session.console.types("q");
    session.console.shows(" with faults ");
    session.console.types("f");
    session.console.hides(" with faults ");
}

fn deploy_to_every_web_host(session: &mut DemoSession) {
    session.console.types("/role:web\ra");
    session.console.line(&[" 12 hosts ", "✓ 3 marked"]);
    for host in ["web1", "web2", "web3"] {
        session.row(host, &["✓ web"]);
    }
    session.console.types("d");
    session.console.line(&["hosts ", "[3 marked]", "web3", "every host"]);
    for host in ["web1", "web2"] {
        session.console.line(&[&format!("● {host} "), " prod ", " web ", "main 8782436 → main"]);
    }
    session.console.line(&["confirm ", "type prod"]);
    // The confirmation of a tier cannot be skipped.
    session.console.types(&format!("{BACK_TAB}\r"));
    session.console.shows("type prod to deploy there; nothing was sent");
    session.console.types("prod\r");
    session.console.line(&["switch main", "on 3 hosts"]);
    session.console.types(ESC);
    for host in ["web1", "web2", "web3"] {
        session.row(host, &["▶ build"]);
    }
}

fn cancel_one(session: &mut DemoSession) {
    session.console.types("g");
    session.down_to(&["web1"]);
    session.console.types("c");
    session.console.shows("Cancel the job on web1?");
    session.console.types("y");
    session.row("web1", &["● idle", "8782436"]);
}

/// Reads a log from its first line to its end, which arrives live.
fn follow_another(session: &mut DemoSession) {
    session.console.types("g");
    session.down_to(&["web2"]);
    session.console.types("l");
    session.console.line(&["─ web2 ▸ switch main 2541e4a ", " ▶ ", " following ─"]);
    session.console.shows("deploying git+file://");
    session.console.line(&["─ web2 ▸ switch main 2541e4a ", "✓ completed in ", " ended ─"]);
    session.console.shows("completed: switch done, generation 77");
    session.console.types("q");
    session.row("web2", &["▸", "2541e4a"]);
}

fn roll_one_back(session: &mut DemoSession) {
    session.console.types("\r");
    session.console.shows(" ▸ web2 ");
    session.down_to(&["switch", "main 8782436", " 76 ", "✓ completed"]);
    session.console.types("b");
    session.console.line(&["back to ", "generation 76"]);
    session.console.line(&["● web2 ", "main 2541e4a → generation 76"]);
    session.console.line(&["confirm ", "type prod"]);
    session.console.types(&format!("{RIGHT}\r"));
    session.console.shows("type prod to roll back there; nothing was sent");
    session.console.types(&format!("prod\r{RIGHT}\r"));
    session.console.hides("─ roll back ─");
    session.console.types("q");
    session.console.shows("rollback to generation 76 on web2: 1 completed");
    session.row("web2", &["▸", "8782436 −1"]);
    session.console.shows("rollback done, generation 76");
}
