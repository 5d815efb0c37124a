//! What an operator receives is told apart by subject and content.

use crate::samples::{self, bytes, id, name, with, without};
use homelab_deploy::protocol::{Answer, Inbound, PRESENCE, Status, WireError};
use serde_json::{Value, json};

fn inbound(subject: &str, message: &Value) -> Result<Inbound, WireError> {
    Inbound::parse(subject, &bytes(message))
}

#[test]
fn a_report_without_id_takes_it_from_the_subject() {
    let base = json!({"hostname": "web1", "status": "started", "error": null, "message": "go"});
    let Inbound::Report(report) = inbound("deploy.responses.x-1", &base).unwrap() else { panic!() };
    assert_eq!((report.id, report.status), (Some(id("x-1")), Status::Started));
}

#[test]
fn a_report_with_id_keeps_it_whatever_its_subject() {
    let Inbound::Report(report) = inbound("deploy.responses.x-1", &samples::report()).unwrap() else {
        panic!()
    };
    assert_eq!(report.id, Some(id("d1")));
}

#[test]
fn a_host_answer_on_the_subject_of_reports_is_an_answer() {
    for answer in [
        json!({"hostname": "web1", "tier": "prod", "role": "", "deploy_subjects": ["deploy.prod.web1"]}),
        samples::host_answer(),
        with(samples::host_answer(), "status", json!(null)),
    ] {
        match inbound("deploy.responses.q1", &answer).unwrap() {
            Inbound::Answer(asked, Answer::Host(host)) => {
                assert_eq!((asked, host.hostname), (id("q1"), name("web1")));
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_report_whose_status_is_no_word_is_not_taken_for_an_answer() {
    for status in [json!(7), json!(["completed"]), json!({})] {
        let error = inbound("deploy.responses.d1", &with(samples::report(), "status", status)).unwrap_err();
        assert!(error.to_string().starts_with("bad field `status`: invalid type"), "{error}");
    }
}

#[test]
fn an_announcement_and_an_answer_and_a_log_line_are_known_by_their_subjects() {
    assert!(matches!(inbound(PRESENCE, &samples::host_answer()), Ok(Inbound::Presence(_))));
    for (answer, fits) in [
        (samples::host_answer(), (|answer| matches!(answer, Answer::Host(_))) as fn(&Answer) -> bool),
        (samples::job_answer(), |answer| matches!(answer, Answer::Job(_))),
        (samples::history_answer(), |answer| matches!(answer, Answer::History(_))),
        (samples::log_answer(), |answer| matches!(answer, Answer::Log(_))),
    ] {
        let Inbound::Answer(asked, answer) = inbound("deploy.responses.ask.q1", &answer).unwrap() else {
            panic!("{answer}")
        };
        assert!(asked == id("q1") && fits(&answer), "{answer:?}");
    }
    let line = inbound("deploy.responses.d1.log.web1", &samples::log_line()).unwrap();
    assert!(matches!(&line, Inbound::Log(line) if line.text == "done\n"));
}

#[test]
fn every_message_tells_who_sent_it() {
    for (subject, message) in [
        ("deploy.responses.d1", samples::report()),
        (PRESENCE, samples::host_answer()),
        ("deploy.responses.ask.q1", samples::job_answer()),
        ("deploy.responses.ask.q1", samples::history_answer()),
        ("deploy.responses.ask.q1", samples::log_answer()),
        ("deploy.responses.d1.log.web1", samples::log_line()),
    ] {
        assert_eq!(*inbound(subject, &message).unwrap().hostname(), name("web1"), "{subject}");
    }
}

#[test]
fn a_message_on_a_foreign_subject_is_refused() {
    for (subject, text) in [
        ("deploy.prod.web1", "bad field `subject`: \"deploy.prod.web1\" is not `deploy.responses.<id>`"),
        (
            "deploy.responses.a.b.c",
            "bad field `subject`: \"deploy.responses.a.b.c\" is not `deploy.responses.<id>`",
        ),
        (
            "other.responses.d1.log.web1",
            "bad field `subject`: \"other.responses.d1.log.web1\" is not `deploy.responses.<id>`",
        ),
        ("", "bad field `subject`: \"\" is not `deploy.responses.<id>`"),
    ] {
        assert_eq!(inbound(subject, &samples::log_line()).unwrap_err().to_string(), text);
    }
}

#[test]
fn an_answer_that_is_neither_report_nor_answer_names_what_it_lacks() {
    let error = inbound("deploy.responses.q1", &without(samples::host_answer(), "tier")).unwrap_err();
    assert_eq!(error.to_string(), "bad field `tier`: it is missing");
}
