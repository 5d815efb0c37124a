//! A listener that speaks only the base format, written from PROTOCOL's B fields alone: our operator works with it.

use crate::common::{Broker, Ended, HostBuilder, Peer, base_answer, base_report, operator, run};
use serde_json::{Value, json};

/// A base listener of `old1` that ends each job so.
fn old1(broker: &Broker, status: &'static str, error: Option<&'static str>) -> Peer {
    Peer::start(broker, base_answer("old1", "test", "legacy"), move |_| {
        vec![
            base_report("old1", "accepted", None, "queued"),
            base_report("old1", "started", None, "building"),
            base_report("old1", status, error, "as it went"),
        ]
    })
}

/// The table at the end, its blanks squeezed.
fn last_row(ended: &Ended) -> String {
    ended.out.lines().last().unwrap().split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn it_is_listed() {
    let broker = Broker::start();
    let _old1 = old1(&broker, "completed", None);
    let hosts = run(operator(&broker, "tester").arg("hosts"), 0);
    assert_eq!(last_row(&hosts), "old1 test legacy idle 0 s");
    let hosts = run(operator(&broker, "tester").args(["hosts", "--output", "json"]), 0).json();
    let [host] = &hosts[..] else { panic!("{hosts:?}") };
    assert_eq!(host["presence"], "online");
    assert_eq!(host["two_of_one_name"], false);
    assert_eq!(host["host"]["answer"], base_answer("old1", "test", "legacy"));
}

#[test]
fn it_completes_a_deployment() {
    let broker = Broker::start();
    let peer = old1(&broker, "completed", None);
    let done = run(operator(&broker, "tester").args(["deploy", "old1", "--branch", "main"]), 0);
    let lines: Vec<_> = done.out.lines().take(3).collect();
    assert_eq!(lines, ["old1  accepted", "old1  started", "old1  completed: as it went"]);
    assert_eq!(last_row(&done), "old1 completed as it went");
    let request = peer.request();
    assert_eq!(request["action"], "switch");
    assert_eq!(request["revision"], "main");
    assert!(request["reply_to"].as_str().unwrap().starts_with("deploy.responses."));

    let done = run(operator(&broker, "tester").args(["deploy", "deploy.test.role.legacy"]), 0);
    assert_eq!(last_row(&done), "old1 completed as it went");
}

#[test]
fn it_completes_a_deployment_told_as_json() {
    let broker = Broker::start();
    let _peer = old1(&broker, "completed", None);
    let lines = run(operator(&broker, "tester").args(["deploy", "old1", "--output", "json"]), 0).json();
    let statuses: Vec<_> = lines.iter().map(|line| line["value"]["status"].clone()).collect();
    assert_eq!(statuses, [json!("accepted"), json!("started"), json!("completed"), Value::Null]);
    let result = &lines[3];
    assert_eq!((&result["event"], &result["exit"]), (&json!("result"), &json!(0)));
    assert_eq!(result["value"]["hosts"][0]["verdict"], "completed");
    assert_eq!(lines[0]["value"]["id"], result["value"]["id"], "the id is known by the subject");
}

#[test]
fn it_fails_and_rejects() {
    let broker = Broker::start();
    for (status, error) in [("failed", "build_failed"), ("rejected", "already_running")] {
        let _peer = old1(&broker, status, Some(error));
        let bad = run(operator(&broker, "tester").args(["deploy", "old1"]), 1);
        assert!(bad.out.contains(&format!("\nold1  {status} ({error}): as it went\n")), "{bad}");
        assert!(bad.out.contains(&format!("\nold1  {status}  ")), "{bad}");
    }
}

#[test]
fn empty_texts_mean_absent() {
    let broker = Broker::start();
    let mut answer = base_answer("old1", "test", "legacy");
    answer["role"] = json!("");
    let _peer = Peer::start(&broker, answer, |_| vec![base_report("old1", "completed", Some(""), "")]);
    run(operator(&broker, "tester").args(["deploy", "old1"]), 0);
}

#[test]
fn it_is_not_asked_for_what_it_cannot_do() {
    let broker = Broker::start();
    let peer = old1(&broker, "completed", None);
    for (args, action) in [
        (&["cancel", "old1"][..], "cancel"),
        (&["deploy", "old1", "--action", "build"], "build"),
        (&["deploy", "deploy.test.all", "--action", "build"], "build"),
    ] {
        let refused = run(operator(&broker, "tester").args(args), 2);
        let said = format!("the listener on old1 cannot do `{action}`; update it, nothing was sent");
        refused.complains(&[&said]);
    }
    for action in ["switch", "boot", "test", "dry-activate"] {
        run(operator(&broker, "tester").args(["deploy", "old1", "--action", action]), 0);
        assert_eq!(peer.request()["action"], action);
    }
}

/// A base listener that replies to every query, whatever tier, role, hosts or question it names.
fn answers_everything(broker: &Broker) -> Peer {
    let answer = base_answer("old1", "test", "legacy");
    Peer::start(broker, answer.clone(), move |request| match request.get("action") {
        Some(_) => vec![base_report("old1", "completed", None, "as it went")],
        None => vec![answer.clone()],
    })
}

/// How many lines begin with the host.
fn rows(ended: &Ended, host: &str) -> usize {
    ended.out.lines().filter(|line| line.split_whitespace().next() == Some(host)).count()
}

#[test]
fn it_is_left_out_of_another_tier_and_role_though_it_replies() {
    let broker = Broker::start();
    let _old1 = answers_everything(&broker);
    let _ns1 = HostBuilder::new(&broker, "ns1", "prod", "dns").start();
    // Once before it is known, and once after.
    for _ in 0..2 {
        for (args, code) in
            [(&["--tier", "prod"][..], 0), (&["--role", "dns"], 0), (&["--tier", "test", "--role", "dns"], 3)]
        {
            let shown = run(operator(&broker, "admin").arg("hosts").args(args), code);
            assert_eq!((rows(&shown, "old1"), shown.out.contains("old1")), (0, false), "{args:?}: {shown}");
            assert_eq!(rows(&shown, "ns1"), usize::from(code == 0), "{args:?}: {shown}");
        }
        let both = run(operator(&broker, "admin").arg("hosts"), 0);
        assert_eq!((rows(&both, "old1"), rows(&both, "ns1")), (1, 1), "{both}");
    }
    for args in [
        &["deploy", "--all", "--tier", "prod", "--yes"][..],
        &["deploy", "--role", "dns", "--tier", "prod", "--yes"],
        &["diff", "--role", "dns", "--tier", "prod"],
    ] {
        let shown = run(operator(&broker, "admin").args(args), 0);
        assert!(shown.out.contains("ns1") && !shown.out.contains("old1"), "{args:?}: {shown}");
    }
}

#[test]
fn it_is_shown_once_though_it_replies_to_the_query_for_another_host() {
    let broker = Broker::start();
    let gone = Peer::start(&broker, base_answer("gone", "test", "legacy"), |_| vec![]);
    run(operator(&broker, "tester").arg("hosts"), 0);
    drop(gone);
    let _old1 = answers_everything(&broker);
    // A host that replied in time, one that did not.
    let shown = run(operator(&broker, "tester").args(["status", "old1", "gone"]), 3);
    assert_eq!((rows(&shown, "old1"), rows(&shown, "gone")), (1, 1), "{shown}");
    let json =
        run(operator(&broker, "tester").args(["status", "old1", "gone", "--output", "json"]), 3).json();
    assert_eq!(json.len(), 2, "{json:#?}");
}
