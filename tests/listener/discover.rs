//! Queries and replies.

use crate::common::{HostBuilder, NatsServer, RawClient, Repo};
use crate::stage::{Stage, changed, phase, quoted_log, text};
use serde_json::{Value, json};

#[test]
fn the_presence_names_the_running_system_once_a_job_has_completed() {
    let repo = Repo::new();
    let commit = repo.commit("flake.nix", "{}");
    let mut stage = Stage::with("", |host| host.flake(&repo.url()));
    let before = stage.query(json!({}));
    assert!(before["revision"].is_null() && before["commit"].is_null(), "{before}");
    assert_eq!(before["flake_url"], repo.url());
    assert_eq!(before["version"], env!("CARGO_PKG_VERSION"));

    stage.completes("d-1");
    let after = stage.query(json!({"query": "host"}));
    assert_eq!(
        (&after["query"], &after["revision"], &after["commit"]),
        (&json!("host"), &json!("master"), &json!(commit))
    );
    assert_eq!(after["job"]["id"], "d-1");
    assert_eq!(after["interval_s"], 30);

    stage.restart();
    let again = stage.query(json!({}));
    assert_eq!(again["instance"], after["instance"]);
    assert_eq!(again["commit"], after["commit"]);
}

#[test]
fn two_hosts_have_two_instances() {
    let (one, other) = (Stage::new(""), Stage::new(""));
    assert_ne!(one.query(json!({}))["instance"], other.query(json!({}))["instance"]);
}

#[test]
fn a_job_is_queried_by_id_or_as_the_newest() {
    let script = format!("[ -e $DIR/hold ] && {}read _ < $DIR/go", phase("build"));
    let stage = Stage::with(&script, |host| host.gate("go"));
    assert!(stage.query(json!({"query": "job"}))["report"].is_null());
    for id in ["d-2", "d-3"] {
        let reports = stage.deploy(id, json!({}));
        stage.host.open("go");
        reports.final_report();
    }
    let newest = stage.query(json!({"query": "job"}));
    assert_eq!(
        (&newest["query"], &newest["id"], &newest["hostname"]),
        (&json!("job"), &Value::Null, &json!("web1"))
    );
    assert_eq!(newest["report"]["id"], "d-3");
    let older = stage.query(json!({"query": "job", "id": "d-2"}));
    assert_eq!((&older["id"], &older["report"]["id"]), (&json!("d-2"), &json!("d-2")));
    assert_eq!(older["report"]["status"], "completed");
    let unknown = stage.query(json!({"query": "job", "id": "d-99"}));
    assert_eq!((&unknown["query"], &unknown["id"]), (&json!("job"), &json!("d-99")));
    assert!(unknown["report"].is_null(), "{unknown}");

    std::fs::write(stage.host.file("hold"), "").unwrap();
    let reports = stage.deploy("d-4", json!({}));
    reports.until(|report| report["message"] == "build");
    for query in [json!({"query": "job"}), json!({"query": "job", "id": "d-4"})] {
        let running = stage.query(query);
        assert_eq!(
            (&running["report"]["id"], &running["report"]["status"]),
            (&json!("d-4"), &json!("running"))
        );
    }
    assert_eq!(stage.query(json!({}))["job"]["id"], "d-4");
    stage.host.open("go");
    reports.final_report();
}

#[test]
fn diagnostics_are_in_the_job_reply_but_not_in_the_presence() {
    let stage = Stage::new("echo why it failed; exit 1");
    stage.deploy("d-5", json!({})).final_report();
    let job = stage.query(json!({"query": "job"}));
    assert!(quoted_log(&job["report"]).ends_with("\nwhy it failed"), "{job}");
    let host = stage.query(json!({}));
    assert_eq!((&host["job"]["id"], &host["job"]["diagnostics"]), (&json!("d-5"), &Value::Null));
}

#[test]
fn only_the_selected_hosts_reply() {
    let nats = NatsServer::start();
    let admin = RawClient::connect(&nats, "admin");
    let presence = admin.subscribe("deploy.responses.presence");
    let hosts =
        [("web1", "test", "web"), ("web2", "test", "web"), ("db1", "test", "db"), ("ns1", "prod", "dns")];
    let _hosts = hosts.map(|(name, tier, role)| HostBuilder::new(&nats, name, tier, role).start());
    for _ in &hosts {
        presence.next();
    }
    let replies = admin.subscribe("deploy.responses.>");
    for (filter, expected) in [
        (json!({}), &["db1", "ns1", "web1", "web2"][..]),
        (json!({"tier": "test"}), &["db1", "web1", "web2"]),
        (json!({"role": "web"}), &["web1", "web2"]),
        (json!({"tier": "prod", "role": "web"}), &[]),
        (json!({"hosts": ["web2", "ns1", "gone"]}), &["ns1", "web2"]),
        (json!({"hosts": ["web2", "ns1"], "tier": "prod"}), &["ns1"]),
        (json!({"hosts": [], "tier": "", "role": null}), &["db1", "ns1", "web1", "web2"]),
    ] {
        admin.publish(
            "deploy.discover",
            &changed(json!({"reply_to": "deploy.responses.some"}), filter.clone()),
        );
        // Each host replies in order, so after its reply to this query it has handled the first one.
        admin.publish("deploy.discover", &json!({"reply_to": "deploy.responses.all-hosts"}));
        let (mut some, mut all) = (Vec::new(), 0);
        while all < hosts.len() {
            let received = replies.next();
            if received.subject == "deploy.responses.some" {
                some.push(text(&received.body["hostname"]).to_owned());
            } else {
                all += 1;
            }
        }
        some.sort();
        assert_eq!(some, expected, "{filter}");
    }
}

#[test]
fn an_unknown_query_gets_the_reply_of_a_base_host() {
    let stage = Stage::new("");
    let reply = stage.query(json!({"query": "weather", "id": "d-6", "unknown": {"of": [1]}}));
    assert_eq!(reply["hostname"], "web1");
    assert!(reply["query"].is_null() && reply["deploy_subjects"].is_array(), "{reply}");
}

#[test]
fn unreadable_queries_are_harmless() {
    let mut stage = Stage::new("");
    let bad: [&[u8]; 8] = [
        b"",
        b"not json",
        b"[]",
        b"{}",
        b"\xff\xfe",
        br#"{"reply_to":7}"#,
        br#"{"reply_to":"deploy.test.web1"}"#,
        br#"{"reply_to":"deploy.responses.d-7","hosts":"web1"}"#,
    ];
    let replies = stage.wire.subscribe("deploy.responses.>");
    for query in bad {
        stage.wire.publish_bytes("deploy.discover", Some("deploy.responses.d-7"), query.to_vec());
        let line = stage.host.wait_for_log("failed to parse a query");
        assert_eq!(line["level"], "WARN");
        assert!(!line["error"].as_str().unwrap().is_empty(), "{line}");
    }
    assert_eq!(stage.query(json!({}))["hostname"], "web1");
    assert_eq!(replies.next().body["hostname"], "web1", "a reply to an unreadable query");
}
