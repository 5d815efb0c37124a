//! A listener with trusted keys: it accepts only requests that one of them has signed.

use crate::common::{HostBuilder, RawClient, RawSubscription, Signer};
use crate::stage::{Stage, changed, text};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

pub(crate) const SUBJECT: &str = "deploy.test.web1";

/// A request to publish.
#[derive(Clone)]
pub(crate) struct Sent {
    pub(crate) id: String,
    pub(crate) subject: String,
    pub(crate) payload: Vec<u8>,
    pub(crate) headers: Vec<(String, String)>,
}

/// A host that trusts the deployer of its tier.
pub(crate) fn trusting(script: &str) -> (Stage, Signer) {
    trusting_with(script, |host| host)
}

pub(crate) fn trusting_with(script: &str, adapt: impl FnOnce(HostBuilder) -> HostBuilder) -> (Stage, Signer) {
    let signer = Signer::of("tester");
    let stage = Stage::with(script, |host| adapt(host.args(&["--trusted-key", &signer.key()])));
    (stage, signer)
}

/// A switch request as operators send it, changed by `fields`.
pub(crate) fn request(id: &str, fields: Value) -> Vec<u8> {
    let now = Timestamp::now();
    let request = json!({"action": "switch", "revision": "master", "reply_to": format!("deploy.responses.{id}"),
        "issued_at": now, "expires_at": now + SignedDuration::from_secs(60)});
    changed(request, fields).to_string().into_bytes()
}

/// The same request, signed for the host's own subject.
pub(crate) fn signed(signer: &Signer, id: &str, fields: Value) -> Sent {
    signed_for(signer, SUBJECT, id, fields)
}

pub(crate) fn signed_for(signer: &Signer, subject: &str, id: &str, fields: Value) -> Sent {
    let payload = request(id, fields);
    let headers = signer.headers(subject, &payload);
    Sent { id: id.to_owned(), subject: subject.to_owned(), payload, headers }
}

impl Stage {
    /// Publishes a request and returns its reports.
    pub(crate) fn publish(&self, sent: &Sent) -> RawSubscription {
        let reply = format!("deploy.responses.{}", sent.id);
        let reports = self.wire.subscribe(&reply);
        self.wire.publish_with_headers(&sent.subject, Some(&reply), &sent.headers, &sent.payload);
        reports
    }

    /// Publishes a request and expects this rejection, with these parts in its message.
    pub(crate) fn refuses(&self, sent: &Sent, error: &str, parts: &[&str]) {
        let report = self.publish(sent).next().body;
        let expected = (&json!("rejected"), &json!(error));
        assert_eq!((&report["status"], &report["error"]), expected, "{parts:?}: {report}");
        for part in parts {
            assert!(text(&report["message"]).contains(part), "{part:?} is not in {report}");
        }
        assert_eq!(report["hostname"], "web1");
    }
}

#[test]
fn a_request_signed_by_a_trusted_key_runs_and_the_key_is_recorded() {
    let admin = Signer::of("admin");
    let (mut stage, tester) =
        trusting_with("echo >> $DIR/calls", |host| host.args(&["--trusted-key", &admin.key()]));
    for (id, signer) in [("t-1", &tester), ("t-2", &admin)] {
        let report = stage.publish(&signed(signer, id, json!({}))).final_report();
        assert_eq!(report["status"], "completed", "{report}");
        assert_eq!(stage.record(id)["verified_key"], signer.key());
        assert_eq!(stage.host.wait_for_log("accepted a job")["key"], signer.key());
    }
    for subject in ["deploy.test.all", "deploy.test.role.web"] {
        let sent = signed_for(&tester, subject, "t-3", json!({"id": format!("t-3-{}", subject.len())}));
        assert_eq!(stage.publish(&sent).final_report()["status"], "completed");
    }
    assert_eq!(stage.calls(), 4);
    let entries = stage.query(json!({"query": "history"}))["entries"].clone();
    let keys: Vec<_> = entries.as_array().unwrap().iter().map(|entry| entry["key"].clone()).collect();
    assert_eq!(keys, [tester.key(), tester.key(), admin.key(), tester.key()]);
    // The history outlives the record.
    stage.restart();
    assert_eq!(stage.query(json!({"query": "history"}))["entries"], entries);
}

#[test]
fn every_other_request_is_rejected_with_advice() {
    let (mut stage, signer) = trusting("echo >> $DIR/calls");
    let stranger = Signer::of("stranger");
    let good = |id: &str| signed(&signer, id, json!({}));
    let key = signer.key();
    let value = |sent: &Sent, at: usize| sent.headers[at].1.clone();
    let with = |id: &str, headers: &dyn Fn(&Sent) -> Vec<(&'static str, String)>| {
        let sent = good(id);
        let headers = headers(&sent).into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        Sent { headers, ..sent }
    };
    let (k, s) = ("Homelab-Deploy-Key", "Homelab-Deploy-Signature");
    let unsigned = "the request is not signed, and web1 only accepts requests signed with a trusted key; use your own key \
        (--nkey-file), and add its public key U… to --trusted-key of the listener on web1";
    let untrusted = format!(
        "the request is signed by {}, which web1 does not trust; add it to --trusted-key of the listener on web1",
        stranger.key()
    );
    let wrong = format!(
        "the signature of {key} does not match this request on deploy.test.web1: it was changed in transit"
    );
    for (sent, parts) in [
        (with("r-1", &|_| vec![]), unsigned),
        (
            with("r-2", &|sent| {
                vec![("homelab-deploy-key", value(sent, 0)), ("HOMELAB-DEPLOY-SIGNATURE", value(sent, 1))]
            }),
            unsigned,
        ),
        (with("r-3", &|sent| vec![(k, value(sent, 0))]), "Homelab-Deploy-Signature is missing; send it with"),
        (with("r-4", &|sent| vec![(s, value(sent, 1))]), "Homelab-Deploy-Key is missing; send it with"),
        (
            with("r-5", &|sent| vec![(k, value(sent, 0)), (k, value(sent, 0)), (s, value(sent, 1))]),
            "Homelab-Deploy-Key occurs 2 times",
        ),
        (
            with("r-6", &|sent| {
                vec![(k, value(sent, 0)), (s, value(sent, 1)), (s, String::new()), (s, "x".to_owned())]
            }),
            "Homelab-Deploy-Signature occurs 3 times",
        ),
        (
            with("r-7", &|sent| vec![(k, String::new()), (s, value(sent, 1))]),
            "Homelab-Deploy-Key: it is not a public key",
        ),
        (
            with("r-8", &|sent| vec![(k, "\u{1b}[31m".repeat(900)), (s, value(sent, 1))]),
            "Homelab-Deploy-Key: it is not a public key",
        ),
        (
            with("r-9", &|sent| vec![(k, value(sent, 0)), (s, format!("{}==", value(sent, 1)))]),
            "Homelab-Deploy-Signature is not base64url",
        ),
        (
            with("r-10", &|sent| vec![(k, value(sent, 0)), (s, "🦀".to_owned())]),
            "Homelab-Deploy-Signature is not base64url",
        ),
        (with("r-11", &|sent| vec![(k, value(sent, 0)), (s, String::new())]), &wrong),
        (with("r-12", &|sent| vec![(k, value(sent, 0)), (s, "A".repeat(86))]), &wrong),
        (Sent { headers: good("r-14").headers, ..good("r-13") }, &wrong),
        (signed(&stranger, "r-15", json!({})), &untrusted),
        (
            with("r-16", &|sent| {
                vec![(k, key.clone()), (s, stranger.headers(SUBJECT, &sent.payload)[1].1.clone())]
            }),
            &wrong,
        ),
        // Sent to a subject other than the signed one.
        (
            Sent { subject: "deploy.test.all".to_owned(), ..good("r-17") },
            "on deploy.test.all: it was changed in transit, meant for another subject or fleet",
        ),
        (
            Sent {
                subject: SUBJECT.to_owned(),
                ..signed_for(&signer, "deploy.prod.web1", "r-18", json!({}))
            },
            &wrong,
        ),
        (Sent { payload: [&good("r-19").payload[..], b" "].concat(), ..good("r-19") }, &wrong),
    ] {
        stage.refuses(&sent, "not_permitted", &[parts]);
        let line = stage.host.wait_for_log("refused a request");
        assert_eq!((&line["id"], &line["code"]), (&json!(sent.id), &json!("not_permitted")));
    }
    assert_eq!(stage.calls(), 0);
    assert_eq!(stage.publish(&good("r-20")).final_report()["status"], "completed");
    assert_eq!(stage.calls(), 1);
}

#[test]
fn an_unreadable_request_is_rejected_as_unsigned() {
    let (stage, signer) = trusting("echo >> $DIR/calls");
    let sent = |id: &str, payload: &[u8], headers: bool| Sent {
        id: id.to_owned(),
        subject: SUBJECT.to_owned(),
        headers: if headers { signer.headers(SUBJECT, payload) } else { vec![] },
        payload: payload.to_vec(),
    };
    for (payload, expected) in [
        (&b""[..], "not a JSON object"),
        (b"\xff\xfe", "not a JSON object"),
        (br#"{"action":"leap","reply_to":"deploy.responses.b-1"}"#, "leap"),
    ] {
        stage.refuses(&sent("b-1", payload, false), "not_permitted", &["is not signed"]);
        let code = if expected == "leap" { "invalid_action" } else { "invalid_request" };
        stage.refuses(&sent("b-1", payload, true), code, &[expected]);
    }
    assert_eq!(stage.calls(), 0);
}

#[test]
fn a_signed_request_must_expire_soon() {
    let (stage, signer) = trusting("echo >> $DIR/calls");
    let at = |seconds: i64| json!(Timestamp::now() + SignedDuration::from_secs(seconds));
    for (id, fields, parts) in [
        (
            "l-1",
            json!({"issued_at": null}),
            vec!["the request has no `issued_at`, so it could be replayed forever"],
        ),
        ("l-2", json!({"expires_at": null}), vec!["the request has no `expires_at`"]),
        ("l-3", json!({"issued_at": null, "expires_at": null}), vec!["the request has no `issued_at`"]),
        ("l-4", json!({"issued_at": at(0), "expires_at": at(3600)}), vec!["for 3600 s", "at most 300 s"]),
        (
            "l-5",
            json!({"issued_at": at(-250), "expires_at": at(52)}),
            vec!["for 302 s", "correct the clock of web1"],
        ),
        ("l-6", json!({"issued_at": "1970-01-01T00:00:00Z", "expires_at": at(60)}), vec!["at most 300 s"]),
        ("l-7", json!({"expires_at": "9999-12-30T00:00:00Z"}), vec!["at most 300 s"]),
    ] {
        stage.refuses(&signed(&signer, id, fields), "not_permitted", &parts);
    }
    assert_eq!(stage.calls(), 0);
    let longest = signed(&signer, "l-8", json!({"issued_at": at(-200), "expires_at": at(95)}));
    assert_eq!(stage.publish(&longest).final_report()["status"], "completed");
    // The clock of this host is ahead of the operator's clock.
    let behind = signed(&signer, "l-9", json!({"issued_at": at(-3600), "expires_at": at(-3400)}));
    stage.refuses(&behind, "expired", &["expired", "by this host's clock"]);
    // The clock of this host is behind; the second request has the corrected times.
    let ahead = signed(&signer, "l-10", json!({"issued_at": at(3600), "expires_at": at(3660)}));
    stage.refuses(
        &ahead,
        "expired",
        &["expires in 36", "by this host's clock, which says", "correct the clock of web1"],
    );
    let again = signed(&signer, "l-11", json!({"issued_at": at(3600), "expires_at": at(60)}));
    assert_eq!(stage.publish(&again).final_report()["status"], "completed");
    assert_eq!(stage.calls(), 2);
}

#[test]
fn a_cancel_must_be_signed_and_a_query_need_not_be() {
    let script = format!("{}read _ < $DIR/go", crate::stage::phase("build"));
    let (stage, signer) = trusting_with(&script, |host| host.gate("go"));
    let reports = stage.publish(&signed(&signer, "c-1", json!({})));
    reports.until(|report| report["message"] == "build");
    let cancel = json!({"action": "cancel", "job": "c-1", "revision": null});
    let bare = Sent { headers: vec![], ..signed(&signer, "c-2", cancel.clone()) };
    stage.refuses(&bare, "not_permitted", &["is not signed"]);
    assert_eq!(stage.query(json!({"query": "job"}))["report"]["status"], "running");
    let cancelled = stage.publish(&signed(&signer, "c-3", cancel)).final_report();
    assert_eq!(cancelled["status"], "completed", "{cancelled}");
    assert_eq!(reports.final_report()["error"], "cancelled");
}

#[test]
fn a_listener_without_trusted_keys_ignores_signatures() {
    let stage = Stage::new("echo >> $DIR/calls");
    stage.completes("n-1");
    let signer = Signer::of("stranger");
    let good = signed(&signer, "n-2", json!({}));
    let bad = Sent { headers: good.headers.clone(), ..signed(&signer, "n-3", json!({"issued_at": null})) };
    for sent in [&good, &bad] {
        assert_eq!(stage.publish(sent).final_report()["status"], "completed");
        assert_eq!(stage.record(&sent.id)["verified_key"], Value::Null);
    }
    // A repeated request gets the report of its job, as with any listener.
    assert_eq!(stage.publish(&good).next().body["status"], "completed");
    let entries = stage.query(json!({"query": "history"}))["entries"].clone();
    assert!(entries.as_array().unwrap().iter().all(|entry| entry.get("key").is_none()), "{entries}");
    assert!(!stage.host.file("state/replay_guard.jsonl").exists());
    assert_eq!(stage.calls(), 3);
}

#[test]
fn a_credential_with_all_permissions_cannot_deploy() {
    let (stage, _) = trusting("echo >> $DIR/calls");
    let owner = RawClient::connect(&stage.nats, "everything");
    let reports = owner.subscribe("deploy.responses.o-1");
    owner.publish(SUBJECT, &serde_json::from_slice(&request("o-1", json!({}))).unwrap());
    assert_eq!(reports.next().body["error"], "not_permitted");
    let signer = Signer::of("everything");
    stage.refuses(&signed(&signer, "o-2", json!({})), "not_permitted", &["which web1 does not trust"]);
    assert_eq!(stage.calls(), 0);
}

#[test]
fn a_signature_of_another_implementation_is_valid() {
    let key = "UAB2CB576PHBBPQ5ODORRZ2LYCMWPZGWGCN2KDK7DXOIMZASKUY3RLKK";
    let stage = Stage::with("echo >> $DIR/calls", |host| host.args(&["--trusted-key", key]));
    let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    // The vector of tests/protocol/signature.rs. It has expired, which is checked after the signature.
    let payload = br#"{"action":"switch","revision":"master","reply_to":"deploy.responses.v-1","issued_at":"2026-01-02T03:04:05Z","expires_at":"2026-01-02T03:05:05Z"}"#;
    let signature = "q_QyHSNGAxJ90-87MRI7xJcHzvpCyln-KKlhdImO5qoRkTjfvcJYvviqixiaKiEL03__ttJV7bA5KyEtVftxDg";
    let sent = Sent {
        id: "v-1".to_owned(),
        subject: SUBJECT.to_owned(),
        payload: payload.to_vec(),
        headers: vec![header("Homelab-Deploy-Key", key), header("Homelab-Deploy-Signature", signature)],
    };
    let signer = Signer::of("tester");
    stage.refuses(
        &Sent { headers: signer.headers(SUBJECT, payload), ..sent.clone() },
        "not_permitted",
        &["does not trust"],
    );
    stage.refuses(&sent, "expired", &["the request expired"]);
}
