//! The changes of many hosts, folded.

use crate::harness::{
    COLOUR, Harness, PLAIN, answer, assert_frame, failed, name, noon, presence_message, report,
    report_message,
};
use crate::keys::keys;
use homelab_deploy::protocol::{Action, Changes, PackageChange, Status};
use homelab_deploy::tui::{Context, Effect, Theme};

const HOSTS: [&str; 5] = ["web1", "web2", "web3", "db1", "db2"];

/// A dry run of five hosts, four of which have replied.
fn dry_run(width: u16, height: u16, theme: Theme) -> Harness {
    let mut harness = Harness::new(width, height, theme);
    harness.receive(
        noon(),
        HOSTS.map(|host| presence_message(answer(host, "test", host.trim_end_matches(char::is_numeric)))),
    );
    harness.apply(homelab_deploy::tui::ConsoleEvent::Frame);
    harness.effects();
    keys(&mut harness, "aD\n");
    let send = |effect| if let Effect::Send(plan) = effect { Some(*plan) } else { None };
    let plan = harness.effects().into_iter().find_map(send).unwrap();
    assert_eq!(plan.intent.action, Action::DryActivate);
    let package = |name: &str, from: Option<&str>, to: Option<&str>| PackageChange {
        name: name.to_owned(),
        from: from.map(str::to_owned),
        to: to.map(str::to_owned),
    };
    let openssl = package("openssl", Some("3.3.2"), Some("3.3.3"));
    for (host, mut packages, restarted) in [
        ("web1", vec![package("linux", Some("6.12.7"), Some("6.12.9"))], vec!["nginx.service"]),
        ("web2", vec![package("curl\u{1b}[2J", Some("8.12"), Some("8.11.1"))], vec!["nginx.service"]),
        ("db1", vec![package("htop", None, Some("3.4"))], vec![]),
    ] {
        packages.push(openssl.clone());
        let mut done = report(host, plan.id.as_str(), Status::Completed);
        done.action = Some(Action::DryActivate);
        let units_restarted = restarted.into_iter().map(str::to_owned).collect();
        done.changes = Some(Box::new(Changes { packages, units_restarted, ..Changes::default() }));
        harness.receive(noon(), [report_message(done)]);
    }
    harness.receive(noon(), [report_message(failed("db2", plan.id.as_str()))]);
    harness
}

#[test]
fn snapshots_of_the_changes() {
    for (width, height) in [(80, 24), (120, 40), (200, 60)] {
        let mut harness = dry_run(width, height, COLOUR);
        keys(&mut harness, "jjj\n");
        assert_frame!(format!("changes-{width}x{height}"), harness);
    }
}

#[test]
fn a_dry_run_of_several_hosts_opens_their_changes() {
    let mut harness = dry_run(120, 40, PLAIN);
    assert_eq!(harness.app.context(), Context::Changes);
    let text = harness.text();
    for shown in [
        " 4 of 5 hosts replied ",
        "▸ 1 host      failed: verification failed: ",
        "▸ 1 host      curl 8.12 → 8.11.1  ! older version",
        "▸ 1 host      linux 6.12.7 → 6.12.9  ! needs a reboot",
        "▸ 3 hosts     openssl 3.3.2 → 3.3.3",
        "▸ 2 hosts     restarts nginx.service",
        "▸ 1 host      +htop 3.4",
    ] {
        assert!(text.contains(shown), "no {shown:?} in\n{text}");
    }
    // The order: failures, downgrades, kernels, then by the number of hosts.
    keys(&mut harness, "jjj");
    let text = harness.text();
    assert!(text.contains("─ on 3 hosts ─") && text.contains("db1, web1, web2"), "{text}");
    keys(&mut harness, "\n");
    let text = harness.text();
    assert!(text.contains("▾ 3 hosts     openssl"), "{text}");
    keys(&mut harness, "jj\n");
    assert_eq!(harness.host().host, name("web1"));
    harness.app.table.marks.clear();
    keys(&mut harness, "^ ");
    assert_eq!(harness.app.table.marks, ["db1", "web1", "web2"].map(name).into());
    keys(&mut harness, "y");
    assert!(harness.effects().contains(&Effect::Copy("db1\nweb1\nweb2".to_owned())));
    keys(&mut harness, "^");
    assert_eq!(harness.app.context(), Context::Fleet);
    // The deployment shows the same again.
    keys(&mut harness, "vD");
    assert_eq!(harness.app.context(), Context::Changes);
}

#[test]
fn a_dry_run_of_one_host_stays_on_its_screen() {
    let mut harness = Harness::fleet(120, 40, PLAIN);
    harness.go_to("web1");
    keys(&mut harness, "D\n");
    assert_eq!(harness.app.context(), Context::Fleet);
}
