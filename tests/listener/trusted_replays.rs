//! What comes once more on a listener that trusts keys: nothing is done twice, nor what was refused.

use crate::common::Signer;
use crate::stage::{Stage, phase};
use crate::trusted::{Sent, signed, signed_for, trusting, trusting_with};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;

const SEEN: &str =
    "this request was seen before on deploy.test.web1, and none is taken twice; send a new one";

/// A host with a job that waits at its gate, and what comes back of that.
fn busy(id: &str) -> (Stage, Signer, Sent, crate::common::Ears) {
    let script = format!("echo >> $DIR/calls\n{}[ -e $DIR/quick ] || read _ < $DIR/go", phase("build"));
    let (stage, signer) = trusting_with(&script, |host| host.gate("go"));
    let sent = signed(&signer, id, json!({}));
    let reports = stage.publish(&sent);
    reports.until(|report| report["message"] == "build");
    (stage, signer, sent, reports)
}

#[test]
fn an_accepted_one_is_told_how_its_job_stands_while_that_runs_and_is_refused_then() {
    let (mut stage, _, sent, reports) = busy("p-1");
    let again = stage.publish(&sent).next().body;
    assert_eq!((&again["status"], &again["message"]), (&json!("running"), &json!("build")));
    let line = stage.host.logged("refused a request");
    assert_eq!((&line["id"], &line["code"]), (&json!("p-1"), &json!("not_permitted")));
    // Also where nothing is right but the id, which everybody has heard.
    let bare = stage.publish(&Sent { headers: vec![], ..sent.clone() }).next().body;
    assert_eq!((&bare["status"], &bare["message"]), (&json!("running"), &json!("build")));
    stage.host.open("go");
    assert_eq!(reports.verdict()["status"], "completed");
    stage.refuses(&sent, "not_permitted", &[SEEN]);
    stage.restart();
    stage.refuses(&sent, "not_permitted", &[SEEN]);
    assert_eq!(stage.calls(), 1);
    // What became of it stands.
    assert_eq!(stage.ask(json!({"want": "job", "id": "p-1"}))["report"]["status"], "completed");
}

#[test]
fn one_that_was_refused_is_not_done_later() {
    let (mut stage, signer, _, reports) = busy("p-2");
    let sent = signed(&signer, "p-3", json!({}));
    stage.refuses(&sent, "already_running", &["job p-2 runs"]);
    stage.refuses(&sent, "not_permitted", &[SEEN]);
    stage.host.open("go");
    reports.verdict();
    stage.refuses(&sent, "not_permitted", &[SEEN]);
    stage.restart();
    stage.refuses(&sent, "not_permitted", &[SEEN]);
    assert_eq!(stage.calls(), 1);
    std::fs::write(stage.host.file("quick"), "").unwrap();
    assert_eq!(stage.publish(&signed(&signer, "p-4", json!({}))).verdict()["status"], "completed");
}

#[test]
fn one_that_came_too_late_or_too_early_is_not_done_when_clocks_are_set() {
    let (mut stage, signer) = trusting("echo >> $DIR/calls");
    let at = |seconds: i64| json!(Timestamp::now() + SignedDuration::from_secs(seconds));
    let late = signed(&signer, "p-5", json!({"issued_at": at(-90), "expires_at": at(-30)}));
    let early = signed(&signer, "p-6", json!({"issued_at": at(3600), "expires_at": at(3660)}));
    for sent in [&late, &early] {
        stage.refuses(sent, "expired", &["by this host's clock"]);
        stage.refuses(sent, "not_permitted", &[SEEN]);
    }
    stage.restart();
    for sent in [&late, &early] {
        stage.refuses(sent, "not_permitted", &[SEEN]);
    }
}

#[test]
fn a_cancel_is_taken_once() {
    let (stage, signer, _, reports) = busy("p-7");
    let cancel = signed(&signer, "p-8", json!({"action": "cancel", "job": "p-7", "revision": null}));
    assert_eq!(stage.publish(&cancel).verdict()["status"], "completed");
    assert_eq!(reports.verdict()["error"], "cancelled");
    stage.refuses(&cancel, "not_permitted", &[SEEN]);
}

#[test]
fn one_deployment_by_two_subjects_of_a_host_is_one_job() {
    let (stage, signer) = trusting("echo >> $DIR/calls");
    let own = signed(&signer, "p-9", json!({}));
    let verdict = stage.publish(&own).verdict();
    let all = signed_for(&signer, "deploy.test.all", "p-9", json!({}));
    assert_eq!(stage.publish(&all).next().body, verdict);
    stage.refuses(&all, "not_permitted", &["seen before on deploy.test.all"]);
    assert_eq!(stage.calls(), 1);
}

#[test]
fn what_another_subject_or_a_false_signature_brings_takes_no_id_away() {
    let (stage, signer) = trusting("echo >> $DIR/calls");
    let sent = signed(&signer, "p-10", json!({}));
    let stranger = Signer::of("stranger");
    stage.refuses(
        &Sent { subject: "deploy.test.all".to_owned(), ..sent.clone() },
        "not_permitted",
        &["has not signed"],
    );
    stage.refuses(&Sent { headers: vec![], ..sent.clone() }, "not_permitted", &["is not signed"]);
    stage.refuses(&signed(&stranger, "p-10", json!({})), "not_permitted", &["does not trust"]);
    assert_eq!(stage.publish(&sent).verdict()["status"], "completed");
}

#[test]
fn what_was_seen_is_forgotten_after_a_day_and_a_torn_file_does_no_harm() {
    let (mut stage, signer) = trusting("echo >> $DIR/calls");
    let sent = signed(&signer, "p-11", json!({}));
    stage.publish(&sent).verdict();
    // Else it would be told again after the restart.
    stage.told("p-11");
    stage.refuses(&sent, "not_permitted", &[SEEN]);
    let file = stage.host.file("state/seen.jsonl");
    let line = std::fs::read_to_string(&file).unwrap();
    assert_eq!(line.lines().count(), 1, "{line}");
    let old = json!({"subject": "deploy.test.web1", "id": "p-12", "until": Timestamp::now()});
    std::fs::write(&file, format!("{old}\n{line}\u{0}{{\"subject\":\"dep")).unwrap();
    stage.restart();
    assert_eq!(std::fs::read_to_string(&file).unwrap(), line);
    stage.refuses(&sent, "not_permitted", &[SEEN]);
    assert_eq!(stage.publish(&signed(&signer, "p-12", json!({}))).verdict()["status"], "completed");
    assert_eq!(stage.calls(), 2);
}

#[test]
fn where_nothing_can_be_written_it_remembers_as_long_as_it_runs() {
    let (mut stage, signer, _, reports) = busy("p-13");
    let file = stage.host.file("state/seen.jsonl");
    std::fs::remove_file(&file).unwrap();
    std::fs::create_dir(&file).unwrap();
    let sent = signed(&signer, "p-14", json!({}));
    stage.refuses(&sent, "already_running", &["p-13"]);
    let warning = "could not note that a signed request came; it could be used once more after a restart";
    assert_eq!(stage.host.logged(warning)["level"], "WARN");
    stage.refuses(&sent, "not_permitted", &[SEEN]);
    // What could not be written is, once that is possible.
    std::fs::remove_dir(&file).unwrap();
    stage.refuses(&signed(&signer, "p-15", json!({})), "already_running", &["p-13"]);
    stage.host.open("go");
    reports.verdict();
    stage.restart();
    stage.refuses(&sent, "not_permitted", &[SEEN]);
}
