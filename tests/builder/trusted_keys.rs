//! A builder that accepts only requests signed by a trusted key.

use crate::common::{Signer, operator, run};
use crate::stage::{Stage, says, text};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

const HOSTS: &str = "web1 = sh \"web1\" \"echo one > $out\";";
const SUBJECT: &str = "build.web1";

/// A builder whose configuration file trusts this key.
fn trusting(key: &str) -> Stage {
    Stage::with(HOSTS, &format!("trusted_keys = [{key:?}]"), |builder| builder)
}

/// A request in the form that operators send, changed by `fields`.
fn request(id: &str, fields: &Value) -> Vec<u8> {
    let now = Timestamp::now();
    let mut request = json!({"target": "web1", "reply_to": format!("build.responses.{id}"), "id": id,
        "issued_at": now, "expires_at": now + SignedDuration::from_secs(60)});
    for (field, value) in fields.as_object().unwrap() {
        request[field] = value.clone();
    }
    request.to_string().into_bytes()
}

/// Publishes the payload with these headers and returns the final report.
fn publish(stage: &Stage, id: &str, payload: &[u8], headers: &[(String, String)]) -> Value {
    let reports = stage.wire.subscribe(&format!("build.responses.{id}"));
    stage.wire.publish_with_headers(SUBJECT, None, headers, payload);
    reports.final_report()
}

#[test]
fn only_what_a_trusted_key_has_signed_for_this_purpose_and_subject_is_built() {
    let (admin, tester) = (Signer::of("admin"), Signer::of("tester"));
    let mut stage = trusting(&admin.key());
    let signed = |id: &str, purpose: &str, subject: &str, fields: &Value| {
        let payload = request(id, fields);
        let headers = admin.headers_for(purpose, subject, &payload);
        (payload, headers)
    };
    let plain = request("t-1", &json!({}));
    says(
        &publish(&stage, "t-1", &plain, &[]),
        "rejected",
        "not_permitted",
        &[
            "is not signed",
            "the builder only accepts requests signed with a trusted key",
            "--trusted-key of the builder",
        ],
    );
    let other = request("t-2", &json!({}));
    let headers = tester.headers_for("build", SUBJECT, &other);
    let words = [&*format!("signed by {}, which the builder does not trust", tester.key())];
    says(&publish(&stage, "t-2", &other, &headers), "rejected", "not_permitted", &words);
    let wrong = ["does not match this request on build.web1"];
    for (id, purpose, subject) in [("t-3", "request", SUBJECT), ("t-4", "build", "build.all")] {
        let (payload, headers) = signed(id, purpose, subject, &json!({}));
        says(&publish(&stage, id, &payload, &headers), "rejected", "not_permitted", &wrong);
    }
    let (payload, headers) = signed("t-5", "build", SUBJECT, &json!({}));
    let changed = String::from_utf8(payload).unwrap().replace("\"t-5\"", "\"t-6\"").replace("s.t-5", "s.t-6");
    says(&publish(&stage, "t-6", changed.as_bytes(), &headers), "rejected", "not_permitted", &wrong);
    let later = Timestamp::now() + SignedDuration::from_secs(3600);
    for (id, fields, words) in [
        ("t-7", json!({"issued_at": null}), "the request has no `issued_at`"),
        ("t-8", json!({"expires_at": null}), "the request has no `expires_at`"),
        ("t-9", json!({"expires_at": later}), "but a signed request may be valid for at most 300 s"),
    ] {
        let (payload, headers) = signed(id, "build", SUBJECT, &fields);
        says(&publish(&stage, id, &payload, &headers), "rejected", "not_permitted", &[words]);
    }
    // An unreadable request is rejected like one that is not permitted.
    let unread = br#"{"target":"web1","reply_to":"build.responses.t-10","branch":"a..b"}"#;
    says(&publish(&stage, "t-10", unread, &[]), "rejected", "not_permitted", &["is not signed"]);
    assert_eq!(std::fs::read_dir(stage.builder.file("state/builds")).unwrap().count(), 0);

    let (payload, headers) = signed("t-11", "build", SUBJECT, &json!({}));
    let first = publish(&stage, "t-11", &payload, &headers);
    says(&first, "completed", "", &[]);
    assert_eq!(stage.builder.wait_for_log("accepted a build")["key"], admin.key());
    // A repeated request starts nothing, regardless of its sender.
    let again = publish(&stage, "t-11", &payload, &[]);
    assert_eq!((text(&again["message"]), &again["seq"]), (text(&first["message"]), &first["seq"]));
}

#[test]
fn operators_sign_what_they_send_to_the_builder() {
    let admin = Signer::of("admin").key();
    let stage =
        Stage::with(HOSTS, "fleet_name = \"home\"", |builder| builder.args(&["--trusted-key", &admin]));
    let build =
        |args: &[&str], code| run(operator(&stage.nats, "admin").args(["build", "web1"]).args(args), code);
    build(&["--fleet-name", "home"], 0);
    let other = build(&["--fleet-name", "lab"], 1);
    assert!(other.stdout.contains("meant for another subject or fleet"), "{other}");
    drop(stage);

    let stage = trusting(&Signer::of("tester").key());
    let refused = run(operator(&stage.nats, "admin").args(["build", "web1"]), 1);
    assert!(
        refused.stdout.contains(&format!("signed by {admin}, which the builder does not trust")),
        "{refused}"
    );
}

#[test]
fn a_key_expires_while_the_builder_runs() {
    let expires_at = Timestamp::now() + SignedDuration::from_secs(4);
    let mut stage = trusting(&format!("{}@{expires_at}", Signer::of("admin").key()));
    stage.builder.last_log("a trusted key expires soon");
    let logged = stage.builder.wait_for_log("a trusted key has expired");
    assert_eq!(logged["expires_at"], json!(expires_at.to_string()));
}

#[test]
fn an_expired_key_is_not_trusted() {
    let admin = Signer::of("admin");
    let stage = trusting(&format!("{}@2026-01-01", admin.key()));
    let payload = request("t-1", &json!({}));
    let report = publish(&stage, "t-1", &payload, &admin.headers_for("build", SUBJECT, &payload));
    says(&report, "rejected", "not_permitted", &["which expired on the builder at 2026-01-02"]);
}
