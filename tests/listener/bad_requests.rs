//! Invalid requests: each is refused with its reason, and the listener continues.

use crate::stage::{Stage, changed, text};
use serde_json::{Value, json};

/// Sends bytes with a NATS reply subject and returns the rejection sent to it.
fn refusal(stage: &Stage, id: &str, body: Vec<u8>) -> Value {
    let reply = format!("deploy.responses.{id}");
    let reports = stage.wire.subscribe(&reply);
    stage.wire.publish_bytes("deploy.test.web1", Some(&reply), body);
    let report = reports.next().body;
    assert_eq!((&report["status"], &report["hostname"]), (&json!("rejected"), &json!("web1")), "{report}");
    report
}

#[test]
fn an_unreadable_request_is_rejected_on_the_reply_subject_of_its_message() {
    let stage = Stage::new("echo >> $DIR/calls");
    let padded = |size: usize| {
        let request =
            json!({"action": "switch", "revision": "master", "reply_to": "deploy.responses.b-1", "x": ""});
        let empty = request.to_string().len();
        changed(request, json!({"x": "x".repeat(size - empty)})).to_string().into_bytes()
    };
    for (n, (body, expected)) in [
        (b"".to_vec(), "not a JSON object: it does not start with `{`"),
        (b"switch master".to_vec(), "not a JSON object: it does not start with `{`"),
        (b"\xff\xfe\x00".to_vec(), "not a JSON object: it does not start with `{`"),
        (b"[]".to_vec(), "not a JSON object: it does not start with `{`"),
        (b"7".to_vec(), "not a JSON object: it does not start with `{`"),
        (b"{\"action\":".to_vec(), "not a JSON object: EOF"),
        (b"{}".to_vec(), "`reply_to` is missing"),
        (format!("{{\"x\":{}", "[".repeat(60_000)).into_bytes(), "not a JSON object: recursion limit"),
    ]
    .into_iter()
    .enumerate()
    {
        let report = refusal(&stage, &format!("b-2-{n}"), body);
        assert_eq!(report["error"], "invalid_request", "{report}");
        assert!(text(&report["message"]).contains(expected), "{expected}: {report}");
    }
    assert_eq!(stage.calls(), 0);
    // A request of the maximum size is accepted.
    let reports = stage.wire.subscribe("deploy.responses.b-1");
    stage.wire.publish_bytes("deploy.test.web1", None, padded(64 * 1024));
    assert_eq!(reports.final_report()["status"], "completed");
}

#[test]
fn a_field_that_is_wrong_is_named() {
    let stage = Stage::new("echo >> $DIR/calls");
    for (n, (fields, error, expected)) in [
        (json!({"action": 7}), "invalid_request", "`action`"),
        (json!({"action": null}), "invalid_request", "`action`"),
        (json!({"action": "leap"}), "invalid_action", "\"leap\""),
        (json!({"action": ""}), "invalid_action", "\"\""),
        (json!({"action": "SWITCH"}), "invalid_action", "SWITCH"),
        (json!({"revision": 7}), "invalid_revision", "integer"),
        (json!({"revision": ["master"]}), "invalid_revision", "sequence"),
        (json!({"revision": null}), "invalid_revision", "needs a `revision`"),
        (json!({"id": "../../etc"}), "invalid_request", "`id`"),
        (json!({"id": 7}), "invalid_request", "`id`"),
        (json!({"expires_at": "tomorrow"}), "invalid_request", "`expires_at`"),
        (json!({"expires_at": 1_700_000_000}), "invalid_request", "`expires_at`"),
        (json!({"timeout_s": -1}), "invalid_request", "`timeout_s`"),
        (json!({"timeout_s": 0}), "invalid_request", "`timeout_s`"),
        (json!({"timeout_s": "60"}), "invalid_request", "`timeout_s`"),
        (json!({"timeout_s": 1e30}), "invalid_request", "`timeout_s`"),
        (json!({"commit": "abc"}), "invalid_request", "`commit`"),
        (json!({"issuer": {"name": "x"}}), "invalid_request", "`issuer`"),
        (json!({"on_failure": "shrug"}), "invalid_request", "`on_failure`"),
        (json!({"action": "cancel"}), "invalid_request", "`job`"),
        (json!({"action": "cancel", "job": "*"}), "invalid_request", "`job`"),
    ]
    .into_iter()
    .enumerate()
    {
        let report = stage.deploy(&format!("b-3-{n}"), fields.clone()).final_report();
        assert_eq!(
            (&report["status"], &report["error"]),
            (&json!("rejected"), &json!(error)),
            "{fields}: {report}"
        );
        assert!(text(&report["message"]).contains(expected), "{fields}: {report}");
    }
    assert_eq!(stage.calls(), 0);
    stage.completes("b-4");
}

#[test]
fn an_invalid_revision_is_refused_and_reaches_no_shell() {
    let dir = tempfile::tempdir().unwrap();
    let read = dir.path().join("read");
    let stage = Stage::with("echo >> $DIR/calls", |host| host.env("READ", read.to_str().unwrap()));
    let long = "x".repeat(256);
    for (n, revision) in [
        "--help", "a..b", "-x", "x y", "", "a\nb", "a\u{0}b", "a?b", "a//b", "/a", "a/", "a.", "a.lock",
        "a@{1}", "a~1", "a^", "a:b", "*", "..", "abcdef1", &long,
    ]
    .into_iter()
    .enumerate()
    {
        let report = stage.deploy(&format!("b-5-{n}"), json!({"revision": revision})).final_report();
        let expected = (&json!("rejected"), &json!("invalid_revision"));
        assert_eq!((&report["status"], &report["error"]), expected, "{revision:?}");
        assert!(text(&report["message"]).contains("revision") || revision == "abcdef1", "{report}");
    }
    assert_eq!(stage.calls(), 0);
    let allowed =
        ["feature/a+b_c.d-1", "20250101", "v1.0", "a#b", "a&b", "🦀", "$(touch$IFS$READ)|touch$IFS$READ"];
    let longest = "x".repeat(255);
    for (n, revision) in allowed.into_iter().chain([longest.as_str()]).enumerate() {
        let report = stage.deploy(&format!("b-6-{n}"), json!({"revision": revision})).final_report();
        assert_eq!(report["status"], "completed", "{report}");
    }
    assert!(!read.exists());
}

#[test]
fn an_invalid_reply_subject_is_replaced_or_counted() {
    let mut stage = Stage::new("echo >> $DIR/calls");
    let bad = [
        json!("deploy.test.web1"),
        json!("deploy.responses"),
        json!("deploy.responses."),
        json!("deploy.responses.*"),
        json!("deploy.responses.>"),
        json!("deploy.responses.a.b"),
        json!("deploy.responses.presence"),
        json!("deploy.responses.ask.b-7"),
        json!("deploy.responses.-x"),
        json!("deploy.responses.a b"),
        json!("_INBOX.abc"),
        json!(""),
        json!(7),
        json!(null),
    ];
    let responses = stage.wire.subscribe("deploy.responses.>");
    for (n, reply_to) in bad.iter().enumerate() {
        let request = json!({"action": "switch", "revision": "master", "reply_to": reply_to});
        let to = format!("deploy.responses.b-8-{n}");
        stage.wire.publish_bytes("deploy.test.web1", Some(&to), request.to_string().into_bytes());
        let received = responses.next();
        assert_eq!(received.subject, to, "{reply_to}");
        assert_eq!(received.body["error"], "invalid_request");
        assert!(text(&received.body["message"]).contains("`reply_to`"), "{}", received.body);
    }
    for (n, reply) in
        [None, Some("deploy.responses.presence"), Some("deploy.test.all"), Some("deploy.responses.ask.x")]
            .into_iter()
            .enumerate()
    {
        let request = json!({"action": "switch", "revision": "master", "reply_to": bad[n]});
        stage.wire.publish_bytes("deploy.test.web1", reply, request.to_string().into_bytes());
        let line = stage.host.wait_for_log("refused a request without a valid reply subject");
        assert_eq!((&line["level"], &line["count"]), (&json!("WARN"), &json!(n + 1)));
        assert!(text(&line["reason"]).contains("`reply_to`"), "{line}");
    }
    stage.completes("b-9");
    assert_eq!(responses.until(|body| body["hostname"] == "web1")["id"], "b-9");
    assert_eq!(stage.calls(), 1);
}

/// Without the check, a host that deploys complete systems would deploy everything.
#[test]
fn a_host_without_services_refuses_requests_about_services() {
    let stage = Stage::new("echo >> $DIR/calls");
    let presence = stage.query(json!({}));
    assert!(presence["engine"].is_null() && presence["components"].is_null(), "{presence}");
    for (n, (fields, error, expected)) in [
        (json!({"services": ["nginx"]}), "invalid_request", "no services that can be deployed alone"),
        (json!({"prune": true}), "invalid_request", "no services that can be deployed alone"),
        (json!({"services": ["../x"]}), "invalid_request", "`services[0]`"),
        (json!({"action": "resume", "job": "j-1"}), "invalid_action", "does not support the action `resume`"),
        (json!({"action": "resume"}), "invalid_request", "`resume` must name the job to continue"),
        (json!({"action": "diagnose"}), "invalid_action", "does not support the action `diagnose`"),
    ]
    .into_iter()
    .enumerate()
    {
        let report = stage.deploy(&format!("s-{n}"), fields).final_report();
        assert_eq!((&report["status"], &report["error"]), (&json!("rejected"), &json!(error)), "{report}");
        assert!(text(&report["message"]).contains(expected), "{report}");
    }
    assert_eq!(stage.calls(), 0);
    assert_eq!(
        stage.deploy("s-x", json!({"services": [], "prune": false})).final_report()["status"],
        "completed"
    );
}
