//! Peers of other versions: they omit fields, send `null`, or use values that are unknown here.

use crate::samples::{self, bytes, json_of, with, without};
use homelab_deploy::protocol::{
    Action, BuildReport, BuildRequest, DeployReport, DeployRequest, LogLine, Presence, Query, QueryKind,
    QueryReply,
};
use serde_json::{Value, json};

/// Parses a message and encodes it again; `None` if it is rejected.
type Reencode = fn(&Value) -> Option<Value>;

/// The parser of each kind of message, a complete message, and the pointers of its required fields.
fn every_kind() -> Vec<(&'static str, Reencode, Value, Vec<&'static str>)> {
    macro_rules! of {
        ($kind:ident) => {
            |json| $kind::parse(&bytes(json)).ok().map(|message| json_of(&message.encode()))
        };
    }
    let in_report = ["/hostname", "/status", "/phases/0/name", "/phases/0/state"];
    let in_components =
        ["/components/0/name", "/components/0/state", "/components/1/name", "/components/1/state"];
    let in_lists = ["/phases/1/name", "/phases/1/state", "/changes/packages/0/name"];
    let report = [&in_report[..], &in_lists, &in_components].concat();
    let mut job = vec!["/hostname", "/tier"];
    for of in ["/job", "/last_change"] {
        job.extend(report.iter().map(|field| &*format!("{of}{field}").leak()));
    }
    let entry = ["/entries/0/id", "/entries/0/at", "/entries/0/action", "/entries/0/status", "/hostname"];
    vec![
        ("request", of!(DeployRequest), samples::request(), vec!["/action", "/revision", "/reply_to"]),
        (
            "service request",
            of!(DeployRequest),
            samples::service_request(),
            vec!["/action", "/revision", "/reply_to"],
        ),
        ("report", of!(DeployReport), samples::report(), report),
        ("host", of!(Presence), samples::presence(), job),
        ("ask", of!(Query), samples::query(), vec!["/reply_to"]),
        (
            "job",
            of!(QueryReply),
            samples::with(samples::job_reply(), "report", json!(null)),
            vec!["/hostname", "/query"],
        ),
        ("history", of!(QueryReply), samples::history_reply(), [&entry[..], &["/query"]].concat()),
        ("log", of!(QueryReply), samples::log_reply(), vec!["/hostname", "/query"]),
        ("line", of!(LogLine), samples::log_line(), vec!["/id", "/hostname", "/offset", "/text"]),
        ("build request", of!(BuildRequest), samples::build_request(), vec!["/target", "/reply_to"]),
        (
            "build report",
            of!(BuildReport),
            samples::build_report(),
            vec!["/target", "/status", "/hosts/0/hostname", "/hosts/0/state"],
        ),
    ]
}

/// Collects the pointer of every field, at any depth.
fn pointers(value: &Value, at: &str, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            for (key, inner) in fields {
                found.push(format!("{at}/{key}"));
                pointers(inner, &format!("{at}/{key}"), found);
            }
        }
        Value::Array(list) => {
            for (i, inner) in list.iter().enumerate() {
                pointers(inner, &format!("{at}/{i}"), found);
            }
        }
        _ => {}
    }
}

/// The object that contains the field, and the name of the field.
fn holder<'a>(message: &'a mut Value, pointer: &'a str) -> (&'a mut serde_json::Map<String, Value>, &'a str) {
    let (object, key) = pointer.rsplit_once('/').unwrap();
    (message.pointer_mut(object).and_then(Value::as_object_mut).unwrap(), key)
}

#[test]
fn every_field_survives_reading_and_writing() {
    for (kind, reencode, full, _) in every_kind() {
        assert_eq!(reencode(&full).unwrap(), full, "{kind}");
    }
    let job = QueryReply::parse(&bytes(&samples::job_reply())).unwrap();
    assert_eq!(json_of(&job.encode()), samples::job_reply());
}

#[test]
fn null_means_the_same_as_absent_in_every_field_and_only_the_required_ones_are_missed() {
    for (kind, reencode, full, required) in every_kind() {
        let mut all = Vec::new();
        pointers(&full, "", &mut all);
        for pointer in all {
            let (mut absent, mut null) = (full.clone(), full.clone());
            let (fields, key) = holder(&mut absent, &pointer);
            fields.remove(key);
            let (fields, key) = holder(&mut null, &pointer);
            fields.insert(key.to_owned(), Value::Null);
            let absent = reencode(&absent);
            assert_eq!(absent, reencode(&null), "{kind} {pointer}");
            assert_eq!(absent.is_none(), required.contains(&pointer.as_str()), "{kind} {pointer}");
        }
    }
}

#[test]
fn unknown_fields_are_ignored_at_any_depth() {
    for (kind, reencode, full, _) in every_kind() {
        let mut all = Vec::new();
        pointers(&full, "", &mut all);
        let mut newer = full.clone();
        for pointer in all {
            let (fields, _) = holder(&mut newer, &pointer);
            fields.insert("of_tomorrow".to_owned(), json!({"deep": [1, null, {"er": "x"}]}));
        }
        assert_ne!(newer, full);
        assert_eq!(reencode(&newer).unwrap(), full, "{kind}");
    }
}

#[test]
fn unknown_enum_values_survive_reading_and_writing() {
    for (kind, words) in [
        (
            "report",
            &["/status", "/error", "/action", "/phases/0/name", "/phases/0/state", "/components/0/state"][..],
        ),
        ("host", &["/query", "/capabilities/0", "/engine", "/job/status"]),
        ("ask", &["/query"]),
        ("history", &["/entries/0/action", "/entries/0/status", "/entries/0/error"]),
        ("build report", &["/status", "/error", "/hosts/0/state"]),
    ] {
        let (_, reencode, full, _) = every_kind().into_iter().find(|row| row.0 == kind).unwrap();
        for pointer in words {
            let mut newer = full.clone();
            *newer.pointer_mut(pointer).unwrap() = json!("word of tomorrow ✨");
            assert_eq!(reencode(&newer).unwrap(), newer, "{kind} {pointer}");
        }
    }
}

#[test]
fn an_unknown_status_is_not_final() {
    let newer = with(samples::report(), "status", json!("paused"));
    let report = DeployReport::parse(&bytes(&newer)).unwrap();
    assert!(!report.status.is_known() && !report.status.is_final());
}

#[test]
fn an_unknown_capability_hides_no_known_one() {
    let newer = with(samples::presence(), "capabilities", json!(["levitate", "reboot"]));
    let host = Presence::parse(&bytes(&newer)).unwrap();
    assert!(host.can(&Action::Reboot) && host.can(&Action::from("levitate")) && !host.can(&Action::Hold));
}

#[test]
fn a_query_without_kind_is_about_the_host() {
    let query = Query::parse(&bytes(&without(samples::query(), "query"))).unwrap();
    assert_eq!(query.kind(), QueryKind::Host);
}

#[test]
fn a_reply_without_query_or_with_an_unknown_one_is_a_presence() {
    for answer in [
        json!({"hostname": "web1", "tier": "prod"}),
        json!({"query": null, "hostname": "web1", "tier": "prod"}),
        json!({"query": "tea", "hostname": "web1", "tier": "prod"}),
    ] {
        let QueryReply::Host(host) = QueryReply::parse(&bytes(&answer)).unwrap() else { panic!("{answer}") };
        assert_eq!(host.hostname.as_str(), "web1");
    }
}

#[test]
fn replies_without_data_are_null() {
    for answer in [
        json!({"query": "job", "id": "d9", "hostname": "web1", "report": null}),
        json!({"query": "history", "hostname": "web1", "entries": [], "next": null}),
        json!({
            "query": "log", "id": "d9", "hostname": "web1", "offset": null, "text": null, "eof": false,
            "running": false,
        }),
    ] {
        assert_eq!(json_of(&QueryReply::parse(&bytes(&answer)).unwrap().encode()), answer);
    }
}
