//! The operator with a listener that supports only the base wire format.

use crate::common::{
    CommandOutput, FakeListener, HostBuilder, NatsServer, base_presence, base_report, operator, run,
};
use serde_json::{Value, json};

/// A base listener on `old1` that ends each job with this status and error.
fn old1(nats: &NatsServer, status: &'static str, error: Option<&'static str>) -> FakeListener {
    FakeListener::start(nats, base_presence("old1", "test", "legacy"), move |_| {
        vec![
            base_report("old1", "accepted", None, "queued"),
            base_report("old1", "started", None, "building"),
            base_report("old1", status, error, "as it went"),
        ]
    })
}

/// The last row of the table, with single spaces.
fn last_row(ended: &CommandOutput) -> String {
    ended.stdout.lines().last().unwrap().split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn it_is_listed() {
    let nats = NatsServer::start();
    let _old1 = old1(&nats, "completed", None);
    let hosts = run(operator(&nats, "tester").arg("hosts"), 0);
    assert_eq!(last_row(&hosts), "old1 test legacy idle 0 s");
    let hosts = run(operator(&nats, "tester").args(["hosts", "--output", "json"]), 0).json();
    let [host] = &hosts[..] else { panic!("{hosts:?}") };
    assert_eq!(host["presence"], "online");
    assert_eq!(host["name_conflict"], false);
    assert_eq!(host["host"]["answer"], base_presence("old1", "test", "legacy"));
}

#[test]
fn it_completes_a_deployment() {
    let nats = NatsServer::start();
    let peer = old1(&nats, "completed", None);
    let done = run(operator(&nats, "tester").args(["deploy", "old1", "--branch", "main"]), 0);
    let lines: Vec<_> = done.stdout.lines().take(3).collect();
    assert_eq!(lines, ["old1  accepted", "old1  started", "old1  completed: as it went"]);
    assert_eq!(last_row(&done), "old1 completed as it went");
    let request = peer.request();
    assert_eq!(request["action"], "switch");
    assert_eq!(request["revision"], "main");
    assert!(request["reply_to"].as_str().unwrap().starts_with("deploy.responses."));

    let done = run(operator(&nats, "tester").args(["deploy", "deploy.test.role.legacy"]), 0);
    assert_eq!(last_row(&done), "old1 completed as it went");
}

#[test]
fn it_completes_a_deployment_in_json() {
    let nats = NatsServer::start();
    let _peer = old1(&nats, "completed", None);
    let lines = run(operator(&nats, "tester").args(["deploy", "old1", "--output", "json"]), 0).json();
    let statuses: Vec<_> = lines.iter().map(|line| line["value"]["status"].clone()).collect();
    assert_eq!(statuses, [json!("accepted"), json!("started"), json!("completed"), Value::Null]);
    let result = &lines[3];
    assert_eq!((&result["event"], &result["exit"]), (&json!("result"), &json!(0)));
    assert_eq!(result["value"]["hosts"][0]["result"], "completed");
    assert_eq!(lines[0]["value"]["id"], result["value"]["id"], "the id comes from the subject");
}

#[test]
fn it_fails_and_rejects() {
    let nats = NatsServer::start();
    for (status, error, words) in
        [("failed", "build_failed", "build failed"), ("rejected", "already_running", "already running")]
    {
        let _peer = old1(&nats, status, Some(error));
        let bad = run(operator(&nats, "tester").args(["deploy", "old1"]), 1);
        assert!(bad.stdout.contains(&format!("\nold1  {status} ({words}): as it went\n")), "{bad}");
        assert!(bad.stdout.contains(&format!("\nold1  {status}  ")), "{bad}");
    }
}

#[test]
fn empty_strings_mean_absent() {
    let nats = NatsServer::start();
    let mut answer = base_presence("old1", "test", "legacy");
    answer["role"] = json!("");
    let _peer = FakeListener::start(&nats, answer, |_| vec![base_report("old1", "completed", Some(""), "")]);
    run(operator(&nats, "tester").args(["deploy", "old1"]), 0);
}

#[test]
fn it_receives_no_unsupported_requests() {
    let nats = NatsServer::start();
    let peer = old1(&nats, "completed", None);
    for (args, action) in [
        (&["cancel", "old1"][..], "cancel"),
        (&["deploy", "old1", "--action", "build"], "build"),
        (&["deploy", "deploy.test.all", "--action", "build"], "build"),
    ] {
        let refused = run(operator(&nats, "tester").args(args), 2);
        let expected =
            format!("the listener on old1 does not support `{action}`: update it; nothing was sent");
        refused.assert_stderr(&[&expected]);
    }
    for action in ["switch", "boot", "test", "dry-activate"] {
        run(operator(&nats, "tester").args(["deploy", "old1", "--action", action]), 0);
        assert_eq!(peer.request()["action"], action);
    }
}

/// A base listener that replies to every query, even for another tier, role or host.
fn answers_everything(nats: &NatsServer) -> FakeListener {
    let answer = base_presence("old1", "test", "legacy");
    FakeListener::start(nats, answer.clone(), move |request| match request.get("action") {
        Some(_) => vec![base_report("old1", "completed", None, "as it went")],
        None => vec![answer.clone()],
    })
}

/// Number of lines that start with the host.
fn rows(ended: &CommandOutput, host: &str) -> usize {
    ended.stdout.lines().filter(|line| line.split_whitespace().next() == Some(host)).count()
}

#[test]
fn it_is_left_out_of_another_tier_and_role_though_it_replies() {
    let nats = NatsServer::start();
    let _old1 = answers_everything(&nats);
    let _ns1 = HostBuilder::new(&nats, "ns1", "prod", "dns").start();
    // The first pass is before the host is known, the second after.
    for _ in 0..2 {
        for (args, code) in
            [(&["--tier", "prod"][..], 0), (&["--role", "dns"], 0), (&["--tier", "test", "--role", "dns"], 3)]
        {
            let shown = run(operator(&nats, "admin").arg("hosts").args(args), code);
            assert_eq!(
                (rows(&shown, "old1"), shown.stdout.contains("old1")),
                (0, false),
                "{args:?}: {shown}"
            );
            assert_eq!(rows(&shown, "ns1"), usize::from(code == 0), "{args:?}: {shown}");
        }
        let both = run(operator(&nats, "admin").arg("hosts"), 0);
        assert_eq!((rows(&both, "old1"), rows(&both, "ns1")), (1, 1), "{both}");
    }
    for args in [
        &["deploy", "--all", "--tier", "prod", "--yes"][..],
        &["deploy", "--role", "dns", "--tier", "prod", "--yes"],
        &["diff", "--role", "dns", "--tier", "prod"],
    ] {
        let shown = run(operator(&nats, "admin").args(args), 0);
        assert!(shown.stdout.contains("ns1") && !shown.stdout.contains("old1"), "{args:?}: {shown}");
    }
}

#[test]
fn it_is_shown_once_though_it_replies_to_the_query_for_another_host() {
    let nats = NatsServer::start();
    let gone = FakeListener::start(&nats, base_presence("gone", "test", "legacy"), |_| vec![]);
    run(operator(&nats, "tester").arg("hosts"), 0);
    drop(gone);
    let _old1 = answers_everything(&nats);
    // One host replies in time, the other does not.
    let shown = run(operator(&nats, "tester").args(["status", "old1", "gone"]), 3);
    assert_eq!((rows(&shown, "old1"), rows(&shown, "gone")), (1, 1), "{shown}");
    let json = run(operator(&nats, "tester").args(["status", "old1", "gone", "--output", "json"]), 3).json();
    assert_eq!(json.len(), 2, "{json:#?}");
}
