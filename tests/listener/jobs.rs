//! A host runs one job at a time, and never starts an expired one.

use crate::common::{HostBuilder, NatsServer, RawClient};
use crate::stage::{Stage, changed, phase, text};
use serde_json::{Value, json};

/// A program that waits in its build phase until the gate opens.
fn waiting_stage() -> Stage {
    Stage::with(&format!("echo >> $DIR/calls\n{}read _ < $DIR/go", phase("build")), |host| host.gate("go"))
}

#[test]
fn of_many_requests_at_once_one_runs_and_the_others_get_its_id() {
    let stage = waiting_stage();
    let reports = stage.wire.subscribe("deploy.responses.*");
    for n in 0..20 {
        stage.send(&format!("j-{n}"), json!({}));
    }
    let mut accepted = Vec::new();
    let mut refused = Vec::new();
    while refused.len() < 19 {
        let report = reports.next().body;
        match text(&report["status"]) {
            "accepted" => accepted.push(report["id"].clone()),
            "rejected" => refused.push(report),
            _ => {}
        }
    }
    let [first] = &accepted[..] else { panic!("accepted: {accepted:?}") };
    for report in &refused {
        assert_eq!(
            (&report["error"], &report["running_job"]),
            (&json!("already_running"), first),
            "{report}"
        );
        assert!(text(&report["message"]).contains(text(first)), "{report}");
        assert_ne!(&report["id"], first);
    }
    stage.host.open("go");
    assert_eq!(reports.final_report()["id"], *first);
    assert_eq!(stage.calls(), 1);
}

#[test]
fn a_refused_id_may_be_used_again_once_the_host_is_free() {
    let stage = waiting_stage();
    let first = stage.deploy("j-30", json!({}));
    first.until(|report| report["status"] == "started");
    let second = stage.deploy("j-31", json!({}));
    assert_eq!(second.final_report()["error"], "already_running");
    stage.host.open("go");
    assert_eq!(first.final_report()["status"], "completed");
    stage.send("j-31", json!({}));
    stage.host.open("go");
    assert_eq!(second.final_report()["status"], "completed");
    assert_eq!(stage.calls(), 2);
}

#[test]
fn a_host_listens_only_on_the_subjects_of_its_name_tier_and_role() {
    let nats = NatsServer::start();
    let admin = RawClient::connect(&nats, "admin");
    let presence = admin.subscribe("deploy.responses.presence");
    let _web1 = HostBuilder::new(&nats, "web1", "test", "web").script("echo").start();
    presence.next();
    let reports = admin.subscribe("deploy.responses.>");
    let request = json!({"action": "switch", "revision": "master"});
    for subject in
        ["deploy.prod.web1", "deploy.test.web2", "deploy.test.role.db", "deploy.prod.all", "deploy.test"]
    {
        admin.publish(subject, &changed(request.clone(), json!({"reply_to": "deploy.responses.elsewhere"})));
    }
    for (n, subject) in ["deploy.test.web1", "deploy.test.all", "deploy.test.role.web"].iter().enumerate() {
        let reply_to = format!("deploy.responses.here-{n}");
        admin.publish(subject, &changed(request.clone(), json!({"reply_to": reply_to})));
        assert_eq!(reports.final_report()["id"], format!("here-{n}"), "{subject}");
    }
}

#[test]
fn an_expired_request_is_rejected_and_the_clock_is_named() {
    let stage = Stage::new("echo >> $DIR/calls");
    let expired = json!({"issued_at": "2020-01-01T00:00:00Z", "expires_at": "2020-01-01T00:01:00Z"});
    let report = stage.deploy("j-40", expired).final_report();
    assert_eq!((&report["status"], &report["error"]), (&json!("rejected"), &json!("expired")));
    assert!(text(&report["message"]).contains("by this host's clock, which says 20"), "{report}");
    assert!(text(&report["at"]) > "2026", "{report}");
    assert_eq!(stage.calls(), 0);
    // The same id may be sent again, with a later expiry.
    let report = stage.deploy("j-40", json!({"expires_at": "2120-01-01T00:00:00Z"})).final_report();
    assert_eq!(report["status"], "completed", "{report}");
}

#[test]
fn every_report_contains_the_fields_of_the_request() {
    let stage = Stage::new("");
    let story = stage
        .deploy("j-50", json!({"action": "boot", "revision": "v1.2", "issuer": "alice@desk"}))
        .all_reports();
    for report in &story {
        for (field, value) in [
            ("id", "j-50"),
            ("action", "boot"),
            ("revision", "v1.2"),
            ("issuer", "alice@desk"),
            ("tier", "test"),
            ("role", "web"),
            ("hostname", "web1"),
        ] {
            assert_eq!(report[field], value, "{report}");
        }
        assert!(report["at"].is_string() && report["instance"].is_string(), "{report}");
        assert_eq!(report["heartbeat_s"], 15);
    }
    let statuses: Vec<_> = story.iter().map(|report| &report["status"]).filter(|s| *s != "running").collect();
    assert_eq!(statuses, ["accepted", "started", "completed"]);
    assert!(story.windows(2).all(|pair| pair[0]["seq"].as_u64() < pair[1]["seq"].as_u64()), "{story:?}");
}

#[test]
fn every_announced_action_reaches_the_program() {
    let stage = Stage::new("echo \"$1\" >> $DIR/calls");
    for action in ["switch", "boot", "test", "dry-activate", "build"] {
        let report = stage.deploy(&format!("j-{action}"), json!({"action": action})).final_report();
        assert_eq!(report["status"], "completed", "{report}");
    }
    let calls = std::fs::read_to_string(stage.host.file("calls")).unwrap();
    assert_eq!(calls, "switch\nboot\ntest\ndry-activate\nbuild\n");
    for action in ["rollback", "reboot"] {
        let fields = json!({"action": action, "revision": Value::Null});
        let report = stage.deploy(&format!("j-{action}"), fields).final_report();
        assert_eq!((&report["status"], &report["error"]), (&json!("rejected"), &json!("invalid_action")));
        assert!(text(&report["message"]).contains(action), "{report}");
    }
}
