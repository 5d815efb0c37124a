//! A listener that takes only what a trusted key has signed.

use crate::common::{Ears, HostBuilder, Signer, Wire};
use crate::stage::{Stage, changed, text};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

pub(crate) const SUBJECT: &str = "deploy.test.web1";

/// A request as it goes out: its id, its subject, its bytes and its headers.
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

/// A request to switch as operators send it, changed by `fields`.
pub(crate) fn request(id: &str, fields: Value) -> Vec<u8> {
    let now = Timestamp::now();
    let request = json!({"action": "switch", "revision": "master", "reply_to": format!("deploy.responses.{id}"),
        "issued_at": now, "expires_at": now + SignedDuration::from_secs(60)});
    changed(request, fields).to_string().into_bytes()
}

/// The same, signed for the host's own subject.
pub(crate) fn signed(signer: &Signer, id: &str, fields: Value) -> Sent {
    signed_for(signer, SUBJECT, id, fields)
}

pub(crate) fn signed_for(signer: &Signer, subject: &str, id: &str, fields: Value) -> Sent {
    let payload = request(id, fields);
    let headers = signer.headers(subject, &payload);
    Sent { id: id.to_owned(), subject: subject.to_owned(), payload, headers }
}

impl Stage {
    /// Publishes it, and gives what comes back.
    pub(crate) fn publish(&self, sent: &Sent) -> Ears {
        let reply = format!("deploy.responses.{}", sent.id);
        let reports = self.wire.listen(&reply);
        self.wire.say_with(&sent.subject, Some(&reply), &sent.headers, &sent.payload);
        reports
    }

    /// Publishes it, and expects this refusal and these words in it.
    pub(crate) fn refuses(&self, sent: &Sent, error: &str, words: &[&str]) {
        let report = self.publish(sent).next().body;
        let expected = (&json!("rejected"), &json!(error));
        assert_eq!((&report["status"], &report["error"]), expected, "{words:?}: {report}");
        for word in words {
            assert!(text(&report["message"]).contains(word), "{word:?} is not in {report}");
        }
        assert_eq!(report["hostname"], "web1");
    }
}

#[test]
fn what_a_trusted_key_has_signed_is_done_and_the_key_is_written_down() {
    let admin = Signer::of("admin");
    let (mut stage, tester) =
        trusting_with("echo >> $DIR/calls", |host| host.args(&["--trusted-key", &admin.key()]));
    for (id, signer) in [("t-1", &tester), ("t-2", &admin)] {
        let report = stage.publish(&signed(signer, id, json!({}))).verdict();
        assert_eq!(report["status"], "completed", "{report}");
        assert_eq!(stage.record(id)["verified_key"], signer.key());
        assert_eq!(stage.host.logged("accepted a job")["key"], signer.key());
    }
    for subject in ["deploy.test.all", "deploy.test.role.web"] {
        let sent = signed_for(&tester, subject, "t-3", json!({"id": format!("t-3-{}", subject.len())}));
        assert_eq!(stage.publish(&sent).verdict()["status"], "completed");
    }
    assert_eq!(stage.calls(), 4);
    let entries = stage.ask(json!({"want": "history"}))["entries"].clone();
    let keys: Vec<_> = entries.as_array().unwrap().iter().map(|entry| entry["key"].clone()).collect();
    assert_eq!(keys, [tester.key(), tester.key(), admin.key(), tester.key()]);
    // The history outlives the record.
    stage.restart();
    assert_eq!(stage.ask(json!({"want": "history"}))["entries"], entries);
}

#[test]
fn everything_else_is_refused_with_what_to_do() {
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
    let unsigned = "the request is not signed, and web1 takes only what a trusted key has signed; use a key of your own \
        (--nkey-file), and add its public key U… to --trusted-key of the listener on web1";
    let untrusted = format!(
        "the request is signed by {}, which web1 does not trust; add it to --trusted-key of the listener on web1",
        stranger.key()
    );
    let wrong = format!("{key} has not signed this request for deploy.test.web1: it was changed on its way");
    for (sent, words) in [
        (with("r-1", &|_| vec![]), unsigned),
        (
            with("r-2", &|sent| {
                vec![("homelab-deploy-key", value(sent, 0)), ("HOMELAB-DEPLOY-SIGNATURE", value(sent, 1))]
            }),
            unsigned,
        ),
        (with("r-3", &|sent| vec![(k, value(sent, 0))]), "it has no Homelab-Deploy-Signature; send it with"),
        (with("r-4", &|sent| vec![(s, value(sent, 1))]), "it has no Homelab-Deploy-Key; send it with"),
        (
            with("r-5", &|sent| vec![(k, value(sent, 0)), (k, value(sent, 0)), (s, value(sent, 1))]),
            "it has 2 times Homelab-Deploy-Key",
        ),
        (
            with("r-6", &|sent| {
                vec![(k, value(sent, 0)), (s, value(sent, 1)), (s, String::new()), (s, "x".to_owned())]
            }),
            "it has 3 times Homelab-Deploy-Signature",
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
        // Moved, and moved to here.
        (
            Sent { subject: "deploy.test.all".to_owned(), ..good("r-17") },
            "for deploy.test.all: it was changed on its way, meant for another subject or fleet",
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
        stage.refuses(&sent, "not_permitted", &[words]);
        let line = stage.host.logged("refused a request");
        assert_eq!((&line["id"], &line["code"]), (&json!(sent.id), &json!("not_permitted")));
    }
    assert_eq!(stage.calls(), 0);
    assert_eq!(stage.publish(&good("r-20")).verdict()["status"], "completed");
    assert_eq!(stage.calls(), 1);
}

#[test]
fn what_is_no_request_is_first_of_all_not_signed() {
    let (stage, signer) = trusting("echo >> $DIR/calls");
    let sent = |id: &str, payload: &[u8], headers: bool| Sent {
        id: id.to_owned(),
        subject: SUBJECT.to_owned(),
        headers: if headers { signer.headers(SUBJECT, payload) } else { vec![] },
        payload: payload.to_vec(),
    };
    for (payload, said) in [
        (&b""[..], "not a JSON object"),
        (b"\xff\xfe", "not a JSON object"),
        (br#"{"action":"leap","reply_to":"deploy.responses.b-1"}"#, "leap"),
    ] {
        stage.refuses(&sent("b-1", payload, false), "not_permitted", &["is not signed"]);
        let code = if said == "leap" { "invalid_action" } else { "invalid_request" };
        stage.refuses(&sent("b-1", payload, true), code, &[said]);
    }
    assert_eq!(stage.calls(), 0);
}

#[test]
fn it_must_say_how_long_it_is_of_use_and_that_must_be_short() {
    let (stage, signer) = trusting("echo >> $DIR/calls");
    let at = |seconds: i64| json!(Timestamp::now() + SignedDuration::from_secs(seconds));
    for (id, fields, words) in [
        ("l-1", json!({"issued_at": null}), vec!["must say `issued_at`, or it could be used again for ever"]),
        ("l-2", json!({"expires_at": null}), vec!["must say `expires_at`"]),
        ("l-3", json!({"issued_at": null, "expires_at": null}), vec!["must say `issued_at`"]),
        ("l-4", json!({"issued_at": at(0), "expires_at": at(3600)}), vec!["for 3600 s", "300 s at most"]),
        (
            "l-5",
            json!({"issued_at": at(-250), "expires_at": at(52)}),
            vec!["for 302 s", "set the clock of web1 right"],
        ),
        ("l-6", json!({"issued_at": "1970-01-01T00:00:00Z", "expires_at": at(60)}), vec!["300 s at most"]),
        ("l-7", json!({"expires_at": "9999-12-30T00:00:00Z"}), vec!["300 s at most"]),
    ] {
        stage.refuses(&signed(&signer, id, fields), "not_permitted", &words);
    }
    assert_eq!(stage.calls(), 0);
    let longest = signed(&signer, "l-8", json!({"issued_at": at(-200), "expires_at": at(95)}));
    assert_eq!(stage.publish(&longest).verdict()["status"], "completed");
    // A host whose clock is ahead of the operator's, as one is sent to again.
    let behind = signed(&signer, "l-9", json!({"issued_at": at(-3600), "expires_at": at(-3400)}));
    stage.refuses(&behind, "expired", &["expired", "by this host's clock"]);
    // One whose clock is behind, and what it is sent then.
    let ahead = signed(&signer, "l-10", json!({"issued_at": at(3600), "expires_at": at(3660)}));
    stage.refuses(
        &ahead,
        "expired",
        &["expires in 36", "by this host's clock, which says", "set the clock of web1"],
    );
    let again = signed(&signer, "l-11", json!({"issued_at": at(3600), "expires_at": at(60)}));
    assert_eq!(stage.publish(&again).verdict()["status"], "completed");
    assert_eq!(stage.calls(), 2);
}

#[test]
fn a_cancel_must_be_signed_too_and_questions_need_not_be() {
    let script = format!("{}read _ < $DIR/go", crate::stage::phase("build"));
    let (stage, signer) = trusting_with(&script, |host| host.gate("go"));
    let reports = stage.publish(&signed(&signer, "c-1", json!({})));
    reports.until(|report| report["message"] == "build");
    let cancel = json!({"action": "cancel", "job": "c-1", "revision": null});
    let bare = Sent { headers: vec![], ..signed(&signer, "c-2", cancel.clone()) };
    stage.refuses(&bare, "not_permitted", &["is not signed"]);
    assert_eq!(stage.ask(json!({"want": "job"}))["report"]["status"], "running");
    let taken = stage.publish(&signed(&signer, "c-3", cancel)).verdict();
    assert_eq!(taken["status"], "completed", "{taken}");
    assert_eq!(reports.verdict()["error"], "cancelled");
}

#[test]
fn a_listener_that_trusts_no_key_looks_at_no_signature() {
    let stage = Stage::new("echo >> $DIR/calls");
    stage.completes("n-1");
    let signer = Signer::of("stranger");
    let good = signed(&signer, "n-2", json!({}));
    let bad = Sent { headers: good.headers.clone(), ..signed(&signer, "n-3", json!({"issued_at": null})) };
    for sent in [&good, &bad] {
        assert_eq!(stage.publish(sent).verdict()["status"], "completed");
        assert_eq!(stage.record(&sent.id)["verified_key"], Value::Null);
    }
    // As ever: the same once more is told how it stands.
    assert_eq!(stage.publish(&good).next().body["status"], "completed");
    let entries = stage.ask(json!({"want": "history"}))["entries"].clone();
    assert!(entries.as_array().unwrap().iter().all(|entry| entry.get("key").is_none()), "{entries}");
    assert!(!stage.host.file("state/seen.jsonl").exists());
    assert_eq!(stage.calls(), 3);
}

#[test]
fn the_owner_of_the_broker_may_do_everything_but_deploy() {
    let (stage, _) = trusting("echo >> $DIR/calls");
    let owner = Wire::connect(&stage.broker, "everything");
    let reports = owner.listen("deploy.responses.o-1");
    owner.say(SUBJECT, &serde_json::from_slice(&request("o-1", json!({}))).unwrap());
    assert_eq!(reports.next().body["error"], "not_permitted");
    let signer = Signer::of("everything");
    stage.refuses(&signed(&signer, "o-2", json!({})), "not_permitted", &["which web1 does not trust"]);
    assert_eq!(stage.calls(), 0);
}

#[test]
fn what_another_implementation_has_signed_counts() {
    let key = "UAB2CB576PHBBPQ5ODORRZ2LYCMWPZGWGCN2KDK7DXOIMZASKUY3RLKK";
    let stage = Stage::with("echo >> $DIR/calls", |host| host.args(&["--trusted-key", key]));
    let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    // By another implementation, as in tests/protocol/signature.rs. Its time has come and gone, which is said of what is signed.
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
