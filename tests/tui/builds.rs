//! The screens of all builds and of one build.

use crate::harness::{Harness, PLAIN, noon};
use crate::keys::keys;
use homelab_deploy::protocol::{BuildReport, Id};
use homelab_deploy::tui::{ConsoleEvent, Context, Effect};
use jiff::SignedDuration;
use serde_json::json;

const COMMIT: &str = "3f2a91c0d5b84e6f8a7c1d2e3f4a5b6c7d8e9f01";

fn report(harness: &mut Harness, id: &str, seq: u64, status: &str, hosts: &[(&str, &str)]) {
    let hosts = hosts.iter().map(|(host, state)| {
        let mut host = json!({"hostname": host, "state": state, "elapsed_ms": 48_200});
        if *state == "failed" {
            host["error"] = json!("build of foo-1.2 failed");
            host["log_tail"] = json!("cc: fatal\nmake: *** [all] Error 1");
        }
        host
    });
    let hosts: Vec<_> = hosts.collect();
    let done = hosts.iter().filter(|host| host["state"] == "done").count();
    let report = json!({
        "target": if hosts.len() > 1 { "all" } else { "web1" }, "repo": "fleet", "status": status, "message": "", "id": id,
        "seq": seq, "commit": COMMIT, "done": done, "expected": hosts.len(), "hosts": hosts,
    });
    let report: BuildReport = serde_json::from_value(report).unwrap();
    harness.apply(ConsoleEvent::Build(Id::new(id).unwrap(), Box::new(report), noon()));
}

fn harness() -> Harness {
    let mut harness = Harness::fleet(120, 40, PLAIN);
    receive(&mut harness);
    harness.apply(ConsoleEvent::Frame);
    harness.effects();
    harness
}

/// A completed build, and one that runs.
pub(crate) fn receive(harness: &mut Harness) {
    report(harness, "b1", 1, "completed", &[("web1", "done")]);
    report(
        harness,
        "b2",
        2,
        "progress",
        &[("web1", "done"), ("web2", "failed"), ("db1", "running"), ("ns1", "pending")],
    );
}

#[test]
fn running_builds_are_listed_first_with_their_progress() {
    let mut harness = harness();
    keys(&mut harness, "B");
    assert_eq!(harness.app.context(), Context::Builds);
    let text = harness.text();
    for shown in
        ["─ builds ─", "all", "fleet", "3f2a91c", "✓ 1 built  ✗ 1 failed  ▶ 1 building  · 1 waiting", "25 %"]
    {
        assert!(text.contains(shown), "no {shown:?} in\n{text}");
    }
    let line = |text: &str, of: &str| text.lines().position(|line| line.contains(of)).unwrap_or(usize::MAX);
    assert!(line(&text, "▶ 1 building") < line(&text, "│  ") || text.contains("▸"), "{text}");
    keys(&mut harness, "j\n");
    assert!(harness.text().contains("─ web1 of fleet 3f2a91c ─"), "{}", harness.text());
}

#[test]
fn a_build_shows_each_host_and_the_last_lines_of_a_failure() {
    let mut harness = harness();
    keys(&mut harness, "B\n");
    assert_eq!(harness.app.context(), Context::Build);
    let text = harness.text();
    for shown in [
        "─ all of fleet 3f2a91c ─",
        "web2 ",
        "✗ failed",
        "build of foo-1.2 failed",
        "▶ running",
        "─ web2 ─",
        "cc: fatal",
        "make: *** [all] Error 1",
    ] {
        assert!(text.contains(shown), "no {shown:?} in\n{text}");
    }
    // Live reports are shown, and a late report changes nothing.
    report(
        &mut harness,
        "b2",
        3,
        "failed",
        &[("web1", "done"), ("web2", "failed"), ("db1", "done"), ("ns1", "skipped")],
    );
    report(&mut harness, "b2", 2, "progress", &[("web1", "running"), ("web2", "pending")]);
    harness.apply(ConsoleEvent::Frame);
    let text = harness.text();
    assert!(text.contains("✓ 2 built  ✗ 1 failed  ! 1 skipped"), "{text}");
    assert!(text.contains("▸ web2"), "{text}");
    keys(&mut harness, "y");
    assert!(harness.effects().contains(&Effect::Copy(COMMIT.to_owned())));
    keys(&mut harness, "^^");
    assert_eq!(harness.app.context(), Context::Fleet);
}

#[test]
fn a_failed_host_stays_selected_until_another_is_chosen() {
    let mut harness = Harness::fleet(120, 40, PLAIN);
    let hosts = |db1, web1| [("db1", db1), ("ns1", "running"), ("web1", web1)];
    report(&mut harness, "b1", 1, "progress", &hosts("running", "running"));
    keys(&mut harness, "B\n");
    assert!(harness.text().contains("▸ db1 "), "{}", harness.text());
    report(&mut harness, "b1", 2, "progress", &hosts("done", "running"));
    assert!(harness.text().contains("▸ ns1 "), "{}", harness.text());
    report(&mut harness, "b1", 3, "progress", &hosts("done", "failed"));
    assert!(harness.text().contains("▸ web1 ") && harness.text().contains("cc: fatal"), "{}", harness.text());
    // From here on the operator has moved the selection.
    keys(&mut harness, "jk");
    report(&mut harness, "b1", 4, "failed", &hosts("failed", "failed"));
    assert!(harness.text().contains("▸ web1 "), "{}", harness.text());
}

#[test]
fn elapsed_time_grows_until_the_builder_stops_reporting() {
    let mut harness = harness();
    keys(&mut harness, "B\n");
    harness.clock(noon() + SignedDuration::from_secs(12));
    let text = harness.text();
    assert!(text.contains("▶ running             1:00 ") && !text.contains("no report"), "{text}");
    harness.clock(noon() + SignedDuration::from_secs(120));
    let text = harness.text();
    assert!(text.contains("! no report: 2 min") && text.contains("▶ running             0:48 "), "{text}");
    keys(&mut harness, "^");
    let text = harness.text();
    let lines = text.lines().filter(|line| line.contains("no report: 2 min")).count();
    // In the table and below it; a finished build is never overdue.
    assert_eq!(lines, 2, "{text}");
}

#[test]
fn missing_build_permission_is_shown() {
    let mut harness = Harness::fleet(80, 24, PLAIN);
    keys(&mut harness, ":builds\n");
    assert!(
        harness.text().contains("no builds yet; `homelab-deploy build` requests one"),
        "{}",
        harness.text()
    );
    harness.apply(ConsoleEvent::BuildsDenied);
    assert!(
        harness.text().contains("this key has no permission for build.responses.*"),
        "{}",
        harness.text()
    );
    assert!(harness.app.error_dialogs.is_empty());
}

#[test]
fn builds_can_be_drawn_at_any_size() {
    for (width, height) in [(40, 10), (80, 24), (200, 60)] {
        let mut harness = Harness::fleet(width, height, PLAIN);
        report(&mut harness, "b2", 2, "failed", &[("web1", "done"), ("web2", "failed")]);
        keys(&mut harness, "B");
        harness.draw();
        keys(&mut harness, "\nj");
        harness.draw();
    }
}
