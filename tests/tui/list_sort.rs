//! The order of the lists other than the hosts.

use crate::harness::{
    Harness, PLAIN, ago, answer, name, noon, presence_message, report, report_message, rollout,
};
use crate::keys::keys;
use homelab_deploy::protocol::{Action, BuildReport, Changes, Id, PackageChange, Status};
use homelab_deploy::tui::{ConsoleEvent, Screen};
use serde_json::json;

/// The selected item of the list on screen after it is drawn.
fn first(harness: &mut Harness) -> String {
    keys(harness, "g");
    harness.apply(ConsoleEvent::Frame);
    match harness.app.screens.last().unwrap() {
        Screen::Deployments(screen) => screen.cursor.selected().unwrap().to_string(),
        Screen::Deployment(screen) => screen.cursor.selected().unwrap().0.to_string(),
        Screen::Builds(screen) => screen.cursor.selected().unwrap().to_string(),
        Screen::Changes(screen) => format!("{:?}", screen.cursor.selected().unwrap()),
        other => panic!("{other:?}"),
    }
}

fn harness() -> Harness {
    let mut harness = Harness::fleet(120, 40, PLAIN);
    rollout(&mut harness);
    harness.apply(ConsoleEvent::Frame);
    harness
}

#[test]
fn deployments_are_sorted_by_each_column() {
    let mut harness = harness();
    keys(&mut harness, "v");
    for (typed, shown, expected) in [
        // Running ones first.
        ("", "1 running", "d2"),
        ("s", "sort: when ▲", "d2"),
        ("s", "sort: who ▲", "d2"),
        ("S", "sort: who ▼", "d9"),
        ("ss", "sort: revision ▲", "d2"),
        ("s", "sort: hosts ▲", "d9"),
        ("s", "sort: result ▲", "d9"),
        ("s", " known ", "d2"),
        (":sort hosts\n", "sort: hosts ▲", "d9"),
        ("S", "sort: hosts ▼", "d0"),
    ] {
        keys(&mut harness, typed);
        assert_eq!(first(&mut harness), expected, "{typed}\n{}", harness.text());
        assert!(harness.text().contains(shown), "{typed}\n{}", harness.text());
    }
    // The hosts keep their own order.
    keys(&mut harness, "^");
    assert!(harness.text().contains("sort: host ▲"), "{}", harness.text());
    keys(&mut harness, "v:sort gen\n");
    let error = "unknown column \"gen\": expected one of when, who, action, revision, hosts, result";
    assert!(harness.text().contains(error), "{}", harness.text());
}

#[test]
fn the_hosts_of_a_deployment_are_sorted_by_name_time_and_message() {
    let mut harness = harness();
    let mut slow = report("app13", "d9", Status::Completed);
    (slow.elapsed_ms, slow.message) = (Some(4_000_000), "all done".to_owned());
    harness.receive(noon(), [presence_message(answer("app13", "test", "app")), report_message(slow)]);
    keys(&mut harness, "vj\n");
    // Failures first, running hosts next.
    assert_eq!(first(&mut harness), "app1");
    keys(&mut harness, "G");
    harness.apply(ConsoleEvent::Frame);
    assert_eq!(harness.app.host().map(|host| &host.name), Some(&name("app13")));
    keys(&mut harness, "s");
    assert!(harness.text().contains("sort: host ▲"), "{}", harness.text());
    keys(&mut harness, "gjjjjjj");
    harness.apply(ConsoleEvent::Frame);
    assert_eq!(harness.app.host().map(|host| &host.name), Some(&name("app7")));
    for (typed, expected) in [("s", "app13"), ("S", "app7"), ("s", "app13"), ("s", "app1"), ("S", "app13")] {
        keys(&mut harness, typed);
        assert_eq!(first(&mut harness), expected, "{typed}\n{}", harness.text());
    }
}

#[test]
fn changes_are_sorted_by_hosts_and_name() {
    let mut harness = Harness::new(120, 40, PLAIN);
    harness.receive(ago(4), ["web1", "web2"].map(|host| presence_message(answer(host, "test", "web"))));
    harness.apply(ConsoleEvent::Frame);
    let package = |name: &str| PackageChange {
        name: name.to_owned(),
        from: Some("1".to_owned()),
        to: Some("2".to_owned()),
    };
    for (host, packages) in [("web1", vec!["linux", "zstd", "attr"]), ("web2", vec!["zstd"])] {
        let mut done = report(host, "d1", Status::Completed);
        done.action = Some(Action::DryActivate);
        let packages = packages.into_iter().map(package).collect();
        done.changes = Some(Box::new(Changes { packages, ..Changes::default() }));
        harness.receive(noon(), [report_message(done)]);
    }
    keys(&mut harness, "vD");
    // The kernel first, because it needs a reboot.
    for (typed, expected) in [("", "linux"), ("s", "zstd"), ("s", "attr"), ("S", "zstd"), ("s", "linux")] {
        keys(&mut harness, typed);
        assert!(first(&mut harness).contains(expected), "{typed}\n{}", harness.text());
    }
}

/// Receives a finished build with this many failed hosts.
fn build(harness: &mut Harness, id: &str, at: i64, target: [&str; 3], failed: usize) {
    let [target, repo, commit] = target;
    let hosts = (0..3).map(|n| {
        let state = if n < failed { "failed" } else { "done" };
        json!({"hostname": format!("web{n}"), "state": state, "elapsed_ms": 1})
    });
    let report = json!({
        "target": target, "repo": repo, "commit": commit.repeat(40), "status": "completed", "message": "",
        "id": id, "seq": 1, "done": 3 - failed, "expected": 3, "hosts": hosts.collect::<Vec<_>>(),
    });
    let report: BuildReport = serde_json::from_value(report).unwrap();
    harness.apply(ConsoleEvent::Build(Id::new(id).unwrap(), Box::new(report), ago(at)));
}

#[test]
fn builds_are_sorted_by_their_columns() {
    let mut harness = Harness::new(120, 40, PLAIN);
    build(&mut harness, "b1", 30, ["web1", "fleet", "c"], 1);
    build(&mut harness, "b2", 20, ["all", "infra", "b"], 0);
    build(&mut harness, "b3", 10, ["db1", "apps", "a"], 2);
    keys(&mut harness, "B");
    // The newest first; each order differs from the previous one.
    for (typed, expected) in [
        ("", "b3 b2 b1"),
        ("S", "b1 b2 b3"),
        (":sort when\n", "b3 b2 b1"),
        ("s", "b2 b3 b1"),
        ("s", "b3 b1 b2"),
        ("S", "b2 b1 b3"),
        (":sort commit\n", "b3 b2 b1"),
        ("s", "b3 b1 b2"),
        ("S", "b2 b1 b3"),
        ("ss", "b3 b2 b1"),
    ] {
        keys(&mut harness, typed);
        harness.apply(ConsoleEvent::Frame);
        let Some(Screen::Builds(screen)) = harness.app.screens.last() else { panic!("not the builds") };
        let order: Vec<_> = screen.cursor.rows().iter().map(ToString::to_string).collect();
        assert_eq!(order.join(" "), expected, "{typed}\n{}", harness.text());
    }
}

#[test]
fn hosts_are_sorted_by_generation_deployment_and_free_space() {
    let mut harness = Harness::new(120, 40, PLAIN);
    for (host, generation, boot, store) in [("a1", 7, 300, 900), ("b1", 9, 200, 800), ("c1", 8, 100, 990)] {
        let mut answer = answer(host, "test", "web");
        answer.generation = Some(generation);
        (answer.boot_free_bytes, answer.nix_free_bytes) = (Some(boot << 20), Some(store << 30));
        harness.receive(ago(4), [presence_message(answer)]);
    }
    let mut old = answer("d1", "test", "web");
    (old.generation, old.boot_free_bytes, old.nix_free_bytes) = (None, None, None);
    harness.receive(ago(4), [presence_message(old)]);
    harness.receive(ago(3), [report_message(report("c1", "d1", Status::Completed))]);
    for (column, first, last) in
        [("gen", "b1", "d1"), ("boot", "c1", "d1"), ("store", "b1", "d1"), ("deployed", "c1", "d1")]
    {
        keys(&mut harness, &format!(":sort {column}\n"));
        harness.apply(ConsoleEvent::Frame);
        let rows = harness.app.table.rows();
        let host = |row: Option<&homelab_deploy::tui::TableRow>| row.unwrap().host().cloned();
        assert_eq!(host(rows.first()), Some(name(first)), "{column}");
        assert_eq!(host(rows.last()), Some(name(last)), "{column}");
    }
    // A report changes the order at once.
    keys(&mut harness, ":sort gen\n");
    harness.apply(ConsoleEvent::Frame);
    let mut newer = answer("a1", "test", "web");
    newer.generation = Some(10);
    harness.receive(ago(2), [presence_message(newer)]);
    harness.apply(ConsoleEvent::Frame);
    assert_eq!(harness.app.table.rows()[0].host(), Some(&name("a1")));
}
