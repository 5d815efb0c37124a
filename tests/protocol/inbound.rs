//! Messages to an operator are classified by subject and content.

use crate::samples::{self, bytes, id, name, with, without};
use homelab_deploy::protocol::{Inbound, PRESENCE, QueryReply, Status, WireError};
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
fn a_report_with_id_keeps_it_on_any_subject() {
    let Inbound::Report(report) = inbound("deploy.responses.x-1", &samples::report()).unwrap() else {
        panic!()
    };
    assert_eq!(report.id, Some(id("d1")));
}

#[test]
fn a_presence_on_a_report_subject_is_a_reply() {
    for answer in [
        json!({"hostname": "web1", "tier": "prod", "role": "", "deploy_subjects": ["deploy.prod.web1"]}),
        samples::presence(),
        with(samples::presence(), "status", json!(null)),
    ] {
        match inbound("deploy.responses.q1", &answer).unwrap() {
            Inbound::Reply(query_id, QueryReply::Host(host)) => {
                assert_eq!((query_id, host.hostname), (id("q1"), name("web1")));
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_report_with_an_invalid_status_is_not_a_reply() {
    for status in [json!(7), json!(["completed"]), json!({})] {
        let error = inbound("deploy.responses.d1", &with(samples::report(), "status", status)).unwrap_err();
        assert!(error.to_string().starts_with("bad field `status`: invalid type"), "{error}");
    }
}

#[test]
fn presence_replies_and_log_lines_are_recognised_by_their_subjects() {
    assert!(matches!(inbound(PRESENCE, &samples::presence()), Ok(Inbound::Presence(_))));
    for (answer, fits) in [
        (samples::presence(), (|answer| matches!(answer, QueryReply::Host(_))) as fn(&QueryReply) -> bool),
        (samples::job_reply(), |answer| matches!(answer, QueryReply::Job(_))),
        (samples::history_reply(), |answer| matches!(answer, QueryReply::History(_))),
        (samples::log_reply(), |answer| matches!(answer, QueryReply::Log(_))),
    ] {
        let Inbound::Reply(query_id, answer) = inbound("deploy.responses.ask.q1", &answer).unwrap() else {
            panic!("{answer}")
        };
        assert!(query_id == id("q1") && fits(&answer), "{answer:?}");
    }
    let line = inbound("deploy.responses.d1.log.web1", &samples::log_line()).unwrap();
    assert!(matches!(&line, Inbound::Log(line) if line.text == "done\n"));
}

#[test]
fn every_message_names_its_sender() {
    for (subject, message) in [
        ("deploy.responses.d1", samples::report()),
        (PRESENCE, samples::presence()),
        ("deploy.responses.ask.q1", samples::job_reply()),
        ("deploy.responses.ask.q1", samples::history_reply()),
        ("deploy.responses.ask.q1", samples::log_reply()),
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
fn a_message_that_is_neither_report_nor_reply_names_the_missing_field() {
    let error = inbound("deploy.responses.q1", &without(samples::presence(), "tier")).unwrap_err();
    assert_eq!(error.to_string(), "bad field `tier`: it is missing");
}
