//! Where a listener listens: templates, what they may not be, and what its key does not allow.

use crate::common::{Broker, HostBuilder, Wire};
use crate::stage::text;
use serde_json::{Value, json};

/// A host without a role whose key may do everything, listening on these subjects.
fn on(broker: &Broker, subjects: &[&str]) -> HostBuilder {
    let key = broker.key("everything").display().to_string();
    let host = HostBuilder::new(broker, "web1", "test", "web").without("--role").flag("--nkey-file", &key);
    subjects.iter().fold(host, |host, subject| host.args(&["--deploy-subject", subject]))
}

fn request(id: &str) -> Value {
    json!({"action": "switch", "revision": "master", "reply_to": format!("deploy.responses.{id}")})
}

#[test]
fn templates_expand_and_one_that_needs_a_role_is_left_out() {
    let broker = Broker::start();
    let all = Wire::connect(&broker, "everything");
    let presence = all.listen("deploy.responses.presence");
    let templates = ["fleet.<tier>.<hostname>.now", "deploy.<tier>.role.<role>", "fleet.<tier>.*.later"];
    let _host = on(&broker, &templates).start();
    let subjects = presence.next().body["deploy_subjects"].clone();
    assert_eq!(subjects, json!(["fleet.test.web1.now", "fleet.test.*.later"]));

    for (id, subject) in [("u-1", "fleet.test.web1.now"), ("u-2", "fleet.test.any.later")] {
        let reports = all.listen(&format!("deploy.responses.{id}"));
        all.say(subject, &request(id));
        assert_eq!(reports.verdict()["status"], "completed");
    }
    // The usual ones are not listened on then.
    let heard = all.listen("deploy.responses.u-3");
    all.say_bytes("deploy.test.web1", Some("deploy.responses.u-3"), request("u-3").to_string().into_bytes());
    assert!(heard.next().body.is_null(), "somebody took it");
}

#[test]
fn the_subject_of_questions_can_be_another() {
    let broker = Broker::start();
    let all = Wire::connect(&broker, "everything");
    let presence = all.listen("deploy.responses.presence");
    let _host =
        on(&broker, &["deploy.test.web1"]).args(&["--discover-subject", "ask.<tier>.<hostname>"]).start();
    presence.next();
    let answers = all.listen("deploy.responses.*");
    all.say("deploy.discover", &json!({"reply_to": "deploy.responses.u-7"}));
    all.say("ask.test.web1", &json!({"reply_to": "deploy.responses.u-4"}));
    assert_eq!(answers.next().subject, "deploy.responses.u-4");
}

#[test]
fn a_subject_that_cannot_carry_requests_ends_it_with_a_sentence() {
    let broker = Broker::start();
    for (subject, expected) in [
        ("deploy.responses.<hostname>", "overlaps deploy.responses.>, which carries no requests"),
        ("deploy.>", "overlaps deploy.responses.>"),
        (">", "overlaps deploy.responses.>"),
        ("deploy.*.<hostname>.>", "overlaps deploy.responses.>"),
        ("deploy.responses", "overlaps deploy.responses,"),
        ("deploy.discover", "overlaps deploy.discover"),
        ("deploy.*", "overlaps deploy.responses,"),
        ("deploy.<tier>.<host>", "unknown placeholder; there are `<hostname>`, `<tier>` and `<role>`"),
        ("deploy..web1", "is not a subject"),
        ("deploy.a b", "is not a subject"),
        ("deploy.>.web1", "is not a subject"),
        ("", "is not a subject"),
        ("deploy.<tier>.role.<role>", "each of them needs a role, and this host has none"),
    ] {
        let mut host = on(&broker, &[subject]).launch();
        assert_eq!(host.ended().code(), Some(2), "{subject}");
        let said = host.rest_of_log().pop().unwrap();
        assert!(text(&said).starts_with("error: ") && text(&said).contains(expected), "{subject}: {said}");
    }
}

#[test]
fn a_subject_that_its_key_may_not_use_is_logged_and_told() {
    let broker = Broker::start();
    let operator = Wire::connect(&broker, "admin");
    let presence = operator.listen("deploy.responses.presence");
    let mut host = HostBuilder::new(&broker, "web1", "test", "web")
        .args(&["--deploy-subject", "deploy.test.web1", "--deploy-subject", "deploy.prod.web1"])
        .launch();
    let warning = "the server refused deploy.prod.web1: this key has no permission to subscribe there";
    let line = host.logged(warning);
    assert_eq!((&line["level"], &line["subject"]), (&json!("WARN"), &json!("deploy.prod.web1")));
    presence.next();
    let answers = operator.listen("deploy.responses.u-5");
    // Logged before it is told: it may take one more question.
    let told = crate::common::eventually("the warning", || {
        operator.say("deploy.discover", &json!({"reply_to": "deploy.responses.u-5"}));
        let answer = answers.next().body;
        answer["warnings"].is_array().then_some(answer)
    });
    assert_eq!(told["warnings"], json!([warning]));
    // What it may use it serves.
    let reports = operator.listen("deploy.responses.u-6");
    operator.say("deploy.test.web1", &request("u-6"));
    assert_eq!(reports.verdict()["status"], "completed");
}
