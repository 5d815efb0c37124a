//! The order of the lists other than the hosts.

use crate::harness::{
    Harness, PLAIN, ago, answer, name, noon, presence_message, report, report_message, rollout,
};
use crate::keys::keys;
use homelab_deploy::protocol::{Action, Changes, PackageChange, Status};
use homelab_deploy::tui::{ConsoleEvent, Screen};

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

#[test]
fn builds_are_sorted_by_their_columns() {
    let mut harness = crate::builds::harness();
    keys(&mut harness, "B");
    assert_eq!(first(&mut harness), "b2");
    for (typed, expected) in [("ss", "b2"), ("S", "b1"), (":sort result\n", "b2"), ("S", "b1")] {
        keys(&mut harness, typed);
        assert_eq!(first(&mut harness), expected, "{typed}\n{}", harness.text());
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
