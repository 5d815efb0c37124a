//! Replays on a listener with trusted keys: no request takes effect twice, not even a rejected one.

use crate::common::Signer;
use crate::stage::{Stage, phase};
use crate::trusted::{Sent, signed, signed_for, trusting, trusting_with};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;

const REPLAYED: &str =
    "this request was already received on deploy.test.web1, and no request is accepted twice; send a new one";

/// A host with a job that waits at its gate, and the job's reports.
fn busy(id: &str) -> (Stage, Signer, Sent, crate::common::RawSubscription) {
    let script = format!("echo >> $DIR/calls\n{}[ -e $DIR/quick ] || read _ < $DIR/go", phase("build"));
    let (stage, signer) = trusting_with(&script, |host| host.gate("go"));
    let sent = signed(&signer, id, json!({}));
    let reports = stage.publish(&sent);
    reports.until(|report| report["message"] == "build");
    (stage, signer, sent, reports)
}

#[test]
fn a_replay_gets_the_status_of_its_running_job_and_is_rejected_afterwards() {
    let (mut stage, _, sent, reports) = busy("p-1");
    let again = stage.publish(&sent).next().body;
    assert_eq!((&again["status"], &again["message"]), (&json!("running"), &json!("build")));
    let line = stage.host.wait_for_log("refused a request");
    assert_eq!((&line["id"], &line["code"]), (&json!("p-1"), &json!("not_permitted")));
    // The same applies to a request of which only the id is right, because anyone can receive ids.
    let bare = stage.publish(&Sent { headers: vec![], ..sent.clone() }).next().body;
    assert_eq!((&bare["status"], &bare["message"]), (&json!("running"), &json!("build")));
    stage.host.open("go");
    assert_eq!(reports.final_report()["status"], "completed");
    stage.refuses(&sent, "not_permitted", &[REPLAYED]);
    stage.restart();
    stage.refuses(&sent, "not_permitted", &[REPLAYED]);
    assert_eq!(stage.calls(), 1);
    // The result of the job is unchanged.
    assert_eq!(stage.query(json!({"query": "job", "id": "p-1"}))["report"]["status"], "completed");
}

#[test]
fn a_rejected_request_is_not_done_later() {
    let (mut stage, signer, _, reports) = busy("p-2");
    let sent = signed(&signer, "p-3", json!({}));
    stage.refuses(&sent, "already_running", &["job p-2 is running"]);
    stage.refuses(&sent, "not_permitted", &[REPLAYED]);
    stage.host.open("go");
    reports.final_report();
    stage.refuses(&sent, "not_permitted", &[REPLAYED]);
    stage.restart();
    stage.refuses(&sent, "not_permitted", &[REPLAYED]);
    assert_eq!(stage.calls(), 1);
    std::fs::write(stage.host.file("quick"), "").unwrap();
    assert_eq!(stage.publish(&signed(&signer, "p-4", json!({}))).final_report()["status"], "completed");
}

#[test]
fn an_expired_or_premature_request_is_not_done_when_clocks_are_set() {
    let (mut stage, signer) = trusting("echo >> $DIR/calls");
    let at = |seconds: i64| json!(Timestamp::now() + SignedDuration::from_secs(seconds));
    let late = signed(&signer, "p-5", json!({"issued_at": at(-90), "expires_at": at(-30)}));
    let early = signed(&signer, "p-6", json!({"issued_at": at(3600), "expires_at": at(3660)}));
    for sent in [&late, &early] {
        stage.refuses(sent, "expired", &["by this host's clock"]);
        stage.refuses(sent, "not_permitted", &[REPLAYED]);
    }
    stage.restart();
    for sent in [&late, &early] {
        stage.refuses(sent, "not_permitted", &[REPLAYED]);
    }
}

#[test]
fn a_cancel_is_accepted_once() {
    let (stage, signer, _, reports) = busy("p-7");
    let cancel = signed(&signer, "p-8", json!({"action": "cancel", "job": "p-7", "revision": null}));
    assert_eq!(stage.publish(&cancel).final_report()["status"], "completed");
    assert_eq!(reports.final_report()["error"], "cancelled");
    stage.refuses(&cancel, "not_permitted", &[REPLAYED]);
}

#[test]
fn a_deployment_on_two_subjects_of_a_host_is_one_job() {
    let (stage, signer) = trusting("echo >> $DIR/calls");
    let own = signed(&signer, "p-9", json!({}));
    let result = stage.publish(&own).final_report();
    let all = signed_for(&signer, "deploy.test.all", "p-9", json!({}));
    assert_eq!(stage.publish(&all).next().body, result);
    stage.refuses(&all, "not_permitted", &["already received on deploy.test.all"]);
    assert_eq!(stage.calls(), 1);
}

#[test]
fn another_subject_or_a_wrong_signature_does_not_use_up_an_id() {
    let (stage, signer) = trusting("echo >> $DIR/calls");
    let sent = signed(&signer, "p-10", json!({}));
    let stranger = Signer::of("stranger");
    stage.refuses(
        &Sent { subject: "deploy.test.all".to_owned(), ..sent.clone() },
        "not_permitted",
        &["does not match this request"],
    );
    stage.refuses(&Sent { headers: vec![], ..sent.clone() }, "not_permitted", &["is not signed"]);
    stage.refuses(&signed(&stranger, "p-10", json!({})), "not_permitted", &["does not trust"]);
    assert_eq!(stage.publish(&sent).final_report()["status"], "completed");
}

#[test]
fn a_seen_request_is_forgotten_after_a_day_and_a_truncated_file_is_harmless() {
    let (mut stage, signer) = trusting("echo >> $DIR/calls");
    let sent = signed(&signer, "p-11", json!({}));
    stage.publish(&sent).final_report();
    // Otherwise its report would be sent again after the restart.
    stage.wait_delivered("p-11");
    stage.refuses(&sent, "not_permitted", &[REPLAYED]);
    let file = stage.host.file("state/replay_guard.jsonl");
    let line = std::fs::read_to_string(&file).unwrap();
    assert_eq!(line.lines().count(), 1, "{line}");
    let old = json!({"subject": "deploy.test.web1", "id": "p-12", "until": Timestamp::now()});
    std::fs::write(&file, format!("{old}\n{line}\u{0}{{\"subject\":\"dep")).unwrap();
    stage.restart();
    assert_eq!(std::fs::read_to_string(&file).unwrap(), line);
    stage.refuses(&sent, "not_permitted", &[REPLAYED]);
    assert_eq!(stage.publish(&signed(&signer, "p-12", json!({}))).final_report()["status"], "completed");
    assert_eq!(stage.calls(), 2);
}

#[test]
fn on_a_read_only_disk_seen_requests_are_remembered_until_exit() {
    let (mut stage, signer, _, reports) = busy("p-13");
    let file = stage.host.file("state/replay_guard.jsonl");
    std::fs::remove_file(&file).unwrap();
    std::fs::create_dir(&file).unwrap();
    let sent = signed(&signer, "p-14", json!({}));
    stage.refuses(&sent, "already_running", &["p-13"]);
    let warning = "failed to record a signed request: it could be replayed after a restart";
    assert_eq!(stage.host.wait_for_log(warning)["level"], "WARN");
    stage.refuses(&sent, "not_permitted", &[REPLAYED]);
    // Requests that could not be written are written once that is possible again.
    std::fs::remove_dir(&file).unwrap();
    stage.refuses(&signed(&signer, "p-15", json!({})), "already_running", &["p-13"]);
    stage.host.open("go");
    reports.final_report();
    stage.restart();
    stage.refuses(&sent, "not_permitted", &[REPLAYED]);
}
