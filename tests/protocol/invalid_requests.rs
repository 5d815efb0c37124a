//! Invalid messages, with the error code and the message that their sender receives.

use crate::samples::{self, bytes, id, with, without};
use homelab_deploy::protocol::{
    Action, BuildReport, BuildRequest, DeployReport, DeployRequest, Destination, ErrorCode, LogLine,
    Presence, Query, QueryReply, RejectedRequest, ReplyTo, WireError,
};
use serde_json::{Value, json};

fn refused(request: &Value) -> RejectedRequest {
    *DeployRequest::parse(&bytes(request)).unwrap_err()
}

/// Checks the code and the message of requests that differ from a valid one in one field.
fn check_each(code: &ErrorCode, table: &[(&str, Value, &str)]) {
    for (field, value, text) in table {
        let bad = refused(&with(samples::request(), field, value.clone()));
        assert_eq!((&bad.code, &bad.message[..]), (code, *text), "{field}: {value}");
        assert_eq!(bad.reply_to.is_some(), *field != "reply_to", "{field}: {value}");
    }
}

#[test]
fn the_sample_request_is_good() {
    DeployRequest::parse(&bytes(&samples::request())).unwrap();
}

#[test]
fn a_payload_that_is_not_a_json_object_is_an_invalid_request_without_reply_subject() {
    for (payload, text) in [
        (&b""[..], "the message is not a JSON object: it does not start with `{`"),
        (b"switch", "the message is not a JSON object: it does not start with `{`"),
        (b"{\"action\":", "the message is not a JSON object: EOF while parsing a value at line 1 column 10"),
        (b"{} {}", "the message is not a JSON object: trailing characters at line 1 column 4"),
        (b"[\"switch\", \"master\"]", "the message is not a JSON object: it does not start with `{`"),
        (b"\"switch\"", "the message is not a JSON object: it does not start with `{`"),
        (b"null", "the message is not a JSON object: it does not start with `{`"),
        (
            b"{\"action\":\"\xff\"}",
            "the message is not a JSON object: invalid unicode code point at line 1 column 12",
        ),
    ] {
        let bad = *DeployRequest::parse(payload).unwrap_err();
        assert_eq!((bad.code, &bad.message[..]), (ErrorCode::InvalidRequest, text));
        assert_eq!((bad.reply_to, bad.id, bad.action), (None, None, None));
    }
}

#[test]
fn no_message_is_parsed_from_an_array_or_another_kind_of_json() {
    type Parse = fn(&[u8]) -> Option<WireError>;
    let parsers: [Parse; 8] = [
        |payload| DeployReport::parse(payload).err(),
        |payload| Presence::parse(payload).err(),
        |payload| QueryReply::parse(payload).err(),
        |payload| Query::parse(payload).err(),
        |payload| LogLine::parse(payload).err(),
        |payload| BuildRequest::parse(payload).err(),
        |payload| BuildReport::parse(payload).err(),
        |payload| homelab_deploy::protocol::Inbound::parse("deploy.responses.d1", payload).err(),
    ];
    for payload in [
        br#"["web1", "completed", null, "done"]"#.as_slice(),
        br#"["d1", "web1", 0, "text"]"#,
        br#"["deploy.responses.d1"]"#,
        br#"["web1", null, null, "build.responses.b1"]"#,
        br#"["all", null, "completed"]"#,
        br#"[null, null, "web1", "prod"]"#,
        b"[]",
        b"7",
        b"null",
        b"\"text\"",
        b"nonsense",
        b"",
    ] {
        for (kind, parse) in parsers.iter().enumerate() {
            let error = parse(payload).unwrap_or_else(|| panic!("{kind} takes {}", payload.escape_ascii()));
            assert!(matches!(error, WireError::NotJson(_)), "{kind}: {error:?}");
            assert!(error.to_string().starts_with("the message is not a JSON object: "), "{kind}: {error}");
        }
    }
}

#[test]
fn a_mebibyte_of_json_is_refused_by_its_size_before_it_is_parsed() {
    let text = "the message is too large: 1048576 bytes, expected at most 65536";
    let mut huge = bytes(&samples::request());
    huge.resize(1024 * 1024, b' ');
    let bad = *DeployRequest::parse(&huge).unwrap_err();
    assert_eq!((bad.code, &bad.message[..]), (ErrorCode::InvalidRequest, text));
    huge.fill(b'[');
    assert_eq!(DeployReport::parse(&huge).unwrap_err().to_string(), text);
    assert_eq!(QueryReply::parse(&huge).unwrap_err().to_string(), text);
    assert_eq!(Query::parse(&huge).unwrap_err().to_string(), text);
}

#[test]
fn a_field_of_the_wrong_type_or_form_is_named() {
    check_each(
        &ErrorCode::InvalidRequest,
        &[
            ("action", json!(7), "bad field `action`: invalid type: integer `7`, expected a string"),
            ("action", json!(null), "bad field `action`: invalid type: null, expected a string"),
            ("reply_to", json!(7), "`reply_to` is not a string"),
            ("id", json!(7), "bad field `id`: invalid type: integer `7`, expected a string"),
            (
                "id",
                json!("a b"),
                "bad field `id`: \"a b\" is not a name: use 1 to 63 letters, digits, `_` or `-`",
            ),
            ("id", json!("-a"), "bad field `id`: \"-a\" is not an id: it must start with a letter or digit"),
            (
                "issued_at",
                json!(7),
                "bad field `issued_at`: invalid type: integer `7`, expected a timestamp string",
            ),
            ("issuer", json!(["a"]), "bad field `issuer`: invalid type: sequence, expected a string"),
            ("commit", json!(true), "bad field `commit`: invalid type: boolean `true`, expected a string"),
            ("timeout_s", json!("600"), "bad field `timeout_s`: invalid type: string \"600\", expected u64"),
            ("timeout_s", json!(-1), "bad field `timeout_s`: invalid value: integer `-1`, expected u64"),
            (
                "timeout_s",
                json!(1.5),
                "bad field `timeout_s`: invalid type: floating point `1.5`, expected u64",
            ),
            ("timeout_s", json!(0), "bad field `timeout_s`: it must be at least 1 second"),
            ("on_failure", json!({}), "bad field `on_failure`: invalid type: map, expected a string"),
            ("on_failure", json!("shrug"), "bad field `on_failure`: expected `rollback` or `keep`"),
            ("reason", json!(7), "bad field `reason`: invalid type: integer `7`, expected a string"),
            ("job", json!(7), "bad field `job`: invalid type: integer `7`, expected a string"),
            (
                "job",
                json!("a.b"),
                "bad field `job`: \"a.b\" is not a name: use 1 to 63 letters, digits, `_` or `-`",
            ),
            ("generation", json!(-1), "bad field `generation`: invalid value: integer `-1`, expected u64"),
            ("generation", json!("41"), "bad field `generation`: invalid type: string \"41\", expected u64"),
        ],
    );
    for field in ["issued_at", "expires_at"] {
        let bad = refused(&with(samples::request(), field, json!("yesterday")));
        assert!(bad.message.starts_with(&format!("bad field `{field}`: ")), "{}", bad.message);
    }
}

#[test]
fn a_missing_field_is_named() {
    for (field, code, text) in [
        ("action", ErrorCode::InvalidRequest, "bad field `action`: it is missing"),
        ("reply_to", ErrorCode::InvalidRequest, "`reply_to` is missing"),
        ("revision", ErrorCode::InvalidRevision, "`switch` needs a `revision`: a branch, tag or full commit"),
    ] {
        let bad = refused(&without(samples::request(), field));
        assert_eq!((bad.code, &bad.message[..]), (code, text));
    }
    assert_eq!(refused(&with(samples::request(), "reply_to", json!(null))).message, "`reply_to` is missing");
}

#[test]
fn an_unknown_action_is_an_invalid_action() {
    check_each(
        &ErrorCode::InvalidAction,
        &[
            ("action", json!("explode"), "unknown action \"explode\""),
            ("action", json!("Switch"), "unknown action \"Switch\""),
            ("action", json!(""), "unknown action \"\""),
            ("action", json!("switch\u{1b}[2J"), "unknown action \"switch\\u{1b}[2J\""),
        ],
    );
}

#[test]
fn a_commit_must_be_forty_lower_case_digits() {
    let text = "bad field `commit`: it must be 40 lower-case hexadecimal digits";
    for commit in ["", "abc1234", "master", &"A".repeat(40), &"a".repeat(41), &"g".repeat(40)] {
        check_each(&ErrorCode::InvalidRequest, &[("commit", json!(commit), text)]);
    }
}

#[test]
fn only_the_actions_that_build_need_a_revision() {
    for action in Action::ALL {
        let request = with(without(samples::request(), "revision"), "action", json!(action));
        assert_eq!(DeployRequest::parse(&bytes(&request)).is_err(), action.needs_revision(), "{action}");
    }
    let needs: Vec<_> = Action::ALL.iter().filter(|action| action.needs_revision()).collect();
    assert_eq!(needs.len(), 5, "the base four and `build`: {needs:?}");
}

#[test]
fn a_cancel_must_name_its_job() {
    let cancel = with(samples::request(), "action", json!("cancel"));
    DeployRequest::parse(&bytes(&cancel)).unwrap();
    for nameless in [without(cancel.clone(), "job"), with(cancel.clone(), "job", json!(null))] {
        let bad = refused(&nameless);
        assert_eq!(bad.code, ErrorCode::InvalidRequest);
        assert_eq!(bad.message, "bad field `job`: `cancel` must name the job to stop");
    }
}

#[test]
fn a_resume_must_name_its_job() {
    let resume = with(without(samples::request(), "revision"), "action", json!("resume"));
    DeployRequest::parse(&bytes(&resume)).unwrap();
    let bad = refused(&without(resume, "job"));
    assert_eq!(bad.code, ErrorCode::InvalidRequest);
    assert_eq!(bad.message, "bad field `job`: `resume` must name the job to continue");
}

#[test]
fn services_and_prune_are_only_for_actions_that_can_be_about_a_part_of_the_host() {
    for action in Action::ALL {
        let request = with(with(samples::request(), "action", json!(action)), "services", json!(["db"]));
        let bad = DeployRequest::parse(&bytes(&request)).err().map(|bad| bad.message);
        let text = format!("bad field `services`: `{action}` is always about the complete host");
        assert_eq!(bad, (!action.takes_services()).then_some(text));
        let request = with(with(samples::request(), "action", json!(action)), "prune", json!(true));
        let bad = DeployRequest::parse(&bytes(&request)).err().map(|bad| bad.message);
        let text = format!("bad field `prune`: `{action}` removes no services");
        assert_eq!(bad, (!action.takes_prune()).then_some(text));
    }
    let many: Vec<_> = (0..201).map(|n| format!("s{n}")).collect();
    check_each(
        &ErrorCode::InvalidRequest,
        &[
            ("services", json!(many), "bad field `services`: expected at most 200 services"),
            (
                "services",
                json!(["../x"]),
                "bad field `services[0]`: \"../x\" is not a name: use 1 to 63 letters, digits, `_` or `-`",
            ),
        ],
    );
}

#[test]
fn a_hold_needs_a_short_reason() {
    let hold = |reason: Value| with(with(samples::request(), "action", json!("hold")), "reason", reason);
    DeployRequest::parse(&bytes(&hold(json!("é".repeat(300))))).unwrap();
    let empty = "bad field `reason`: the hold reason is empty: give a reason of at most 300 characters";
    let long =
        "bad field `reason`: the hold reason has 301 characters: give a reason of at most 300 characters";
    for (reason, text) in
        [(json!(null), empty), (json!(" \t\u{1b}[0m"), empty), (json!("é".repeat(301)), long)]
    {
        let bad = refused(&hold(reason));
        assert_eq!((bad.code, &bad.message[..]), (ErrorCode::InvalidRequest, text));
    }
    // Other actions ignore the reason.
    let switch = with(samples::request(), "reason", json!("x".repeat(301)));
    DeployRequest::parse(&bytes(&switch)).unwrap();
}

#[test]
fn a_rejected_request_keeps_its_reply_subject_and_id() {
    for (field, value) in
        [("revision", json!("--help")), ("timeout_s", json!("x")), ("action", json!("explode"))]
    {
        let bad = refused(&with(samples::request(), field, value));
        assert_eq!(
            bad.reply_to,
            Some(Destination { reply_to: ReplyTo::reports(id("d1")), per_host: false }),
            "{field}"
        );
        assert_eq!(bad.id, Some(id("d1")), "{field}");
        let action = if field == "action" { "explode" } else { "switch" };
        assert_eq!(bad.action, Some(Action::from(action)), "{field}");
    }
    let other_id = with(with(samples::request(), "id", json!("other")), "timeout_s", json!(0));
    assert_eq!(refused(&other_id).id, Some(id("other")));
    let bad_id = with(samples::request(), "id", json!("not an id"));
    assert_eq!(refused(&bad_id).id, Some(id("d1")), "the reply subject's own");
    let nowhere = with(samples::request(), "reply_to", json!("elsewhere"));
    assert_eq!((refused(&nowhere).reply_to, refused(&nowhere).id), (None, Some(id("d1"))));
}

#[test]
fn a_bad_build_request_names_its_field() {
    for (field, value, text) in [
        (
            "target",
            json!("a b"),
            "bad field `target`: \"a b\" is not a name: use 1 to 63 letters, digits, `_` or `-`",
        ),
        (
            "target",
            json!("responses"),
            "bad field `target`: \"responses\" is a reserved word and cannot be a name",
        ),
        ("repo", json!("all"), "bad field `repo`: \"all\" is a reserved word and cannot be a name"),
        (
            "branch",
            json!("--help"),
            "bad field `branch`: \"--help\" is not a revision: git allows no name that starts with `-` or `/`, or ends in `/` or `.`",
        ),
        ("reply_to", json!("deploy.responses.b1"), "bad field `reply_to`: it is not `build.responses.<id>`"),
        ("reply_to", json!("build.responses.a.b"), "bad field `reply_to`: it is not `build.responses.<id>`"),
        ("reply_to", json!("build.responses.*"), "bad field `reply_to`: it is not `build.responses.<id>`"),
    ] {
        let request = with(samples::build_request(), field, value.clone());
        let error = BuildRequest::parse(&bytes(&request)).unwrap_err();
        // The position of the error depends on the JSON parser.
        let text_only = error.to_string().split(" at line ").next().unwrap().to_owned();
        assert_eq!(text_only, text, "{field}: {value}");
    }
}
