//! The screen of the builder's builds, and that of one.

use crate::keys::keys;
use crate::stage::{PLAIN, Stage, noon};
use homelab_deploy::protocol::{BuildReport, Id};
use homelab_deploy::tui::{Context, Effect, Event};
use jiff::SignedDuration;
use serde_json::json;

const COMMIT: &str = "3f2a91c0d5b84e6f8a7c1d2e3f4a5b6c7d8e9f01";

fn report(stage: &mut Stage, id: &str, seq: u64, status: &str, hosts: &[(&str, &str)]) {
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
    stage.tell(Event::Build(Id::new(id).unwrap(), Box::new(report), noon()));
}

fn stage() -> Stage {
    let mut stage = Stage::fleet(120, 40, PLAIN);
    report(&mut stage, "b1", 1, "completed", &[("web1", "done")]);
    report(
        &mut stage,
        "b2",
        2,
        "progress",
        &[("web1", "done"), ("web2", "failed"), ("db1", "running"), ("ns1", "pending")],
    );
    stage.tell(Event::Frame);
    stage.effects();
    stage
}

#[test]
fn the_list_shows_what_runs_first_and_how_far_it_is() {
    let mut stage = stage();
    keys(&mut stage, "B");
    assert_eq!(stage.app.context(), Context::Builds);
    let text = stage.text();
    for shown in
        ["─ builds ─", "all", "fleet", "3f2a91c", "✓ 1 built  ✗ 1 failed  ▶ 1 building  · 1 waiting", "25 %"]
    {
        assert!(text.contains(shown), "no {shown:?} in\n{text}");
    }
    let line = |text: &str, of: &str| text.lines().position(|line| line.contains(of)).unwrap_or(usize::MAX);
    assert!(line(&text, "▶ 1 building") < line(&text, "│  ") || text.contains("▸"), "{text}");
    keys(&mut stage, "j\n");
    assert!(stage.text().contains("─ web1 of fleet 3f2a91c ─"), "{}", stage.text());
}

#[test]
fn one_build_shows_each_host_and_the_last_lines_of_what_failed() {
    let mut stage = stage();
    keys(&mut stage, "B\n");
    assert_eq!(stage.app.context(), Context::Build);
    let text = stage.text();
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
    // What comes live is seen, and a late report changes nothing any more.
    report(
        &mut stage,
        "b2",
        3,
        "failed",
        &[("web1", "done"), ("web2", "failed"), ("db1", "done"), ("ns1", "skipped")],
    );
    report(&mut stage, "b2", 2, "progress", &[("web1", "running"), ("web2", "pending")]);
    stage.tell(Event::Frame);
    let text = stage.text();
    assert!(text.contains("✓ 2 built  ✗ 1 failed  ! 1 skipped"), "{text}");
    assert!(text.contains("▸ web2"), "{text}");
    keys(&mut stage, "y");
    assert!(stage.effects().contains(&Effect::Copy(COMMIT.to_owned())));
    keys(&mut stage, "^^");
    assert_eq!(stage.app.context(), Context::Fleet);
}

#[test]
fn what_fails_is_seen_until_somebody_looks_at_another_host() {
    let mut stage = Stage::fleet(120, 40, PLAIN);
    let hosts = |db1, web1| [("db1", db1), ("ns1", "running"), ("web1", web1)];
    report(&mut stage, "b1", 1, "progress", &hosts("running", "running"));
    keys(&mut stage, "B\n");
    assert!(stage.text().contains("▸ db1 "), "{}", stage.text());
    report(&mut stage, "b1", 2, "progress", &hosts("done", "running"));
    assert!(stage.text().contains("▸ ns1 "), "{}", stage.text());
    report(&mut stage, "b1", 3, "progress", &hosts("done", "failed"));
    assert!(stage.text().contains("▸ web1 ") && stage.text().contains("cc: fatal"), "{}", stage.text());
    // From here on the selection is somebody's.
    keys(&mut stage, "jk");
    report(&mut stage, "b1", 4, "failed", &hosts("failed", "failed"));
    assert!(stage.text().contains("▸ web1 "), "{}", stage.text());
}

#[test]
fn what_is_built_takes_longer_and_longer_until_nothing_is_heard_of_it() {
    let mut stage = stage();
    keys(&mut stage, "B\n");
    stage.clock(noon() + SignedDuration::from_secs(12));
    let text = stage.text();
    assert!(text.contains("▶ running             1:00 ") && !text.contains("silent"), "{text}");
    stage.clock(noon() + SignedDuration::from_secs(120));
    let text = stage.text();
    assert!(text.contains("! silent for 2 min") && text.contains("▶ running             0:48 "), "{text}");
    keys(&mut stage, "^");
    let text = stage.text();
    let lines = text.lines().filter(|line| line.contains("silent for 2 min")).count();
    // In the table, and below it; what has ended may be silent.
    assert_eq!(lines, 2, "{text}");
}

#[test]
fn where_nothing_can_be_heard_that_is_said() {
    let mut stage = Stage::fleet(80, 24, PLAIN);
    keys(&mut stage, ":builds\n");
    assert!(
        stage.text().contains("no build was heard of yet; `homelab-deploy build` asks for one"),
        "{}",
        stage.text()
    );
    stage.tell(Event::NoBuilds);
    assert!(stage.text().contains("the server refuses build.responses.* to this key"), "{}", stage.text());
    assert!(stage.app.faults.is_empty());
}

#[test]
fn it_can_be_drawn_at_any_size() {
    for (width, height) in [(40, 10), (80, 24), (200, 60)] {
        let mut stage = Stage::fleet(width, height, PLAIN);
        report(&mut stage, "b2", 2, "failed", &[("web1", "done"), ("web2", "failed")]);
        keys(&mut stage, "B");
        stage.draw();
        keys(&mut stage, "\nj");
        stage.draw();
    }
}
